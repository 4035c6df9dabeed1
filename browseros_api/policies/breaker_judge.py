"""What follows from how calls went, beside failures in a row: as the terms of the circuit say."""

from __future__ import annotations

from collections.abc import Callable

from ..terms import CircuitTerms
from .breaker_window import Window

__all__ = ["Judge"]

_MOST_DOUBLINGS = 60  # of a nanosecond: 36 years; more of them might overflow a float


class Judge:
    """Remembers calls, and says whether the circuit must open and for how long.

    Not for many threads at once: a circuit asks under its lock, save for ``shortening``.
    """

    def __init__(self, terms: CircuitTerms) -> None:
        self.terms = terms
        self.window = Window(terms.window) if terms.counts_calls else None
        self.start()

    def start(self, *, openings: int = 0) -> None:
        """Begin anew, as if the circuit had been opened so often since it was closed."""
        self.openings, self.slow_trials = openings, 0
        if self.window is not None:
            self.window.clear()

    def is_slow(self, seconds: float) -> bool:
        """Whether a call that took so long was slow."""
        return self.terms.slow_call is not None and seconds >= self.terms.slow_call

    def objection(self, now: float, *, failed: bool, slow: bool) -> str:
        """Count a call; why the circuit must open after it, if it must."""
        window, terms = self.window, self.terms
        if window is None:
            return ""
        window.count(now, failed=failed, slow=slow)
        if window.calls < terms.minimum_calls:
            return ""
        if terms.failure_rate is not None and window.share(window.failures) >= terms.failure_rate:
            return f"open: {window.failures} of {window.calls} calls have failed"
        if terms.slow_call_rate is not None and window.share(window.slow) >= terms.slow_call_rate:
            return f"open: {window.slow} of {window.calls} calls were slow"
        return ""

    def objection_to_trials(self, count: int) -> str:
        """Why the circuit must open again though so many trial calls have succeeded, if it must."""
        most = self.terms.slow_call_rate
        if most is None or self.slow_trials / count < most:
            return ""
        return f"open again: {self.slow_trials} of {count} trial calls were slow"

    def shortening(self, random: Callable[[], float]) -> float:
        """The part of its time that the circuit will stay open, by chance."""
        return 1.0 - self.terms.jitter * random() if self.terms.jitter else 1.0

    def period(self, recovery: float, shortening: float) -> float:
        """Seconds to stay open now: doubled for each time since it was closed, up to the most."""
        seconds, longest = float(recovery), self.terms.longest_recovery
        if longest is not None:
            seconds = min(seconds * 2.0 ** min(self.openings, _MOST_DOUBLINGS), longest)
        self.openings += 1
        return seconds * shortening

    def shown(self, now: float) -> dict[str, float] | None:
        """The calls of the window, and what parts of them failed and were slow, where counted."""
        window = self.window
        if window is None:
            return None
        window.roll(now)
        return {
            "calls": window.calls,
            "failure_rate": window.share(window.failures),
            "slow_call_rate": window.share(window.slow),
        }
