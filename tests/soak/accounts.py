"""What must be true at the end: the figures add up, and nothing is left."""

from __future__ import annotations

import gc
import os
import threading
from pathlib import Path
from typing import NamedTuple

from browseros_api.testing import wait_until
from tests.soak.world import World

__all__ = ["Belongings", "belongings", "check_figures", "check_nothing_is_held", "memory"]

_MOST_WAIT = 30.0  # seconds; the machine may be busy


class Belongings(NamedTuple):
    """What a process has that it can lose sight of."""

    threads: int
    files: int


def belongings() -> Belongings:
    """Those of this one."""
    place = Path("/proc/self/fd")
    return Belongings(threading.active_count(), len(list(place.iterdir())) if place.exists() else 0)


def memory() -> float:
    """Resident megabytes of this process; 0 where nobody tells."""
    gc.collect()
    place = Path("/proc/self/statm")
    if not place.exists():
        return 0.0
    return int(place.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def check_figures(world: World) -> None:
    """Calls are successes and failures; attempts are what the server has seen, and no more."""
    session, outcomes = world.session, world.outcomes
    wait_until(lambda: session.get_stats()["in_flight_requests"] == 0, timeout=_MOST_WAIT)
    told = session.get_stats()
    asked = sum(outcomes.values()) - outcomes["forked"]
    total = told["total_requests"]
    assert asked - outcomes["interrupted"] <= total <= asked, (
        total,
        asked,
    )  # maybe before it began
    assert told["successful_requests"] + told["failed_requests"] == total
    sent = told["attempts"] + told["hedged_requests"] + told["connections"]["stale_replaced"]
    hits = world.server.hits() - 3 * outcomes["forked"]  # a child has asked so often at least
    # What may never have come there: an attempt that was followed by another, or by an error, and
    # a hedge that was cut.
    unsure = told["retries"] + told["hedged_requests"] + told["failed_requests"]
    children = world.server.hits("/things-1") and 30 * outcomes["forked"]  # faults of children
    assert sent - unsure <= hits <= sent + children, (sent, unsure, hits, outcomes)


def check_nothing_is_held(world: World) -> None:
    """No lease, no seat and no trial is out, and no connection is open but those that wait."""
    engine, server = world.session.engine, world.server
    limiter = engine.adapter._fleet.limiter
    gc.collect()  # streams that were dropped in a circle
    wait_until(lambda: limiter.in_use == limiter.waiting == 0, timeout=_MOST_WAIT)
    assert not limiter._hosts
    assert len(engine.flights) == 0
    breakers = engine.breakers
    for name, breaker in {**breakers._endpoints.all(), **breakers._hosts.all()}.items():
        assert not breaker._trials.running(), name
    pool = engine.adapter.statistics
    wait_until(lambda: pool()["connections_open"] == pool()["connections_idle"], timeout=_MOST_WAIT)
    wait_until(lambda: server.open_connections <= pool()["connections_idle"], timeout=_MOST_WAIT)
    world.session.close()
    assert pool()["connections_open"] == 0
    wait_until(lambda: server.open_connections == 0, timeout=_MOST_WAIT)
