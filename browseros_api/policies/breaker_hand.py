"""A circuit that can be switched by hand, whatever it has counted."""

from __future__ import annotations

import math

from .breaker_forms import Passage
from .breaker_states import CLOSED, HALF_OPEN, OPEN

__all__ = ["Switched"]


class Switched(Passage):
    """The latest switch holds: what is still under way changes nothing."""

    def open(self) -> None:  # type: ignore[override]
        """Let nothing through for ``recovery_timeout`` seconds from now."""
        self._open_by_hand(self.reset_timeout, "open: it was opened by hand")

    def isolate(self) -> None:
        """Let nothing through, also in ``metrics_only``, until it is reset or switched by hand."""
        self._open_by_hand(math.inf, "isolated until it is reset")

    def _open_by_hand(self, seconds: float, why: str) -> None:
        now = self.clock()
        with self._lock:
            self._state_storage.reset_counter()
            self._judge.start(openings=1)  # what was counted has not opened it
            self._trip(now, seconds, None, why)
        self._tell_changes()

    def half_open(self) -> None:
        """Let trial calls through, from now on."""
        self._switch(HALF_OPEN)

    def close(self) -> None:
        """Let everything through, and count from 0."""
        self._switch(CLOSED)

    def reset(self) -> None:
        """Close it, and forget everything that has happened."""
        with self._lock:
            self._last_failure_time, self._rejected = None, 0
        self._switch(CLOSED)

    def _switch(self, name: str) -> None:
        with self._lock:
            self._turn(name)
        self._tell_changes()

    @property
    def isolated(self) -> bool:
        """Whether it was opened by hand for good."""
        return bool(self._state.name == OPEN) and self._open_for == math.inf
