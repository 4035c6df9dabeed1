"""Laws of single flight through the doors: real requests, counted by a real server."""

from __future__ import annotations

import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from browseros_api import EnhancedAPIClient, Session
from browseros_api.errors import DeadlineExceeded, ReadTimeout
from browseros_api.testing import ApiServer, FakeClock, Reply, wait_until
from tests.flying import PATIENCE, Caller, shows
from tests.interrupting import interrupt_main

QUICK: dict[str, Any] = {"retry_base_delay": 0.01, "max_connections": 256}


@pytest.fixture
def session() -> Iterator[Session]:
    with Session(**QUICK) as session:
        yield session


@pytest.fixture
def go(api_server: ApiServer) -> Iterator[threading.Event]:
    """Lets ``/held`` be answered."""
    event = threading.Event()
    api_server.route("/held", Reply(json={"n": [1]}, hold=event))
    yield event
    event.set()


def in_the_air(session: Session, followers: int, flights: int = 1) -> None:
    shows(session.engine.flights, f"{flights} in the air, {followers} followers")


def asked(server: ApiServer, count: int = 1, path: str = "/held") -> None:
    wait_until(lambda: server.hits(path) >= count, timeout=PATIENCE, message=f"asked {count}x")


def together(count: int, act: Callable[..., Any], *args: Any, **kwargs: Any) -> list[Caller[Any]]:
    """Callers that begin as one."""
    start = threading.Barrier(count)

    def begin() -> Any:
        start.wait(PATIENCE)
        return act(*args, **kwargs)

    return [Caller(begin) for _ in range(count)]


# -- exactly one request -------------------------------------------------------------------------


@pytest.mark.parametrize("count", [2, 10, 200])
def test_identical_gets_of_a_session_are_one_request(
    count: int, session: Session, api_server: ApiServer, go: threading.Event
) -> None:
    """D3, D8"""
    callers = together(count, session.get, api_server.url("/held"), params={"page": 1})
    in_the_air(session, count - 1)
    go.set()
    assert all(caller.value.json() == {"n": [1]} for caller in callers)
    assert api_server.hits() == 1
    stats = session.get_stats()
    assert stats["deduplicated_requests"] == count - 1
    assert stats["total_requests"] == stats["successful_requests"] == count
    assert stats["in_flight_requests"] == 0


@pytest.mark.parametrize("count", [2, 10, 200])
def test_identical_gets_of_a_client_are_one_request(
    count: int, api_server: ApiServer, go: threading.Event
) -> None:
    with EnhancedAPIClient(api_server.base_url, **QUICK) as client:
        callers = together(count, client.get, "/held")
        in_the_air(client.session, count - 1)
        go.set()
        answers = [caller.value for caller in callers]
        answers[0]["n"].append("mine")
        assert answers[1:] == [{"n": [1]}] * (count - 1)
        assert api_server.hits() == 1
        assert client.get_stats()["deduplicated_requests"] == count - 1


def test_without_a_cache_it_is_one_request_all_the_same(
    api_server: ApiServer, go: threading.Event
) -> None:
    with Session(enable_cache=False, **QUICK) as session:
        callers = together(10, session.get, api_server.url("/held"))
        in_the_air(session, 9)
        go.set()
        assert all(caller.value.ok for caller in callers)
        assert api_server.hits() == 1


def test_the_clients_own_threads_may_all_be_followers(
    api_server: ApiServer, go: threading.Event
) -> None:
    with EnhancedAPIClient(api_server.base_url, max_connections=4) as client:
        leader = Caller(client.get, "/held")
        asked(api_server)
        futures = [client.submit("GET", "/held") for _ in range(40)]
        in_the_air(client.session, 4)
        go.set()
        assert [future.result(PATIENCE) for future in futures] == [{"n": [1]}] * 40
        assert leader.value == {"n": [1]}
        assert api_server.hits() == 1


def test_the_leader_may_be_one_of_the_clients_own_threads(
    api_server: ApiServer, go: threading.Event
) -> None:
    with EnhancedAPIClient(api_server.base_url, max_connections=4) as client:
        futures = [client.submit("GET", "/held") for _ in range(40)]
        in_the_air(client.session, 3)
        go.set()
        assert [future.result(PATIENCE) for future in futures] == [{"n": [1]}] * 40
        assert api_server.hits() == 1


