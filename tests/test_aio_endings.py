"""Laws of awaits that are cancelled, late or closed upon: nobody who is left ever hangs."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from browseros.api import EnhancedAPIClient
from browseros_api.errors import ClientClosed, DeadlineExceeded
from browseros_api.testing import ApiServer, Reply
from tests.awaiting import begin, check_statistics, in_the_air, outcomes, own_threads, run, until
from tests.flying import PATIENCE


@pytest.fixture
def go(api_server: ApiServer) -> Iterator[threading.Event]:
    """Lets ``/held`` and ``/held/...`` be answered."""
    event = threading.Event()
    api_server.route("/held", Reply(json="held", hold=event))
    api_server.route("/held/*", Reply(json="held", hold=event))
    yield event
    event.set()


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
        options: dict[str, Any] = {"timeout": 2.0, "max_retries": 0, "max_connections": 2}
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
                    client.session.engine.meter.begin(call)
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
