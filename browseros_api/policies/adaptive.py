"""As many requests at once as a host bears: one more while all goes well, far fewer when it groans.

Additive increase, multiplicative decrease (AIMD), as TCP does it (RFC 5681, 3.1).  A host groans by
429, 503 and timeouts, and when its latency is far above that of its good days.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

import requests
from requests import Response

from ..errors import PoolTimeout
from ..pipeline import Exchange, Proceed
from ..refusals import BulkheadFull, LimitExceeded
from ..terms import AdaptiveLimit
from .places import Door, Hold, Places, host_of, left_alone, patience
from .slots import Slots
from .waiting import Hall

__all__ = ["Concurrency"]

_GROANS = frozenset({429, 503})
_RECENT = 0.2  # weight of the latest latency in the mean
_ROUND = 100  # answers after which the good days begin to be forgotten
_LEAST_LATENCY = 0.001  # seconds: below that it is this machine that is measured


class Concurrency:
    """An adaptive limit for each host: their step is ``adapt``.

    What waits, waits ``longest`` seconds, unless the terms say otherwise.
    """

    def __init__(
        self,
        setting: bool | AdaptiveLimit,
        *,
        hall: Hall,
        longest: float | None,
        hold: Hold | None = None,
    ) -> None:
        terms = setting if isinstance(setting, AdaptiveLimit) else AdaptiveLimit()
        self._clock: Callable[[], float] = hall.clock
        self._hosts: Places[_Host] = Places(lambda: _Host(hall, terms))
        wait = longest if terms.wait is True else patience(terms.wait)
        self.door = Door(hall, wait=wait, hold=hold)

    def reset_after_fork(self) -> None:
        """In a child: nothing is under way."""
        self._hosts.reset_after_fork()
        self.door.reset_after_fork()

    def limits(self) -> dict[str, int]:
        """How many each host bears, as far as is known."""
        return {name: int(host.slots.limit) for name, host in self._hosts.items()}

    def adapt(self, exchange: Exchange, proceed: Proceed[Exchange]) -> Response:
        """As many at once as it bears."""
        name = host_of(exchange.request.url or "")
        host = self._hosts.of(name)
        slots = host.slots

        def refusal(held: float | None) -> LimitExceeded:
            if held is not None:
                return left_alone(name, held)
            what = f"{slots.in_use} requests to {name} are under way"
            return BulkheadFull(f"{what}, as many as it bears just now", place=name)

        try:
            self.door.enter(exchange, slots.line, partial(slots.ask, exchange), refusal=refusal)
            if exchange.is_spare:  # it takes a place; that it is cut says nothing of the host
                return proceed(exchange)
            began = self._clock()
            try:
                response = proceed(exchange)
            except requests.Timeout as error:
                if not isinstance(error, PoolTimeout):  # that is our own doing
                    host.groaned(began, self._clock())
                raise
            if response.status_code in _GROANS:
                host.groaned(began, self._clock())
            elif response.status_code and response.status_code < 500:
                host.answered(began, self._clock())
            return response
        finally:
            slots.holders.discard(exchange)  # first: see there
            slots.line.stir()


class _Host:
    """The slots of a host, and what is known of its latency."""

    def __init__(self, hall: Hall, terms: AdaptiveLimit) -> None:
        self.slots = Slots(hall, terms.initial)
        self._terms = terms
        self._lock = threading.Lock()
        self._mean: float | None = None
        self._best = self._best_before = float("inf")
        self._answers = 0
        self._lowered = float("-inf")

    @property
    def is_idle(self) -> bool:
        return self.slots.is_idle

    def reset_after_fork(self) -> None:
        self._lock = threading.Lock()
        self.slots.reset_after_fork()

    def answered(self, began: float, now: float) -> None:
        """It went well; unless it took so long that it did not."""
        with self._lock:
            baseline = self._learn(max(_LEAST_LATENCY, now - began))
            assert self._mean is not None
            if self._mean > self._terms.tolerance * baseline:
                self._lower(began, now)
                return
            slots = self.slots
            if 2 * slots.in_use < slots.limit or slots.limit >= self._terms.most:
                return  # it is not the limit that holds anybody
            slots.limit = min(float(self._terms.most), slots.limit + 1 / slots.limit)
        slots.line.stir()

    def groaned(self, began: float, now: float) -> None:
        """It has had too much."""
        with self._lock:
            self._lower(began, now)

    def _lower(self, began: float, now: float) -> None:
        """Once for all that were under way then: they all saw the same."""
        if began < self._lowered:
            return
        limit = self.slots.limit * self._terms.decrease
        self.slots.limit = max(float(self._terms.least), limit)
        self._lowered = now

    def _learn(self, latency: float) -> float:
        """The mean latency of good days: the lowest of the last one or two rounds."""
        mean = latency if self._mean is None else self._mean + _RECENT * (latency - self._mean)
        self._mean = mean
        self._best = min(self._best, mean)
        self._answers += 1
        if self._answers >= _ROUND:
            self._answers, self._best_before, self._best = 0, self._best, mean
        return min(self._best, self._best_before)
