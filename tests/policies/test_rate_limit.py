"""Laws of the rate limit, on real servers: what would come too early waits, or is refused."""

from __future__ import annotations

import logging
import os
import pickle
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from browseros_api import (
    ClientClosed,
    DeadlineExceeded,
    EnhancedAPIClient,
    LimitExceeded,
    RateLimit,
    RateLimited,
    Session,
)
from browseros_api.testing import ApiServer, FakeClock, Reply, wait_until
from tests.flying import Caller
from tests.redis_server import RedisServer, redis_server, started

__all__ = ["redis_server"]


@pytest.fixture
def patient(fake_clock: FakeClock) -> Iterator[Any]:
    """Makes sessions whose waiting is done by the fake clock."""
    sessions: list[Session] = []

    def made(rate_limit: Any, **settings: Any) -> Session:
        settings = {"enable_cache": False, "enable_deduplication": False, **settings}
        session = Session(
            clock=fake_clock, sleep=fake_clock.sleep, rate_limit=rate_limit, **settings
        )
        sessions.append(session)
        return session

    yield made
    for session in sessions:
        session.close()


def limits(session: Any) -> dict[str, Any]:
    figures: dict[str, Any] = session.get_stats()["limits"]
    return figures


def test_what_would_come_too_early_waits(
    api_server: ApiServer, fake_clock: FakeClock, patient: Any
) -> None:
    session = patient("2/second")
    for _ in range(5):
        assert session.get(api_server.url("/x")).ok
    assert fake_clock.slept == [1.0, 1.0]
    figures = limits(session)
    assert (figures["rate_waits"], figures["rate_refusals"]) == (2, 0)
    assert figures["limit_wait_ms"] == 2000.0


def test_each_attempt_counts(api_server: ApiServer, fake_clock: FakeClock, patient: Any) -> None:
    api_server.script("/x", Reply(503, repeat=2), Reply(200))
    session = patient("1/minute", retry_base_delay=0)
    assert session.get(api_server.url("/x")).ok
    assert [seconds for seconds in fake_clock.slept if seconds] == [60.0, 60.0]


def test_redirects_count_as_well(
    api_server: ApiServer, fake_clock: FakeClock, patient: Any
) -> None:
    api_server.route("/from", Reply(302, headers={"Location": "/to"}))
    assert patient("1/minute").get(api_server.url("/from")).ok
    assert fake_clock.slept == [60.0]


def test_hits_of_the_cache_do_not_count(api_server: ApiServer, patient: Any) -> None:
    api_server.route("/x", Reply(headers={"Cache-Control": "max-age=60"}))
    session = patient(RateLimit("1/day", wait=False), enable_cache=True)
    assert [session.get(api_server.url("/x")).ok for _ in range(5)] == [True] * 5


def test_without_waiting_it_is_refused_and_nothing_is_sent(
    api_server: ApiServer, fake_clock: FakeClock, patient: Any
) -> None:
    session = patient(RateLimit("1/minute", wait=False))
    assert session.get(api_server.url("/x")).ok
    with pytest.raises(RateLimited) as caught:
        session.post(api_server.url("/x?key=secret"))
    error: Any = caught.value
    host = api_server.base_url.removeprefix("http://")
    assert (error.place, error.retry_after, error.request_state) == (host, 60.0, "never-sent")
    assert error.request.method == "POST"
    assert str(error) == (
        f"{host} is asked no more often than 1/minute: the next one may go in 60 s"
    )
    assert isinstance(error, LimitExceeded)
    assert isinstance(error, requests.RequestException)
    assert not isinstance(error, (requests.ConnectionError, requests.Timeout))
    assert (api_server.hits(), fake_clock.slept) == (1, [])
    assert limits(session)["rate_refusals"] == 1
    assert session.get_stats()["attempts"] == 1
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.place, copy.retry_after, str(copy)) == (host, 60.0, str(error))


def test_a_refusal_is_not_retried_and_no_failure_of_the_endpoint(
    api_server: ApiServer, patient: Any
) -> None:
    session = patient(RateLimit("1/minute", wait=False), failure_threshold=1)
    assert session.get(api_server.url("/x")).ok
    for _ in range(3):
        with pytest.raises(RateLimited):
            session.get(api_server.url("/x"))
    assert session.get_stats()["retries"] == 0
    (status,) = session.get_circuit_breaker_status().values()
    assert status["state"] == "closed"


