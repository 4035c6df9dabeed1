"""Circuits of a session: of hosts that cannot be reached, with terms, and switched by hand."""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from requests import exceptions

from browseros_api import (
    CircuitBreaker,
    CircuitOpenError,
    CircuitTerms,
    DeadlineExceeded,
    EnhancedAPIClient,
    PoolTimeout,
    Session,
)
from browseros_api.aio import EnhancedAPIClient as AwaitedClient
from browseros_api.errors import MAYBE_PROCESSED, NEVER_SENT, PROCESSED, mark
from browseros_api.journal import Journal
from browseros_api.pipeline import Call, Exchange
from browseros_api.policies.breakers import Breakers
from browseros_api.settings import Settings
from browseros_api.testing import ApiServer, FakeClock, Reply, wait_until
from tests.faults.certificates import Authority
from tests.flying import PATIENCE, Caller
from tests.policies.breaking import Diary

Made = Callable[..., Session]


@pytest.fixture
def made(fake_clock: FakeClock) -> Iterator[Made]:
    sessions = []

    def make(*, terms: dict[str, Any] | None = None, **options: Any) -> Session:
        circuit = CircuitTerms(**{"host_failures": 2, **(terms or {})})
        options = {"max_retries": 0, "clock": fake_clock, "circuit": circuit, **options}
        sessions.append(Session(**options))
        return sessions[-1]

    yield make
    for session in sessions:
        session.close()


