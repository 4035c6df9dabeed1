"""Laws of validation: what has not changed is not sent again (RFC 9111, 4.3)."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from browseros_api.testing import Received, Reply, wait_until
from tests.caching.judging import CONDITIONAL, MISS, Stage

pytestmark = pytest.mark.parametrize("stage", ["memory", "sqlite"], indirect=True)

SHORT = {"Cache-Control": "max-age=2"}
TAGGED = {**SHORT, "ETag": '"x"'}
CHANGED = "Wed, 01 Jan 2020 00:00:00 GMT"


# -- what is asked ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("validators", "conditions"),
    [
        ({"ETag": '"abc"'}, {"If-None-Match": '"abc"'}),
        ({"ETag": 'W/"abc"'}, {"If-None-Match": 'W/"abc"'}),
        ({"ETag": "abc"}, {"If-None-Match": "abc"}),
        ({"ETag": '"a, b"'}, {"If-None-Match": '"a, b"'}),
        ({"Last-Modified": CHANGED}, {"If-Modified-Since": CHANGED}),
        (
            {"ETag": '"abc"', "Last-Modified": CHANGED},
            {"If-None-Match": '"abc"', "If-Modified-Since": CHANGED},
        ),
        ({"ETag": ""}, {}),
        ({}, {}),
    ],
)
def test_a_stale_answer_is_asked_about_by_its_validators(
    validators: dict[str, str], conditions: dict[str, str], stage: Stage
) -> None:
    origin = stage.open({"Cache-Control": "max-age=2", **validators})
    first = stage.ask()
    stage.clock.tick(2)
    second: Any = stage.ask()
    asked = origin.asked[-1].headers
    for name in ("If-None-Match", "If-Modified-Since"):
        assert asked.get(name) == conditions.get(name)
    assert second.status_code == 200
    assert (second.text == first.text) is bool(conditions)
    assert second.from_cache is bool(conditions)
    assert second.stale is False
    figures = stage.session.get_stats()
    assert figures["confirmed_responses"] == bool(conditions)
    assert figures["cached_responses"] == 0, "it was asked for"


@pytest.mark.parametrize("status", [301, 302, 404, 410])
def test_only_answers_that_a_304_can_stand_for_are_asked_about(status: int, stage: Stage) -> None:
    headers = {**TAGGED, "Location": "/nowhere"}
    assert stage.verdict(Reply(status, headers=headers), after=2) == MISS


def test_a_confirmed_answer_is_fresh_anew(stage: Stage) -> None:
    origin = stage.open(TAGGED, {**TAGGED, "Cache-Control": "max-age=100"})
    stage.ask()
    stage.clock.tick(2)
    assert stage.ask().text == "1"
    stage.clock.tick(99)
    hit: Any = stage.ask()
    assert (hit.text, hit.headers["Age"], hit.from_cache) == ("1", "99", True)
    assert len(origin.asked) == 2
    stage.clock.tick(1)
    assert stage.ask().text == "1"
    assert len(origin.asked) == 3


def test_an_answer_that_has_changed_takes_the_place_of_the_old_one(stage: Stage) -> None:
    origin = stage.open(TAGGED)
    origin._is_unchanged = lambda *_: False  # type: ignore[method-assign]
    stage.ask()
    stage.clock.tick(2)
    assert stage.ask().text == "2"
    assert stage.ask().text == "2"
    assert len(origin.asked) == 2


@pytest.mark.parametrize(
    "headers",
    [{"Cache-Control": "no-cache"}, {"Cache-Control": "max-age=0"}, {"Pragma": "no-cache"}],
)
def test_a_caller_who_wants_it_checked_has_it_checked(
    headers: dict[str, str], stage: Stage
) -> None:
    origin = stage.open({"Cache-Control": "max-age=60", "ETag": '"x"'})
    stage.ask()
    answer: Any = stage.ask(headers)
    assert (answer.text, answer.from_cache, len(origin.asked)) == ("1", True, 2)
    assert origin.asked[-1].headers["If-None-Match"] == '"x"'


def test_in_ttl_mode_nothing_is_asked_about(stage: Stage) -> None:
    ttl = Stage(stage.server, stage.clock, cache_mode="ttl")
    assert ttl.verdict(TAGGED, after=2) == MISS


# -- what a 304 changes ----------------------------------------------------------------------------

UPDATED = {
    "Test-Header": ("a", "b"),
    "X-Test-Header": ("a", "b"),
    "Content-Foo": ("a", "b"),
    "Content-Type": ("text/plain", "text/plain;charset=utf-8"),
    "Content-Location": ("/foo", "/bar"),
    "Content-Security-Policy": ("default-src 'self'", "default-src 'self' cdn.example.com"),
    "X-Frame-Options": ("deny", "sameorigin"),
    "Expires": ("Fri, 01 Jan 2038 01:01:01 GMT", "Mon, 11 Jan 2038 11:11:11 GMT"),
    "Date": (-5, 0),
    "Age": ("0", "1"),
}
UNTOUCHED = {
    "Content-Length": ("1", "10"),
    "Content-Encoding": ("a", "b"),
    "Content-Range": ("a", "b"),
    "Content-MD5": ("a", "b"),
    "Connection": ("keep-alive", "close"),
    "Transfer-Encoding": (None, "a"),
}


@pytest.mark.parametrize("name", [*UPDATED, *UNTOUCHED])
def test_a_304_brings_its_headers_but_for_those_about_the_body_and_the_connection(
    name: str, stage: Stage
) -> None:
    before, after = {**UPDATED, **UNTOUCHED}[name]
    first = {**TAGGED} if before is None else {**TAGGED, name: before}
    origin = stage.open(first, {**TAGGED, name: after})
    one = stage.ask()
    stage.clock.tick(2)
    two = stage.ask()
    three = stage.ask()
    assert len(origin.asked) == 2
    assert [answer.text for answer in (one, two, three)] == ["1", "1", "1"]
    if name in UPDATED:
        assert two.headers[name] != one.headers[name]
        assert three.headers[name] == two.headers[name]
    elif name not in ("Connection", "Transfer-Encoding"):
        assert one.headers[name] == two.headers[name] == three.headers[name]
    else:
        assert name not in three.headers


def test_a_304_leaves_what_it_does_not_name(stage: Stage) -> None:
    stage.open({**TAGGED, "Test-Header": "a"}, {})
    stage.ask()
    stage.clock.tick(2)
    assert [stage.ask().headers["Test-Header"] for _ in range(2)] == ["a", "a"]


def test_the_age_of_a_confirmed_answer_is_that_of_its_confirmation(stage: Stage) -> None:
    stage.open({**TAGGED, "Age": "1"}, {**TAGGED, "Cache-Control": "max-age=60"})
    stage.ask()
    stage.clock.tick(2)
    assert "Age" not in stage.ask().headers
    stage.clock.tick(5)
    assert stage.ask().headers["Age"] == "5"


def test_a_charset_that_a_304_brings_is_used(stage: Stage) -> None:
    old, new = (
        {**TAGGED, "Content-Type": kind} for kind in ("text/plain", "text/plain;charset=utf-8")
    )
    stage.open(Reply(headers=old, body="é".encode()), new)
    assert stage.ask().text == "Ã©"
    stage.clock.tick(2)
    assert [stage.ask().text for _ in range(2)] == ["é", "é"]


def test_a_304_with_another_tag_is_believed_and_the_next_asks_by_the_old_one(stage: Stage) -> None:
    """As of servers that tell coded bodies from plain ones in one answer and not in the next."""
    origin = stage.open({**TAGGED, "ETag": '"x-gzip"'}, {**SHORT, "ETag": '"x"'})
    stage.ask()
    stage.clock.tick(2)
    assert stage.ask().text == "1"
    assert stage.ask().headers["ETag"] == '"x-gzip"'
    stage.clock.tick(2)
    stage.ask()
    assert origin.asked[-1].headers["If-None-Match"] == '"x-gzip"'


def test_a_304_may_say_that_nothing_is_to_be_kept_any_more(stage: Stage) -> None:
    origin = stage.open(TAGGED, {**TAGGED, "Cache-Control": "no-store"})
    stage.ask()
    stage.clock.tick(2)
    assert [stage.ask().text for _ in range(2)] == ["1", "1"]
    assert len(origin.asked) == 3, "it was not renewed"


def test_a_cookie_that_comes_with_a_304_is_for_whoever_asked(stage: Stage) -> None:
    stage.open(TAGGED, {**TAGGED, "Cache-Control": "max-age=60", "Set-Cookie": "who=alice"})
    stage.ask()
    stage.clock.tick(2)
    answer = stage.ask()
    assert (answer.text, answer.headers["Set-Cookie"]) == ("1", "who=alice")
    assert stage.session.cookies.get("who") == "alice"
    store = stage.session.engine.cache.answers
    kept = [entry.snapshot.headers for key in store for entry in store.peek(key)]
    assert all("Set-Cookie" not in headers for headers in kept)


def test_a_304_that_a_redirect_led_to_is_about_something_else(stage: Stage) -> None:
    """It has an entity tag of the same text, and another body."""

    def elsewhere(request: Received) -> Reply:
        is_asked = request.headers.get("If-None-Match") == '"x"'
        return Reply(304) if is_asked else Reply(body="elsewhere", headers={"ETag": '"x"'})

    stage.server.route("/elsewhere", elsewhere)
    origin = stage.open(TAGGED, Reply(302, headers={"Location": "/elsewhere"}))
    origin._is_unchanged = lambda *_: False  # type: ignore[method-assign]
    stage.ask(allow_redirects=True)
    stage.clock.tick(2)
    answer = stage.ask(allow_redirects=True)
    assert (answer.status_code, answer.text) == (200, "elsewhere")
    assert "If-None-Match" not in origin.asked[-1].headers


def test_a_chain_of_redirects_is_asked_for_in_full(stage: Stage) -> None:
    stage.server.route("/target", Reply(body="there", headers=TAGGED))
    origin = stage.open(Reply(301, headers={**SHORT, "Location": "/target", "ETag": '"y"'}))
    stage.ask(allow_redirects=True)
    stage.clock.tick(2)
    assert stage.ask(allow_redirects=True).text == "there"
    assert "If-None-Match" not in origin.asked[-1].headers


def test_what_a_reader_does_to_a_confirmed_answer_no_other_sees(stage: Stage) -> None:
    stage.open(TAGGED)
    stage.ask()
    stage.clock.tick(2)
    answer = stage.ask()
    answer.headers["ETag"] = "spoilt"
    answer._content = b"spoilt"
    again = stage.ask()
    assert (again.text, again.headers["ETag"]) == ("1", '"x"')


# -- many at once ----------------------------------------------------------------------------------


@pytest.mark.parametrize("is_unchanged", [True, False])
def test_a_crowd_with_one_stale_answer_asks_once_about_it(is_unchanged: bool, stage: Stage) -> None:
    go = threading.Event()
    origin = stage.open(Reply(headers=TAGGED), Reply(headers=TAGGED, hold=go))
    origin._is_unchanged = (  # type: ignore[method-assign]
        lambda request, _: is_unchanged and go.wait(10) and "If-None-Match" in request.headers
    )
    stage.ask()
    stage.clock.tick(2)
    answers: list[Any] = []
    crowd = [threading.Thread(target=lambda: answers.append(stage.ask())) for _ in range(12)]
    for one in crowd:
        one.start()
    wait_until(lambda: "11 followers" in repr(stage.session.engine.flights))
    go.set()
    for one in crowd:
        one.join(10)
        assert not one.is_alive()
    assert [answer.text for answer in answers] == ["1" if is_unchanged else "2"] * 12
    assert len({id(answer.headers) for answer in answers}) == 12
    assert len(origin.asked) == 2
    assert origin.asked[-1].headers["If-None-Match"] == '"x"'


def test_the_callers_own_headers_are_what_they_were(stage: Stage) -> None:
    stage.open(TAGGED)
    own = {"X-Own": "1"}
    for _ in range(2):
        stage.session.get(stage.server.url(stage.path), headers=own)
        stage.clock.tick(2)
    assert own == {"X-Own": "1"}
    assert stage.verdict(TAGGED, after=2) == CONDITIONAL
