"""Laws of the awaited client: a hit and a follower hold no thread, and nobody ever hangs."""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import signal
import threading
import weakref
from collections.abc import Awaitable, Callable, Iterator
from contextvars import ContextVar
from typing import Any

import pytest
import requests

import browseros.api
from browseros.api import CircuitBreaker, EnhancedAPIClient
from browseros_api import EnhancedAPIClient as BlockingClient
from browseros_api import aio
from browseros_api.errors import CircuitOpenError, ClientClosed, DeadlineExceeded
from browseros_api.testing import ApiServer, Reply, wait_until
from tests.flying import PATIENCE, Caller, shows

QUICK: dict[str, Any] = {"retry_base_delay": 0.01}
WHO: ContextVar[str] = ContextVar("who", default="nobody")


def run(main: Awaitable[Any]) -> Any:
    """``asyncio.run``, but not for ever."""

    async def bounded() -> Any:
        return await asyncio.wait_for(main, PATIENCE)

    return asyncio.run(bounded())


async def until(condition: Callable[[], object], message: str = "it did not come true") -> None:
    """``wait_until``, while the loop runs on."""
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, message
        await asyncio.sleep(0.001)


async def in_the_air(client: EnhancedAPIClient, followers: int, flights: int = 1) -> None:
    state = f"{flights} in the air, {followers} followers"
    await until(lambda: state in repr(client.session.engine.flights), state)


def begin(*calls: Any) -> list[asyncio.Task[Any]]:
    return [asyncio.ensure_future(call) for call in calls]


async def outcomes(tasks: list[asyncio.Task[Any]]) -> list[Any]:
    return await asyncio.gather(*tasks, return_exceptions=True)


def own_threads(client: EnhancedAPIClient) -> list[threading.Thread]:
    """The threads on which the client asks."""
    executor = client._crew._executor
    return [] if executor is None else list(executor._threads)


def check_statistics(client: EnhancedAPIClient, total: int | None = None) -> dict[str, Any]:
    """D19: nothing is in flight any more, and all is accounted for."""
    wait_until(lambda: client.get_stats()["in_flight_requests"] == 0, timeout=PATIENCE)
    stats = client.get_stats()
    assert stats["total_requests"] == stats["successful_requests"] + stats["failed_requests"]
    assert total is None or stats["total_requests"] == total
    assert len(client.session.engine.flights) == 0
    return stats


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
        options: dict[str, Any] = {"max_retries": 0, "timeout": 0.3, "failure_threshold": 1}
        async with EnhancedAPIClient(api_server.base_url, **options) as client:
            with pytest.raises(requests.HTTPError) as caught:
                await client.get("/status/404")
            assert caught.value.response.status_code == 404
            api_server.route("/silent", Reply(silent=True))
            with pytest.raises(asyncio.TimeoutError) as late:
                await client.get("/silent")
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


def test_switched_off_everybody_asks(api_server: ApiServer, go: threading.Event) -> None:
    async def main() -> None:
        async with EnhancedAPIClient(api_server.base_url, enable_deduplication=False) as client:
            tasks = begin(*[client.get("/held") for _ in range(3)])
            await until(lambda: api_server.active_requests == 3)
            go.set()
            assert await asyncio.gather(*tasks) == ["held"] * 3
            assert check_statistics(client, 3)["deduplicated_requests"] == 0

    run(main())


# -- threads -------------------------------------------------------------------------------------


def test_a_thousand_equal_calls_take_one_thread_and_one_request(
    api_server: ApiServer, go: threading.Event
) -> None:
    async def main() -> None:
        async with EnhancedAPIClient(api_server.base_url, max_connections=2) as client:
            tasks = begin(*[client.get("/held") for _ in range(1000)])
            await in_the_air(client, 999)
            go.set()
            assert await asyncio.gather(*tasks) == ["held"] * 1000
            assert len(own_threads(client)) == 1
            assert api_server.hits() == 1
            assert check_statistics(client, 1000)["deduplicated_requests"] == 999

    run(main())


