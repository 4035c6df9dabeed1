"""The client as one sentence with two clauses.

a call        meter.time       write down how it went
              hooks.hear       let the caller's hooks see the answer
              cache.lookup     do we know the answer?
              flights.join     is somebody asking right now?
              cache.store      keep a good answer
              -> requests      prepares, signs, keeps cookies, follows redirects
an exchange   retry.attempt    ask, and ask again
              breakers.guard   unless the endpoint is down
              -> adapter       whichever is mounted
"""

from __future__ import annotations

import os
import random
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests
from requests import Response

from .environment import MergedSettings
from .errors import ClientClosed, DeadlineExceeded, PoolTimeout, ReadTimeout, as_timeout
from .identity import Identity
from .journal import Journal, masked_url
from .pipeline import Call, Exchange, Step
from .policies.breakers import Breakers, CircuitBreaker
from .policies.cache import Cache
from .policies.flights import Flights
from .policies.meter import Meter
from .policies.retry import Retry
from .settings import Settings
from .transport.adapter import PoolingAdapter
from .transport.body import read_body, skim_body
from .transport.sent import never_sent
from .transport.watch import Watch
from .witness import Account, Witness

__all__ = ["Engine", "observe"]


class Engine:
    """The policies of one session, and what they share: clock, sleep, chance, journal."""

    def __init__(self, settings: Settings, *, breaker: CircuitBreaker | None = None) -> None:
        self.settings = settings
        self.breaker = breaker
        self.clock = settings.clock or time.monotonic
        self.wall = time.time
        self.journal = Journal(enabled=settings.debug)
        self.closing = threading.Event()
        self.adapter = PoolingAdapter(settings)
        self.identity = Identity(PoolingAdapter, remembered=2 * settings.cache_max_entries)
        self.merged = MergedSettings()
        self.meter = Meter(clock=self.clock)
        self.cache = Cache(settings, clock=self.clock, journal=self.journal)
        self.flights = Flights(clock=self.clock, journal=self.journal)
        self.retry = Retry(
            settings,
            clock=self.clock,
            sleep=settings.sleep or self._nap,
            random=settings.random or random.random,
            journal=self.journal,
            never_sent=never_sent,
        )
        self.breakers = Breakers(settings, clock=self.clock, journal=self.journal, template=breaker)
        self.account: Account | None = None
        if _witness is not None:
            self.account = Account(_witness, self.retry, self.adapter)
            self.meter.listener = self.account.end
        self.thread = threading.local()
        _ENGINES.add(self)

    # -- the sentence ----------------------------------------------------------------------------

    def call_steps(self) -> list[Step[Call]]:
        """The first clause.  A step that is switched off is not in it."""
        settings = self.settings
        steps: list[tuple[Step[Call], bool]] = [
            (self.cache.lookup, settings.enable_cache),
            (self.flights.join, settings.enable_deduplication),
            (self.cache.store, settings.enable_cache),
        ]
        return [step for step, is_on in steps if is_on]

    def exchange_steps(self) -> list[Step[Exchange]]:
        """The second clause."""
        settings = self.settings
        steps: list[tuple[Step[Exchange], bool]] = [
            (self.retry.attempt, True),  # with max_retries=0 it still counts and writes down
            (self.breakers.guard, settings.enable_circuit_breaker),
        ]
        if self.account is not None:
            steps.append((self.account.transmit, True))
        return [step for step, is_on in steps if is_on]

    # -- where the sentence ends -----------------------------------------------------------------

    def transmit(self, exchange: Exchange) -> Response:
        """Send one request through the adapter that is mounted, and read the whole answer.

        Bounded by the wall clock where the settings or the call's deadline say so.
        """
        bound, by_deadline = self._bound(exchange.call)
        if bound is not None and bound <= 0:
            raise self._too_late(exchange)
        with Watch(None if bound is None else time.monotonic() + bound) as watch:
            try:
                response = self._send(exchange)
                if not watch.expired:
                    return response
                response.close()  # it may look whole, and have been cut
                overdue = self._too_late if by_deadline else self._too_slow
                failure: requests.RequestException = overdue(exchange)
            except requests.RequestException as error:
                failure = error
        told = self._told(exchange, failure, watch.expired, by_deadline)
        try:
            if told is failure:
                raise failure
            raise told from failure.__cause__ or failure.__context__
        finally:
            del failure, told  # an error must not be held by the frames that its traceback holds

    def _bound(self, call: Call) -> tuple[float | None, bool]:
        """Seconds that this attempt may take, and whether that is all that the deadline leaves."""
        attempt = call.attempt_timeout
        if call.deadline is None:
            return attempt, False
        left = call.deadline - self.clock()
        return (left, True) if attempt is None or left <= attempt else (attempt, False)

    def _told(
        self, exchange: Exchange, error: requests.RequestException, overdue: bool, late: bool
    ) -> requests.RequestException:
        if error.request is None:
            error.request = exchange.request
        if isinstance(error, DeadlineExceeded):
            return error
        if late and (overdue or isinstance(error, PoolTimeout)):
            return self._too_late(exchange)
        if overdue and not isinstance(error, TimeoutError):
            return self._too_slow(exchange)
        return as_timeout(error)

    def _send(self, exchange: Exchange) -> Response:
        assert exchange.adapter is not None
        began = time.perf_counter()
        response = exchange.adapter.send(exchange.request, **exchange.options)
        response.__dict__.setdefault("_answered_after", time.perf_counter() - began)
        response.__dict__.setdefault("from_cache", False)
        limit = self.settings.max_response_bytes
        if response.is_redirect:
            follows = bool(exchange.call.arguments.get("allow_redirects", True))
            skim_body(response, limit=limit, follows=follows)
        elif not exchange.streams:
            read_body(response, limit=limit)
        return response

    def _too_late(self, exchange: Exchange) -> DeadlineExceeded:
        what = f"{exchange.request.method} {masked_url(str(exchange.request.url))}"
        attempt = f"attempt {exchange.attempt}" if exchange.attempt else "the first attempt"
        return DeadlineExceeded(f"{what}: deadline passed in {attempt}", request=exchange.request)

    def _too_slow(self, exchange: Exchange) -> ReadTimeout:
        what = f"{exchange.request.method} {masked_url(str(exchange.request.url))}"
        bound = exchange.call.attempt_timeout
        return ReadTimeout(f"{what}: took longer than {bound:g} s", request=exchange.request)

    # -- what is going on in this thread ---------------------------------------------------------

    @property
    def current(self) -> Call | None:
        """The call that this thread is making."""
        call: Call | None = getattr(self.thread, "call", None)
        return call

    @contextmanager
    def making(self, call: Call) -> Iterator[None]:
        """Within, this thread makes ``call``: its exchanges belong to it."""
        before = self.current
        self.thread.call = call
        try:
            yield
        finally:
            self.thread.call = before

    # -- life ------------------------------------------------------------------------------------

    def _nap(self, seconds: float) -> None:
        if self.closing.wait(seconds):
            raise ClientClosed("the client was closed while a call waited for its next attempt")

    def close(self) -> None:
        """For good: calls that sleep between attempts wake up and end."""
        self.closing.set()

    def reset_after_fork(self) -> None:
        """In a child: locks may be held by threads that exist no more, sockets are the parent's."""
        self.thread = threading.local()
        for part in (self.flights, self.cache, self.breakers, self.adapter):
            part.reset_after_fork()
        self.meter.reset_lock()
        self.retry.reset_lock()
        if self.account is not None:
            self.account.reset_lock()

    def read(self) -> dict[str, Any]:
        """Every figure there is."""
        figures = self.meter.read()
        figures["cache_size"] = len(self.cache.answers)
        figures["cache_bytes"] = self.cache.answers.bytes
        figures["retries"] = self.retry.retries
        figures["rescued_requests"] = self.retry.rescued
        figures["rejected_requests"] = self.breakers.rejected
        figures["connections"] = self.adapter.statistics()
        return figures


_ENGINES: weakref.WeakSet[Engine] = weakref.WeakSet()
_witness: Witness | None = None


def observe(witness: Witness | None) -> Witness | None:
    """Let each engine made from now on tell ``witness`` of its calls; returns the one before."""
    global _witness
    before, _witness = _witness, witness
    return before


def _reset_all() -> None:
    for engine in list(_ENGINES):
        engine.reset_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_all)
