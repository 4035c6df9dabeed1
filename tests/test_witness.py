"""Laws of the witness: it has seen every call, of sessions that are there and that are gone."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import threading
import weakref
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

import browseros_api.aio
from browseros_api import Session
from browseros_api.engine import observe
from browseros_api.events import CallEvent
from browseros_api.testing import ApiServer, FakeClock, Reply, wait_until
from browseros_api.witness import Account, Witness

FRESH = {"Cache-Control": "max-age=60"}


@pytest.fixture
def witness() -> Iterator[Witness]:
    witness = Witness()
    before = observe(witness)
    yield witness
    observe(before)


@pytest.fixture
def session(witness: Witness) -> Iterator[Session]:
    with Session(retry_base_delay=0.001) as session:
        yield session


def seen(witness: Witness, *names: str) -> tuple[int, ...]:
    figures = witness.read()
    return tuple(figures[name] for name in names)


def ended(url: str, seconds: float) -> CallEvent:
    return CallEvent(
        method="GET", url=url, endpoint="", seconds=seconds, status=200, error=None,
        from_cache=False, followed=False, attempts=1, trace=None,
    )  # fmt: skip


def names_of(witness: Witness) -> list[str]:
    return [endpoint["endpoint"] for endpoint in witness.read()["slow_endpoints"]]


def test_nobody_listens_unless_asked_to() -> None:
    session = Session()
    assert session.engine.account is None
    listeners = session.engine.listeners
    assert not listeners.hear_calls
    assert not listeners.hear_attempts


def test_before_the_first_call_everything_is_zero(witness: Witness) -> None:
    figures = witness.read()
    assert figures.pop("slow_endpoints") == []
    assert set(figures.values()) == {0}


def test_whoever_observes_is_told_only_of_engines_made_meanwhile(
    api_server: ApiServer, witness: Witness
) -> None:
    other = Witness()
    assert observe(other) is witness
    with Session() as session:
        assert observe(None) is other
        session.get(api_server.url("/users"))
    assert seen(other, "total_requests") == (1,)
    assert seen(witness, "total_requests") == (0,)


def test_hits_cost_no_request(session: Session, witness: Witness, api_server: ApiServer) -> None:
    api_server.route("/config", Reply(json=[], headers=FRESH))
    for _ in range(5):
        session.get(api_server.url("/config"))
    assert seen(witness, "total_requests", "sent_requests", "cached_responses") == (5, 1, 4)


def test_followers_cost_no_request(
    session: Session, witness: Witness, api_server: ApiServer
) -> None:
    released = threading.Event()
    api_server.route("/users", Reply(json=[], hold=released))
    url = api_server.url("/users")
    threads = [threading.Thread(target=session.get, args=(url,)) for _ in range(5)]
    for thread in threads:
        thread.start()
    wait_until(lambda: session.get_stats()["in_flight_requests"] == 5)
    released.set()
    for thread in threads:
        thread.join(10)
    assert seen(witness, "total_requests", "sent_requests", "deduplicated_requests") == (5, 1, 4)


def test_retries_and_rescues_are_counted(
    session: Session, witness: Witness, api_server: ApiServer
) -> None:
    api_server.script("/flaky", Reply(503, repeat=2), Reply(json=[]))
    api_server.route("/down", Reply(503))
    session.get(api_server.url("/flaky"))
    session.get(api_server.url("/down"))
    assert seen(witness, "total_requests", "sent_requests") == (2, 3 + 4)
    assert seen(witness, "retries", "rescued_requests") == (2 + 3, 1)


def test_what_is_sent_again_because_its_connection_was_dead_counts_twice(
    session: Session, witness: Witness, api_server: ApiServer
) -> None:
    api_server.script("/users", Reply(json=[]), Reply(reset="before"), Reply(json=[]))
    for _ in range(2):
        session.get(api_server.url("/users"))
    assert seen(witness, "total_requests", "sent_requests", "retries") == (2, 3, 0)
    assert api_server.hits() == 3


def test_redirects_are_requests_of_one_call(
    session: Session, witness: Witness, api_server: ApiServer
) -> None:
    api_server.route("/old", Reply(302, headers={"Location": "/new"}))
    session.get(api_server.url("/old"))
    assert seen(witness, "total_requests", "sent_requests") == (1, 2)


def test_what_never_reached_a_server_was_not_sent(witness: Witness) -> None:
    with socket.socket() as taken, Session(max_retries=1, retry_base_delay=0.001) as session:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        with pytest.raises(requests.ConnectionError):
            session.get(f"http://127.0.0.1:{taken.getsockname()[1]}/")
        with pytest.raises(requests.exceptions.InvalidURL):
            session.get("http://")
    assert seen(witness, "total_requests", "sent_requests", "retries") == (2, 0, 1)


def test_what_an_open_circuit_refuses_was_not_sent(witness: Witness, api_server: ApiServer) -> None:
    api_server.route("/down", Reply(503))
    with Session(max_retries=0, failure_threshold=2) as session:
        for _ in range(2):
            session.get(api_server.url("/down"))
        with pytest.raises(browseros_api.CircuitOpenError):
            session.get(api_server.url("/down"))
    assert seen(witness, "total_requests", "sent_requests") == (3, 2)


def test_prepared_requests_and_streams_count(
    session: Session, witness: Witness, api_server: ApiServer
) -> None:
    prepared = requests.Request("GET", api_server.url("/users")).prepare()
    session.send(prepared)
    with session.get(api_server.url("/bytes/9"), stream=True) as answer:
        assert len(answer.content) == 9
    assert seen(witness, "total_requests", "sent_requests") == (2, 2)


def test_requests_through_adapters_of_others_are_told_apart(
    session: Session, witness: Witness, api_server: ApiServer
) -> None:
    session.get(api_server.url("/users"))
    session.mount("http://", HTTPAdapter())
    session.get(api_server.url("/users"))
    assert seen(witness, "sent_requests", "sent_elsewhere", "connections_opened") == (2, 1, 1)


def test_sessions_that_are_gone_have_been_counted(witness: Witness, api_server: ApiServer) -> None:
    for _ in range(30):
        with Session() as session:
            session.get(api_server.url("/users"))
            session.get(api_server.url("/users"))
    engine = weakref.ref(session.engine)
    del session
    gc.collect()
    assert engine() is None  # being observed does not keep it
    assert seen(witness, "total_requests", "sent_requests") == (60, 60)
    assert seen(witness, "connections_opened") == (30,) == (api_server.connections,)


def test_threads_are_counted_exactly(witness: Witness, api_server: ApiServer) -> None:
    api_server.route("/config", Reply(json=[], headers=FRESH))
    together = threading.Barrier(8, timeout=10)
    shared = Session()

    def work() -> None:
        together.wait()
        for number in range(20):
            shared.get(api_server.url("/config"))
            shared.post(api_server.url(f"/users/{number}"))
            with Session() as own:
                own.get(api_server.url("/users"))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    figures = witness.read()
    shared.close()
    assert figures["total_requests"] == 8 * 20 * 3
    assert figures["sent_requests"] == api_server.hits()
    assert figures["connections_opened"] == api_server.connections
    spared = figures["cached_responses"] + figures["deduplicated_requests"]
    assert figures["total_requests"] == figures["sent_requests"] + spared


def test_figures_that_come_late_take_nothing_back(witness: Witness) -> None:
    opened = iter([2, 1, 3])  # as threads may bring them that have read them in another order
    adapter: Any = SimpleNamespace(
        statistics=lambda: {"connections_opened": next(opened), "stale_replaced": 0}
    )
    retry: Any = SimpleNamespace(retries=0, rescued=0)
    account = Account(witness, retry, adapter)
    for total in (2, 2, 3):
        account.end(ended("http://api.test/", 0.1))
        assert seen(witness, "connections_opened") == (total,)


def test_awaited_calls_count_too(witness: Witness, api_server: ApiServer) -> None:
    async def ask() -> None:
        async with browseros_api.aio.EnhancedAPIClient(api_server.base_url) as client:
            await asyncio.gather(*[client.get("/users") for _ in range(4)])
            await client.get("/users")

    asyncio.run(ask())
    figures = witness.read()
    assert figures["total_requests"] == 5
    assert figures["sent_requests"] == api_server.hits() == 1
    assert figures["cached_responses"] + figures["deduplicated_requests"] == 4


def test_a_call_that_is_interrupted_has_been_seen(
    session: Session, witness: Witness, api_server: ApiServer
) -> None:
    def interrupt(response: Any, **_: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        session.get(api_server.url("/users"), hooks={"response": interrupt})
    assert seen(witness, "total_requests", "sent_requests") == (1, 1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_child_does_not_wait_for_a_thread_of_its_parent(
    session: Session, witness: Witness, api_server: ApiServer
) -> None:
    session.get(api_server.url("/users"))
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with witness.lock:
            held.set()
            done.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(10)
    child = os.fork()
    if not child:
        status = 1
        signal.alarm(20)  # rather than to wait for ever
        try:
            session.get(api_server.url("/users"), timeout=10)
            status = 0
        finally:
            os._exit(status)
    done.set()
    holder.join(10)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


# -- slow endpoints -------------------------------------------------------------------------------


def test_the_slowest_three_on_average_are_named(witness: Witness, api_server: ApiServer) -> None:
    clock = FakeClock()

    def after(seconds: float) -> Any:
        def answer(_: object) -> Reply:
            clock.tick(seconds)
            return Reply(json=[])

        return answer

    api_server.script("/mixed", after(1.0), after(4.0))
    for path, seconds in (("/fast", 0.5), ("/slow", 3.0), ("/medium", 2.0)):
        api_server.route(path, after(seconds))
    with Session(clock=clock) as session:
        for path in ("/mixed", "/fast", "/mixed", "/slow", "/medium"):
            session.get(api_server.url(path))
    told = witness.read()["slow_endpoints"]
    assert [(one["endpoint"], one["calls"], one["average_ms"]) for one in told] == [
        (api_server.url("/slow"), 1, 3000.0),
        (api_server.url("/mixed"), 2, 2500.0),
        (api_server.url("/medium"), 1, 2000.0),
    ]


def test_endpoints_are_named_without_secrets(
    session: Session, witness: Witness, api_server: ApiServer
) -> None:
    url = api_server.url("/users/123;jsessionid=tell?api_key=tell&page=2#tell")
    session.get(url.replace("//", "//tell:tell@"), params={"token": "tell"})
    session.send(requests.Request("GET", url.replace("//", "//tell:tell@")).prepare())
    assert names_of(witness) == [api_server.url("/users/123;jsessionid=***")]


def test_hits_followers_and_what_was_never_tried_are_no_slow_endpoints(
    session: Session, witness: Witness, api_server: ApiServer
) -> None:
    api_server.route("/config", Reply(json=[], headers=FRESH))
    for _ in range(3):
        session.get(api_server.url("/config"))
    with pytest.raises(requests.exceptions.InvalidURL):
        session.get("http://tell:te/ll@/")
    (endpoint,) = witness.read()["slow_endpoints"]
    assert (endpoint["endpoint"], endpoint["calls"]) == (api_server.url("/config"), 1)


def test_the_slow_ones_are_remembered_among_very_many(witness: Witness) -> None:
    witness.time(ended("http://api.test/slow", 9.0))
    for number in range(5000):
        word = "".join(chr(ord("a") + int(digit)) for digit in str(number))
        witness.time(ended(f"http://api.test/{word}", 0.1))
    assert names_of(witness)[0] == "http://api.test/slow"
    assert len(witness._endpoints) <= 1024
