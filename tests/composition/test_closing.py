"""Closing at any time, as often as one likes: nobody's call breaks, and nothing is left."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

import browseros_api
from browseros_api import ClientClosed, EnhancedAPIClient, ResilienceMixin, Session
from browseros_api.testing import ApiServer, Reply, wait_until

SECONDS = 40.0


class Crew:
    """Threads that work until they are told to stop, and whose failures are the test's."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.failures: list[BaseException] = []
        self.threads: list[threading.Thread] = []
        self.rounds = 0

    def add(self, work: Callable[[], object], *, times: int = 1, counts: bool = True) -> None:
        def run() -> None:
            try:
                while not self.over.is_set():
                    work()
                    self.rounds += counts
            except BaseException as failure:
                self.failures.append(failure)
                self.over.set()

        self.threads += [threading.Thread(target=run, daemon=True) for _ in range(times)]

    def run(self, rounds: int) -> None:
        """Until so many rounds are done (or nearly so), by all together who count."""
        for thread in self.threads:
            thread.start()
        wait_until(lambda: self.over.is_set() or self.rounds >= rounds, timeout=SECONDS)
        self.over.set()
        for thread in self.threads:
            thread.join(SECONDS)
        assert not any(thread.is_alive() for thread in self.threads), "a thread hangs"
        if self.failures:
            raise self.failures[0]


@pytest.fixture
def crew() -> Iterator[Crew]:
    crew = Crew()
    yield crew
    crew.over.set()


def assert_clean(session: Session, server: ApiServer) -> None:
    session.close()
    now = session.get_stats()["connections"]
    assert (now["connections_in_use"], now["waiting"], now["connections_open"]) == (0, 0, 0)
    assert session.get_stats()["in_flight_requests"] == len(session.engine.flights) == 0
    wait_until(lambda: server.open_connections == 0)


def whole(session: requests.Session, server: ApiServer) -> Callable[[], None]:
    """Calls of all kinds, each of which must end well."""
    turn = iter(range(10**9))

    def work() -> None:
        number = next(turn)
        said = session.get(server.url("/echo"), params={"n": number}, timeout=20).json()
        assert said["query"] == {"n": [str(number)]}
        assert session.post(server.url("/echo"), data=str(number)).json()["body"] == str(number)
        with session.get(server.url("/bytes/200000"), stream=True, timeout=20) as answer:
            assert sum(map(len, answer.iter_content(10_000))) == 200_000

    return work


@pytest.mark.parametrize("kind", ["session", "mixin", "another adapter"])
def test_a_session_is_closed_in_a_loop_while_others_call(
    kind: str, api_server: ApiServer, crew: Crew
) -> None:
    made: Any = (
        type("Mixed", (ResilienceMixin, requests.Session), {}) if kind == "mixin" else Session
    )
    with made(max_retries=0, max_connections=8) as session:  # no error is mended behind our back
        if kind == "another adapter":
            session.mount("http://", requests.adapters.HTTPAdapter())
        for _ in range(6):
            crew.add(whole(session, api_server))
        crew.add(session.close, times=2, counts=False)
        crew.run(60)
        if kind != "another adapter":
            assert_clean(session, api_server)


def test_closing_closes_what_is_idle_and_nothing_else(api_server: ApiServer) -> None:
    go = threading.Event()
    api_server.route("/held", Reply(json=["held"], hold=go))
    answers: list[Any] = []
    session = Session(max_retries=0)
    stream = session.get(api_server.url("/bytes/1000000"), stream=True, timeout=20)
    thread = threading.Thread(
        target=lambda: answers.append(session.get(api_server.url("/held"), timeout=20).json())
    )
    thread.start()
    wait_until(lambda: api_server.active_requests == 1)
    session.get(api_server.url("/x"))
    assert api_server.open_connections == 3
    for _ in range(3):
        session.close()
    wait_until(lambda: api_server.open_connections == 2)
    go.set()
    thread.join(SECONDS)
    assert answers == [["held"]]
    assert len(stream.content) == 1_000_000
    assert_clean(session, api_server)
    assert session.get(api_server.url("/x")).ok  # and it opens again
    assert_clean(session, api_server)


