"""Asking a second time while the first answer is late, within the same budget as retries.

What is slow for a reason of its own (a pause of one server of many, a packet that was lost) is
quick the second time.  Only what changes nothing is asked twice at once, which of the two the
server hears first being anybody's guess; and only what has nobody reading its body bit by bit.
The idea, and that of a percentile as the time to wait, are those of "The Tail at Scale" (Dean and
Barroso, 2013).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from requests import Response

from ..journal import Journal, masked_url
from ..pipeline import Exchange, Proceed, Step, compose
from ..refusals import LimitExceeded
from ..settings import Settings
from ..team import Team
from ..terms import Hedge
from .latencies import Latencies
from .race import Cuttable, Race, is_good

__all__ = ["Hedges"]

_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_MOST_THREADS = 16
_MOST_TERMS = 64


class Spendable(Protocol):
    """What a budget does for hedges."""

    def spend(self, url: str) -> bool: ...


class Hedges:
    """The second requests of a session, each on the terms of its call: its step is ``race``.

    ``watch`` makes what cuts the slower one; ``can_race`` tells whether an exchange can be cut, and
    whether there is a connection for a second one.  ``clock`` is that of deadlines.  A second one
    goes through ``limits`` by itself: it is a request like any other.

    Attributes:
        sent: requests that were sent beside another one.
        won: those of them whose answer was the first good one.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Callable[[], float],
        journal: Journal,
        watch: Callable[[], AbstractContextManager[Cuttable]],
        can_race: Callable[[Exchange], bool],
        endpoint_of: Callable[[str, str], str],
        budget: Spendable | None = None,
        limits: Sequence[Step[Exchange]] = (),
    ) -> None:
        self._clock, self._journal, self._endpoints = clock, journal, settings.max_endpoints
        self._watch, self._can_race, self._endpoint_of = watch, can_race, endpoint_of
        self._budget, self._limits = budget, limits
        self._latencies: dict[Hedge, Latencies] = {}
        self._team = _made_team()
        self.sent = self.won = 0
        self.reset_lock()

    def reset_lock(self) -> None:
        """A new lock, for a child process whose parent may have held the old one."""
        self._counting = threading.Lock()
        for latencies in self._latencies.values():
            latencies.reset_lock()

    def close(self) -> None:
        """Threads that wait for something to do end; new ones come when they are needed."""
        team, self._team = self._team, _made_team()
        team.dismiss()

    def race(self, exchange: Exchange, proceed: Proceed[Exchange]) -> Response:
        """Send the request, once more if that takes long, and hand out the first good answer."""
        terms = exchange.call.hedge
        if terms is None or not self._is_raced(exchange):
            return proceed(exchange)
        if terms.seconds is not None:
            return self._raced(exchange, proceed, terms.seconds)
        endpoint, latencies = exchange.endpoint or self._endpoint(exchange), self._known(terms)
        seconds, began = latencies.bound(endpoint), time.monotonic()
        response = proceed(exchange) if seconds is None else self._raced(exchange, proceed, seconds)
        if is_good(response):
            latencies.add(endpoint, time.monotonic() - began)
        return response

    def _known(self, terms: Hedge) -> Latencies:
        """How long those took for which these terms count."""
        known = self._latencies.get(terms)
        if known is None:
            with self._counting:
                if len(self._latencies) >= _MOST_TERMS:
                    self._latencies.clear()  # nobody needs so many
                known = Latencies(terms, endpoints=self._endpoints)
                known = self._latencies.setdefault(terms, known)
        return known

    def _is_raced(self, exchange: Exchange) -> bool:
        request = exchange.request
        return (
            (request.method or "").upper() in _METHODS
            and not exchange.streams
            and isinstance(request.body, (str, bytes, type(None)))
            and self._can_race(exchange)
        )

    def _endpoint(self, exchange: Exchange) -> str:
        return self._endpoint_of(exchange.request.method or "", exchange.request.url or "")

    def _raced(self, exchange: Exchange, proceed: Proceed[Exchange], seconds: float) -> Response:
        race = Race(
            exchange,
            lambda one: beside(one) if one.is_spare else proceed(one),
            watch=self._watch,
            may_hedge=self._may_hedge,
            hand=self._team.hand,
        )
        beside = compose([*self._limits, self._pay, race.beside], proceed)
        try:
            return race.run(seconds)
        finally:
            if race.was_won_by_hedge:
                self._count(won=1)
            trace = exchange.call.trace
            if trace is not None and trace.attempts:
                attempt = trace.attempts[-1]
                attempt.hedged, attempt.hedge_won = race.hedged_after, race.was_won_by_hedge

    def _may_hedge(self, exchange: Exchange) -> bool:
        deadline = exchange.call.deadline
        return (deadline is None or self._clock() < deadline) and self._can_race(exchange)

    def _pay(self, exchange: Exchange, proceed: Proceed[Exchange]) -> Response:
        """Within the budget; after the limits, so that what they refuse has cost nothing."""
        request, url = exchange.request, exchange.request.url or ""
        if self._budget is not None and not self._budget.spend(url):
            raise LimitExceeded("the retry budget of its host is used up", request=request)
        if self._journal.enabled:
            self._journal.say("%s %s: slow; asked again", request.method, masked_url(url))
        self._count(sent=1)
        return proceed(exchange)

    def _count(self, *, sent: int = 0, won: int = 0) -> None:
        with self._counting:
            self.sent += sent
            self.won += won

    def __repr__(self) -> str:
        return f"<Hedges [{self.sent} sent, {self.won} won]>"


def _made_team() -> Team:
    return Team(_MOST_THREADS, "browseros_api-hedge", least=_MOST_THREADS)
