"""Ctrl-C at each place of a call where Python looks for it: nothing is left, and nothing binds."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from browseros_api import Hedge, Session
from browseros_api.deadlines import BOUND
from browseros_api.here import HERE
from browseros_api.testing import ApiServer, wait_until

pytestmark = [
    pytest.mark.skipif(sys.gettrace() is not None, reason="tracers lose locks of their own"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # what it finds is closed, late
    pytest.mark.timeout(600),
]

Work = Callable[[], object]
MOST = 6000  # places; a call has some hundred, one that requests prepares some thousand


def interrupted_at(place: int, work: Work) -> bool:
    """Whether there is such a place: where a function begins, or one of C has ended.

    These are those where Python looks for signals, but for the ends of loops.
    """
    count = 0

    def look(_: Any, event: str, __: object) -> None:
        nonlocal count
        if event not in ("call", "c_return"):
            return
        count += 1
        if count == place:
            sys.setprofile(None)
            raise KeyboardInterrupt

    sys.setprofile(look)
    try:
        work()
    except KeyboardInterrupt:
        pass
    finally:
        sys.setprofile(None)
    return count >= place


def assert_free(session: Session) -> None:
    """This thread is bound by nothing, and nothing is held for its calls."""
    engine = session.engine
    assert (HERE.watch, HERE.spent, HERE.trip) == (None, None, None)
    assert engine.current is None
    assert BOUND.get() is None
    assert session.get_stats()["in_flight_requests"] == len(engine.flights) == 0
    limiter = engine.adapter._fleet.limiter
    assert (limiter.in_use, limiter.waiting, limiter._hosts) == (0, 0, {})
    for breaker in {**engine.breakers._endpoints.all(), **engine.breakers._hosts.all()}.values():
        assert not breaker._trials.running()
    if engine.limits.bulkheads is not None:
        assert all(slots.is_idle for _, slots in engine.limits.bulkheads._slots.items())
    if not are_idle(session):
        gc.collect()  # it is off: a circle may have held what was not given back
        assert are_idle(session)


def are_idle(session: Session) -> bool:
    """Whether there are no connections but those that wait."""
    told = session.engine.adapter.statistics()
    return bool(told["connections_open"] == told["connections_idle"])


def descriptors() -> int:
    """How many this process has, where that can be seen."""
    place = Path("/proc/self/fd")
    return len(os.listdir(place)) if place.exists() else 0


def ordinary(session: Session, url: str) -> Work:
    return lambda: session.get(url)


def streamed(session: Session, url: str) -> Work:
    return lambda: session.get(url, stream=True).content


def by_hand(session: Session, url: str) -> Work:
    request = session.prepare_request(requests.Request("GET", url))
    return lambda: session.send(request)


def anew(session: Session, url: str) -> Work:
    session.close()  # so that it has to connect
    return lambda: session.get(url)


WAYS = [
    pytest.param(ordinary, {}, id="plain"),
    pytest.param(ordinary, {"deadline": 40}, id="deadline"),
    pytest.param(ordinary, {"deadline": 40, "hedge": Hedge(after=30)}, id="hedge"),
    pytest.param(ordinary, {"bulkhead": 2, "adaptive_limit": True}, id="limits"),
    pytest.param(streamed, {"deadline": 40}, id="stream"),
    pytest.param(by_hand, {"deadline": 40}, id="by hand"),
    pytest.param(anew, {"deadline": 40, "hedge": Hedge(after=30)}, id="connecting"),
]


@pytest.mark.skipif(sys.getprofile() is not None, reason="somebody else profiles")
@pytest.mark.parametrize(("way", "settings"), WAYS)
def test_wherever_an_interrupt_comes_nothing_is_left(
    way: Callable[[Session, str], Work], settings: dict[str, Any], api_server: ApiServer
) -> None:
    url = api_server.url("/x")
    with Session(enable_cache=False, **settings) as session:
        for _ in range(3):  # what is made once is there, and a connection is open
            way(session, url)()
        before = descriptors()
        gc.disable()  # its finalizers would be among the places
        try:
            place = 1
            while interrupted_at(place, way(session, url)):
                assert_free(session)
                assert session.get(url, timeout=20).ok  # the next one fares as ever
                place += 7 if way is by_hand else 1
        finally:
            gc.enable()
        assert 100 < place < MOST
        gc.collect()
        wait_until(lambda: descriptors() <= before, timeout=20)  # the server's end, too