def test_a_stream_outlives_the_block_of_its_session(api_server: ApiServer) -> None:
    with Session() as session:
        stream = session.get(api_server.url("/bytes/1000000"), stream=True, timeout=20)
    assert len(stream.content) == 1_000_000
    assert_clean(session, api_server)
    stream = session.get(api_server.url("/bytes/1000000"), stream=True, timeout=20)
    session.close()
    stream.close()
    stream.close()
    assert_clean(session, api_server)


def test_those_who_wait_for_a_connection_get_it_though_it_is_closed(
    api_server: ApiServer,
) -> None:
    go = threading.Event()
    api_server.route("/held", Reply(json=[], hold=go))
    answers: list[Any] = []
    with Session(max_connections=1, max_retries=0, enable_deduplication=False) as session:
        threads = [
            threading.Thread(
                target=lambda: answers.append(session.get(api_server.url("/held"), timeout=20))
            )
            for _ in range(5)
        ]
        for thread in threads:
            thread.start()
        wait_until(lambda: session.get_stats()["connections"]["waiting"] == 4)
        session.close()
        go.set()
        for thread in threads:
            thread.join(SECONDS)
        assert [answer.status_code for answer in answers] == [200] * 5
        assert_clean(session, api_server)


def test_a_session_that_nobody_closes_leaves_nothing_when_it_goes(api_server: ApiServer) -> None:
    def use() -> None:
        session = Session()
        for turn in range(3):
            session.get(api_server.url(f"/x?{turn}"))

    for _ in range(5):
        use()
    gc.collect()
    wait_until(lambda: api_server.open_connections == 0)


def test_the_functions_close_nothing_of_each_others(api_server: ApiServer, crew: Crew) -> None:
    def work() -> None:
        assert browseros_api.get(api_server.url("/echo"), timeout=20).ok
        with browseros_api.get(api_server.url("/bytes/1000"), stream=True, timeout=20) as answer:
            assert len(answer.content) == 1000

    crew.add(work, times=6)
    crew.run(150)


# -- a client is closed for good ------------------------------------------------------------------


def test_a_client_is_closed_while_many_call_submit_and_fetch(api_server: ApiServer) -> None:
    """Each call ends: with its answer, or because the client is closed."""
    api_server.route("/slow", Reply(json={}, delay=0.01))
    api_server.route("/down", Reply(503))
    client = EnhancedAPIClient(
        api_server.base_url, max_connections=4, retry_base_delay=30, failure_threshold=10**9
    )
    outcomes: list[str] = []
    begun = threading.Barrier(13)

    def until_closed(work: Callable[[], object]) -> None:
        begun.wait(SECONDS)
        while True:
            try:
                work()
            except ClientClosed:
                outcomes.append("closed")
                return
            except BaseException as error:
                outcomes.append(repr(error))
                return

    def submit() -> None:
        futures = [client.submit("GET", "/slow") for _ in range(10)]
        for future in futures:
            try:
                future.result(SECONDS)
            except BaseException as error:
                if future.cancelled():  # it had not begun
                    raise ClientClosed from error
                raise

    works: list[Callable[[], object]] = [
        *[lambda: client.get("/slow", use_cache=False)] * 3,
        *[lambda: client.post("/slow", data={})] * 2,
        *[lambda: client.get("/down")] * 3,  # sleeps between attempts
        *[submit] * 2,
        *[lambda: list(client.get_many(["/slow"] * 20, max_workers=2))] * 2,
    ]
    threads = [threading.Thread(target=until_closed, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    begun.wait(SECONDS)
    wait_until(lambda: api_server.hits("/slow") > 50, timeout=SECONDS)
    wait_until(lambda: api_server.hits("/down") == 1, timeout=SECONDS)  # which is shared
    closers = [threading.Thread(target=client.close) for _ in range(3)]
    for thread in closers:
        thread.start()
    for thread in (*closers, *threads):
        thread.join(SECONDS)
    assert outcomes == ["closed"] * 12
    client.close()
    assert_clean(client.session, api_server)
    with pytest.raises(ClientClosed):
        client.get("/slow")