def test_a_hit_and_a_follower_need_no_thread(api_server: ApiServer, go: threading.Event) -> None:
    """Every thread is taken, and they are answered all the same."""

    async def main() -> None:
        async with EnhancedAPIClient(api_server.base_url, max_connections=2) as client:
            known = await client.get("/known")
            busy = begin(client.get("/held"), client.get("/held/2"))
            await until(lambda: api_server.active_requests == 2)
            assert await client.get("/known") == known
            follower = begin(client.get("/held"))
            await in_the_air(client, 1, flights=2)
            go.set()
            assert await asyncio.gather(*busy, *follower) == ["held"] * 3
            assert check_statistics(client, 5)["cached_responses"] == 1
            assert api_server.hits() == 3

    run(main())


def test_threads_are_started_as_they_are_needed(api_server: ApiServer, go) -> None:
    async def main() -> None:
        async with EnhancedAPIClient(api_server.base_url, max_connections=100) as client:
            assert own_threads(client) == []
            tasks = begin(*[client.get(f"/held/{number}") for number in range(5)])
            await until(lambda: api_server.active_requests == 5)
            assert len(own_threads(client)) == 5
            go.set()
            await asyncio.gather(*tasks)

    run(main())


def test_no_more_calls_than_connections_are_on_their_way(api_server: ApiServer, go) -> None:
    async def main() -> None:
        async with EnhancedAPIClient(api_server.base_url, max_connections=3) as client:
            tasks = begin(*[client.get(f"/held/{number}") for number in range(20)])
            await until(lambda: api_server.active_requests == 3)
            go.set()
            assert await asyncio.gather(*tasks) == ["held"] * 20
            assert api_server.peak_requests == 3
            assert len(own_threads(client)) == 3

    run(main())


def test_the_threads_of_a_client_that_nobody_closed_end_with_it(api_server: ApiServer) -> None:
    async def main() -> list[threading.Thread]:
        client = EnhancedAPIClient(api_server.base_url)
        await asyncio.gather(*[client.get(f"/{number}") for number in range(5)])
        return own_threads(client)

    threads = run(main())
    assert threads
    gc.collect()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_the_callers_context_travels(api_server: ApiServer) -> None:
    """Into hooks, auth objects and callbacks, for misses, hits, followers and batches."""
    go = threading.Event()
    api_server.script("/flaky", Reply(503), Reply(json="well", hold=go))
    heard: list[tuple[str, str]] = []

    def hears(what: str) -> Callable[..., None]:
        return lambda *_, **__: heard.append((what, WHO.get()))

    class Auth(requests.auth.AuthBase):
        def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
            heard.append(("auth", WHO.get()))
            return request

    async def asked(client: EnhancedAPIClient, who: str, path: str, **options: Any) -> None:
        WHO.set(who)
        await client.get(path, **options)

    async def main() -> None:
        options = {"on_retry": hears("retry"), **QUICK}
        async with EnhancedAPIClient(api_server.base_url, **options) as client:
            client.session.hooks["response"].append(hears("hook"))
            tasks = begin(asked(client, "leader", "/flaky"), asked(client, "follower", "/flaky"))
            await in_the_air(client, 1)
            go.set()
            await asyncio.gather(*tasks)
            await asked(client, "hit", "/flaky")
            assert sorted(heard) == [
                ("hook", "follower"), ("hook", "hit"), ("hook", "leader"), ("retry", "leader")
            ]  # fmt: skip
            heard.clear()
            await asyncio.gather(*begin(asked(client, "auth", "/other", auth=Auth())))
            assert sorted(heard) == [("auth", "auth"), ("hook", "auth")]
            heard.clear()
            WHO.set("batch")
            assert len([one async for one in client.get_many(["/1", "/2"])]) == 2
            assert heard == [("hook", "batch")] * 2
            check_statistics(client)

    run(main())


