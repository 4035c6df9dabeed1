"""Two ways to tell the time: the session's clock, and epoch seconds, which every process knows."""

from __future__ import annotations

import time
from collections.abc import Callable

from ..naps import now, wall

__all__ = ["Instants"]


class Instants:
    """Turns instants of one into instants of the other.

    The wall clock may be set, and a monotonic one may stand still while the machine sleeps, so the
    difference is measured anew each time.  A clock of a test's own is taken for both.
    """

    def __init__(self, clock: Callable[[], float], *, wall: Callable[[], float] = wall) -> None:
        self.clock = clock
        self.now = wall if clock in (now, time.monotonic) else clock

    def offset(self) -> float:
        """What to add to an instant of the clock to get epoch seconds."""
        return 0.0 if self.now is self.clock else self.now() - self.clock()