def test_a_wait_that_does_not_fit_into_the_deadline_is_refused_at_once(
    api_server: ApiServer, fake_clock: FakeClock, patient: Any
) -> None:
    session = patient("1/minute")
    assert session.get(api_server.url("/x")).ok
    with pytest.raises(RateLimited) as caught:
        session.get(api_server.url("/x"), deadline=59.0)
    assert caught.value.retry_after == 60.0
    assert fake_clock.slept == []
    assert session.get(api_server.url("/x"), deadline=61.0).ok
    assert fake_clock.slept == [60.0]


def test_so_is_one_that_is_longer_than_the_terms_allow(
    api_server: ApiServer, fake_clock: FakeClock, patient: Any
) -> None:
    session = patient(RateLimit("1/minute", wait=30.0))
    assert session.get(api_server.url("/x")).ok
    with pytest.raises(RateLimited):
        session.get(api_server.url("/x"))
    fake_clock.tick(31.0)
    assert session.get(api_server.url("/x")).ok
    assert fake_clock.slept == [29.0]


def test_time_in_the_line_is_told_by_the_deadline(
    api_server: ApiServer, fake_clock: FakeClock, patient: Any
) -> None:
    session = patient("1/minute")
    session.engine.limits._hall.sleep = lambda seconds: fake_clock.tick(seconds + 10.0)
    session.get(api_server.url("/x"))
    with pytest.raises(DeadlineExceeded) as caught:
        session.get(api_server.url("/x"), deadline=65.0)
    assert caught.value.spent == {"queue": 70.0}
    assert api_server.hits() == 1


def test_hosts_have_a_rate_each(patient: Any) -> None:
    session = patient(RateLimit("1/minute", wait=False))
    with ApiServer() as one, ApiServer() as other:
        for server in (one, other):
            assert session.get(server.url("/x")).ok
            with pytest.raises(RateLimited):
                session.get(server.url("/y"))


def test_endpoints_have_one_each_if_that_is_asked_for(api_server: ApiServer, patient: Any) -> None:
    session = patient(RateLimit("1/minute", per="endpoint", wait=False))
    assert session.get(api_server.url("/users/1")).ok
    assert session.get(api_server.url("/orders/1")).ok
    with pytest.raises(RateLimited, match=r"/users/\{id\} is asked"):
        session.get(api_server.url("/users/2"))


def test_the_first_pattern_that_fits_counts(api_server: ApiServer, patient: Any) -> None:
    session = patient({
        f"{api_server.base_url}/search*": RateLimit("1/minute", wait=False),
        f"{api_server.base_url}/*": RateLimit("2/minute", wait=False),
    })  # fmt: skip
    assert session.get(api_server.url("/search?q=1")).ok
    with pytest.raises(RateLimited, match="1/minute"):
        session.get(api_server.url("/search/deep"))
    assert session.get(api_server.url("/a")).ok
    assert session.get(api_server.url("/b")).ok
    with pytest.raises(RateLimited, match="2/minute"):
        session.get(api_server.url("/c"))
    with ApiServer() as free:
        assert [session.get(free.url("/search")).ok for _ in range(4)] == [True] * 4


def test_neither_user_nor_query_matter_to_a_pattern(api_server: ApiServer, patient: Any) -> None:
    session = patient({f"{api_server.base_url}/x": RateLimit("1/minute", wait=False)})
    assert session.get(api_server.url("/x?a=1")).ok
    with pytest.raises(RateLimited):
        session.get(api_server.url("/x?a=2").replace("//", "//ada:hunter2@"))


def test_an_open_circuit_refuses_before_anything_waits(
    api_server: ApiServer, fake_clock: FakeClock, patient: Any
) -> None:
    api_server.route("/down", Reply(503))
    session = patient(
        "1/minute", failure_threshold=1, max_retries=0, recovery_timeout=1000.0,
        endpoint_key=lambda method, url: "all",  # the call's own step then foresees nothing
    )  # fmt: skip
    session.get(api_server.url("/down"))
    for _ in range(3):
        with pytest.raises(requests.ConnectionError):
            session.get(api_server.url("/down"))
    assert (fake_clock.slept, limits(session)["rate_waits"]) == ([], 0)


