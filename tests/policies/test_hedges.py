"""What is slow is asked twice at once, and the slower of the two leaves nothing behind."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
import trustme

from browseros_api import (
    AdaptiveLimit,
    Bulkhead,
    BulkheadFull,
    EnhancedAPIClient,
    Hedge,
    Heed,
    RateLimit,
    RateLimited,
    RetryBudget,
    Session,
)
from browseros_api.policies.latencies import Latencies
from browseros_api.testing import ApiServer, Received, Reply, wait_until
from browseros_api.transport.watch import Watch
from tests.interrupting import interrupt_main

SOON = 0.1  # seconds: long after a request has come to a server on loopback
LATER = 0.5  # seconds: long after SOON, also on a machine that is busy
NEVER = 60.0
TWO_AT_ONCE = AdaptiveLimit(initial=2, most=2, wait=False)


@pytest.fixture
def hold() -> Iterator[threading.Event]:
    """An event that is set at the end, whatever happens: no handler waits for ever."""
    event = threading.Event()
    yield event
    event.set()


def asking(**settings: Any) -> Session:
    return Session(
        **{"hedge": SOON, "max_retries": 0, "enable_cache": False, **settings},
        enable_deduplication=False,
    )


def told(session: Session, server: ApiServer, first: Reply, second: Reply) -> None:
    """Let the server answer the request itself and its hedge, whichever comes sooner."""
    assert session.post(server.url("/warm")).ok  # the connection that the first of them will use
    (warm,) = server.requests

    def answer(received: Received) -> Reply:
        return first if received.connection == warm.connection else second

    server.route("/x", answer)


def figures(session: Session) -> tuple[int, int]:
    stats = session.get_stats()
    return stats["hedged_requests"], stats["hedges_won"]


def assert_clean(session: Session, server: ApiServer) -> None:
    """No connection is in use, and the server has no more open than wait to be used again."""
    pool = session.engine.adapter.statistics
    wait_until(lambda: pool()["connections_in_use"] == 0)
    wait_until(lambda: pool()["connections_open"] == pool()["connections_idle"])
    wait_until(lambda: server.open_connections == pool()["connections_idle"])


# -- the race --------------------------------------------------------------------------------------


def test_a_second_request_overtakes_a_slow_one(
    api_server: ApiServer, hold: threading.Event
) -> None:
    with asking() as session:
        told(session, api_server, Reply(json="slow", hold=hold), Reply(json="quick"))
        assert session.get(api_server.url("/x")).json() == "quick"
        assert figures(session) == (1, 1)
        assert api_server.hits("/x") == 2
        stats = session.get_stats()
        assert (stats["total_requests"], stats["successful_requests"]) == (2, 2)
        assert stats["attempts"] == 2
        hold.set()
        assert_clean(session, api_server)
        assert session.get(api_server.url("/x")).json() == "quick"


def test_a_trace_tells_of_the_second_request(api_server: ApiServer, hold: threading.Event) -> None:
    api_server.script("/x", Reply(json=1), Reply(hold=hold), Reply(json=2))
    with Session(hedge=0.05) as session:
        url = api_server.url("/x")
        quick, slow = (session.get(url, use_cache=False).trace for _ in range(2))
    assert (quick.attempts[0].hedged, quick.attempts[0].hedge_won) == (None, False)
    assert slow.attempts[0].hedged >= 0.05
    assert slow.attempts[0].hedge_won
    told = slow.to_dict()["attempts"][0]
    assert (told["hedged"], told["hedge_won"]) == (slow.attempts[0].hedged, True)
    assert re.search(r"hedged after [\d.]+ m?s, which won", str(slow))
    assert re.search(r"^  hedge +[\d.]+ m?s", str(slow), re.MULTILINE)
    assert ">hedge</text>" in slow._repr_html_()
    assert "which won" in session.timeline().svg
    assert str(quick).count("hedge") == 0


def test_a_hedge_that_was_held_back_is_none_in_the_trace(
    api_server: ApiServer, hold: threading.Event
) -> None:
    api_server.script("/x", Reply(json=1, delay=0.3))
    with Session(hedge=0.05, retry_budget=RetryBudget(reserve=1)) as session:
        assert session.engine.budget is not None
        assert session.engine.budget.spend(api_server.url("/x"))
        trace = session.get(api_server.url("/x")).trace
    assert (trace.attempts[0].hedged, trace.attempts[0].hedge_won) == (None, False)


def test_the_first_request_may_win_all_the_same(
    api_server: ApiServer, hold: threading.Event
) -> None:
    first = threading.Event()
    with asking() as session, ThreadPoolExecutor(1) as thread:
        told(session, api_server, Reply(json="first", hold=first), Reply(json="second", hold=hold))
        answer = thread.submit(session.get, api_server.url("/x"))
        wait_until(lambda: api_server.hits("/x") == 2)
        first.set()
        assert answer.result(10).json() == "first"
        assert figures(session) == (1, 0)
        hold.set()
        assert_clean(session, api_server)


def test_a_quick_answer_is_asked_for_once(api_server: ApiServer) -> None:
    with asking(hedge=NEVER) as session:
        assert session.get(api_server.url("/x")).ok
        assert figures(session) == (0, 0)
    assert api_server.hits() == 1


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_what_changes_something_is_never_asked_twice(api_server: ApiServer, method: str) -> None:
    api_server.route("/x", Reply(json=1, delay=4 * SOON))
    with asking() as session:
        given = {"headers": {"Idempotency-Key": "1"}}
        assert session.request(method, api_server.url("/x"), data=b"1", **given).ok
        assert figures(session) == (0, 0)
    assert api_server.hits() == 1


def test_neither_streams_nor_bodies_that_are_read_once_are_asked_twice(
    api_server: ApiServer,
) -> None:
    api_server.route("/x", Reply(json=1, delay=LATER))
    with asking() as session:
        assert session.get(api_server.url("/x"), stream=True).json() == 1
        assert session.get(api_server.url("/x"), data=iter([b"1"])).json() == 1
        assert figures(session) == (0, 0)
        assert session.get(api_server.url("/x"), data=b"1").json() == 1
        assert figures(session)[0] == 1


def test_what_somebody_elses_adapter_sends_cannot_be_cut_and_is_asked_once(
    api_server: ApiServer,
) -> None:
    with asking() as session:
        session.mount("http://", requests.adapters.HTTPAdapter())
        assert session.get(api_server.url("/delay/0.08")).ok
        assert figures(session) == (0, 0)


def test_what_fails_while_the_second_is_on_its_way_waits_for_that(
    api_server: ApiServer, hold: threading.Event
) -> None:
    first = threading.Event()
    api_server.script("/x", Reply(hold=first, reset="before"), Reply(json="second", hold=hold))
    with asking(hedge=LATER) as session, ThreadPoolExecutor(1) as thread:
        answer = thread.submit(session.get, api_server.url("/x"))
        wait_until(lambda: api_server.hits("/x") == 2)
        first.set()
        wait_until(lambda: api_server.active_requests == 1)
        hold.set()
        assert answer.result(10).json() == "second"
        assert figures(session) == (1, 1)
        assert_clean(session, api_server)


@pytest.mark.parametrize("status", [429, 503])
def test_an_answer_that_is_no_good_does_not_win(
    api_server: ApiServer, hold: threading.Event, status: int
) -> None:
    with asking() as session, ThreadPoolExecutor(1) as thread:
        told(session, api_server, Reply(json="good", hold=hold), Reply(status))
        answer = thread.submit(session.get, api_server.url("/x"))
        wait_until(lambda: api_server.hits("/x") == 2 and api_server.active_requests == 1)
        hold.set()
        assert answer.result(10).json() == "good"
        assert figures(session) == (1, 0)
        assert_clean(session, api_server)


def test_of_two_failures_the_answer_is_told_and_counts_once(
    api_server: ApiServer, hold: threading.Event
) -> None:
    api_server.script("/x", Reply(hold=hold, reset="before"), Reply(503))
    with asking(hedge=LATER, failure_threshold=2) as session, ThreadPoolExecutor(1) as thread:
        answer = thread.submit(session.get, api_server.url("/x"))
        wait_until(lambda: api_server.hits("/x") == 2 and api_server.active_requests == 1)
        hold.set()
        assert answer.result(10).status_code == 503
        (status,) = session.get_circuit_breaker_status().values()
        assert (status["state"], status["failure_count"]) == ("closed", 1)
        assert figures(session) == (1, 0)
        assert_clean(session, api_server)


def test_when_both_break_the_first_error_comes_out(
    api_server: ApiServer, hold: threading.Event
) -> None:
    api_server.route("/x", Reply(hold=hold, reset="before"))
    with asking() as session, ThreadPoolExecutor(1) as thread:
        answer = thread.submit(session.get, api_server.url("/x"))
        wait_until(lambda: api_server.hits("/x") == 2)
        hold.set()
        with pytest.raises(requests.ConnectionError) as caught:
            answer.result(10)
        assert caught.value.request_state == "maybe-processed"  # type: ignore[attr-defined]
        assert_clean(session, api_server)


def test_a_retry_is_hedged_as_well(api_server: ApiServer, hold: threading.Event) -> None:
    api_server.script("/x", Reply(503), Reply(json="slow", hold=hold), Reply(json="quick"))
    with asking(hedge=1.0, max_retries=1, retry_base_delay=0) as session:
        assert session.get(api_server.url("/x")).json() == "quick"
        assert figures(session) == (1, 1)
        assert session.get_stats()["retries"] == 1


# -- limits ----------------------------------------------------------------------------------------


def test_a_hedge_takes_what_a_rate_limit_allows_like_any_request(
    api_server: ApiServer, hold: threading.Event
) -> None:
    with asking(rate_limit=RateLimit("3/day", wait=False)) as session:
        told(session, api_server, Reply(json="slow", hold=hold), Reply(json="quick"))
        assert session.get(api_server.url("/x")).json() == "quick"
        with pytest.raises(RateLimited):  # the warm one, the first and its hedge were three
            session.get(api_server.url("/x"))
        assert figures(session) == (1, 1)


def test_where_a_rate_limit_has_nothing_left_there_is_no_hedge(api_server: ApiServer) -> None:
    api_server.route("/x", Reply(json="first", delay=LATER))
    with asking(rate_limit=RateLimit("1/day"), retry_budget=RetryBudget()) as session:
        assert session.get(api_server.url("/x")).json() == "first"
        assert figures(session) == (0, 0)
        stats = session.get_stats()
        assert (stats["limits"]["rate_waits"], stats["limits"]["rate_refusals"]) == (0, 0)
        assert not session.engine.budget._purses, "what was not sent has cost nothing"
    assert api_server.hits() == 1


@pytest.mark.parametrize("limit", [{"bulkhead": 1}, {"adaptive_limit": AdaptiveLimit(initial=1)}])
def test_where_no_second_place_is_free_there_is_no_hedge(
    api_server: ApiServer, limit: dict[str, Any]
) -> None:
    api_server.route("/x", Reply(json="first", delay=LATER))
    with asking(**limit) as session:
        assert session.get(api_server.url("/x")).json() == "first"
        assert figures(session) == (0, 0)
        assert not any(value for name, value in refusals(session))
    assert api_server.hits() == 1


@pytest.mark.parametrize(
    "limit", [{"bulkhead": Bulkhead(2, wait=False)}, {"adaptive_limit": TWO_AT_ONCE}]
)
def test_a_hedge_has_a_place_of_its_own_and_gives_it_back(
    api_server: ApiServer, hold: threading.Event, limit: dict[str, Any]
) -> None:
    api_server.route("/x", Reply(json=1, hold=hold))
    with asking(**limit) as session, ThreadPoolExecutor(1) as thread:
        answer = thread.submit(session.get, api_server.url("/x"))
        wait_until(lambda: api_server.hits("/x") == 2)
        with pytest.raises(BulkheadFull):
            session.get(api_server.url("/x"))
        hold.set()
        assert answer.result(10).ok
        assert figures(session)[0] == 1
        wait_until(lambda: all(slots.in_use == 0 for slots in places(session)))


def test_that_a_hedge_was_cut_is_no_sign_of_overload(
    api_server: ApiServer, hold: threading.Event
) -> None:
    first = threading.Event()
    limit = AdaptiveLimit(initial=10, tolerance=1e9)  # nothing is slow
    with asking(adaptive_limit=limit) as session, ThreadPoolExecutor(1) as thread:
        told(session, api_server, Reply(json="first", hold=first), Reply(json="second", hold=hold))
        answer = thread.submit(session.get, api_server.url("/x"))
        wait_until(lambda: api_server.hits("/x") == 2)
        first.set()
        assert answer.result(10).json() == "first"
        wait_until(lambda: all(slots.in_use == 0 for slots in places(session)))
        (slots,) = places(session)
        assert slots.limit >= 10


def test_where_a_server_announces_that_nothing_is_left_there_is_no_hedge(
    api_server: ApiServer,
) -> None:
    last = {"RateLimit-Limit": "100", "RateLimit-Remaining": "1", "RateLimit-Reset": "50"}
    api_server.script("/x", Reply(headers=last), Reply(json="first", delay=LATER))
    with asking(heed_limits=Heed(low=0.0)) as session:
        session.get(api_server.url("/x"))
        assert session.get(api_server.url("/x")).json() == "first"
        assert figures(session) == (0, 0)
    assert api_server.hits() == 2


def places(session: Session) -> list[Any]:
    """The slots of its limits, all of them."""
    limits: Any = session.engine.limits
    bulkheads = [] if limits.bulkheads is None else limits.bulkheads._slots.items()
    hosts = [] if limits.concurrency is None else limits.concurrency._hosts.items()
    return [slots for _, slots in bulkheads] + [host.slots for _, host in hosts]


def refusals(session: Session) -> list[tuple[str, int]]:
    told = session.get_stats()["limits"]
    return [(name, value) for name, value in told.items() if name.endswith(("refusals", "waits"))]


# -- bounds ----------------------------------------------------------------------------------------


def test_hedges_are_paid_from_the_budget_of_retries(api_server: ApiServer) -> None:
    api_server.route("/x", Reply(json=1, delay=LATER))
    budget = RetryBudget(ratio=0, per_second=0, reserve=2)
    with asking(retry_budget=budget) as session:
        for _ in range(4):
            assert session.get(api_server.url("/x")).ok
        assert figures(session)[0] == 2
        assert session.get_stats()["refused_retries"] == 2
    assert api_server.hits() == 6


def test_a_hedge_ends_with_the_deadline_of_its_call(
    api_server: ApiServer, hold: threading.Event
) -> None:
    api_server.route("/x", Reply(hold=hold))
    with asking(deadline=1.0) as session:
        with pytest.raises(requests.Timeout):
            session.get(api_server.url("/x"))
        assert api_server.hits("/x") == 2
        assert_clean(session, api_server)


def test_both_are_within_the_bound_of_one_attempt(
    api_server: ApiServer, hold: threading.Event
) -> None:
    api_server.route("/x", Reply(hold=hold))
    with EnhancedAPIClient(api_server.base_url, timeout=1.0, hedge=SOON, max_retries=0) as client:
        with pytest.raises(requests.Timeout, match="took longer than"):
            client.get("/x")
        assert_clean(client.session, api_server)


def test_nobody_who_waits_for_a_connection_is_overtaken(
    api_server: ApiServer, hold: threading.Event
) -> None:
    api_server.route("/x", Reply(json=1, hold=hold))
    with asking(max_connections=2) as session, ThreadPoolExecutor(3) as threads:
        calls = [threads.submit(session.get, api_server.url("/x")) for _ in range(3)]
        wait_until(lambda: session.engine.adapter.is_crowded)
        hold.set()
        assert all(call.result(10).ok for call in calls)
        assert_clean(session, api_server)


def test_ctrl_c_leaves_nothing_behind(api_server: ApiServer, hold: threading.Event) -> None:
    api_server.route("/x", Reply(hold=hold))

    def interrupt() -> None:
        wait_until(lambda: api_server.hits("/x") == 2)
        interrupt_main()

    thread = threading.Thread(target=interrupt)
    with asking() as session:
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            session.get(api_server.url("/x"))
        thread.join(10)
        assert_clean(session, api_server)
        assert session.get_stats()["in_flight_requests"] == 0
        hold.set()
        assert session.get(api_server.url("/y")).ok


def test_a_session_that_is_closed_has_no_thread_left(api_server: ApiServer) -> None:
    api_server.route("/x", Reply(json=1, delay=LATER))
    with asking() as session:
        session.get(api_server.url("/x"))
        assert figures(session)[0] == 1
    wait_until(
        lambda: not [t for t in threading.enumerate() if t.name.startswith("browseros_api-hedge")]
    )
    assert session.get(api_server.url("/x")).ok  # as in requests, it may be used again
    assert figures(session)[0] == 2
    session.close()


def test_a_hedge_that_finds_no_thread_is_none(api_server: ApiServer) -> None:
    api_server.route("/x", Reply(json=1, delay=LATER))
    with asking() as session:
        session.engine.hedges._team.dismiss()
        assert session.get(api_server.url("/x")).json() == 1
        assert figures(session) == (0, 0)
        assert_clean(session, api_server)
    assert api_server.hits("/x") == 1


# -- when ------------------------------------------------------------------------------------------


def test_a_percentile_counts_once_enough_is_known(
    api_server: ApiServer, hold: threading.Event
) -> None:
    quick = Reply(json="quick")
    api_server.script("/x", quick, quick, quick, Reply(json="slow", hold=hold), quick)
    with asking(hedge=Hedge(after="p99", volume=3)) as session:
        for _ in range(3):
            session.get(api_server.url("/x"))
        before = figures(session)[0]
        assert before == 0
        assert session.get(api_server.url("/x")).json() == "quick"
        assert figures(session) == (1, 1)


def test_endpoints_have_names_without_breakers_as_well(api_server: ApiServer) -> None:
    hedge = Hedge(after="p99", volume=1)
    with asking(hedge=hedge, enable_circuit_breaker=False, debug=True) as session:
        assert session.get(api_server.url("/users/7")).ok
        hedges = session.engine.hedges
        assert [*hedges._latencies[hedge]._recent] == [f"{api_server.base_url}/users/{{id}}"]
        assert repr(hedges) == "<Hedges [0 sent, 0 won]>"


def test_each_endpoint_has_a_percentile_of_its_own() -> None:
    latencies = Latencies(Hedge(after="p50", volume=3, recent=5), endpoints=2)
    for seconds in (3.0, 1.0):
        latencies.add("GET /a", seconds)
        assert latencies.bound("GET /a") is None
    latencies.add("GET /a", 2.0)
    assert latencies.bound("GET /a") == 2.0
    assert latencies.bound("GET /b") is None
    for _ in range(8):  # the latest five count, and are looked at from time to time
        latencies.add("GET /a", 7.0)
    assert latencies.bound("GET /a") == 7.0
    latencies.add("GET /b", 1.0)
    latencies.add("GET /c", 1.0)
    assert latencies.bound("GET /a") is None  # two are remembered


def test_what_is_off_has_no_threads_and_knows_nothing(api_server: ApiServer) -> None:
    with Session() as session:
        session.get(api_server.url("/x"))
        assert not session.engine.hedges._latencies
        assert not [one for one in threading.enumerate() if one.name.startswith("browseros_api-h")]
        assert figures(session) == (0, 0)


# -- of one call -----------------------------------------------------------------------------------


@pytest.mark.parametrize("hedge", [SOON, Hedge(after=SOON)])
@pytest.mark.parametrize("others", [None, NEVER])
def test_a_call_may_have_terms_of_its_own(
    api_server: ApiServer, hold: threading.Event, hedge: Any, others: float | None
) -> None:
    with asking(hedge=others) as session:
        told(session, api_server, Reply(json="slow", hold=hold), Reply(json="quick"))
        assert session.get(api_server.url("/x"), hedge=hedge).json() == "quick"
        assert figures(session) == (1, 1)


def test_a_call_of_a_client_too(api_server: ApiServer, hold: threading.Event) -> None:
    api_server.script("/x", Reply(json="slow", hold=hold), Reply(json="quick"))
    with EnhancedAPIClient(api_server.base_url) as client:
        assert client.get("/x", hedge=SOON) == "quick"


def test_a_call_may_do_without(api_server: ApiServer) -> None:
    api_server.route("/x", Reply(json=1, delay=LATER))
    with asking() as session:
        assert session.get(api_server.url("/x"), hedge=None).ok
        assert figures(session) == (0, 0)


def test_each_percentile_is_of_the_calls_that_asked_for_it(api_server: ApiServer) -> None:
    with asking(hedge=None) as session:
        for _ in range(2):
            session.get(api_server.url("/x"), hedge="p50")
        session.get(api_server.url("/x"), hedge=Hedge(after="p50", volume=1))
        session.get(api_server.url("/x"))
        known = session.engine.hedges._latencies
        counts = {
            terms.volume: [len(one.seconds) for one in latencies._recent.values()]
            for terms, latencies in known.items()
        }
        assert counts == {50: [2], 1: [1]}


def test_terms_without_number_are_not_remembered(api_server: ApiServer) -> None:
    with asking(hedge=None) as session:
        for volume in range(1, 200):
            session.get(api_server.url("/x"), hedge=Hedge(volume=volume))
        assert len(session.engine.hedges._latencies) <= 64


@pytest.mark.parametrize(
    ("value", "error"),
    [(True, TypeError), ([], TypeError), (-1, ValueError), (0, ValueError), ("p100", ValueError)],
)
def test_a_call_with_wrong_terms_is_refused_before_anything_is_sent(
    api_server: ApiServer, value: Any, error: type[Exception]
) -> None:
    with asking(hedge=None) as session, EnhancedAPIClient(api_server.base_url) as client:
        with pytest.raises(error, match="hedge must be"):
            session.get(api_server.url("/x"), hedge=value)
        with pytest.raises(error, match="hedge must be"):
            client.get("/x", hedge=value)
        with pytest.raises(TypeError, match="hedge: what is sent by hand"):
            session.send(requests.Request("GET", api_server.url("/x")).prepare(), hedge=0.1)
    assert api_server.hits() == 0


@pytest.mark.parametrize("value", [True, [], b"p95"])
def test_a_hedge_of_the_wrong_kind_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="hedge must be a number of seconds"):
        Session(hedge=value)


@pytest.mark.parametrize("value", [0, -1.0, float("nan"), "p0", "p100", "95", "p9.5"])
def test_a_time_that_is_none_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="hedge must be"):
        Session(hedge=value)


def test_terms_that_are_no_terms_are_refused() -> None:
    with pytest.raises(TypeError, match="after must be a number of seconds"):
        Hedge(after=None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="recent must be at least 50"):
        Hedge(recent=10)
    with pytest.raises(ValueError, match=r"hedge \(5\) must be less than deadline \(4\)"):
        Session(hedge=5, deadline=4)
    with pytest.raises(ValueError, match=r"hedge \(30\) must be less than attempt_timeout \(30\)"):
        EnhancedAPIClient("https://api.example.com", hedge=30)


# -- under load ------------------------------------------------------------------------------------


def test_the_tail_is_cut_and_the_load_is_not_much_more(api_server: ApiServer) -> None:
    """One answer in twenty takes long; all of them are right, and nothing leaks."""
    seen: set[str] = set()
    slow = threading.Event()

    def moody(received: Received) -> Reply:
        (number,) = received.query["n"]
        is_slow = int(number) % 20 == 0 and number not in seen  # the first time, one in twenty
        seen.add(number)
        return Reply(json=number, hold=slow if is_slow else None)

    api_server.route("/x", moody)
    calls = 300
    with asking(hedge=0.1, max_retries=3, retry_base_delay=0) as session:
        with ThreadPoolExecutor(8) as threads:
            answers = threads.map(
                lambda n: session.get(api_server.url(f"/x?n={n}")).json(), range(calls)
            )
            assert list(answers) == [str(n) for n in range(calls)]  # though no slow one ever ends
        sent, won = figures(session)
        assert calls // 20 <= won <= sent <= 0.2 * calls + 100  # the reserve of the budget
        assert api_server.hits("/x") <= calls + sent
        slow.set()
        assert_clean(session, api_server)


def test_answers_that_come_at_once_are_each_somebodys(api_server: ApiServer) -> None:
    """Answers and hedges at the same moment, again and again: none is lost or mixed up."""

    def late(received: Received) -> Reply:
        return Reply(json=received.query["n"][0], delay=SOON if received.query["n"] else 0)

    api_server.route("/x", late)
    with asking(hedge=SOON) as session:
        with ThreadPoolExecutor(8) as threads:
            answers = threads.map(
                lambda n: session.get(api_server.url(f"/x?n={n}")).json(), range(200)
            )
            assert list(answers) == [str(n) for n in range(200)]
        assert_clean(session, api_server)
        assert session.get_stats()["failed_requests"] == 0


# -- what is cut -----------------------------------------------------------------------------------


def test_tls_connections_are_raced_too(hold: threading.Event) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with ApiServer(tls=context) as server, authority.cert_pem.tempfile() as bundle:
        server.script("/x", Reply(json="slow", hold=hold), Reply(json="quick"))
        with asking(hedge=0.3) as session:
            session.verify = bundle
            assert session.get(server.url("/x")).json() == "quick"
            assert figures(session) == (1, 1)
            hold.set()
            assert_clean(session, server)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_connection_that_does_not_come_about_can_be_cut(scheme: str) -> None:
    """Whether the server lets nobody in (http), or says nothing in the handshake (https)."""
    with socket.socket() as listener, Session(max_retries=0, timeout=NEVER) as session:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        crowd = [socket.socket() for _ in range(8 if scheme == "http" else 0)]
        for one in crowd:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        watch, is_in = Watch(None, can_be_cut=True), threading.Event()

        def ask() -> str:
            with watch:
                is_in.set()
                try:
                    session.get(f"{scheme}://127.0.0.1:{port}/")
                except requests.RequestException as error:
                    return type(error).__name__
            return "answered"

        with ThreadPoolExecutor(1) as thread:
            outcome = thread.submit(ask)
            assert is_in.wait(10)
            wait_until(lambda: bool(watch._held))
            watch.cut()
            assert outcome.result(10) == "ConnectTimeout"
        assert session.engine.adapter.statistics()["connections_in_use"] == 0
        for one in crowd:
            one.close()


def test_what_was_cut_before_it_began_sends_nothing(api_server: ApiServer) -> None:
    with Session(max_retries=0) as session, Watch(None, can_be_cut=True) as watch:
        watch.cut()
        with pytest.raises(requests.Timeout, match="was cut short"):
            session.get(api_server.url("/x"))
    assert api_server.hits() == 0
