"""What happens while one request is on its way, in the thread that sends it."""

from __future__ import annotations

from typing import Any

import requests

from ..errors import MAYBE_PROCESSED, NEVER_SENT, PROCESSED, mark
from ..here import HERE
from .limiter import Lease

__all__ = ["Trip", "current_trip", "finish", "start"]


class Trip:
    """One sending of one request, told by the pool and the connection as it goes on.

    Attributes:
        lease: the right to the connection that it uses.
        wants_fresh: a connection that was used before will not do.
        reused: it got a connection that was used before.
        is_connected: its connection stands, so that bytes of the request may have been written;
            None: no pool of ours was asked for one.
        is_answered: a byte of an answer has come.
        has_head: the head of the answer has come.
        pool_key: under which its pool is kept, if that was looked up.
        rehearsed: a connection that is taken already, and to which something may have happened.
    """

    __slots__ = (
        "has_head",
        "is_answered",
        "is_connected",
        "lease",
        "outer",
        "pool_key",
        "rehearsed",
        "reused",
        "wants_fresh",
    )

    def __init__(self, lease: Lease) -> None:
        self.lease = lease
        self.outer: Trip | None = None
        self.wants_fresh = False
        self.reused = False
        self.is_connected: bool | None = None
        self.is_answered = False
        self.has_head = False
        self.pool_key: Any = None
        self.rehearsed: Any = None

    def tell(self, error: requests.RequestException) -> None:
        """Let ``error`` say how far the request has come, unless nobody knows."""
        if self.has_head:
            mark(error, PROCESSED)
        elif self.is_connected is not None:
            mark(error, MAYBE_PROCESSED if self.is_connected else NEVER_SENT)


def current_trip() -> Trip | None:
    """The trip that this thread is on."""
    trip: Trip | None = HERE.trip
    return trip


def start(trip: Trip) -> None:
    """Make it this thread's; trips nest, since a body may be made of another answer."""
    trip.outer = HERE.trip
    HERE.trip = trip


def finish(trip: Trip) -> None:
    """Go on with the trip that was interrupted."""
    HERE.trip = trip.outer
    if trip.rehearsed is not None:  # and nobody cared
        trip.rehearsed.close()
