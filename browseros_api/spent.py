"""Where the time of a call goes: it is in one phase at any time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

__all__ = ["Phase", "Spent"]

# following: an identical call in the air; queue: for a thread, for a connection of the pool, or
# for what a limit allows; lookup: the name; send: until the request is written; server: until the
# head of the answer is there; sleep: before another attempt; rest: everything else, such as hooks
# and authentication.
Phase = Literal[
    "following", "queue", "lookup", "connect", "tls", "send", "server", "body", "sleep", "rest"
]

_LEAST, _SHARE = 0.001, 0.01  # seconds, and part of the whole, that are worth a word


class Spent:
    """Seconds of a call by phase, in the time of ``clock``; it begins with the rest.

    Whoever runs the call turns it: one thread at a time, which hands it on to the next.
    """

    __slots__ = ("_clock", "_phase", "_seconds", "_since")

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._phase: Phase = "rest"
        self._since = clock()
        self._seconds: dict[Phase, float] = {}

    def turn(self, phase: Phase) -> None:
        """One phase ends, and ``phase`` begins."""
        now = self._clock()
        self._seconds[self._phase] = self._seconds.get(self._phase, 0.0) + now - self._since
        self._phase, self._since = phase, now

    def read(self) -> dict[str, float]:
        """Seconds of each phase so far, the longest first."""
        self.turn(self._phase)
        longest_first = sorted(self._seconds.items(), key=lambda item: -item[1])
        return {phase: seconds for phase, seconds in longest_first if seconds > 0}

    @staticmethod
    def told(seconds: dict[str, float]) -> str:
        """What ``read`` gave, in words for people."""
        least = max(_LEAST, _SHARE * sum(seconds.values()))
        return ", ".join(
            f"{phase} {value:.3g} s" for phase, value in seconds.items() if value >= least
        )