@pytest.mark.parametrize("kind", ["miss", "hit", "follower"])
def test_hooks_may_block_and_the_loop_runs_on(kind: str, api_server: ApiServer, go) -> None:
    on_loop: list[bool] = []
    unblock = threading.Event()

    def block(*_: Any, **__: Any) -> None:
        on_loop.append(threading.current_thread() is threading.main_thread())
        assert unblock.wait(PATIENCE)

    async def main() -> None:
        async with EnhancedAPIClient(api_server.base_url) as client:
            if kind == "hit":
                go.set()
                await client.get("/held")
            client.session.hooks["response"].append(block)
            calls = begin(*[client.get("/held") for _ in range(2 if kind == "follower" else 1)])
            if kind == "follower":
                await in_the_air(client, 1)
            go.set()
            await until(lambda: len(on_loop) == len(calls))
            unblock.set()
            assert await asyncio.gather(*calls) == ["held"] * len(calls)
            assert not any(on_loop)
            check_statistics(client)

    run(main())


def test_a_hook_that_raises_stop_iteration_hangs_nobody(api_server: ApiServer) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise StopIteration("enough")

    async def main() -> None:
        async with EnhancedAPIClient(api_server.base_url) as client:
            client.session.hooks["response"].append(stop)
            for options in ({}, {}, {"use_cache": False}):
                with pytest.raises(RuntimeError, match="StopIteration"):
                    await client.get("/users", **options)
            check_statistics(client, 3)

    run(main())


# -- giving up -----------------------------------------------------------------------------------


def test_a_cancelled_follower_leaves_the_others_alone(api_server: ApiServer, go) -> None:
    """D12"""

    async def main() -> None:
        async with EnhancedAPIClient(api_server.base_url) as client:
            tasks = begin(*[client.get("/held") for _ in range(4)])
            await in_the_air(client, 3)
            tasks[2].cancel()
            await in_the_air(client, 2)
            go.set()
            first, second, cancelled, fourth = await outcomes(tasks)
            assert first == second == fourth == "held"
            assert isinstance(cancelled, asyncio.CancelledError)
            assert api_server.hits() == 1
            assert check_statistics(client, 4)["failed_requests"] == 1

    run(main())


def test_if_the_leader_is_cancelled_in_the_queue_a_follower_takes_over(
    api_server: ApiServer, go: threading.Event
) -> None:
    """D13"""

    async def main() -> None:
        async with EnhancedAPIClient(api_server.base_url, max_connections=1) as client:
            busy = begin(client.get("/held"))
            await until(lambda: api_server.active_requests == 1)
            tasks = begin(*[client.get("/wanted") for _ in range(4)])
            await in_the_air(client, 3, flights=2)
            tasks[0].cancel()
            await in_the_air(client, 2, flights=2)
            tasks[1].cancel()
            await in_the_air(client, 1, flights=2)
            go.set()
            cancelled, too, *answers = await outcomes(tasks)
            assert isinstance(cancelled, asyncio.CancelledError)
            assert isinstance(too, asyncio.CancelledError)
            assert [answer["path"] for answer in answers] == ["/wanted"] * 2
            assert await busy[0] == "held"
            assert api_server.hits("/wanted") == 1
            assert check_statistics(client, 5)["deduplicated_requests"] == 1

    run(main())


def test_if_the_leader_is_cancelled_on_its_way_the_others_get_its_answer(
    api_server: ApiServer, go: threading.Event
) -> None:
    """D13: and its slot is free again when it lands."""

    async def main() -> None:
        async with EnhancedAPIClient(api_server.base_url, max_connections=1) as client:
            tasks = begin(*[client.get("/held") for _ in range(3)])
            await until(lambda: api_server.active_requests == 1)
            await in_the_air(client, 2)
            tasks[0].cancel()
            with pytest.raises(asyncio.CancelledError):
                await tasks[0]
            late = begin(client.get("/held"))
            await in_the_air(client, 3)
            go.set()
            assert await asyncio.gather(*tasks[1:], *late) == ["held"] * 3
            assert api_server.hits() == 1
            assert (await client.get("/next"))["path"] == "/next"
            check_statistics(client, 5)

    run(main())


def test_wait_for_gives_up_and_nothing_leaks(api_server: ApiServer, go: threading.Event) -> None:
    async def main() -> None:
        async with EnhancedAPIClient(api_server.base_url, max_connections=1) as client:
            leader = begin(client.get("/held"))
            await until(lambda: api_server.active_requests == 1)
            for path in ("/held", "/queued"):
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(client.get(path), 0.02)
            await in_the_air(client, 0)
            go.set()
            assert await leader[0] == "held"
            assert check_statistics(client, 3)["failed_requests"] == 2
            assert api_server.hits("/queued") == 0

    run(main())


