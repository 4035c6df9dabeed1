"""Laws of heeding: what a server announces holds for all calls, before it has to refuse one."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from browseros_api import AdaptiveLimit, ClientClosed, EnhancedAPIClient, Heed, RateLimited, Session
from browseros_api.pipeline import Call, Exchange
from browseros_api.policies.announced import Announced
from browseros_api.policies.quota import Quota, Ticket
from browseros_api.policies.waiting import Hall, Perhaps
from browseros_api.testing import ApiServer, FakeClock, Received, Reply, wait_until
from tests.flying import Caller

# -- what is left, by the clock -------------------------------------------------------------------


class Desk:
    """A quota, and somebody who keeps asking it."""

    def __init__(self, clock: FakeClock, *, low: float = 0.0, longest: float = 60.0) -> None:
        self.clock = clock
        self.quota = Quota(Hall(clock=clock, sleep=None), low=low, longest=longest)

    def ask(self) -> float | Ticket:
        ticket = Ticket()
        return self.quota.take(ticket, self.clock()) or ticket

    def tickets(self, most: int = 1000) -> list[Ticket]:
        """As many as there are just now."""
        found: list[Ticket] = []
        while len(found) < most and isinstance(one := self.ask(), Ticket):
            found.append(one)
        return found

    def hear(
        self, remaining: int, reset: float, *, limit: int | None = None, name: str = ""
    ) -> None:
        told = [Announced(name, limit, remaining, reset)]
        self.quota.learn(told, asked=None, now=self.clock())

    def refused(self, seconds: float) -> None:
        self.quota.learn([], asked=seconds, now=self.clock())

    def land(self, *tickets: Ticket) -> None:
        for ticket in tickets:
            self.quota.land(ticket)


@pytest.fixture
def desk(fake_clock: FakeClock) -> Desk:
    return Desk(fake_clock)


def test_while_nothing_is_known_everything_may_go(desk: Desk) -> None:
    assert len(desk.tickets(500)) == 500


def test_what_is_under_way_is_taken_off_what_is_left(desk: Desk) -> None:
    first = desk.tickets(4)
    desk.hear(10, 30.0)
    assert len(desk.tickets()) == 6
    assert desk.ask() == 30.0
    desk.land(*first)  # they were counted by the server, or not: the next answer tells
    assert len(desk.tickets()) == 4


def test_the_lowest_of_a_window_counts_since_answers_overtake_each_other(desk: Desk) -> None:
    desk.hear(3, 30.0)
    desk.hear(7, 30.4)
    assert len(desk.tickets()) == 3


def test_a_later_window_takes_the_place_of_the_one_before(desk: Desk) -> None:
    desk.hear(0, 30.0)
    desk.hear(7, 90.0)
    assert len(desk.tickets()) == 7


def test_several_windows_hold_at_once(desk: Desk) -> None:
    desk.hear(5, 1.0, name="burst")
    desk.hear(2, 3600.0, name="day")
    assert len(desk.tickets()) == 2
    assert desk.ask() == 3600.0


def test_after_its_time_one_goes_first_and_tells_how_it_is_now(desk: Desk) -> None:
    desk.hear(0, 30.0, limit=5)
    assert desk.ask() == 30.0
    desk.clock.tick(30.0)
    (trial,) = desk.tickets()
    assert desk.ask() == 1.0
    desk.hear(4, 30.0, limit=5)
    desk.land(trial)
    assert len(desk.tickets()) == 4


def test_who_goes_first_does_so_at_once_though_nobody_has_told_the_limit(desk: Desk) -> None:
    desk.hear(0, 30.0)
    desk.clock.tick(30.0)
    assert [ticket.due for ticket in desk.tickets()] == [desk.clock()]


def test_if_that_takes_long_no_more_follow_than_there_were_before(desk: Desk) -> None:
    desk.hear(0, 30.0, limit=5)
    desk.clock.tick(30.0)
    assert len(desk.tickets()) == 1
    desk.clock.tick(1.0)
    assert len(desk.tickets()) == 4


def test_a_trial_that_brings_nothing_leaves_nothing(desk: Desk) -> None:
    """An error, or a server that announces no more."""
    desk.hear(0, 30.0, limit=5)
    desk.clock.tick(30.0)
    desk.land(*desk.tickets())
    assert len(desk.tickets(500)) == 500


def test_a_time_that_was_rounded_down_to_nothing_is_a_second(desk: Desk) -> None:
    desk.hear(0, 0.0)
    assert desk.ask() == 1.0
    other = Desk(desk.clock)
    other.hear(1, 0.0)  # there is one left, of a window that is over
    assert len(other.tickets(50)) == 50


def test_who_asked_to_be_left_alone_is_so_by_all(desk: Desk) -> None:
    desk.refused(20.0)
    desk.refused(5.0)  # an answer that is older
    assert desk.ask() == 20.0
    assert desk.quota.hold(desk.clock()) == 20.0
    assert desk.quota.foresee(desk.clock()) == 20.0
    desk.clock.tick(20.0)
    assert desk.quota.foresee(desk.clock()) == math.inf
    (trial,) = desk.tickets()
    desk.land(trial)
    assert len(desk.tickets(50)) == 50


def test_when_little_is_left_it_is_spread_over_the_time(fake_clock: FakeClock) -> None:
    desk = Desk(fake_clock, low=0.2)
    desk.hear(6, 60.0, limit=25)
    now = fake_clock()
    assert [ticket.due - now for ticket in desk.tickets()] == [0.0, 10.0, 20.0, 30.0, 40.0, 50.0]


def test_spreading_goes_on_where_it_was(fake_clock: FakeClock) -> None:
    desk = Desk(fake_clock, low=1.0)
    desk.hear(3, 40.0, limit=3)
    now, first = fake_clock(), desk.tickets(1)
    fake_clock.tick(10.0)
    desk.hear(2, 30.0, limit=3)
    desk.land(*first)
    assert [ticket.due - now for ticket in desk.tickets()] == [20.0, 30.0]


def test_spreading_holds_nobody_longer_than_is_allowed(fake_clock: FakeClock) -> None:
    desk = Desk(fake_clock, low=1.0, longest=15.0)
    desk.hear(3, 4000.0, limit=3)
    now = fake_clock()
    assert [ticket.due - now for ticket in desk.tickets()] == [15.0, 15.0, 15.0]


def test_only_what_is_certain_is_foreseen(desk: Desk) -> None:
    """The server may have counted what is under way, or not."""
    first = desk.tickets(2)
    desk.hear(2, 30.0)
    assert isinstance(desk.ask(), Perhaps)
    desk.land(*first)
    assert len(desk.tickets()) == 2
    desk.hear(0, 30.0)
    assert not isinstance(desk.ask(), Perhaps)


def test_landing_twice_does_no_harm(desk: Desk) -> None:
    one, _ = desk.tickets(2)
    desk.hear(2, 30.0)
    desk.land(one, one, Ticket())
    assert len(desk.tickets()) == 1


# -- sessions and servers -------------------------------------------------------------------------

Made = Callable[..., Session]


@pytest.fixture
def patient(fake_clock: FakeClock) -> Iterator[Made]:
    """Makes sessions whose waiting is done by the fake clock."""
    sessions: list[Session] = []

    def made(heed_limits: Any = True, **settings: Any) -> Session:
        given = {"enable_cache": False, "enable_deduplication": False, **settings}
        sessions.append(
            Session(clock=fake_clock, sleep=fake_clock.sleep, heed_limits=heed_limits, **given)
        )
        return sessions[-1]

    yield made
    for session in sessions:
        session.close()


def left(remaining: int, reset: int, status: int = 200, **headers: str) -> Reply:
    told = {"RateLimit": f'"a";r={remaining};t={reset}', "RateLimit-Policy": '"a";q=10;w=60'}
    return Reply(status, headers={**told, **headers})


def figures(session: Session) -> tuple[int, int]:
    stats = session.get_stats()["limits"]
    return stats["heeded_waits"], stats["heeded_refusals"]


def test_when_nothing_is_left_the_next_call_waits(
    api_server: ApiServer, fake_clock: FakeClock, patient: Made
) -> None:
    api_server.script("*", left(1, 30), left(0, 30), left(9, 60))
    session = patient(Heed(low=0))
    for _ in range(4):
        assert session.get(api_server.url("/x")).ok
    assert fake_clock.slept == [30.0]
    assert figures(session) == (1, 0)
    assert session.get_stats()["limits"]["limit_wait_ms"] == 30_000.0


def test_by_default_nothing_is_heeded(api_server: ApiServer, fake_clock: FakeClock) -> None:
    api_server.route("*", left(0, 30))
    with Session(clock=fake_clock, sleep=fake_clock.sleep, enable_cache=False) as session:
        assert [session.get(api_server.url("/x")).ok for _ in range(3)] == [True] * 3
    assert fake_clock.slept == []


def test_a_retry_after_holds_for_everybody(
    api_server: ApiServer, fake_clock: FakeClock, patient: Made
) -> None:
    api_server.script("/x", Reply(503, headers={"Retry-After": "7"}))
    session = patient(max_retries=0)
    assert session.get(api_server.url("/x")).status_code == 503
    assert session.post(api_server.url("/y")).ok
    assert fake_clock.slept == [7.0]


def test_what_a_retry_has_waited_is_not_waited_again(
    api_server: ApiServer, fake_clock: FakeClock, patient: Made
) -> None:
    api_server.script("/x", Reply(429, headers={"Retry-After": "7"}), Reply(200))
    session = patient()
    assert session.get(api_server.url("/x")).ok
    assert fake_clock.slept == [7.0]
    assert (session.get_stats()["retries"], figures(session)) == (1, (0, 0))


@pytest.mark.parametrize("status", [200, 301, 404, 500])
def test_a_retry_after_of_another_status_is_not_meant(
    api_server: ApiServer, fake_clock: FakeClock, patient: Made, status: int
) -> None:
    api_server.route("/x", Reply(status, headers={"Retry-After": "7"}))
    session = patient(max_retries=0)
    for _ in range(2):
        session.get(api_server.url("/x"), allow_redirects=False)
    assert fake_clock.slept == []


def test_a_wait_that_does_not_fit_into_the_deadline_is_refused_at_once(
    api_server: ApiServer, fake_clock: FakeClock, patient: Made
) -> None:
    api_server.route("*", left(0, 30))
    session = patient()
    session.get(api_server.url("/x"))
    with pytest.raises(RateLimited) as caught:
        session.get(api_server.url("/x?token=hunter2"), deadline=29.0)
    error: Any = caught.value
    host = api_server.base_url.removeprefix("http://")
    assert (error.place, error.retry_after, error.request_state) == (host, 30.0, "never-sent")
    assert str(error) == f"{host} lets nothing more through for another 30 s, as it has said"
    assert (api_server.hits(), fake_clock.slept, figures(session)) == (1, [], (0, 1))


def test_so_is_one_that_is_longer_than_anybody_wants(
    api_server: ApiServer, fake_clock: FakeClock, patient: Made
) -> None:
    api_server.route("*", left(0, 61))
    session = patient()
    session.get(api_server.url("/x"))
    with pytest.raises(RateLimited):
        session.get(api_server.url("/x"))
    fake_clock.tick(1.5)
    assert session.get(api_server.url("/x")).ok


def test_the_rest_is_spread_but_nobody_is_refused_for_that(
    api_server: ApiServer, fake_clock: FakeClock, patient: Made
) -> None:
    api_server.script("*", left(3, 40), left(2, 30))
    session = patient(Heed(low=1.0))
    session.get(api_server.url("/x"))
    session.get(api_server.url("/x"))
    assert fake_clock.slept == [10.0]
    assert session.get(api_server.url("/x"), deadline=1.0).ok  # at once: something is left
    assert fake_clock.slept == [10.0]


def test_hosts_and_callers_have_a_quota_each(
    api_server: ApiServer, fake_clock: FakeClock, patient: Made
) -> None:
    api_server.route("*", left(0, 30))
    session = patient()
    for headers in (
        {}, {"Authorization": "Bearer a"}, {"Authorization": "Bearer b"}, {"X-API-Key": "c"},
    ):  # fmt: skip
        assert session.get(api_server.url("/x"), headers=headers).ok
    with ApiServer() as other:
        assert session.get(other.url("/x")).ok
    assert fake_clock.slept == []
    # What is new with each request names nobody.
    assert session.get(api_server.url("/x"), headers={"Authorization": "HMAC 1"}).ok
    assert fake_clock.slept == [30.0]


def test_endpoints_have_one_each_if_that_is_asked_for(
    api_server: ApiServer, fake_clock: FakeClock, patient: Made
) -> None:
    api_server.route("*", left(0, 30))
    session = patient(Heed(per="endpoint"))
    assert session.get(api_server.url("/a/1")).ok
    assert session.get(api_server.url("/b/1")).ok
    assert fake_clock.slept == []
    assert session.get(api_server.url("/a/2")).ok
    assert fake_clock.slept == [30.0]


def test_a_resource_that_the_server_names_has_a_quota_of_its_own(
    api_server: ApiServer, fake_clock: FakeClock, patient: Made
) -> None:
    def named(resource: str, remaining: int) -> Reply:
        return left(remaining, 30, **{"X-RateLimit-Resource": resource})

    api_server.route("/search", named("search", 0))
    api_server.route("/core", named("core", 100))
    session = patient()
    session.get(api_server.url("/core"))
    session.get(api_server.url("/search"))
    assert [session.get(api_server.url("/core")).ok for _ in range(3)] == [True] * 3
    assert fake_clock.slept == []
    session.get(api_server.url("/search"))
    assert fake_clock.slept == [30.0]


def limits_of(session: Session) -> tuple[Any, Any]:
    """Its limits, and what is known of the one server that has been asked."""
    limits: Any = session.engine.limits
    ((_, quota),) = limits.heeding._quotas.items()
    return limits, quota


def test_a_rate_that_has_been_chosen_waits_for_the_server_too(
    api_server: ApiServer, fake_clock: FakeClock, patient: Made
) -> None:
    """What stands in that line already is not sent to a server that has closed meanwhile."""
    session = patient(rate_limit="1/minute", max_retries=0)
    session.get(api_server.url("/x"))
    limits, quota = limits_of(session)
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        if not slept:
            quota.learn([], asked=90.0, now=fake_clock())
        slept.append(seconds)
        fake_clock.tick(seconds)

    limits._hall.sleep = sleep
    session.get(api_server.url("/x"))
    assert slept == [60.0, 30.0]


class Stage:
    """Some calls to a host of which one may be under way; the first one is held there."""

    def __init__(self, session: Session, server: ApiServer, *, count: int, **call: Any) -> None:
        self.server, self.gate = server, threading.Event()
        server.script("/x", self._refused, Reply(200))
        url = server.url("/x")
        self.callers = [Caller(session.get, url)]
        wait_until(lambda: server.hits() == 1)
        self.callers += [Caller(session.get, url, **call) for _ in range(count - 1)]
        limits: Any = session.engine.limits
        places: Any = (limits.bulkheads and limits.bulkheads._slots) or limits.concurrency._hosts
        ((_, place),) = places.items()
        line = getattr(place, "slots", place).line
        wait_until(lambda: len(line) == count - 1)

    def _refused(self, _: Received) -> Reply:
        assert self.gate.wait(20)
        return Reply(429, headers={"Retry-After": "30"})


PLACES = [{"bulkhead": 1}, {"adaptive_limit": AdaptiveLimit(initial=1)}]


@pytest.mark.parametrize("place", PLACES, ids=["bulkhead", "adaptive"])
def test_who_stands_in_a_line_is_not_sent_to_a_server_that_has_closed_meanwhile(
    api_server: ApiServer, place: dict[str, Any]
) -> None:
    settings = {"enable_cache": False, "enable_deduplication": False, "max_retries": 0}
    with Session(heed_limits=True, **settings, **place) as session:
        stage = Stage(session, api_server, count=4, deadline=20.0)
        stage.gate.set()
        assert stage.callers[0].value.status_code == 429
        for caller in stage.callers[1:]:
            assert isinstance(caller.error, RateLimited)
            assert "lets nothing more through" in str(caller.error)
            assert 20.0 < (caller.error.retry_after or 0.0) <= 30.0
        assert api_server.hits() == 1


@pytest.mark.parametrize("place", PLACES, ids=["bulkhead", "adaptive"])
def test_who_stands_in_a_line_goes_when_the_server_has_opened(
    api_server: ApiServer, fake_clock: FakeClock, patient: Made, place: dict[str, Any]
) -> None:
    session = patient(max_retries=0, **place)
    stage = Stage(session, api_server, count=2)
    stage.gate.set()
    assert [caller.value.status_code for caller in stage.callers] == [429, 200]
    assert fake_clock.slept == [30.0]


def test_nobody_in_a_line_waits_longer_than_the_longest(
    api_server: ApiServer, fake_clock: FakeClock, patient: Made
) -> None:
    session = patient(rate_limit="1/minute", max_retries=0)
    session.get(api_server.url("/x"))
    limits, quota = limits_of(session)

    def sleep(seconds: float) -> None:
        assert seconds <= 60.0
        quota.learn([], asked=3600.0, now=fake_clock())
        fake_clock.tick(seconds)

    limits._hall.sleep = sleep
    with pytest.raises(RateLimited) as caught:
        session.get(api_server.url("/x"))
    assert caught.value.retry_after == 3540.0
    assert (api_server.hits(), limits.rate_limiter.door.refusals) == (1, 1)


def test_nobody_is_refused_while_one_tries(
    api_server: ApiServer, fake_clock: FakeClock, patient: Made
) -> None:
    opened = threading.Event()
    api_server.script("/x", left(0, 30), lambda _: (opened.wait(20), left(9, 30))[1], left(8, 30))
    session = patient()
    session.get(api_server.url("/x"))
    fake_clock.tick(30.0)
    first = Caller(session.get, api_server.url("/x"))
    wait_until(lambda: api_server.hits() == 2)
    second = Caller(session.get, api_server.url("/x"), deadline=0.5)
    heeding: Any = session.engine.limits.heeding
    ((_, quota),) = heeding._quotas.items()
    wait_until(lambda: len(quota.line) == 1)
    opened.set()
    assert first.value.ok
    assert second.value.ok
    assert figures(session) == (1, 0)


def test_what_nobody_can_ask_for_now_may_be_stale(
    api_server: ApiServer, fake_clock: FakeClock, patient: Made
) -> None:
    told = left(0, 3000, **{"Cache-Control": "max-age=10"})
    api_server.route("/x", told)
    session = patient(enable_cache=True, stale_if_error=60.0)
    assert session.get(api_server.url("/x")).ok
    fake_clock.tick(20.0)
    assert session.get(api_server.url("/x")).ok
    assert session.get_stats()["stale_responses"] == 1
    fake_clock.tick(100.0)
    with pytest.raises(RateLimited):
        session.get(api_server.url("/x"))


def test_only_so_many_endpoints_have_a_resource_that_is_remembered(patient: Made) -> None:
    heeding: Any = patient().engine.limits.heeding
    exchange = Exchange(requests.Request("GET", "http://a.test/x").prepare(), {}, Call("GET", ""))
    heeding._scopes.update({str(number): "core" for number in range(4096)})
    heeding._name_scope(exchange, "search")
    assert heeding._scopes == {"http://a.test/x": "search"}


def test_closing_wakes_those_who_wait(api_server: ApiServer) -> None:
    api_server.route("*", left(0, 30))
    with EnhancedAPIClient(
        api_server.base_url, heed_limits=True, enable_cache=False, enable_deduplication=False
    ) as client:
        client.get("/x")
        callers = [Caller(client.get, "/x") for _ in range(3)]
        heeding: Any = client.session.engine.limits.heeding
        ((_, quota),) = heeding._quotas.items()
        wait_until(lambda: len(quota.line) == 3)
    assert all(isinstance(caller.error, ClientClosed) for caller in callers)


def test_errors_land_as_well(patient: Made) -> None:
    session = patient(max_retries=0)
    with pytest.raises(requests.ConnectionError):
        session.get("http://127.0.0.1:1/")
    heeding: Any = session.engine.limits.heeding
    ((_, quota),) = heeding._quotas.items()
    assert not quota.flying
    assert quota.is_idle


@pytest.mark.parametrize(
    ("terms", "told"),
    [
        ({"per": "user"}, "per must be one of"),
        ({"low": 1.5}, "low must be at most 1"),
        ({"low": -1}, "low must be a finite number"),
        ({"longest": math.inf}, "longest must be a finite number"),
    ],
)
def test_terms_that_make_no_sense_are_refused(terms: Any, told: str) -> None:
    with pytest.raises((TypeError, ValueError), match=told):
        Heed(**terms)


# -- a server that means it -----------------------------------------------------------------------


class Strict:
    """Allows so many requests in each window, announces what is left, and refuses the others."""

    def __init__(self, most: int, seconds: float) -> None:
        self.most, self.seconds = most, seconds
        self.refused = self.answered = 0
        self._used, self._until = 0, -math.inf
        self._lock = threading.Lock()

    def __call__(self, _: Received) -> Reply:
        with self._lock:
            now = time.monotonic()
            if now >= self._until:
                self._used, self._until = 0, now + self.seconds
            is_allowed = self._used < self.most
            self._used += is_allowed
            self.answered += is_allowed
            self.refused += not is_allowed
            reset = str(math.ceil(self._until - now))
            headers = {
                "RateLimit-Limit": str(self.most),
                "RateLimit-Remaining": str(self.most - self._used),
                "RateLimit-Reset": reset,
            }
            if is_allowed:
                return Reply(headers=headers)
            return Reply(429, headers={**headers, "Retry-After": reset})


def hammer(server: ApiServer, *, calls: int, **settings: Any) -> tuple[Strict, list[int]]:
    """16 threads against 50 requests in each window of a second."""
    strict = Strict(50, 1.0)
    server.route("*", strict)
    with Session(
        enable_cache=False, enable_deduplication=False, max_retries=0, **settings
    ) as session:
        start = threading.Barrier(16)

        def work() -> list[int]:
            start.wait(20)
            return [session.get(server.url("/x")).status_code for _ in range(calls // 16)]

        callers = [Caller(work) for _ in range(16)]
        return strict, [status for caller in callers for status in caller.value]


def test_sixteen_threads_never_see_a_429_if_they_heed(api_server: ApiServer) -> None:
    strict, statuses = hammer(api_server, calls=160, heed_limits=True)
    assert (strict.refused, strict.answered) == (0, 160)
    assert statuses == [200] * 160


def test_they_see_many_if_they_do_not(api_server: ApiServer) -> None:
    strict, statuses = hammer(api_server, calls=1600)
    assert strict.refused == statuses.count(429) > 50
