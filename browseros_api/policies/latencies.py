"""How long good answers take, endpoint by endpoint."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque

from ..terms import Hedge

__all__ = ["Latencies"]

_STRIDE = 8  # answers after which the percentile is looked at again: sorting is not free


class _Recent:
    """The latest of one endpoint, and what their percentile was when it was last looked at."""

    __slots__ = ("bound", "news", "seconds")

    def __init__(self, most: int) -> None:
        self.seconds: deque[float] = deque(maxlen=most)
        self.bound: float | None = None
        self.news = 0


class Latencies:
    """Those of the endpoints that were used last, and the percentile of them that is wanted."""

    def __init__(self, terms: Hedge, *, endpoints: int) -> None:
        self._terms, self._most = terms, endpoints
        self._percent = terms.percent or 100
        self._recent: OrderedDict[str, _Recent] = OrderedDict()  # latest used last
        self.reset_lock()

    def reset_lock(self) -> None:
        """A new lock, for a child process whose parent may have held the old one."""
        self._lock = threading.Lock()

    def add(self, endpoint: str, seconds: float) -> None:
        """A good answer took so long."""
        with self._lock:
            recent = self._recent.get(endpoint)
            if recent is None:
                recent = self._recent[endpoint] = _Recent(self._terms.recent)
                if len(self._recent) > self._most:
                    self._recent.popitem(last=False)
            else:
                self._recent.move_to_end(endpoint)
            recent.seconds.append(seconds)
            recent.news += 1
            if len(recent.seconds) >= self._terms.volume and (
                recent.bound is None or recent.news >= _STRIDE
            ):
                recent.bound, recent.news = self._percentile(recent), 0

    def _percentile(self, recent: _Recent) -> float:
        ranked = sorted(recent.seconds)
        return ranked[max(0, -(-len(ranked) * self._percent // 100) - 1)]  # nearest-rank method

    def bound(self, endpoint: str) -> float | None:
        """The percentile, in seconds; None as long as too little is known."""
        recent = self._recent.get(endpoint)
        return None if recent is None else recent.bound