@pytest.fixture
def taken() -> Iterator[socket.socket]:
    """A socket at which nobody listens yet."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock


@pytest.fixture
def gone(taken: socket.socket) -> str:
    """Where that is."""
    return f"http://127.0.0.1:{taken.getsockname()[1]}"


def answer_once(listener: socket.socket) -> None:
    listener.settimeout(PATIENCE)
    connection, _ = listener.accept()
    with connection:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


def failure(session: Session, url: str, **given: Any) -> requests.ConnectionError:
    with pytest.raises(requests.ConnectionError) as caught:
        session.get(url, **given)
    return caught.value


def refusal(session: Session, url: str) -> CircuitOpenError:
    error = failure(session, url)
    assert isinstance(error, CircuitOpenError)
    return error


def state(session: Session, url: str) -> tuple[str, int]:
    breaker = session.circuits.host(url)
    return breaker.state, breaker.failure_count


# -- hosts -----------------------------------------------------------------------------------------


def test_a_host_that_refuses_is_left_alone_by_all_its_endpoints(made: Made, gone: str) -> None:
    session = made()
    for path in ("/a", "/b"):
        assert not isinstance(failure(session, gone + path), CircuitOpenError)
    error = refusal(session, f"{gone}/c")
    assert error.endpoint == f"{gone}/*"
    assert str(error) == (
        f"circuit for '{gone}/*' is open after 2 consecutive failures; next trial in 60.0 s"
    )
    assert error.request_state == NEVER_SENT  # type: ignore[attr-defined]
    assert isinstance(error.last_error, requests.ConnectionError)
    assert error.request is not None
    status = session.get_circuit_breaker_status()
    assert status[f"{gone}/*"]["state"] == "open"
    assert {status[gone + path]["failure_count"] for path in ("/a", "/b")} == {1}
    assert status.get(f"{gone}/c", {"failure_count": 0})["failure_count"] == 0
    assert session.get_stats()["rejected_requests"] == 1


def test_other_hosts_are_not_concerned(made: Made, gone: str, api_server: ApiServer) -> None:
    session = made()
    failure(session, f"{gone}/a")
    failure(session, f"{gone}/a")
    refusal(session, f"{gone}/b")
    assert session.get(api_server.url("/b")).ok
    assert state(session, api_server.url("/")) == ("closed", 0)


def test_one_trial_tells_that_the_host_is_back(
    made: Made, taken: socket.socket, gone: str, fake_clock: FakeClock
) -> None:
    session = made()
    failure(session, f"{gone}/a")
    failure(session, f"{gone}/b")
    fake_clock.tick(60)
    failure(session, f"{gone}/c")  # the trial
    refusal(session, f"{gone}/d")
    fake_clock.tick(60)
    trial = session.circuits.host(gone).admit()
    refusal(session, f"{gone}/e")
    session.circuits.host(gone).forgive(trial)
    taken.listen()
    server = Caller(answer_once, taken)
    assert session.get(f"{gone}/e").ok
    assert state(session, gone) == ("closed", 0)
    assert server.value is None


def test_the_call_that_opens_it_has_its_own_error_and_is_not_repeated(
    made: Made, gone: str
) -> None:
    session = made(max_retries=5, retry_base_delay=0.001)
    error = failure(session, f"{gone}/a")
    assert not isinstance(error, CircuitOpenError)
    assert session.get_stats()["attempts"] == 2


def test_a_name_that_nobody_knows_is_a_host_that_is_not_reached(made: Made) -> None:
    session = made()
    failure(session, "http://nobody.invalid/a")
    failure(session, "http://nobody.invalid/b")
    refusal(session, "http://nobody.invalid/c")


def test_a_tar_pit_is_a_host_that_is_not_reached(made: Made) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, socket.socket() as first:
        first.connect(listener.getsockname())  # the queue is full now
        waiting = [socket.socket() for _ in range(3)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        session = made()
        with pytest.raises(requests.ConnectTimeout):
            session.get(f"{url}/a", timeout=(0.2, 5))
        with pytest.raises(requests.ConnectTimeout):
            session.get(f"{url}/b", timeout=(0.2, 5))
        refusal(session, f"{url}/c")
        for one in waiting:
            one.close()


def test_a_handshake_that_fails_is_a_host_that_is_not_reached(made: Made, tmp_path: Any) -> None:
    with ApiServer(tls=Authority(tmp_path).context()) as server:  # nobody trusts it
        session = made()
        for path in ("/a", "/b"):
            assert isinstance(failure(session, server.url(path)), exceptions.SSLError)
        refusal(session, server.url("/c"))
        assert server.hits() == 0


@pytest.mark.parametrize("reply", [Reply(503), Reply(404), Reply(reset="before")])
def test_whoever_answers_or_hangs_up_was_reached(
    made: Made, reply: Reply, api_server: ApiServer
) -> None:
    api_server.route("*", reply)
    session = made(terms={"host_failures": 1})
    for path in ("/a", "/b", "/c"):
        with contextlib.suppress(requests.ConnectionError):
            session.get(api_server.url(path))
    assert api_server.hits() == 3
    assert state(session, api_server.base_url) == ("closed", 0)


ENDINGS = [
    (mark(requests.ConnectionError("refused"), NEVER_SENT), 2),
    (mark(exceptions.SSLError("handshake"), NEVER_SENT), 2),
    (mark(requests.ConnectTimeout("tar pit"), NEVER_SENT), 2),
    (mark(requests.ConnectionError("reset"), MAYBE_PROCESSED), 0),
    (mark(requests.ReadTimeout("silence"), MAYBE_PROCESSED), 0),
    (mark(exceptions.ChunkedEncodingError("cut"), PROCESSED), 0),
    (mark(DeadlineExceeded("late"), PROCESSED), 0),
    (mark(DeadlineExceeded("late"), NEVER_SENT), 1),
    (mark(PoolTimeout("all in use"), NEVER_SENT), 1),
    (mark(exceptions.ProxyError("dead"), NEVER_SENT), 1),
    (mark(CircuitOpenError("the endpoint's"), NEVER_SENT), 1),
    (exceptions.InvalidURL("bad"), 1),
    (requests.ConnectionError("of a mock"), 1),
    (KeyboardInterrupt(), 1),
]


@pytest.mark.parametrize(("error", "count"), ENDINGS, ids=lambda value: repr(value)[:40])
@pytest.mark.parametrize("on_trial", [False, True])
def test_what_came_of_it_says_whether_the_host_was_reached(
    error: BaseException, count: int, on_trial: bool, fake_clock: FakeClock
) -> None:
    """A failure counts one more, an answer counts back to 0, and the rest leaves it at 1."""
    settings = Settings(circuit=CircuitTerms(host_failures=9))
    breakers = Breakers(settings, clock=fake_clock, journal=Journal(enabled=False))
    exchange = Exchange(
        requests.Request("GET", "http://a.test/x").prepare(), {}, Call("GET", "http://a.test/x")
    )

    def ending(how: BaseException) -> None:
        def proceed(_: Exchange) -> requests.Response:
            raise how

        with pytest.raises(type(how)):
            breakers.guard_host(exchange, proceed)

    host = breakers.host("http://a.test/y")
    if not on_trial:
        ending(ENDINGS[0][0])
        ending(error)
        assert host.failure_count == count
        return
    host.half_open()
    ending(error)
    assert host.state == {2: "open", 0: "closed", 1: "half_open"}[count]
    assert len(host._trials) == 0


def test_an_endpoint_that_is_open_keeps_no_trial_of_its_host(
    made: Made, api_server: ApiServer
) -> None:
    session = made()
    session.circuits.of("GET", api_server.url("/down")).open()
    host = session.circuits.host(api_server.base_url)
    host.half_open()
    refusal(session, api_server.url("/down"))
    assert len(host._trials) == 0
    assert session.get(api_server.url("/up")).ok
    assert host.state == "closed"


def test_of_many_callers_one_tries_the_host(
    made: Made, api_server: ApiServer, fake_clock: FakeClock
) -> None:
    go = threading.Event()
    api_server.route("/a", Reply(json=[1], hold=go))
    session = made(cache_mode="ttl", enable_deduplication=False)
    host = session.circuits.host(api_server.base_url)
    host.half_open()
    callers = [Caller(session.get, api_server.url(f"/a?{number}")) for number in range(5)]
    wait_until(lambda: host.rejected_count == 4, timeout=PATIENCE)
    go.set()
    results = []
    for caller in callers:
        try:
            results.append(caller.value)
        except AssertionError:
            results.append(caller.error)
    assert sum(isinstance(one, CircuitOpenError) for one in results) == 4
    assert host.state == "closed"


def test_endpoints_are_independent_unless_hosts_are_asked_for(gone: str) -> None:
    with Session(max_retries=0) as session:
        for number in range(20):
            path = f"/endpoint-{'abcdefghijklmnopqrst'[number]}"
            assert not isinstance(failure(session, gone + path), CircuitOpenError)
        assert all(not name.endswith("*") for name in session.get_circuit_breaker_status())
        with pytest.raises(ValueError, match=r"no such circuit: host_failures .* is off"):
            session.circuits.host(gone)


def test_the_early_refusal_tells_what_the_late_one_would(
    made: Made, gone: str, fake_clock: FakeClock
) -> None:
    class Ordinary(Session):
        def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
            return super().prepare_request(request)

    told = []
    for kind in (Session, Ordinary):
        circuit = CircuitTerms(host_failures=1)
        with kind(max_retries=0, clock=fake_clock, circuit=circuit) as session:
            failure(session, f"{gone}/a")
            error = refusal(session, f"{gone}/b")
            figures = session.get_stats()
            told.append((str(error), error.endpoint, error.retry_after, figures["attempts"]))
            assert error.request is not None
            assert (error.request.url, figures["rejected_requests"]) == (f"{gone}/b", 1)
    assert told[0] == told[1]


# -- terms -----------------------------------------------------------------------------------------


def test_an_endpoint_that_fails_every_other_time_is_found_out(
    made: Made, api_server: ApiServer
) -> None:
    api_server.script("/a", *[Reply(200), Reply(500)] * 5)
    session = made(terms={"failure_rate": 0.5, "minimum_calls": 10})
    for _ in range(10):
        session.get(api_server.url("/a"))
    error = refusal(session, api_server.url("/a"))
    assert "is open: 5 of 10 calls have failed; " in str(error)
    assert api_server.hits() == 10


def test_a_slow_endpoint_is_found_out_by_the_clock_of_the_session(
    made: Made, api_server: ApiServer, fake_clock: FakeClock
) -> None:
    def slow(_: Any) -> Reply:
        fake_clock.tick(3.0)
        return Reply(429)

    api_server.route("/a", slow)
    terms = {"slow_call": 3.0, "slow_call_rate": 1.0, "minimum_calls": 2}
    session = made(terms=terms, max_retries=3, retry_base_delay=0.001)
    assert session.get(api_server.url("/a")).status_code == 429  # its own answer, and no refusal
    assert api_server.hits() == 2
    assert "is open: 2 of 2 calls were slow; " in str(refusal(session, api_server.url("/a")))


def test_a_trial_that_is_a_stream_gives_its_place_back_with_the_head(
    made: Made, api_server: ApiServer
) -> None:
    api_server.route("/a", Reply(body="x" * 1000))
    session = made(half_open_max_calls=1)
    breaker = session.circuits.of("GET", api_server.url("/a"))
    breaker.half_open()
    answer = session.get(api_server.url("/a"), stream=True)
    assert (breaker.state, len(breaker._trials)) == ("closed", 0)
    answer.close()


def test_metrics_only_refuses_nothing_and_retries_as_ever(
    made: Made, api_server: ApiServer
) -> None:
    api_server.route("/a", Reply(500))
    terms = {"metrics_only": True, "host_failures": 1}
    session = made(terms=terms, failure_threshold=2, max_retries=3, retry_base_delay=0.001)
    assert session.get(api_server.url("/a")).status_code == 500
    assert session.get(api_server.url("/a")).status_code == 500
    assert api_server.hits() == 8
    (endpoint, host) = session.get_circuit_breaker_status().values()
    assert (endpoint["state"], endpoint["rejected_count"], endpoint["retry_after"]) == (
        "open",
        6,
        0,
    )
    assert (host["state"], host["window"]["calls"]) == ("closed", 8)
    assert session.get_stats()["rejected_requests"] == 0


def test_listeners_hear_of_endpoints_and_hosts(made: Made, gone: str) -> None:
    names = []

    class Hearing(Diary):
        def state_change(self, cb: Any, old_state: Any, new_state: Any) -> None:
            names.append((cb.name, new_state.name))
            assert session.get_circuit_breaker_status()  # no lock is held
            raise ZeroDivisionError

    session = made(terms={"listeners": [Hearing()], "host_failures": 1}, failure_threshold=1)
    failure(session, f"{gone}/a")
    assert names == [(f"{gone}/a", "open"), (f"{gone}/*", "open")]


def test_the_chance_of_the_session_is_that_of_its_circuits(made: Made, gone: str) -> None:
    session = made(terms={"jitter": 0.5, "host_failures": 1}, random=lambda: 0.5)
    failure(session, f"{gone}/a")
    assert session.circuits.host(gone).retry_after == 45.0


def test_a_template_may_bring_the_terms(made: Made, gone: str, fake_clock: FakeClock) -> None:
    template = CircuitBreaker(3, 7.0, terms=CircuitTerms(host_failures=1, failure_rate=0.5))
    with Session(max_retries=0, clock=fake_clock, circuit_breaker=template) as session:
        failure(session, f"{gone}/a")
        assert refusal(session, f"{gone}/b").retry_after == 7.0
        assert session.circuits[f"{gone}/a"].window is not None
    with pytest.raises(
        ValueError, match=r"^circuit and the terms of circuit_breaker must not both"
    ):
        Session(circuit_breaker=template, circuit=CircuitTerms())
    both = Session(circuit_breaker=CircuitBreaker(3), circuit=CircuitTerms(host_failures=1))
    failure(both, f"{gone}/a")
    assert both.circuits.host(gone).state == "open"
    both.close()


def test_terms_go_with_a_pickled_session(made: Made, gone: str) -> None:
    with Session(circuit=CircuitTerms(host_failures=1), max_retries=0) as session:
        failure(session, f"{gone}/a")
        with pickle.loads(pickle.dumps(session)) as twin:
            assert twin.circuits.host(gone).state == "closed"
            failure(twin, f"{gone}/a")
            refusal(twin, f"{gone}/b")


def test_terms_are_checked_when_the_session_is_made() -> None:
    with pytest.raises(TypeError, match=r"^listeners must hold pybreaker listeners, not 1$"):
        Session(circuit=CircuitTerms(listeners=[1]))
    with pytest.raises(ValueError, match=r"^circuit.slow_call \(31\) .* attempt_timeout \(30\)$"):
        EnhancedAPIClient("https://api.example.com", circuit=CircuitTerms(slow_call=31))


# -- by hand ---------------------------------------------------------------------------------------


def test_an_endpoint_is_isolated_and_reset_by_hand(
    made: Made, api_server: ApiServer, fake_clock: FakeClock
) -> None:
    session = made()
    circuit = session.circuits.of("get", api_server.url("/users/7?page=2"))
    assert circuit is session.circuits[api_server.url("/users/{id}")]
    circuit.isolate()
    fake_clock.tick(1e9)
    error = refusal(session, api_server.url("/users/8"))
    assert str(error).endswith("is isolated until it is reset")
    assert session.get(api_server.url("/orders")).ok
    assert session.get_circuit_breaker_status()[circuit.name]["isolated"]
    circuit.reset()
    assert session.get(api_server.url("/users/8")).ok


def test_a_host_is_isolated_by_hand(made: Made, api_server: ApiServer) -> None:
    session = made()
    session.circuits.host(api_server.base_url).isolate()
    assert refusal(session, api_server.url("/a")).endpoint == f"{api_server.base_url}/*"
    assert api_server.hits() == 0
    session.circuits.reset()
    assert session.get(api_server.url("/a")).ok


def test_circuits_of_a_client_are_below_its_base(api_server: ApiServer) -> None:
    with EnhancedAPIClient(api_server.url("/v1"), max_retries=0) as client:
        circuits = client.circuits
        assert (len(circuits), repr(circuits)) == (0, "<Circuits [0]>")
        circuits.of("GET", "/users/7").isolate()
        assert [*circuits] == ["/users/{id}"]
        with pytest.raises(CircuitOpenError):
            client.get("/users/8")
        with pytest.raises(KeyError):
            circuits["/user"]
        with pytest.raises(ValueError, match="endpoint must be a path"):
            circuits.of("GET", "https://elsewhere.example/users")
    with EnhancedAPIClient("https://a.test", enable_circuit_breaker=False) as client:
        for find in (client.circuits.host, lambda path: client.circuits.of("GET", path)):
            with pytest.raises(ValueError, match="no such circuit: enable_circuit_breaker is off"):
                find("/x")


def test_the_awaited_client_has_them_too(api_server: ApiServer) -> None:
    async def main() -> None:
        async with AwaitedClient(api_server.base_url) as client:
            client.circuits.of("GET", "/a").isolate()
            with pytest.raises(CircuitOpenError):
                await client.get("/a")
            client.circuits["/a"].reset()
            await client.get("/a")

    asyncio.run(main())


def test_what_is_isolated_is_forgotten_last(fake_clock: FakeClock) -> None:
    settings = Settings(max_endpoints=2)
    breakers = Breakers(settings, clock=fake_clock, journal=Journal(enabled=False))
    breakers.of("/isolated").isolate()
    for name in ("/a", "/b", "/c"):
        fake_clock.tick(1)
        breakers.of(name).open()
    assert [*breakers.all()] == ["/isolated", "/c"]