def test_secrets_are_in_no_refusal(api_server: ApiServer, patient: Any) -> None:
    session = patient(RateLimit("1/minute", wait=False))
    url = api_server.url("/x?token=hunter2").replace("http://", "http://ada:hunter2@")
    session.get(url)
    with pytest.raises(RateLimited) as caught:
        session.get(url)
    error = caught.value
    assert "hunter2" not in f"{error} {error!r} {error.place}"


# -- many threads ---------------------------------------------------------------------------------


def test_threads_together_are_no_faster(api_server: ApiServer) -> None:
    with Session(
        rate_limit=RateLimit("20/day", wait=False), enable_cache=False, enable_deduplication=False
    ) as session:
        barrier = threading.Barrier(8)

        def work() -> int:
            barrier.wait(20)
            return sum(_is_through(session, api_server.url("/x")) for _ in range(5))

        assert sum(caller.value for caller in [Caller(work) for _ in range(8)]) == 20
        assert api_server.hits() == 20
        assert limits(session)["rate_refusals"] == 20


def _is_through(session: Session, url: str) -> bool:
    try:
        return session.get(url).ok
    except RateLimited:
        return False


def test_those_who_wait_go_in_the_order_in_which_they_came(api_server: ApiServer) -> None:
    """By the real clock, and as fast as the rate allows: three seconds for 4 + 3 x 4."""
    with Session(rate_limit="4/second", enable_cache=False) as session:
        for number in range(4):
            session.get(api_server.url(f"/{number}"))
        callers = []
        for number in range(4, 10):
            callers.append(Caller(session.get, api_server.url(f"/{number}")))
            _wait_for_waiting(session, number - 3, callers)
        assert all(caller.value.ok for caller in callers)
        # Those of one second may overtake each other on the wire, those of two never.
        asked = [int(request.path[1:]) for request in api_server.requests]
        assert [{*asked[:4]}, {*asked[4:8]}, {*asked[8:]}] == [
            {0, 1, 2, 3}, {4, 5, 6, 7}, {8, 9}
        ]  # fmt: skip


def _wait_for_waiting(session: Session, many: int, callers: list[Any]) -> None:
    """Until so many have joined the line, or have left it already."""
    limiter: Any = session.engine.limits.rate_limiter
    ((_, queue),) = limiter._lines.items()
    wait_until(
        lambda: (
            len(queue.line) + sum(not caller.is_alive() for caller in callers) >= many
            or limiter.door.waits + len(queue.line) >= many
        )
    )


def test_somebody_behind_others_is_refused_at_once_if_it_takes_too_long(
    api_server: ApiServer,
) -> None:
    with EnhancedAPIClient(
        api_server.base_url, rate_limit="1/hour", enable_deduplication=False, enable_cache=False
    ) as client:
        client.get("/x")
        waiting = Caller(client.get, "/x")
        limiter: Any = client.session.engine.limits.rate_limiter
        ((_, queue),) = limiter._lines.items()
        wait_until(lambda: len(queue.line) == 1)
        with pytest.raises(RateLimited) as caught:
            client.get("/x", deadline=5000.0)  # there is time for one, and for two there is not
        assert 7100 < (caught.value.retry_after or 0) <= 7200
        client.close()
        assert isinstance(waiting.error, ClientClosed)
        assert api_server.hits() == 1


# -- one limit for all processes ------------------------------------------------------------------


def test_with_redis_for_a_store_all_sessions_have_one_rate(
    api_server: ApiServer, redis_server: RedisServer
) -> None:
    settings: Any = {
        "rate_limit": RateLimit("3/hour", wait=False), "enable_cache": False,
        "store": f"{redis_server.url}?namespace=fleet", "store_timeout": 2.0,
    }  # fmt: skip
    with Session(**settings) as one, Session(**settings) as other:
        through = [_is_through(s, api_server.url("/x")) for s in (one, other, one, other, one)]
    assert through == [True, True, True, False, False]