def test_a_follower_gives_up_at_its_own_timeout_or_deadline(api_server: ApiServer, go) -> None:
    """D14"""

    async def main() -> None:
        async with EnhancedAPIClient(api_server.base_url) as client:
            leader = begin(client.get("/held"))
            await until(lambda: api_server.active_requests == 1)
            with pytest.raises(requests.ReadTimeout, match=r"within 0\.02 s"):
                await client.get("/held", timeout=0.02)
            with pytest.raises(DeadlineExceeded):
                await client.get("/held", deadline=0.02)
            await in_the_air(client, 0)
            go.set()
            assert await leader[0] == "held"
            assert check_statistics(client, 3)["deduplicated_requests"] == 2

    run(main())


def test_a_deadline_bounds_the_wait_for_a_thread_too(api_server: ApiServer, go) -> None:
    async def main() -> None:
        async with EnhancedAPIClient(api_server.base_url, max_connections=1) as client:
            busy = begin(client.get("/held"))
            await until(lambda: api_server.active_requests == 1)
            hasty = begin(client.get("/wanted", deadline=0.05))
            with pytest.raises(DeadlineExceeded, match="waiting in line"):
                await hasty[0]
            with pytest.raises(DeadlineExceeded):
                await client.post("/wanted", deadline=0.05)
            patient = begin(client.get("/wanted", deadline=60))
            go.set()
            assert await busy[0] == "held"
            assert (await patient[0])["path"] == "/wanted"
            assert api_server.hits("/wanted") == 1
            assert check_statistics(client, 4)["failed_requests"] == 2

    run(main())


def test_equal_impatience_shares_the_timeout(api_server: ApiServer) -> None:
    api_server.route("/silent", Reply(silent=True))

    async def main() -> None:
        options: dict[str, Any] = {"timeout": 1.0, "max_retries": 0, "max_connections": 2}
        async with EnhancedAPIClient(api_server.base_url, **options) as client:
            tasks = begin(*[client.get("/silent") for _ in range(5)])
            await in_the_air(client, 4)
            errors = await outcomes(tasks)
            assert all(isinstance(error, requests.ReadTimeout) for error in errors)
            assert len({id(error) for error in errors}) == 5
            assert api_server.hits() == 1
            check_statistics(client, 5)

    run(main())


def test_a_failure_is_a_fresh_exception_for_each(api_server: ApiServer) -> None:
    """D4"""
    go = threading.Event()
    api_server.route("/torn", Reply(reset="before", hold=go))

    async def main() -> None:
        async with EnhancedAPIClient(api_server.base_url, max_retries=0) as client:
            tasks = begin(*[client.get("/torn") for _ in range(5)])
            await in_the_air(client, 4)
            go.set()
            errors = await outcomes(tasks)
            assert {type(error) for error in errors} == {requests.ConnectionError}
            assert len({id(error) for error in errors}) == 5
            assert check_statistics(client, 5)["failed_requests"] == 5

    run(main())


def test_after_an_answer_that_sets_a_cookie_all_ask_at_once(api_server: ApiServer) -> None:
    first, others = threading.Event(), threading.Event()
    cookie = {"Set-Cookie": "a=b"}
    api_server.script(
        "/login", Reply(headers=cookie, hold=first), Reply(headers=cookie, hold=others)
    )

    async def main() -> None:
        async with EnhancedAPIClient(api_server.base_url) as client:
            tasks = begin(*[client.get("/login") for _ in range(4)])
            await in_the_air(client, 3)
            first.set()
            await until(lambda: api_server.active_requests == 3)
            others.set()
            assert await asyncio.gather(*tasks) == [None] * 4
            assert check_statistics(client, 4)["deduplicated_requests"] == 0

    run(main())