def test_heads_are_shared_and_not_with_gets(
    session: Session, api_server: ApiServer, go: threading.Event
) -> None:
    heads = together(5, session.head, api_server.url("/held"))
    gets = together(5, session.get, api_server.url("/held"))
    in_the_air(session, 8, flights=2)
    go.set()
    assert {caller.value.content for caller in heads} == {b""}
    assert all(caller.value.json() for caller in gets)
    assert sorted(request.method for request in api_server.requests) == ["GET", "HEAD"]


@pytest.mark.parametrize("path", ["/missing", "/broken"])
def test_answers_that_are_no_success_are_shared_too(path: str, api_server: ApiServer) -> None:
    go = threading.Event()
    api_server.route("/missing", Reply(404, json={"error": "no"}, hold=go))
    api_server.route("/broken", Reply(501, json={"error": "no"}, hold=go))
    with EnhancedAPIClient(api_server.base_url, max_retries=0, **QUICK) as client:
        callers = together(5, client.get, path)
        in_the_air(client.session, 4)
        go.set()
        errors = [caller.error for caller in callers]
        assert all(isinstance(error, requests.HTTPError) for error in errors)
        assert len({id(error.response) for error in errors}) == 5
        assert api_server.hits() == 1
        assert client.get_stats()["failed_requests"] == 5
        assert client.get_stats()["in_flight_requests"] == 0


def test_a_broken_connection_is_one_failure_for_all(api_server: ApiServer) -> None:
    """D4, D19"""
    go = threading.Event()
    api_server.route("/torn", Reply(reset="before", hold=go))
    with Session(max_retries=0, **QUICK) as session:
        callers = together(10, session.get, api_server.url("/torn"))
        in_the_air(session, 9)
        go.set()
        errors = [caller.error for caller in callers]
        assert all(isinstance(error, requests.ConnectionError) for error in errors)
        assert len({id(error) for error in errors}) == 10
        assert len({(type(error), str(error.args), error.request.url) for error in errors}) == 1
        assert api_server.hits() == 1
        stats = session.get_stats()
        assert stats["failed_requests"] == stats["total_requests"] == 10
        assert stats["in_flight_requests"] == 0
        assert len(session.engine.flights) == 0


# -- never together ------------------------------------------------------------------------------


def both_ask(session: Session, server: ApiServer, go: threading.Event, *calls: Any) -> None:
    callers = [Caller(call) for call in calls]
    asked(server, len(calls))
    assert "0 followers" in repr(session.engine.flights)
    go.set()
    assert all(caller.value.ok for caller in callers)
    assert server.hits() == len(calls)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_unsafe_methods_are_never_shared(method: str, session, api_server, go) -> None:
    """D11"""

    def call() -> Any:
        return session.request(method, api_server.url("/held"), headers={"Idempotency-Key": "k"})

    both_ask(session, api_server, go, *[call] * 5)


def test_streams_are_never_shared(session: Session, api_server: ApiServer, go) -> None:
    """D16"""

    def call() -> Any:
        with session.get(api_server.url("/held"), stream=True) as answer:
            assert answer.raw.read() == b'{"n": [1]}'
            return answer

    both_ask(session, api_server, go, *[call] * 3)


@pytest.mark.parametrize(
    "other",
    [
        {"headers": {"Authorization": "Bearer bob"}},
        {"headers": {"X-API-Key": "bob"}},
        {"headers": {"Accept": "text/plain"}},
        {"headers": {"Range": "bytes=0-1"}},
        {"auth": ("bob", "secret")},
        {"cookies": {"sid": "bob"}},
        {"params": {"page": 2}},
        {"verify": False},
        {"allow_redirects": False},
        {"data": b"body"},
        {"json": {}},
    ],
    ids=lambda other: str(*other.values()),
)
def test_what_changes_who_asks_or_for_what_is_never_shared(
    other: dict[str, Any], session: Session, api_server: ApiServer, go: threading.Event
) -> None:
    """D10"""
    both_ask(
        session,
        api_server,
        go,
        lambda: session.get(api_server.url("/held")),
        lambda: session.get(api_server.url("/held"), **other),
    )


