"""Lines of those who may not go yet: first come, first served, and only the first one asks.

Whoever asks gets the seconds after which to ask again: 0 lets it go, and infinity stands for "when
somebody has come back".  Whose wait cannot end in time is refused at once, wherever it stands.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from weakref import WeakSet

from ..errors import ClientClosed
from ..naps import instead_of_naps, now

__all__ = ["Hall", "Line", "Perhaps", "TooLong"]

_GLANCE = 1.0  # seconds: whoever left may have been interrupted before it said so

Ask = Callable[[int], float]  # from its place in the line (0: the first) to seconds


class Perhaps(float):
    """Seconds after which to ask again at the latest; nobody is refused for what may end sooner."""


class TooLong(Exception):
    """It is of no use to wait; ``seconds`` would have been too many, or infinite: nobody knows."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class Hall:
    """What all lines of a session have in common: clock and sleep, and that everybody goes home.

    Without a ``sleep`` those who wait can be woken.
    """

    def __init__(
        self, *, clock: Callable[[], float], sleep: Callable[[float], object] | None
    ) -> None:
        self.clock, self.sleep = clock, sleep
        self.is_closed = False
        self._lines: WeakSet[Line] = WeakSet()
        self._lock = threading.Lock()

    def passing(self) -> Callable[[float], object] | None:
        """What lets time pass; None: it passes by itself."""
        if self.sleep is None and self.clock is now:  # another clock would stand still
            return instead_of_naps()
        return self.sleep

    def line(self) -> Line:
        """One more."""
        line = Line(self)
        with self._lock:
            self._lines.add(line)
        return line

    def close(self) -> None:
        """Nobody waits any longer: each call ends with ``ClientClosed``."""
        self.is_closed = True
        with self._lock:
            lines = list(self._lines)
        for line in lines:
            line.stir(everybody=True)

    def reset_after_fork(self) -> None:
        """In a child: those who wait are threads of the parent."""
        self._lock = threading.Lock()
        for line in list(self._lines):
            line.reset_after_fork()


class Line:
    """Who waits at one place.  The first one looks whether it may go; the others wait for it."""

    def __init__(self, hall: Hall) -> None:
        self._hall = hall
        self.reset_after_fork()

    def reset_after_fork(self) -> None:
        """Nobody waits, and nobody holds the lock."""
        self._lock = threading.Lock()
        self._waiting: deque[threading.Event] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def enter(self, ask: Ask, *, until: float | None, begin: Callable[[], object]) -> None:
        """Come back when ``ask(0)`` has let it go, at the latest at ``until``, by the clock.

        ``begin`` is called if it has to wait.  No lock is held while ``ask`` runs; but for those
        who find nobody waiting, one thread at a time asks for the first place.

        Raises:
            TooLong: it is of no use to wait.
            ClientClosed: the client was closed meanwhile.
        """
        if not self._waiting and ask(0) <= 0:
            return
        turn, has_begun = threading.Event(), False
        try:
            with self._lock:
                before = len(self._waiting)
                self._waiting.append(turn)
            if before:
                self._check(ask(before), until)
            while (seconds := ask(0) if self._waiting[0] is turn else math.inf) > 0:
                self._check(seconds, until)
                if not has_begun:
                    begin()
                    has_begun = True
                self._rest(turn, seconds, until)
        finally:
            with self._lock, suppress(ValueError):  # it was interrupted before it stood there
                self._waiting.remove(turn)
            self.stir()

    def stir(self, *, everybody: bool = False) -> None:
        """Something has changed: the first one asks again."""
        if not self._waiting:
            return
        with self._lock:
            for turn in list(self._waiting)[: None if everybody else 1]:
                turn.set()

    def _check(self, seconds: float, until: float | None) -> None:
        if until is None:
            return
        left = until - self._hall.clock()
        known = math.inf if isinstance(seconds, Perhaps) else seconds
        if left <= 0 or left < known < math.inf:
            raise TooLong(known)

    def _rest(self, turn: threading.Event, seconds: float, until: float | None) -> None:
        hall = self._hall
        if not hall.is_closed:
            is_known = seconds < math.inf and not isinstance(seconds, Perhaps)
            if is_known and (sleep := hall.passing()) is not None:
                sleep(seconds)
            else:
                left = math.inf if until is None else max(0.0, until - hall.clock())
                turn.wait(min(left, seconds, _GLANCE))
            turn.clear()
        if hall.is_closed:
            raise ClientClosed("the client was closed while a call waited for its turn")