def test_followers_never_keep_the_next_leader_from_its_thread(api_server: ApiServer, go) -> None:
    """The leader drops out, and who comes next waits in line for the only thread."""

    async def main() -> None:
        async with EnhancedAPIClient(api_server.base_url, max_connections=1) as client:
            busy = begin(client.get("/held"))
            await until(lambda: api_server.active_requests == 1)
            tasks = begin(*[client.get("/wanted") for _ in range(10)])
            await in_the_air(client, 9, flights=2)
            flights = client.session.engine.flights
            board_again = flights.board_again
            newcomers: list[asyncio.Task[Any]] = []

            def late(*arguments: Any) -> None:
                if not newcomers:  # before any of the followers can take over
                    call = client.blocking._planned("GET", "/wanted")
                    call.began = client.session.engine.meter.begin()
                    assert flights.board(call).leads
                    work = client._on_thread(call, client.session.perform, call)
                    newcomers.extend(begin(work))
                board_again(*arguments)

            flights.board_again = late  # type: ignore[method-assign]
            tasks[0].cancel()
            await until(lambda: newcomers)
            await in_the_air(client, 9, flights=2)
            go.set()
            answers = await outcomes(tasks[1:])
            assert [answer["path"] for answer in answers] == ["/wanted"] * 9
            assert (await newcomers[0]).ok
            await busy[0]
            assert api_server.hits("/wanted") == 1
            check_statistics(client)

    run(main())


def test_submitted_calls_never_keep_a_leader_from_its_thread(api_server: ApiServer, go) -> None:
    """They may follow it, but wait elsewhere."""

    async def main() -> None:
        async with EnhancedAPIClient(api_server.base_url, max_connections=2) as client:
            busy = begin(client.get("/held"), client.get("/held/2"))
            await until(lambda: api_server.active_requests == 2)
            leader = begin(client.get("/wanted"))
            await in_the_air(client, 0, flights=3)
            submitted = [client.blocking.submit("GET", "/wanted") for _ in range(5)]
            await in_the_air(client, 2, flights=3)
            go.set()
            await asyncio.gather(*busy)
            answers = [*await outcomes(leader), *[await _within(one) for one in submitted]]
            assert [answer["path"] for answer in answers] == ["/wanted"] * 6
            assert api_server.hits("/wanted") == 1
            check_statistics(client, 8)

    run(main())


async def _within(future: Any) -> Any:
    return await asyncio.wait_for(asyncio.wrap_future(future), PATIENCE)


# -- loops ---------------------------------------------------------------------------------------


def test_two_loops_share_one_client_and_one_request(api_server: ApiServer, go) -> None:
    client = EnhancedAPIClient(api_server.base_url)

    async def main() -> Any:
        return await asyncio.gather(*[client.get("/held") for _ in range(5)])

    loops = [Caller(run, main()) for _ in range(2)]
    blocking = Caller(client.blocking.get, "/held")
    shows(client.session.engine.flights, "1 in the air, 10 followers")
    go.set()
    assert [loop.value for loop in loops] == [["held"] * 5] * 2
    assert blocking.value == "held"
    assert api_server.hits() == 1
    check_statistics(client, 11)
    run(client.close())


def test_it_outlives_a_loop(api_server: ApiServer) -> None:
    client = EnhancedAPIClient(api_server.base_url)
    for number in range(3):
        assert run(client.get(f"/{number}"))["path"] == f"/{number}"
    run(client.close())


