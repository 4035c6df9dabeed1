"""So many at once, and no more: the others wait in a line."""

from __future__ import annotations

import math
import threading

from .waiting import Hall, Line

__all__ = ["Slots"]


class Slots:
    """At most ``limit`` holders are there at once; whoever leaves stirs the line.

    Attributes:
        limit: whole or not; a part of a slot is none.
        holders: those who have one.  To discard oneself is one call of C, which does no harm if it
            is done twice, and in front of which no interrupt can come in a ``finally``.
    """

    def __init__(self, hall: Hall, limit: float) -> None:
        self.line: Line = hall.line()
        self.limit = limit
        self.reset_after_fork()

    @property
    def in_use(self) -> int:
        """How many are held."""
        return len(self.holders)

    @property
    def is_idle(self) -> bool:
        """Whether nobody holds one, or waits for one."""
        return not self.holders and not len(self.line)

    def reset_after_fork(self) -> None:
        """In a child: those who held them are threads of the parent."""
        self._lock = threading.Lock()
        self.holders: set[object] = set()
        self.line.reset_after_fork()

    def ask(self, holder: object, before: int) -> float:
        """Take one, if it is this one's turn and there is room; else nobody knows when."""
        return math.inf if before or not self._take(holder) else 0.0

    def _take(self, holder: object) -> bool:
        with self._lock:
            if len(self.holders) + 1 > max(1.0, self.limit):
                return False
            self.holders.add(holder)
            return True
