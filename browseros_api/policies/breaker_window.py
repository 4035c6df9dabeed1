"""How calls have gone of late: counted by slices of time, which fall out as a whole."""

from __future__ import annotations

from collections import deque

__all__ = ["Window"]

_SLICES = 10  # what is counted is up to a tenth of the window younger than the window is long


class Window:
    """The calls of the last so many seconds: how many, and how many of them failed or were slow.

    Not for many threads at once: a circuit counts under its lock.
    """

    def __init__(self, seconds: float) -> None:
        self._width = seconds / _SLICES
        self.clear()

    def clear(self) -> None:
        """Forget all of them."""
        self._slices: deque[list[int]] = deque()  # number, calls, failures, slow ones
        self.calls = self.failures = self.slow = 0

    def count(self, now: float, *, failed: bool, slow: bool) -> None:
        """One more."""
        number = self.roll(now)
        if not self._slices or self._slices[-1][0] < number:
            self._slices.append([number, 0, 0, 0])
        latest = self._slices[-1]
        latest[1] += 1
        latest[2] += failed
        latest[3] += slow
        self.calls += 1
        self.failures += failed
        self.slow += slow

    def roll(self, now: float) -> int:
        """Let go of what is too old by now; the number of the slice that is being filled."""
        number = int(now // self._width)
        while self._slices and self._slices[0][0] <= number - _SLICES:
            _, calls, failures, slow = self._slices.popleft()
            self.calls -= calls
            self.failures -= failures
            self.slow -= slow
        return number

    def share(self, count: int) -> float:
        """What ``count`` is of all calls; 0 if there were none."""
        return count / self.calls if self.calls else 0.0
