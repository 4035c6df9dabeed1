"""What all sessions did together, added up as their calls end.

Sessions and their engines come and go, in some scripts by the hundred thousand, so that nothing can
be looked up in them at the end.  Each engine has an account instead, which tells the witness what
came of each call, and goes when the engine goes.
"""

from __future__ import annotations

import threading
from collections import Counter
from heapq import nlargest
from typing import Any

from .errors import NEVER_SENT
from .events import AttemptEvent, CallEvent
from .policies.endpoints import endpoint_namer
from .policies.hedges import Hedges
from .policies.retry import Retry
from .transport.adapter import PoolingAdapter

__all__ = ["Account", "Witness"]

_SLOWEST = 3
_MOST = 1024  # endpoints that are told apart at any time
_FIGURES = (
    *("total_requests", "sent_requests", "cached_responses", "deduplicated_requests"),
    *("retries", "rescued_requests", "connections_opened", "sent_elsewhere"),
)


class Witness:
    """Totals of all engines that are made while ``engine.observe`` has it.

    Its lock may be taken again by the thread that holds it: a signal handler may call in any time.
    """

    def __init__(self) -> None:
        self._sums: Counter[str] = Counter(dict.fromkeys(_FIGURES, 0))
        self._endpoints: dict[str, tuple[int, float]] = {}  # name -> calls, seconds
        self._name = endpoint_namer(None, None)
        self.reset_lock()

    def reset_lock(self) -> None:
        """A new lock, for a child process whose parent may have held the old one."""
        self.lock = threading.RLock()

    def add(self, **figures: int) -> None:
        """So many more of each."""
        with self.lock:
            for name, more in figures.items():
                self._sums[name] += more

    def time(self, event: CallEvent) -> None:
        """A call that went to the network took so long."""
        seconds, name = event.seconds, self._name(event.method, event.url.partition("?")[0])
        with self.lock:
            calls, before = self._endpoints.get(name, (0, 0.0))
            self._endpoints[name] = calls + 1, before + seconds
            if len(self._endpoints) > _MOST:
                self._endpoints = dict(self._slowest(_MOST // 2))

    def _slowest(self, most: int) -> list[tuple[str, tuple[int, float]]]:
        return nlargest(most, self._endpoints.items(), key=lambda item: item[1][1] / item[1][0])

    def read(self) -> dict[str, Any]:
        """All figures; seconds become milliseconds.

        ``sent_requests`` went over the wire, ``sent_elsewhere`` of them through adapters that were
        mounted by somebody else, whose connections are not among ``connections_opened``.
        """
        with self.lock:
            figures: dict[str, Any] = dict(self._sums)
            slowest = self._slowest(_SLOWEST)
        figures["slow_endpoints"] = [
            {"endpoint": name, "calls": calls, "average_ms": round(1000 * seconds / calls, 3)}
            for name, (calls, seconds) in slowest
        ]
        return figures


class Account:
    """What one engine tells the witness: ``send`` hears of attempts, ``end`` of calls."""

    def __init__(
        self, witness: Witness, retry: Retry, adapter: PoolingAdapter, hedges: Hedges | None = None
    ) -> None:
        self._witness, self._retry, self._adapter, self._hedges = witness, retry, adapter, hedges
        self._told: Counter[str] = Counter()

    def reset_lock(self) -> None:
        """For a child process."""
        self._witness.reset_lock()

    def send(self, event: AttemptEvent) -> None:
        """A request went over the wire, if it came so far."""
        if event.state != NEVER_SENT:
            self._witness.add(sent_requests=1, sent_elsewhere=int(event.is_elsewhere))

    def end(self, event: CallEvent) -> None:
        """A call has ended, well or not."""
        if event.from_cache:
            self._witness.add(total_requests=1, cached_responses=1)
        elif event.followed:
            self._witness.add(total_requests=1, deduplicated_requests=1)
        else:
            self._witness.add(total_requests=1, **self._news())
            if event.attempts:
                self._witness.time(event)

    def _news(self) -> dict[str, int]:
        """What the counters of the engine say now that they have not said before."""
        pool = self._adapter.statistics()
        now = {
            "retries": self._retry.retries,
            "rescued_requests": self._retry.rescued,
            "connections_opened": pool["connections_opened"],
            # Once more, and of these no attempt is heard.
            "sent_requests": pool["stale_replaced"] + (self._hedges.sent if self._hedges else 0),
        }
        with self._witness.lock:  # threads may come in any order, with older and newer figures
            news = {name: max(0, value - self._told[name]) for name, value in now.items()}
            self._told.update(news)
        return news