def test_two_sessions_share_nothing(session: Session, api_server: ApiServer, go) -> None:
    with Session(**QUICK) as other:
        url = api_server.url("/held")
        both_ask(session, api_server, go, lambda: session.get(url), lambda: other.get(url))


def test_switched_off_everybody_asks(api_server: ApiServer, go: threading.Event) -> None:
    with Session(enable_deduplication=False, **QUICK) as session:
        both_ask(session, api_server, go, *[lambda: session.get(api_server.url("/held"))] * 3)


# -- the leader drops out ------------------------------------------------------------------------


def test_ctrl_c_in_the_main_thread_leaves_the_others_an_answer(
    session: Session, api_server: ApiServer
) -> None:
    """D5: the signal comes while the leader waits for the server."""
    go, never = threading.Event(), threading.Event()
    api_server.script("/held", Reply(hold=never), Reply(json="second", hold=go))
    url = api_server.url("/held")
    followers: list[Caller[requests.Response]] = []

    def interrupt() -> None:
        asked(api_server)
        followers.extend(Caller(session.get, url) for _ in range(5))
        in_the_air(session, 5)
        interrupt_main()

    interrupter = Caller(interrupt)
    with pytest.raises(KeyboardInterrupt):
        session.get(url)
    assert interrupter.value is None
    asked(api_server, 2)
    go.set()
    never.set()
    assert [caller.value.json() for caller in followers] == ["second"] * 5
    assert api_server.hits() == 2
    assert session.get_stats()["in_flight_requests"] == 0


def test_a_leader_with_its_own_shorter_timeout_hands_over(api_server: ApiServer) -> None:
    go = threading.Event()
    api_server.script("/held", Reply(silent=True), Reply(json="second", hold=go))
    with Session(max_retries=0, **QUICK) as session:
        leader = Caller(session.get, api_server.url("/held"), timeout=2.0)
        asked(api_server)
        followers = [Caller(session.get, api_server.url("/held"), timeout=30) for _ in range(5)]
        in_the_air(session, 5)
        assert isinstance(leader.error, requests.ReadTimeout)
        asked(api_server, 2)
        in_the_air(session, 4)
        go.set()
        assert {caller.value.json() for caller in followers} == {"second"}
        assert api_server.hits() == 2


def test_equal_impatience_shares_the_timeout(api_server: ApiServer) -> None:
    api_server.route("/held", Reply(silent=True))
    with Session(max_retries=0, timeout=2.0, **QUICK) as session:
        callers = together(5, session.get, api_server.url("/held"))
        in_the_air(session, 4)
        errors = [caller.error for caller in callers]
        assert all(isinstance(error, requests.ReadTimeout) for error in errors)
        assert all(isinstance(error, TimeoutError) for error in errors)
        assert len({id(error) for error in errors}) == 5
        assert api_server.hits() == 1
        assert len(session.engine.flights) == 0


def test_a_leader_past_its_deadline_hands_over(api_server: ApiServer) -> None:
    api_server.script("/held", Reply(silent=True), Reply(json="second"))
    with Session(**QUICK) as session:
        leader = Caller(session.get, api_server.url("/held"), deadline=2.0)
        asked(api_server)
        followers = [Caller(session.get, api_server.url("/held")) for _ in range(5)]
        in_the_air(session, 5)
        assert isinstance(leader.error, DeadlineExceeded)
        assert {caller.value.json() for caller in followers} == {"second"}
        assert api_server.hits() == 2


def test_the_hurry_of_the_leader_costs_nobody_else_a_retry(
    api_server: ApiServer, fake_clock: FakeClock
) -> None:
    """It gives up where the others would have asked again."""
    go = threading.Event()
    api_server.script("/flaky", Reply(503, hold=go), Reply(503), Reply(json="well again"))
    with Session(clock=fake_clock, sleep=fake_clock.sleep) as session:
        leader = Caller(session.get, api_server.url("/flaky"), deadline=0.5)
        asked(api_server, path="/flaky")
        followers = [Caller(session.get, api_server.url("/flaky")) for _ in range(3)]
        in_the_air(session, 3)
        go.set()
        assert leader.value.status_code == 503
        assert {caller.value.json() for caller in followers} == {"well again"}
        assert api_server.hits() == 3


