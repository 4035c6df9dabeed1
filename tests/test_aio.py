"""Laws of the awaited client: what it does, it does as the blocking one."""

from __future__ import annotations

import asyncio
import gc
import inspect
import threading
import weakref
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import pytest
import requests

import browseros.api
from browseros.api import CircuitBreaker, EnhancedAPIClient
from browseros_api import EnhancedAPIClient as BlockingClient
from browseros_api import aio
from browseros_api.errors import CircuitOpenError, ClientClosed
from browseros_api.testing import ApiServer, Reply, wait_until
from tests.awaiting import begin, check_statistics, in_the_air, run, until


@pytest.fixture
def go(api_server: ApiServer) -> Iterator[threading.Event]:
    """Lets ``/held`` and ``/held/...`` be answered."""
    event = threading.Event()
    api_server.route("/held", Reply(json="held", hold=event))
    api_server.route("/held/*", Reply(json="held", hold=event))
    yield event
    event.set()


# -- as in the overview --------------------------------------------------------------------------


def test_it_is_used_as_the_overview_says(api_server: ApiServer) -> None:
    async def main() -> None:
        async with EnhancedAPIClient(base_url=api_server.base_url) as client:
            users = await client.get("/users", params={"page": 1})
            assert users["query"] == {"page": ["1"]}
            created = await client.post(
                "/users", data={"name": "Jane"}, headers={"Custom-Header": "value"}
            )
            assert (created["method"], created["body"]) == ("POST", '{"name": "Jane"}')
            changed = await client.request(
                method="PATCH", endpoint="/users/1", data={"status": "active"}
            )
            assert changed["method"] == "PATCH"
            assert (await client.put("/users/1", data={"name": "J"}))["method"] == "PUT"
            assert (await client.delete("/users/1"))["method"] == "DELETE"
            assert (await client.options("/users"))["method"] == "OPTIONS"
            assert await client.head("/users") is None
            assert (await client.request("GET", "/a", {"x": 1}, None, {"X-B": "c"}))["query"]
        check_statistics(client, 8)

    run(main())


def test_start_and_close_do_as_well(api_server: ApiServer) -> None:
    async def main() -> None:
        client = EnhancedAPIClient(
            api_server.base_url, 30.0, 100, max_retries=3, headers={"X-API-Key": "k"},
            circuit_breaker=CircuitBreaker(failure_threshold=10),
        )  # fmt: skip
        assert await client.start() is client
        try:
            assert (await client.get("/v1/messages"))["headers"]["X-API-Key"] == "k"
        finally:
            await client.close()
            await client.close()

    run(main())


def test_three_equal_calls_are_one_request(api_server: ApiServer, go: threading.Event) -> None:
    """D3, D8"""

    async def main() -> None:
        async with EnhancedAPIClient(api_server.base_url) as client:
            tasks = begin(*[client.get("/held") for _ in range(3)])
            await in_the_air(client, 2)
            go.set()
            assert await asyncio.gather(*tasks) == ["held"] * 3
            assert api_server.hits() == 1
            assert check_statistics(client, 3)["deduplicated_requests"] == 2

    run(main())


def test_what_is_kept_can_be_asked_for(api_server: ApiServer) -> None:
    async def main() -> None:
        async with EnhancedAPIClient(api_server.base_url) as client:
            key = client.cache_key("/config")
            assert await client._get_cached(key) is None
            config = await client.get("/config", cache_ttl=60.0)
            assert await client._get_cached(key) == await client.get_cached("/config") == config
            assert await client.get("/config") == config
            assert client.get_stats()["cached_responses"] == 1
            await client.clear_cache()
            assert await client.get_cached("/config") is None
            await client.get("/config", use_cache=False)
            assert api_server.hits() == 2
            assert client.get_circuit_breaker_status()["/config"]["state"] == "closed"

    run(main())


def test_errors_come_out_as_they_are(api_server: ApiServer) -> None:
    async def main() -> None:
        options: dict[str, Any] = {"max_retries": 0, "failure_threshold": 1}
        async with EnhancedAPIClient(api_server.base_url, **options) as client:
            with pytest.raises(requests.HTTPError) as caught:
                await client.get("/status/404")
            assert caught.value.response.status_code == 404
            api_server.route("/silent", Reply(silent=True))
            with pytest.raises(asyncio.TimeoutError) as late:
                await client.get("/silent", timeout=0.05)
            assert isinstance(late.value, requests.Timeout)
            with pytest.raises(CircuitOpenError):
                await client.get("/silent")
            with pytest.raises(TypeError, match="headers"):
                await client.get("/users", headers=["no mapping"])
            with pytest.raises(TypeError):
                await client.get("/users", no_such_option=1)
            check_statistics(client)

    run(main())


