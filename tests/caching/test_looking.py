"""Laws of looking into the cache: it tells what there is and why, and changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from browseros_api import EnhancedAPIClient, ResilienceMixin, Session, aio
from browseros_api.testing import ApiServer, FakeClock, Reply
from tests.caching.judging import HIT, Stage
from tests.caching.test_control import CONTROL
from tests.caching.test_demands import DEMANDS
from tests.caching.test_vary import VARIES

FRESH = {"Cache-Control": "max-age=60"}


@pytest.fixture
def client(api_server: ApiServer, fake_clock: FakeClock) -> Iterator[EnhancedAPIClient]:
    with EnhancedAPIClient(api_server.base_url, clock=fake_clock) as made:
        yield made


# -- what there is ---------------------------------------------------------------------------------


def test_it_tells_of_each_answer_that_is_kept(stage: Stage) -> None:
    stage.open(Reply(404, headers={**FRESH, "Vary": "Foo, Accept", "Age": "5"}, body="gone"))
    stage.ask({"Foo": "1"}, query="?token=hunter2&page=1", allow_redirects=True)
    stage.clock.tick(10)
    cache = stage.session.cache
    (kept,) = cache
    assert kept.url.endswith(f"{stage.path}?token=***&page=1")
    assert (kept.status, kept.age, kept.fresh_for) == (404, 15.0, 45.0)
    assert kept.kept_for == 45.0 + 3600.0
    assert kept.varies_on == ("accept", "foo")
    assert kept.size == cache.bytes > 1000
    assert cache.keys() == [kept.key]
    assert len(cache) == 1
    assert repr(cache) == f"<KeptAnswers [1 keys, {cache.bytes} bytes]>"


def test_variants_are_told_apart(stage: Stage) -> None:
    stage.open({**FRESH, "Vary": "Foo"})
    for foo in "123":
        stage.ask({"Foo": foo})
    assert len(list(stage.session.cache)) == 3
    assert len(stage.session.cache) == 1


def test_looking_makes_nothing_recent(api_server: ApiServer) -> None:
    with Session(cache_mode="ttl", cache_max_entries=2) as session:
        for path in ("/a", "/b"):
            session.get(api_server.url(path))
        assert [one.url[-2:] for one in session.cache] == ["/a", "/b"]
        assert session.cache.explain("GET", api_server.url("/a")).startswith("a hit")
        session.cache.keys(api_server.url("/a"))
        session.get(api_server.url("/c"))
        assert [one.url[-2:] for one in session.cache] == ["/b", "/c"]


def test_what_goes_while_one_looks_is_left_out(client: EnhancedAPIClient) -> None:
    for number in range(5):
        client.get(f"/{number}")
    seen = []
    for kept in client.cache:
        seen.append(kept.url)
        client.clear_cache()
    assert len(seen) == 1


# -- forgetting ------------------------------------------------------------------------------------


def test_a_url_is_forgotten_whatever_its_query(client: EnhancedAPIClient) -> None:
    for path in ("/users", "/users?page=1", "/users/7", "/users/7/posts", "/user", "/x"):
        client.get(path)
    cache = client.cache
    assert len(cache.keys("/users")) == 2
    assert cache.delete(url="/users?page=99#top") == 2
    assert cache.delete(url="/users") == 0
    assert [one.url.partition("//")[2].partition("/")[2] for one in cache] == [
        "users/7", "users/7/posts", "user", "x",
    ]  # fmt: skip


def test_all_that_begins_alike_is_forgotten(client: EnhancedAPIClient) -> None:
    for path in ("/users", "/users?page=1", "/users/7", "/user", "/x"):
        client.get(path)
    assert client.cache.delete(prefix="/users") == 3
    assert client.cache.delete(prefix="/users") == 0
    assert client.cache.delete(prefix=client.base_url) == 2
    assert len(client.cache) == 0


def test_one_key_is_forgotten(client: EnhancedAPIClient) -> None:
    for path in ("/x", "/y"):
        client.get(path)
    key = str(client.cache_key("/x"))
    assert (client.cache.delete(key=key), client.cache.delete(key=key)) == (1, 0)
    assert client.cache.keys() == [client.cache_key("/y")]


def test_one_says_which(client: EnhancedAPIClient) -> None:
    for wrong in ({}, {"url": "/x", "prefix": "/y"}):
        with pytest.raises(TypeError, match="one of url, prefix and key"):
            client.cache.delete(**wrong)
    with pytest.raises(ValueError, match="origin"):
        client.cache.delete(url="http://elsewhere.example/x")


def test_what_is_forgotten_by_hand_is_not_kept_when_it_comes(
    client: EnhancedAPIClient, api_server: ApiServer
) -> None:
    api_server.route("/x", lambda request: (client.cache.delete(url="/x"), Reply(json=1))[1])
    client.get("/x")
    assert len(client.cache) == 0


def test_clearing_and_pruning(client: EnhancedAPIClient, fake_clock: FakeClock) -> None:
    client.get("/x", cache_ttl=10)
    client.get("/y", cache_ttl=20)
    fake_clock.tick(10)
    store: Any = client.session.engine.cache.answers
    assert client.cache.prune() == 1
    assert client.cache.prune() == 0
    assert len(store) == 1
    client.cache.clear()
    assert (len(client.cache), client.cache.bytes, list(client.cache)) == (0, 0, [])


# -- why -------------------------------------------------------------------------------------------

WHY: list[tuple[dict[str, str], float, dict[str, Any], str]] = [
    (FRESH, 12, {}, "a hit: it is fresh for another 48 s"),
    ({}, 0, {}, "a miss: nothing is kept of this URL"),
    (
        {**FRESH, "ETag": '"x"'}, 72, {},
        "a miss: it is stale for 12 s, and the origin is asked whether it has changed "
        "(If-None-Match)",
    ),
    (FRESH, 72, {}, "a miss: it is stale for 12 s, and it is asked for"),
    (
        {"Cache-Control": "max-age=60, stale-while-revalidate=60"}, 72, {},
        "a hit: it is stale for 12 s, and asked for in the background (stale-while-revalidate)",
    ),
    (
        FRESH, 72, {"headers": {"Cache-Control": "max-stale=30"}},
        "a hit: it is stale for 12 s, and the request takes that (max-stale)",
    ),
    (
        FRESH, 12, {"headers": {"Cache-Control": "no-cache"}},
        "a miss: it is fresh for another 48 s, but the request wants the origin's word",
    ),
    (
        FRESH, 12, {"headers": {"Cache-Control": "max-age=10"}},
        "a miss: it is fresh for another 48 s, and 12 s old: the request wants it no older than "
        "10 s",
    ),
    (
        FRESH, 12, {"headers": {"Cache-Control": "min-fresh=50"}},
        "a miss: it is fresh for another 48 s, and 12 s old: the request wants it fresh for 50 s",
    ),
    (
        FRESH, 0, {"headers": {"Authorization": "bob"}},
        "a miss: what is kept of this URL (1) is for another query, caller, or header that tells "
        "callers apart",
    ),
    (
        {**FRESH, "Vary": "Foo"}, 0, {"headers": {"Foo": "2"}},
        "a miss: what is kept varies on foo, and is for other values",
    ),
    (
        FRESH, 0, {"headers": {"Range": "bytes=5-3"}},
        "a miss: only the origin can tell what the request asks for",
    ),
    (FRESH, 0, {"use_cache": False}, "a miss: the call says use_cache=False"),
    (FRESH, 0, {"method": "POST"}, "a miss: POST is never answered from the cache"),
    (
        FRESH, 0, {"data": b"x"},
        "a miss: it is shared with nobody, since it has a body, files, a stream, hooks of its own, "
        "or something that cannot be named",
    ),
    (FRESH, 12, {"method": "HEAD"}, "a hit: it is fresh for another 48 s"),
]  # fmt: skip


@pytest.mark.parametrize(("headers", "after", "asked", "why"), WHY)
def test_a_call_is_explained_in_one_sentence(
    headers: dict[str, str], after: float, asked: dict[str, Any], why: str, stage: Stage
) -> None:
    origin = stage.open(headers)
    stage.ask()
    stage.clock.tick(after)
    url = stage.server.url(stage.path)
    arguments = {"method": "GET", **asked}
    method = arguments.pop("method")
    assert stage.session.cache.explain(method, url, **arguments) == why
    assert len(origin.asked) == 1
    assert not stage.session.engine.cache.refresher._keys


CASES = [
    *[({"Cache-Control": said}, after, {}, {}, expected) for said, after, expected in CONTROL],
    *[(headers, after, {}, then, expected) for headers, after, then, expected in DEMANDS],
    *[
        ({"Cache-Control": "max-age=5000", "Vary": vary}, 0, first, second, expected)
        for vary, first, second, expected in VARIES
    ],
]


@pytest.mark.parametrize(("headers", "after", "asked", "then", "expected"), CASES)
def test_the_explanation_is_what_becomes_of_the_call(
    headers: dict[str, str], after: float, asked: Any, then: Any, expected: str, stage: Stage
) -> None:
    stage.open(headers)
    stage.ask(asked)
    stage.clock.tick(after)
    url = stage.server.url(stage.path)
    why = stage.session.cache.explain("GET", url, headers=then, allow_redirects=False)
    assert why.startswith("a hit" if expected == HIT else "a miss"), why


def test_a_client_explains_endpoints(client: EnhancedAPIClient, api_server: ApiServer) -> None:
    client.get("/users", params={"page": 1})
    explain = client.cache.explain
    assert explain("GET", "/users", params={"page": 1}) == "a hit: it is fresh for another 300 s"
    assert explain("GET", "/users", params={"page": 2}).startswith("a miss: what is kept of")
    assert explain("HEAD", "/users") == "a miss: in TTL mode HEAD is not answered from the cache"
    with pytest.raises(TypeError, match="cache_ttl"):
        explain("GET", "/users", cache_ttl="soon")
    with EnhancedAPIClient(api_server.base_url, enable_cache=False) as bare:
        why = bare.cache.explain("GET", "/users")
        assert why == "a miss: the cache is switched off (enable_cache=False)"


# -- in need ---------------------------------------------------------------------------------------


def test_what_is_kept_under_a_key_is_there_as_long_as_it_may_serve(
    api_server: ApiServer, fake_clock: FakeClock
) -> None:
    options: dict[str, Any] = {"cache_ttl": 10.0, "stale_if_error": 30.0, "clock": fake_clock}
    with EnhancedAPIClient(api_server.base_url, **options) as client:
        document = client.get("/x")
        key = client.cache_key("/x")
        for seconds, expected in ((0, document), (10, document), (29, document), (1, None)):
            fake_clock.tick(seconds)
            assert client._get_cached(key) == expected
        assert client._get_cached(None) is None
        assert client._get_cached("no such key") is None


def test_an_answer_that_must_be_validated_does_not_serve_in_need(
    api_server: ApiServer, fake_clock: FakeClock
) -> None:
    headers = {"Cache-Control": "max-age=5, must-revalidate", "ETag": '"x"'}
    api_server.route("/x", Reply(json=1, headers=headers))
    options: dict[str, Any] = {"cache_mode": "rfc", "stale_if_error": 30.0, "clock": fake_clock}
    with EnhancedAPIClient(api_server.base_url, **options) as client:
        client.get("/x")
        key = client.cache_key("/x")
        assert client._get_cached(key) == 1
        fake_clock.tick(6)
        assert client._get_cached(key) is None


def test_those_who_await_can_look_as_well(api_server: ApiServer) -> None:
    async def main() -> list[Any]:
        async with aio.EnhancedAPIClient(api_server.base_url) as client:
            document = await client.get("/x")
            key = client.cache_key("/x")
            assert client.cache.keys("/x") == [key]
            return [
                client.cache.explain("GET", "/x"),
                await client.get_cached("/x") == document,
                await client._get_cached(key) == document,
            ]

    assert asyncio.run(main()) == ["a hit: it is fresh for another 300 s", True, True]


# -- names of ours leave room ----------------------------------------------------------------------


def test_a_class_with_a_cache_of_its_own_keeps_it(api_server: ApiServer) -> None:
    class Cached(requests.Session):
        def __init__(self) -> None:
            super().__init__()
            self.cache = {"its": "own"}

    class Both(ResilienceMixin, Cached):
        pass

    with Both() as session:
        assert session.cache == {"its": "own"}  # type: ignore[comparison-overlap]
        assert session.get(api_server.url("/x")).ok