def test_without_its_redis_a_session_goes_on_by_itself(
    api_server: ApiServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        started(tmp_path) as server,
        Session(
            rate_limit=RateLimit("3/hour", wait=False), store=server.url, enable_cache=False,
            store_timeout=2.0,
        ) as session,
        caplog.at_level(logging.WARNING, "browseros_api"),
    ):  # fmt: skip
        through = [_is_through(session, api_server.url("/x"))]
        server.kill()
        through += [_is_through(session, api_server.url("/x")) for _ in range(4)]
    assert through == [True, True, True, False, False]
    assert sum("rates are counted" in line for line in caplog.messages) == 1


# -- life -----------------------------------------------------------------------------------------


def test_a_rate_that_cannot_be_read_is_refused_when_the_session_is_made() -> None:
    for bad in ("10", {"https://a.test/*": "often"}, RateLimit("now and then")):
        with pytest.raises(ValueError, match=r"^rate_limit must be like '10/second'"):
            Session(rate_limit=bad)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("terms", "told"),
    [
        ({"rate": 10}, "rate must be a str such as '10/second'"),
        ({"rate": "1/day", "per": "user"}, "per must be one of"),
        ({"rate": "1/day", "wait": 0}, "wait must be positive"),
        ({"rate": "1/day", "wait": None}, "wait must be a number of seconds"),
    ],
)
def test_terms_that_make_no_sense_are_refused(terms: dict[str, Any], told: str) -> None:
    with pytest.raises((TypeError, ValueError), match=told):
        RateLimit(**terms)


def test_a_pickled_session_takes_its_rate_along(api_server: ApiServer) -> None:
    with Session(rate_limit=RateLimit("1/day", wait=False), enable_cache=False) as session:
        assert session.get(api_server.url("/x")).ok
        with pickle.loads(pickle.dumps(session)) as copy:
            assert copy.get(api_server.url("/x")).ok
            with pytest.raises(RateLimited):
                copy.get(api_server.url("/x"))


def test_without_limits_no_step_is_taken() -> None:
    with Session() as session:
        engine = session.engine
        assert engine.limits.steps() == []
        assert len(engine.exchange_steps()) == 4  # retry, trace, breaker, hedges


def test_what_was_under_way_is_not_missed_in_a_child(api_server: ApiServer) -> None:
    """What a fork does, without one."""
    with Session(
        rate_limit="2/day", bulkhead=1, heed_limits=True, adaptive_limit=True, enable_cache=False
    ) as session:
        assert session.get(api_server.url("/x")).ok
        limits: Any = session.engine.limits
        ((_, slots),) = limits.bulkheads._slots.items()
        ((_, host),) = limits.concurrency._hosts.items()
        ((_, quota),) = limits.heeding._quotas.items()
        for held in (slots.holders, host.slots.holders, quota.flying):
            held.update(range(100))
        session.engine.reset_after_fork()
        assert session.get(api_server.url("/x")).ok  # what was counted stays counted
        with pytest.raises(RateLimited):
            session.get(api_server.url("/x"), deadline=10.0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_does_not_wait_for_what_its_parent_holds(api_server: ApiServer) -> None:
    with Session(
        rate_limit="100/second", bulkhead=1, heed_limits=True, adaptive_limit=True
    ) as session:
        assert session.get(api_server.url("/x")).ok
        limits: Any = session.engine.limits
        locks = [
            limits._hall._lock, limits.rate_limiter._windows._lock,
            limits.rate_limiter._lines._lock, limits.heeding._quotas._lock,
            limits.bulkheads._slots._lock, limits.concurrency._hosts._lock,
            *[place.line._lock for _, place in limits.rate_limiter._lines.items()],
            *[place._lock for _, place in limits.heeding._quotas.items()],
            *[place._lock for _, place in limits.bulkheads._slots.items()],
            *[place._lock for _, place in limits.concurrency._hosts.items()],
            *[policy.door._counting for policy in limits._policies()],
        ]  # fmt: skip
        for lock in locks:
            lock.acquire()
        ((_, slots),) = [*limits.bulkheads._slots._places.items()]
        slots.holders.add("somebody")  # by a thread that the child does not have
        try:
            child = os.fork()
            if child == 0:
                try:
                    os._exit(0 if session.get(api_server.url("/y")).ok else 1)
                except BaseException:
                    os._exit(2)
        finally:
            for lock in locks:
                lock.release()
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