def test_a_follower_gives_up_alone(session: Session, api_server: ApiServer, go) -> None:
    """D12, D14"""
    leader = Caller(session.get, api_server.url("/held"))
    asked(api_server)
    patient = Caller(session.get, api_server.url("/held"))
    in_the_air(session, 1)
    with pytest.raises(ReadTimeout):
        session.get(api_server.url("/held"), timeout=0.05)
    with pytest.raises(DeadlineExceeded):
        session.get(api_server.url("/held"), deadline=0.05)
    in_the_air(session, 1)
    go.set()
    assert leader.value.ok
    assert patient.value.ok
    assert api_server.hits() == 1
    stats = session.get_stats()
    assert (stats["failed_requests"], stats["deduplicated_requests"]) == (2, 3)
    assert stats["in_flight_requests"] == 0


# -- answers that are somebody's own -------------------------------------------------------------


def test_an_answer_that_sets_a_cookie_is_not_shared_and_then_all_ask_at_once(
    api_server: ApiServer,
) -> None:
    first, others = threading.Event(), threading.Event()
    cookie = {"Set-Cookie": "sid=1"}
    api_server.script(
        "/login", Reply(headers=cookie, hold=first), Reply(headers=cookie, hold=others)
    )
    with Session(**QUICK) as session:
        callers = together(5, session.get, api_server.url("/login"))
        in_the_air(session, 4)
        first.set()
        wait_until(lambda: api_server.active_requests == 4)  # none has been answered yet
        others.set()
        assert all(caller.value.cookies["sid"] == "1" for caller in callers)
        assert api_server.hits() == 5
        assert session.get_stats()["deduplicated_requests"] == 0


def test_what_one_caller_changes_no_other_sees(session: Session, api_server, go) -> None:
    """D15"""
    api_server.route("/start", Reply(302, headers={"Location": "/held"}))
    callers = together(3, session.get, api_server.url("/start"))
    in_the_air(session, 2)
    go.set()
    first, *others = [caller.value for caller in callers]
    first.history.clear()
    first.headers.clear()
    first.json()["n"].append(2)
    first.request.headers.clear()
    for other in others:
        assert [hop.status_code for hop in other.history] == [302]
        assert other.headers["Content-Type"] == "application/json"
        assert other.json() == {"n": [1]}
        assert other.request.headers["User-Agent"]


def test_every_followers_answer_is_heard_by_the_sessions_hooks_once(
    session: Session, api_server: ApiServer, go: threading.Event
) -> None:
    heard: list[int] = []
    session.hooks["response"].append(lambda answer, **_: heard.append(id(answer)))
    callers = together(5, session.get, api_server.url("/held"))
    in_the_air(session, 4)
    go.set()
    assert sorted(heard_of := [id(caller.value) for caller in callers]) == sorted(heard)
    assert len(set(heard_of)) == 5


# -- changes, and calls within calls -------------------------------------------------------------


def test_after_a_change_a_new_get_does_not_join_the_old_one(
    session: Session, api_server: ApiServer
) -> None:
    """D7"""
    first, second = threading.Event(), threading.Event()
    fresh = {"Cache-Control": "max-age=60"}
    api_server.script(
        "/item",
        Reply(json="old", hold=first, headers=fresh),
        Reply(json="new", hold=second, headers=fresh),
        method="GET",
    )
    url = api_server.url("/item")
    old = together(3, session.get, url)
    in_the_air(session, 2)
    asked(api_server, 1, "/item")
    assert session.put(url, json={}).ok
    new = together(3, session.get, url)
    asked(api_server, 3, "/item")
    in_the_air(session, 2)
    first.set()
    assert {caller.value.json() for caller in old} == {"old"}
    in_the_air(session, 2)
    second.set()
    assert {caller.value.json() for caller in new} == {"new"}
    assert session.get(url).json() == "new"
    assert api_server.hits("/item") == 3
    assert len(session.engine.flights) == 0


