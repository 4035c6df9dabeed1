"""Laws of HEAD, and of what an answer is kept without (RFC 9111, 3.1 and 4.3.5)."""

from __future__ import annotations

from typing import Any

import pytest

from browseros_api.testing import Reply
from tests.caching.judging import Stage

pytestmark = pytest.mark.parametrize("stage", ["memory", "sqlite"], indirect=True)

FRESH = {"Cache-Control": "max-age=60"}


# -- HEAD is answered ------------------------------------------------------------------------------


def test_head_is_answered_from_what_get_has_brought(stage: Stage) -> None:
    origin = stage.open(Reply(headers={**FRESH, "X-A": "1"}, body="hello"))
    stage.ask(allow_redirects=True)
    head: Any = stage.session.head(stage.server.url(stage.path))
    assert (head.status_code, head.content, head.from_cache) == (200, b"", True)
    assert (head.headers["X-A"], head.headers["Content-Length"]) == ("1", "5")
    assert stage.ask().text == "hello", "and GET has its body"
    assert len(origin.asked) == 1


def test_an_answer_to_head_is_none_to_get(stage: Stage) -> None:
    origin = stage.open(FRESH)
    for method in ("HEAD", "HEAD", "GET"):
        stage.ask(method=method)
    assert [request.method for request in origin.asked] == ["HEAD", "HEAD", "GET"]


def test_a_stale_answer_is_no_answer_to_head_and_head_is_sent_as_it_is(stage: Stage) -> None:
    origin = stage.open({"Cache-Control": "max-age=2", "ETag": '"x"'})
    stage.ask()
    stage.clock.tick(2)
    stage.ask(method="HEAD")
    assert origin.asked[-1].method == "HEAD"
    assert "If-None-Match" not in origin.asked[-1].headers


@pytest.mark.parametrize("headers", [{"Foo": "1"}, {"Foo": "2"}])
def test_head_chooses_as_get_does(headers: dict[str, str], stage: Stage) -> None:
    stage.open({**FRESH, "Vary": "Foo"})
    stage.ask({"Foo": "1"})
    head: Any = stage.ask(headers, method="HEAD")
    assert head.from_cache is (headers["Foo"] == "1")


# -- HEAD tells ------------------------------------------------------------------------------------

SHORT = {"Cache-Control": "max-age=2", "X-A": "1"}
LONG = {"Cache-Control": "max-age=1000", "X-A": "2"}


@pytest.mark.parametrize(
    ("kept", "told"),
    [
        ({}, {}),
        ({"ETag": '"x"'}, {"ETag": '"x"'}),
        ({"ETag": '"x"'}, {}),
        ({"Last-Modified": -100}, {"Last-Modified": -100}),
        ({}, {"ETag": '"x"'}),
    ],
)
def test_head_renews_what_is_kept(kept: dict[str, Any], told: dict[str, Any], stage: Stage) -> None:
    origin = stage.open({**SHORT, **kept}, Reply(headers=[*LONG.items(), *told.items()], body="?"))
    stage.ask()
    stage.clock.tick(2)
    stage.ask(method="HEAD")
    hit: Any = stage.ask()
    assert (hit.text, hit.headers["X-A"], hit.from_cache) == ("1", "2", True)
    assert len(origin.asked) == 2


@pytest.mark.parametrize(
    ("kept", "told"),
    [
        ({"ETag": '"x"'}, Reply(headers={**LONG, "ETag": '"y"'}, body="?")),
        ({"Last-Modified": -100}, Reply(headers=[*LONG.items(), ("Last-Modified", -50)], body="?")),
        ({}, Reply(headers=LONG, body="longer")),
        ({}, Reply(404, headers=LONG, body="?")),
        ({}, Reply(410, headers=LONG, body="?")),
        ({}, Reply(204, headers=LONG)),
    ],
)
def test_head_shows_that_what_is_kept_has_changed(
    kept: dict[str, Any], told: Reply, stage: Stage
) -> None:
    origin = stage.open({**FRESH, **kept}, told, FRESH)
    stage.ask()
    stage.ask({"Cache-Control": "no-cache"}, method="HEAD")
    assert stage.ask().text == "3"
    assert len(origin.asked) == 3


