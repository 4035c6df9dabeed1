"""How calls went: counted when they begin, and judged when they end."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from requests import Response

from ..listeners import Listeners
from ..pipeline import Call, Proceed
from ..tracing.timeline import Recent

__all__ = ["Meter"]

_REMEMBERED = 1024  # latencies kept for the percentiles
_RECENT = 256  # calls kept to be drawn
_PERCENTILES = (50, 95, 99)


class Meter:
    """Counters of logical calls.

    A call succeeds if it ends with an answer below 400.  Latency is that of calls which went to
    the network: neither hits nor followers, who waited for somebody else's.
    """

    def __init__(self, *, clock: Callable[[], float], listeners: Listeners | None = None) -> None:
        self._clock, self._listeners = clock, listeners
        self._latencies: deque[float] = deque(maxlen=_REMEMBERED)
        self._recent: deque[Recent] = deque(maxlen=_RECENT)
        self._successful = self._failed = 0
        self._cached = self._deduplicated = self._stood_in = 0
        self._networked, self._seconds, self._attempts = 0, 0.0, 0
        self.reset_lock()

    def reset_lock(self) -> None:
        """A new lock, for a child process whose parent may have held the old one.

        What was in the air there is not here: the threads that made those calls are the parent's.
        """
        self._lock = threading.Lock()
        self._recent.clear()
        self._air: dict[Call, None] = {}

    def time(self, call: Call, proceed: Proceed[Call]) -> Response:
        """Write down how the call went."""
        try:
            began = self.begin(call)
            try:
                response = proceed(call)
            except BaseException as error:
                self.end(call, began, error)
                raise
            self.end(call, began, response)
            return response
        finally:  # one that is interrupted where it is counted has not been
            self._air.pop(call, None)

    def begin(self, call: Call) -> float:
        """The call is in the air now, unless it was before; returns the instant."""
        if call.began is None:
            self._air[call] = None
            call.began = self._clock()
        return call.began

    def end(
        self, call: Call, began: float, outcome: Response | BaseException | None = None
    ) -> None:
        """A call that began at ``began`` has ended; None: it was given up."""
        took = self._clock() - began
        # A hook may have put something in its place, and a mock may not have set it.
        status = getattr(outcome, "status_code", 600)
        # Its trace is there already, and of what was known there is nothing more to tell.
        recent = began, took, call.method, call.asked or call.url, call.trace
        with self._lock:
            self._recent.append(recent)
            self._air.pop(call, None)
            if (status or 0) < 400:
                self._successful += 1
            else:
                self._failed += 1
            self._attempts += call.attempts
            if call.from_cache:
                self._cached += 1
            elif call.followed:
                self._deduplicated += 1
            elif call.attempts:  # and not refused, or given up while it waited for a thread
                self._networked += 1
                self._seconds += took
                self._latencies.append(took)
        if self._listeners is not None and self._listeners.hear_calls:
            self._listeners.call_ended(call, took, outcome)

    def disappoint(self) -> None:
        """An answer that counted as a success turned out to be of no use to the caller."""
        with self._lock:
            self._successful -= 1
            self._failed += 1

    def stand_in(self) -> None:
        """The caller of one that failed got something else instead."""
        with self._lock:
            self._stood_in += 1

    def recent(self, last: int) -> list[Recent]:
        """The latest calls, as they ended."""
        with self._lock:
            return [*self._recent][-last:]

    def read(self) -> dict[str, Any]:
        """All figures at one instant; seconds become milliseconds."""
        with self._lock:
            latencies = sorted(self._latencies)
            ended, in_air = self._successful + self._failed, len(self._air)
            figures: dict[str, Any] = {
                "total_requests": ended + in_air,
                "successful_requests": self._successful,
                "failed_requests": self._failed,
                "success_rate": self._successful / ended if ended else 1.0,
                "cached_responses": self._cached,
                "deduplicated_requests": self._deduplicated,
                "fallback_responses": self._stood_in,
                "average_latency_ms": 1000 * self._seconds / (self._networked or 1),
                "in_flight_requests": in_air,
                "attempts": self._attempts,
                "cache_hit_rate": self._cached / ended if ended else 0.0,
            }
        for percent in _PERCENTILES:
            rank = max(0, -(-len(latencies) * percent // 100) - 1)  # nearest-rank method
            figures[f"p{percent}_latency_ms"] = 1000 * latencies[rank] if latencies else 0.0
        return figures
