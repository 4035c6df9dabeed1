"""A server that misbehaves, a session that everybody uses, and what is counted of both."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests

from browseros_api import Hedge, RetryBudget, Session
from browseros_api.testing import ApiServer, Received, Reply, chaos

__all__ = ["EXPECTED", "Jumping", "World", "nonce_of", "world"]

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
        self._lock = threading.Lock()

    def __call__(self) -> float:
        return time.monotonic() + self._ahead

    def leap(self, seconds: float) -> None:
        """So many seconds later."""
        with self._lock:
            self._ahead += seconds


class World:
    """What all actors share.

    ``outcomes`` counts how calls ended, ``wrong`` is what must not have happened.
    """

    def __init__(self, server: ApiServer, session: Session, clock: Jumping) -> None:
        self.server, self.session, self.clock = server, session, clock
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
    return Reply(
        json={"nonce": nonce},
        headers=kept if int(nonce) % 2 else {},
        delay=0.2 if int(nonce) % 23 == 0 else 0,
    )


@contextmanager
def world(seed: int) -> Iterator[World]:
    """It lives inside the block; afterwards nothing of it must be left."""
    clock = Jumping()
    settings: dict[str, Any] = {
        **{"retry_base_delay": 0.001, "retry_max_delay": 0.02, "recovery_timeout": 0.2},
        **{"max_connections": 10, "pool_timeout": 30, "hedge": Hedge(after=0.05)},
        **{"retry_budget": RetryBudget(per_second=100), "clock": clock, "cache_max_entries": 300},
    }
    with (
        ApiServer(remember=1) as server,
        Session(**settings) as session,
        chaos(server, rate=0.12, seed=seed, delay=0.02),
    ):
        server.route("*", _echo)
        yield World(server, session, clock)
