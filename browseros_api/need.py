"""How many threads are needed: few for a server near by, and many for one far away.

Of threads that compute one gets on at a time; each more makes all of them slower, since they hand
the interpreter's lock to and fro: on two cores, 32 threads made half as many calls to a server near
by as one did.  Those that wait for an answer cost nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["LOOK", "Need"]

LOOK = 0.004  # seconds between two looks at whether there are enough threads
_IDLE, _FULL = 0.6, 0.9  # of one processor, which is all that the interpreter's lock lets through
_TWICE, _LONG = 2, 3  # looks in a row: once may be chance, such as another process in the way
_STEEP = 8


class Need:
    """How many threads are needed, from ``least`` to ``most``.

    While jobs wait and the processor does not work to capacity, more of them can be on their way.
    While it does, and for long, fewer will do as much.
    """

    def __init__(
        self, least: int, most: int, *,
        clock: Callable[[], float] = time.monotonic, spent: Callable[[], float] = time.process_time,
    ) -> None:  # fmt: skip
        self.limit, self._least, self.most = least, least, most
        self._clock, self._read = clock, spent
        self.begin()

    def begin(self) -> None:
        """There is something to do again."""
        self._since, self._spent = self._clock(), self._read()
        self._idle = self._full = 0

    def look(self) -> None:
        """How it went since the last time."""
        now, spent = self._clock(), self._read()
        busy = (spent - self._spent) / max(now - self._since, LOOK / 2)
        self._since, self._spent = now, spent
        self._idle = self._idle + 1 if busy < _IDLE else 0
        self._full = self._full + 1 if busy > _FULL else 0
        if self._idle == _TWICE:
            self.limit = min(self.most, max(_STEEP, 2 * self.limit))
        elif self._full == _LONG:
            self.limit = max(self._least, self.limit // 2)
        else:
            return
        self._idle = self._full = 0