@pytest.mark.parametrize("kind", ["status", "hook"])
def test_an_error_is_not_kept_alive_by_the_client(kind: str, api_server: ApiServer) -> None:
    """Nor by a circle of references that only the collector would find."""

    class Boom(Exception):
        pass

    def hear(*_: Any, **__: Any) -> None:
        raise Boom

    kinds: dict[str, type[Exception]] = {"status": requests.HTTPError, "hook": Boom}

    async def main() -> None:
        async with EnhancedAPIClient(api_server.base_url) as client:
            if kind == "hook":
                client.session.hooks["response"].append(hear)
            gc.collect()
            gc.disable()
            try:
                try:
                    await client.get("/status/404")
                except kinds[kind] as error:
                    seen = weakref.ref(error)
                wait_until(lambda: seen() is None)  # its thread may still be about to let it go
            finally:
                gc.enable()

    run(main())


def test_a_call_that_slips_in_between_the_cache_and_the_air_is_not_asked_again(
    api_server: ApiServer,
) -> None:
    """It found nothing in the cache; then, before it could board, the leader landed."""

    async def main() -> None:
        async with EnhancedAPIClient(api_server.base_url) as client:
            flights = client.session.engine.flights
            board = flights.board

            def slow(call: Any) -> Any:
                flights.board = board  # type: ignore[method-assign]
                client.blocking.get("/kept")
                seat = board(call)
                followers.extend(begin(client.get("/kept", use_cache=False)))
                return seat

            followers: list[Any] = []
            flights.board = slow  # type: ignore[method-assign]
            answer = await client.get("/kept")
            assert answer["path"] == "/kept"
            assert (await followers[0])["path"] == "/kept"  # it was handed over, or came late
            assert check_statistics(client, 3)["cached_responses"] == 1
            assert api_server.hits() == 2  # one for the leader, one for whom no kept answer will do

    run(main())


def test_switched_off_everybody_asks(api_server: ApiServer, go: threading.Event) -> None:
    async def main() -> None:
        async with EnhancedAPIClient(api_server.base_url, enable_deduplication=False) as client:
            tasks = begin(*[client.get("/held") for _ in range(3)])
            await until(lambda: api_server.active_requests == 3)
            go.set()
            assert await asyncio.gather(*tasks) == ["held"] * 3
            assert check_statistics(client, 3)["deduplicated_requests"] == 0

    run(main())


# -- many calls ----------------------------------------------------------------------------------


def test_get_many_yields_as_the_blocking_client_does(api_server: ApiServer) -> None:
    async def main() -> None:
        async with EnhancedAPIClient(api_server.base_url) as client:
            paths = [f"/{number}" for number in range(50)]
            assert [one["path"] async for one in client.get_many(paths, max_workers=4)] == paths
            endpoints = iter(["/status/404", "/ok", {"endpoint": "/ok", "params": {"a": "b"}}])
            found = [one async for one in client.get_many(endpoints, on_error="return")]
            assert isinstance(found[0], requests.HTTPError)
            assert [one["query"] for one in found[1:]] == [{}, {"a": ["b"]}]
            with pytest.raises(requests.HTTPError):
                [one async for one in client.get_many(["/status/404", "/ok"])]
            with pytest.raises(TypeError, match="endpoints"):
                client.get_many("/users")
            check_statistics(client)

    run(main())


def test_get_many_left_early_begins_no_more(api_server: ApiServer) -> None:
    taken: list[int] = []

    def endpoints() -> Iterator[str]:
        for number in range(1000):
            taken.append(number)
            yield f"/{number}"

    async def main() -> None:
        async with EnhancedAPIClient(api_server.base_url) as client:
            results = client.get_many(endpoints(), max_workers=2)
            async for one in results:
                assert one["path"] == "/0"
                break
            await results.aclose()
            begun = len(taken)
            assert begun < 20
            with pytest.raises(StopAsyncIteration):
                await results.__anext__()
            check_statistics(client)
            assert len(taken) == begun

    run(main())


