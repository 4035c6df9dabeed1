"""Where the time of a call goes: it is in one phase at any time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Literal

from .journal import told_seconds

__all__ = ["Phase", "Spent"]

# cache: looking for a kept answer; following: an identical call in the air; queue: for a thread,
# for a connection of the pool, or for what a limit allows; lookup: the name; send: until the
# request is written; server: until the head of the answer is there; sleep: before another attempt;
# rest: everything else, such as hooks and authentication.
Phase = Literal[
    "cache", "following", "queue", "lookup", "connect", "tls", "send", "server", "body", "sleep",
    "rest",
]  # fmt: skip

_BEFORE_SENDING = ("lookup", "connect")
_LEAST, _SHARE = 0.001, 0.01  # seconds, and part of the whole, that are worth a word
_MOST, _KEPT = 512, 256  # marks: a stream that is read in small pieces makes many


class Spent:
    """When a call has turned to which phase, in the time of ``clock``.

    It begins with ``marks``, or else with "rest" and now.  Whoever runs the call turns it: one
    thread at a time, which hands it on to the next.

    Attributes:
        marks: each phase and the instant when it began; the last one goes on.
        clock: whose time it is.
        connection: number of the connection that was used last; None: of none of ours.
    """

    __slots__ = ("_folded", "clock", "connection", "marks")

    def __init__(self, clock: Callable[[], float], *marks: tuple[Phase, float]) -> None:
        self.clock = clock
        self.marks: list[tuple[Phase, float]] = [*marks] or [("rest", clock())]
        self.connection: int | None = None
        self._folded: dict[Phase, float] = {}  # seconds that the marks do not tell, or tell wrongly

    def turn(self, phase: Phase) -> None:
        """One phase ends, and ``phase`` begins."""
        self.marks.append((phase, self.clock()))

    def has_turned(self, phase: Phase, since: float) -> None:
        """``phase`` has begun at an instant since the last mark."""
        last = self.marks[-1][1]
        self.marks.append((phase, since if since > last else last))

    def stretches(self, end: float) -> Iterator[tuple[Phase, float, float]]:
        """Each phase, since when and until when; the last one until ``end``."""
        for (phase, since), (following, until) in pairwise([*self.marks, ("rest", end)]):
            # Who has to connect first has not sent anything yet.
            is_early = phase == "send" and following in _BEFORE_SENDING
            yield "rest" if is_early else phase, since, until

    def read(self) -> dict[str, float]:
        """Seconds of each phase so far, the longest first."""
        seconds: dict[Phase, float] = dict(self._folded)
        for phase, since, until in self.stretches(self.clock()):
            seconds[phase] = seconds.get(phase, 0.0) + until - since
        longest_first = sorted(seconds.items(), key=lambda item: -item[1])
        return {phase: value for phase, value in longest_first if value > 0}

    def fold(self) -> None:
        """Of many marks, keep of the later ones only what they come to: for who turns on and on.

        What began first is what is drawn.
        """
        if len(self.marks) <= _MOST:
            return
        later, last = self.marks[_KEPT:], self.marks[-1]
        for (phase, since), (_, until) in pairwise(later):
            self._folded[phase] = self._folded.get(phase, 0.0) + until - since
        first = later[0][1]
        self._folded["rest"] = self._folded.get("rest", 0.0) - (last[1] - first)
        self.marks[_KEPT:] = [("rest", first), last]

    def __reduce__(self) -> tuple[object, ...]:
        return _frozen, (self.marks, self._folded)  # a clock may be anything

    @staticmethod
    def told(seconds: dict[str, float]) -> str:
        """What ``read`` gave, in words for people."""
        least = max(_LEAST, _SHARE * sum(seconds.values()))
        return ", ".join(
            f"{phase} {told_seconds(value)}" for phase, value in seconds.items() if value >= least
        )


def _frozen(marks: list[tuple[Phase, float]], folded: dict[Phase, float]) -> Spent:
    """As it was when it was pickled."""
    spent = Spent(lambda: spent.marks[-1][1], *marks)
    spent._folded = folded
    return spent