@pytest.mark.parametrize("status", [429, 500, 503, 401])
def test_a_head_that_fails_tells_nothing(status: int, stage: Stage) -> None:
    origin = stage.open(FRESH, Reply(status))
    stage.ask()
    stage.ask({"Cache-Control": "no-cache"}, method="HEAD")
    assert stage.ask().text == "1"
    assert len(origin.asked) == 2


def test_head_does_not_make_fresh_what_must_not_be_kept(stage: Stage) -> None:
    stage.open(SHORT, {**LONG, "Cache-Control": "max-age=1000, no-store"})
    stage.ask()
    stage.clock.tick(2)
    stage.ask(method="HEAD")
    assert stage.ask().text == "3"


# -- what an answer is kept without ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Connection", "close"),
        ("Keep-Alive", "timeout=5"),
        ("Proxy-Authenticate", "Basic"),
        ("Proxy-Authentication-Info", "x"),
        ("Proxy-Authorization", "x"),
        ("Proxy-Connection", "close"),
        ("TE", "gzip"),
        ("Upgrade", "h2c"),
    ],
)
def test_an_answer_is_kept_without_the_fields_of_its_connection(
    name: str, value: str, stage: Stage
) -> None:
    stage.open({**FRESH, name: value})
    assert stage.ask().headers[name] == value
    hit: Any = stage.ask()
    assert hit.from_cache
    assert name not in hit.headers


def test_nor_with_those_that_connection_lists(stage: Stage) -> None:
    stage.open({**FRESH, "Connection": "a, b", "a": "1", "b": "2", "c": "3"})
    stage.ask()
    hit = stage.ask()
    assert ("a" in hit.headers, "b" in hit.headers, hit.headers["c"]) == (False, False, "3")


def test_nor_with_those_that_no_cache_names(stage: Stage) -> None:
    origin = stage.open(
        {"Cache-Control": 'no-cache="A, b", max-age=60', "a": "1", "b": "2", "c": "3"}
    )
    assert stage.ask().headers["a"] == "1"
    hit = stage.ask()
    assert ("a" in hit.headers, "b" in hit.headers, hit.headers["c"]) == (False, False, "3")
    assert len(origin.asked) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Test-Header", "x"),
        ("Content-Foo", "x"),
        ("Content-Encoding", "x"),
        ("Content-Length", "1"),
        ("Content-Location", "/bar"),
        ("Content-MD5", "N7UdGUp1E+RbVvZSTy1R8g=="),
        ("Content-Range", "x"),
        ("Content-Security-Policy", "default-src 'self'"),
        ("Content-Type", "text/plain;charset=utf-8"),
        ("Clear-Site-Data", "cookies"),
        ("ETag", '"x"'),
        ("Expires", "Mon, 11 Jan 2038 11:11:11 GMT"),
        ("Public-Key-Pins", "x"),
        ("Strict-Transport-Security", "max-age=1"),
        ("Set-Cookie2", "a=c"),
        ("WWW-Authenticate", "Basic"),
        ("X-Frame-Options", "deny"),
        ("X-XSS-Protection", "1; mode=block"),
    ],
)
def test_all_others_are_kept(name: str, value: str, stage: Stage) -> None:
    stage.open({**FRESH, name: value})
    stage.ask()
    hit: Any = stage.ask()
    assert (hit.from_cache, hit.headers[name]) == (True, value)


def test_an_answer_with_a_cookie_is_not_kept_at_all(stage: Stage) -> None:
    origin = stage.open({**FRESH, "Set-Cookie": "a=b"})
    assert [stage.ask().text for _ in range(2)] == ["1", "2"]
    assert len(origin.asked) == 2
