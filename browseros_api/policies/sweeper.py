"""Lets go of answers whose time is over, in their time."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable

from ..stores.entry import Store
from ..timer import TIMER

__all__ = ["Sweeper"]

_SOONEST, _LATEST = 0.5, 60.0  # seconds


class Sweeper:
    """Sweeps a store; one appointment at a time, however many answers there are."""

    def __init__(self, store: Store, *, clock: Callable[[], float]) -> None:
        self._store, self._clock = store, clock
        self._lock = threading.Lock()
        self._due: float | None = None

    def arrange(self, seconds: float) -> None:
        """Something expires in so many seconds."""
        due = time.monotonic() + min(max(seconds, _SOONEST), _LATEST)
        with self._lock:
            if self._due is not None and self._due <= due:
                return
            self._due = due
        sweeper = weakref.ref(self)  # a dropped session is not kept for its own sweeping
        TIMER.at(due, lambda: _sweep(sweeper, due))

    def sweep(self, due: float) -> None:
        """Keep the appointment."""
        with self._lock:
            if self._due != due:  # an earlier one was arranged since, or a fork came between
                return
            self._due = None
        self._store.expire()
        soonest = self._store.soonest()
        if soonest is not None:
            self.arrange(soonest - self._clock())


def _sweep(sweeper: weakref.ref[Sweeper], due: float) -> None:
    alive = sweeper()
    if alive is not None:
        alive.sweep(due)
