"""A server that misbehaves, a session that everybody uses, and what is counted of both."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from typing import Any

import requests

from browseros_api import Hedge, RetryBudget, Session
from browseros_api.naps import skip
from browseros_api.testing import ApiServer, Received, Reply, chaos

__all__ = ["EXPECTED", "Jumping", "Wall", "World", "nonce_of", "world"]

# What a server does that behaves like this one; anything else is a bug of ours.
EXPECTED = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
)


class Jumping:
    """A clock that goes on, and now and then leaps."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self._ahead

    def leap(self, seconds: float) -> None:
        """So many seconds later, also for those who go by no clock of their own."""
        self._ahead += seconds
        skip(seconds)


class Wall:
    """The clock on the wall, which is set now and then, forwards and backwards."""

    def __init__(self) -> None:
        self._true = time.time
        self._wrong_by = 0.0

    def __call__(self) -> float:
        return self._true() + self._wrong_by

    def set(self, wrong_by: float) -> None:
        """It goes before what is true by so many seconds."""
        self._wrong_by = wrong_by

    @contextmanager
    def hung(self) -> Iterator[None]:
        """Within, the whole process looks at it: its own ``time.time``, as it is in each module."""
        time.time = self
        try:
            yield
        finally:
            time.time = self._true


_TRUE = time.time  # the server's


class World:
    """What all actors share.

    ``outcomes`` counts how calls ended, ``wrong`` is what must not have happened.
    """

    def __init__(self, server: ApiServer, session: Session, clock: Jumping, wall: Wall) -> None:
        self.server, self.session, self.clock, self.wall = server, session, clock, wall
        self.outcomes: Counter[str] = Counter()
        self.wrong: list[Any] = []
        self.is_over = threading.Event()
        self._lock = threading.Lock()

    def count(self, outcome: str) -> None:
        """One more that ended like this."""
        with self._lock:
            self.outcomes[outcome] += 1

    def url(self, nonce: str) -> str:
        """Where that nonce is echoed; there are fifty endpoints."""
        return self.server.url(f"/things-{int(nonce) % 50}?nonce={nonce}")


def nonce_of(received: Received) -> str:
    """What the request is to be answered with."""
    return received.body.decode() or received.query["nonce"][0]


def _echo(received: Received) -> Reply:
    nonce = nonce_of(received)
    kept = {"Cache-Control": "max-age=30, stale-if-error=60", "ETag": f'"{nonce}"'}
    if received.headers.get("If-None-Match") == f'"{nonce}"':
        return Reply(304, headers=kept)
    if int(nonce) % 4 == 3:
        now = _TRUE()
        kept = {"Date": formatdate(now, usegmt=True), "Expires": formatdate(now + 30, usegmt=True)}
    return Reply(
        json={"nonce": nonce},
        headers=kept if int(nonce) % 2 else {},
        delay=0.2 if int(nonce) % 23 == 0 else 0,
    )


@contextmanager
def world(seed: int, store: str) -> Iterator[World]:
    """It lives inside the block; afterwards nothing of it must be left."""
    clock, wall = Jumping(), Wall()
    settings: dict[str, Any] = {
        **{"retry_base_delay": 0.001, "retry_max_delay": 0.02, "recovery_timeout": 0.2},
        **{"max_connections": 10, "pool_timeout": 30, "hedge": Hedge(after=0.05)},
        **{"retry_budget": RetryBudget(per_second=100), "cache_max_entries": 300, "store": store},
        **{"clock": clock if store == "memory://" else None},  # a clock of its own counts for both
    }
    with (
        wall.hung(),
        ApiServer(remember=1) as server,
        Session(**settings) as session,
        chaos(server, rate=0.12, seed=seed, delay=0.02),
    ):
        server.route("*", _echo)
        yield World(server, session, clock, wall)