def test_a_hook_may_ask_for_the_same_url(session: Session, api_server: ApiServer) -> None:
    """D17"""
    url, asked_again = api_server.url("/again"), threading.local()

    def again(answer: requests.Response, **_: Any) -> None:
        if not getattr(asked_again, "yes", False):
            asked_again.yes = True
            assert session.get(url).ok

    session.hooks["response"].append(again)
    assert all(caller.value.ok for caller in together(4, session.get, url, timeout=PATIENCE))
    assert len(session.engine.flights) == 0


def test_an_auth_object_may_ask_in_the_same_session(session: Session, api_server) -> None:
    """D17"""

    class Login(requests.auth.AuthBase):
        def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
            request.headers["Authorization"] = session.get(api_server.url("/token")).json()["path"]
            return request

    urls = [api_server.url("/token"), api_server.url("/data")]
    callers = [Caller(session.get, url, auth=Login(), timeout=PATIENCE) for url in urls * 3]
    assert all(caller.value.ok for caller in callers)
    assert api_server.requests[-1].headers["Authorization"] == "/token"


def test_a_callback_inside_the_flight_may_ask_for_the_same_url(api_server: ApiServer) -> None:
    """D17"""
    api_server.script("/flaky", Reply(503), Reply(json="inner"), Reply(json="outer"))
    inner: list[Any] = []

    def ask(attempt: int, delay: float, outcome: Any) -> None:
        inner.append(session.get(api_server.url("/flaky"), timeout=PATIENCE).json())

    with Session(on_retry=ask, **QUICK) as session:
        outer = Caller(session.get, api_server.url("/flaky"), timeout=PATIENCE)
        assert outer.value.json() == "outer"
        assert inner == ["inner"]
        assert len(session.engine.flights) == 0


def test_a_call_that_slips_in_between_the_cache_and_the_air_is_not_asked_again(
    session: Session, api_server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It found nothing in the cache; then, before it could join, the leader landed."""
    api_server.route("/kept", Reply(json=1, headers={"Cache-Control": "max-age=60"}))
    url, flights = api_server.url("/kept"), session.engine.flights
    board = flights.board

    def slow(call: Any) -> Any:
        monkeypatch.setattr(flights, "board", board)
        assert Caller(session.get, url).value.ok
        return board(call)

    monkeypatch.setattr(flights, "board", slow)
    assert session.get(url).json() == 1
    assert api_server.hits() == 1


# -- processes -----------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("door", ["session", "submit"])
def test_a_child_asks_for_itself_for_what_its_parent_has_in_the_air(
    door: str, api_server: ApiServer
) -> None:
    """D18: and ends in time, though leader and followers are threads that it does not have."""
    go = threading.Event()
    api_server.script("/held", Reply(json="parent", hold=go), Reply(json="child"))
    with EnhancedAPIClient(api_server.base_url) as client:
        client.submit("GET", "/other").result(PATIENCE)
        callers = together(3, client.get, "/held")
        asked(api_server)
        in_the_air(client.session, 2)
        child = os.fork()
        if child == 0:
            signal.alarm(10)  # it dies if it hangs
            try:
                future = client.submit("GET", "/held") if door == "submit" else None
                answer = future.result(8) if future else client.get("/held")
                os._exit(0 if answer == "child" else 1)
            except BaseException:
                os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        go.set()
        assert [caller.value for caller in callers] == ["parent"] * 3
        assert api_server.hits("/held") == 2


def test_a_session_can_be_pickled_while_calls_are_in_the_air(
    session: Session, api_server: ApiServer
) -> None:
    """D18"""
    go = threading.Event()
    api_server.script("/held", Reply(json="first", hold=go), Reply(json="twin"))
    callers = together(3, session.get, api_server.url("/held"))
    in_the_air(session, 2)
    asked(api_server)
    with pickle.loads(pickle.dumps(session)) as twin:
        assert len(twin.engine.flights) == 0
        assert twin.get(api_server.url("/held")).json() == "twin"
    go.set()
    assert {caller.value.json() for caller in callers} == {"first"}