def test_an_answer_that_comes_after_the_loop_is_closed_disturbs_nobody(
    api_server: ApiServer, go: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    client = EnhancedAPIClient(api_server.base_url)

    async def main() -> None:
        begin(*[client.get("/held") for _ in range(3)])
        await until(lambda: api_server.active_requests == 1)

    run(main())  # which cancels what is left
    go.set()
    assert check_statistics(client, 3)["successful_requests"] == 1
    assert caplog.text == ""
    run(client.close())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_process_has_threads_of_its_own(api_server: ApiServer) -> None:
    """D18"""
    client = EnhancedAPIClient(api_server.base_url)
    run(client.get("/parent"))
    child = os.fork()
    if child == 0:
        signal.alarm(10)  # it dies if it hangs
        try:
            os._exit(0 if run(client.get("/child"))["path"] == "/child" else 1)
        except BaseException:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    run(client.close())


# -- closing -------------------------------------------------------------------------------------


def test_a_closed_client_says_so(api_server: ApiServer) -> None:
    async def main() -> None:
        client = EnhancedAPIClient(api_server.base_url)
        await client.get("/known")
        await client.close()
        for use in (client.start, lambda: client.get("/known"), lambda: client.post("/new")):
            with pytest.raises(ClientClosed):
                await use()
        with pytest.raises(ClientClosed):
            client.get_many(["/known"])
        assert "closed" in repr(client)
        check_statistics(client, 1)

    run(main())


def test_when_it_is_closed_nobody_hangs(api_server: ApiServer, go: threading.Event) -> None:
    """What is on its way lands, for followers too; what waits in line ends."""

    async def main() -> None:
        async with EnhancedAPIClient(api_server.base_url, max_connections=1) as client:
            running = begin(*[client.get("/held") for _ in range(3)])
            await until(lambda: api_server.active_requests == 1)
            queued = begin(*[client.get("/queued") for _ in range(3)], client.post("/queued"))
            await in_the_air(client, 4, flights=2)
        assert all(isinstance(error, ClientClosed) for error in await outcomes(queued))
        assert not any(task.cancelled() for task in queued)  # nobody cancelled them
        go.set()
        assert await asyncio.gather(*running) == ["held"] * 3
        assert api_server.hits() == 1
        assert check_statistics(client, 7)["failed_requests"] == 4

    run(main())


def test_calls_that_wait_for_their_next_attempt_end_when_it_is_closed(api_server) -> None:
    api_server.route("/down", Reply(503))

    async def main() -> None:
        async with EnhancedAPIClient(api_server.base_url, retry_base_delay=30.0) as client:
            tasks = begin(*[client.get("/down") for _ in range(3)])
            await until(lambda: api_server.hits() == 1 and api_server.active_requests == 0)
        assert all(isinstance(error, ClientClosed) for error in await outcomes(tasks))
        check_statistics(client, 3)

    run(main())


def test_its_threads_end_when_it_is_closed(api_server: ApiServer) -> None:
    async def main() -> list[threading.Thread]:
        async with EnhancedAPIClient(api_server.base_url) as client:
            await asyncio.gather(*[client.get(f"/{number}") for number in range(5)])
            return own_threads(client)

    threads = run(main())
    assert threads
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()


@pytest.mark.parametrize("is_forgotten", [True, False])
def test_ctrl_c_leaves_no_thread_behind(is_forgotten: bool, api_server: ApiServer, go) -> None:
    """As when ``asyncio.run`` is interrupted while calls run, wait in line and follow."""
    threads: list[threading.Thread] = []
    clients: list[EnhancedAPIClient] = []

    async def main() -> None:
        async with EnhancedAPIClient(api_server.base_url, max_connections=2) as client:
            clients.append(client)
            calls = [client.get(f"/held/{number % 4}") for number in range(12)]
            tasks = begin(*calls)
            await until(lambda: api_server.active_requests == 2)
            threads.extend(own_threads(client))
            asyncio.get_running_loop().call_soon(signal.raise_signal, signal.SIGINT)
            await asyncio.gather(*tasks)

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(main())
    client = clients.pop()
    go.set()
    check_statistics(client, 12)
    if is_forgotten:
        del client
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()


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


def public(kind: type) -> dict[str, Any]:
    return {name: getattr(kind, name) for name in dir(kind) if not name.startswith("_")}


def test_it_has_what_the_blocking_client_has() -> None:
    own, others = public(aio.EnhancedAPIClient), public(BlockingClient)
    assert others.keys() - own.keys() == {"submit"}  # which is what a task is for
    assert own.keys() - others.keys() == {"blocking"}
    for name, other in others.items():
        if name in own:
            assert isinstance(own[name], property) == isinstance(other, property), name


@pytest.mark.parametrize("name", sorted(public(BlockingClient).keys() - {"submit"}))
def test_what_one_can_be_told_the_other_can(name: str) -> None:
    """Every way to call the blocking one calls the awaited one, and means the same."""
    own, other = public(aio.EnhancedAPIClient)[name], public(BlockingClient)[name]
    if isinstance(other, property):
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
