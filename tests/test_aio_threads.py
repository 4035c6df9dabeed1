"""Laws of the awaited client's threads: a hit and a follower need none, and no loop is held up."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest
import requests

from browseros.api import EnhancedAPIClient
from browseros_api import EnhancedAPIClient as BlockingClient
from browseros_api.testing import ApiServer, Reply
from tests.awaiting import begin, check_statistics, in_the_air, own_threads, run, until
from tests.flying import PATIENCE, Caller, shows

QUICK: dict[str, Any] = {"retry_base_delay": 0.01}
WHO: ContextVar[str] = ContextVar("who", default="nobody")


@pytest.fixture
def go(api_server: ApiServer) -> Iterator[threading.Event]:
    """Lets ``/held`` and ``/held/...`` be answered."""
    event = threading.Event()
    api_server.route("/held", Reply(json="held", hold=event))
    api_server.route("/held/*", Reply(json="held", hold=event))
    yield event
    event.set()


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


# -- stores that are far away --------------------------------------------------------------------


@pytest.mark.parametrize("store", ["memory://", "sqlite"])
def test_the_loop_does_not_speak_with_a_store_outside_of_memory(
    store: str, api_server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    api_server.route("/x", Reply(json={"n": 1}))
    is_near = store == "memory://"
    place = store if is_near else f"sqlite:///{tmp_path}/answers.db"
    here, seen = threading.get_ident(), []

    def watched(name: str) -> None:
        work = getattr(BlockingClient, name)

        def seeing(*given: Any, **more: Any) -> Any:
            seen.append((name, threading.get_ident() == here))
            return work(*given, **more)

        monkeypatch.setattr(BlockingClient, name, seeing)

    async def main() -> None:
        base = api_server.base_url
        async with EnhancedAPIClient(base, store=place, store_timeout=10.0) as client:
            await client.get("/x")
            assert await client.get_cached("/x") == {"n": 1}
            assert await client._get_cached(client.cache_key("/x")) == {"n": 1}
            assert (await client.stats())["cache_size"] == 1
            await client.clear_cache()
            assert await client.get_cached("/x") is None

    names = ["get_cached", "_get_cached", "get_stats", "clear_cache"]
    for name in names:
        watched(name)
    run(main())
    assert seen == [(name, is_near) for name in [*names, "get_cached"]]