def test_get_many_cancelled_while_it_waits_is_closed_in_the_end(api_server: ApiServer, go) -> None:
    """Not under the feet of the thread that is inside it."""
    closed = threading.Event()

    def endpoints() -> Iterator[str]:
        try:
            for number in range(1000):
                yield f"/held/{number}"
        finally:
            closed.set()

    async def main() -> None:
        async with EnhancedAPIClient(api_server.base_url) as client:
            results = client.get_many(endpoints(), max_workers=2)
            (waiting,) = begin(results.__anext__())
            await until(lambda: api_server.active_requests == 2)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            go.set()
            await until(lambda: gc.collect() is not None and closed.is_set())
            check_statistics(client)
            assert api_server.hits() <= 6

    run(main())


def test_get_many_closes_what_it_reads_from(api_server: ApiServer) -> None:
    results = (f"/{number}" for number in range(10))

    async def main() -> None:
        async with EnhancedAPIClient(api_server.base_url) as client:
            client.blocking.get_many = lambda *_, **__: results  # type: ignore[method-assign]
            each = client.get_many([])
            assert await each.__anext__() == "/0"
            assert inspect.getgeneratorstate(results) == inspect.GEN_SUSPENDED
            await each.aclose()
            assert inspect.getgeneratorstate(results) == inspect.GEN_CLOSED

    run(main())


def test_get_many_ends_when_the_client_is_closed(api_server: ApiServer) -> None:
    async def main() -> None:
        async with EnhancedAPIClient(api_server.base_url) as client:
            results = client.get_many((f"/{number}" for number in range(1000)), max_workers=2)
            await results.__anext__()
        with pytest.raises(ClientClosed):
            [one async for one in results]
        check_statistics(client)

    run(main())


# -- the facade ----------------------------------------------------------------------------------


SHOWN = (property, cached_property)


def public(kind: type) -> dict[str, Any]:
    return {name: getattr(kind, name) for name in dir(kind) if not name.startswith("_")}


def test_it_has_what_the_blocking_client_has() -> None:
    own, others = public(aio.EnhancedAPIClient), public(BlockingClient)
    assert others.keys() - own.keys() == {"submit"}  # which is what a task is for
    assert own.keys() - others.keys() == {"blocking", "stats"}
    for name, other in others.items():
        if name in own:
            assert isinstance(own[name], SHOWN) == isinstance(other, SHOWN), name


@pytest.mark.parametrize("name", sorted(public(BlockingClient).keys() - {"submit"}))
def test_what_one_can_be_told_the_other_can(name: str) -> None:
    """Every way to call the blocking one calls the awaited one, and means the same."""
    own, other = public(aio.EnhancedAPIClient)[name], public(BlockingClient)[name]
    if isinstance(other, SHOWN):
        return
    theirs = list(inspect.signature(other).parameters.values())[1:]
    by_place = [one.name for one in theirs if one.kind is one.POSITIONAL_OR_KEYWORD]
    by_name = [one.name for one in theirs if one.kind is one.KEYWORD_ONLY]
    bound = inspect.signature(own).bind(None, *by_place, **{name: name for name in by_name})
    bound.apply_defaults()
    given = {**bound.arguments, **bound.arguments.get("arguments", {})}
    assert {name: given[name] for name in (*by_place, *by_name)} == {
        name: name for name in (*by_place, *by_name)
    }
    assert (inspect.signature(own).return_annotation == "None") == (
        inspect.signature(other).return_annotation == "None"
    )


def test_it_shows_what_is_underneath(api_server: ApiServer) -> None:
    client = EnhancedAPIClient(api_server.base_url + "/v1/")
    assert client.base_url == client.blocking.base_url == api_server.base_url + "/v1"
    assert client.session is client.blocking.session
    assert repr(client) == f"<aio.EnhancedAPIClient [{api_server.base_url}/v1: open]>"
    run(client.close())
    assert repr(client) == f"<aio.EnhancedAPIClient [{api_server.base_url}/v1: closed]>"


def test_the_overviews_import_path_names_the_same_classes() -> None:
    assert browseros.api.EnhancedAPIClient is aio.EnhancedAPIClient
    assert browseros.api.CircuitBreaker is aio.CircuitBreaker
    assert browseros.api.__all__ == ["CircuitBreaker", "EnhancedAPIClient"]
