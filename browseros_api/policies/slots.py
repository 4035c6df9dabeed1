"""So many at once, and no more: the others wait in a line."""

from __future__ import annotations

import math
import threading

from .waiting import Hall, Line

__all__ = ["Permit", "Slots"]


class Permit:
    """The right to be one of them; giving it back twice does no harm.

    ``held`` is written under the lock of the slots alone, in one breath with their count.
    """

    __slots__ = ("_slots", "held")

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self.held = False

    def ask(self, before: int) -> float:
        """Take it, if it is this one's turn and there is room; else nobody knows when."""
        return math.inf if before or not self._slots.take(self) else 0.0

    def give_back(self) -> None:
        """Let another one have it."""
        self._slots.take_back(self)


class Slots:
    """At most ``limit`` permits are held at once.

    Attributes:
        limit: whole or not; a part of a slot is none.
        in_use: how many are held.
    """

    def __init__(self, hall: Hall, limit: float) -> None:
        self.line: Line = hall.line()
        self.limit, self.in_use = limit, 0
        self._lock = threading.Lock()

    @property
    def is_idle(self) -> bool:
        """Whether nobody holds one, or waits for one."""
        return not self.in_use and not len(self.line)

    def reset_after_fork(self) -> None:
        """In a child: those who held them are threads of the parent."""
        self._lock = threading.Lock()
        self.in_use = 0
        self.line.reset_after_fork()

    def take(self, permit: Permit) -> bool:
        """Whether there was one left."""
        with self._lock:
            if self.in_use + 1 > max(1.0, self.limit):
                return False
            self.in_use += 1
            permit.held = True
            return True

    def take_back(self, permit: Permit) -> None:
        """See ``Permit.give_back``."""
        with self._lock:
            if not permit.held:
                return
            permit.held = False
            self.in_use = max(0, self.in_use - 1)  # a child's begins at 0
        self.line.stir()
