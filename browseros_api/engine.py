"""The client as one sentence with two clauses.

a call        meter.time       write down how it went
              hooks.hear       let the caller's hooks see the answer
              companion.call   go along, if there is one: for spans
              cache.lookup     do we know the answer?
              tracer.follow    write down what happens from here
              refuse           is the endpoint down, and nobody asking?
              flights.join     is somebody asking right now?
              turns.take       is another process asking right now?
              cache.store      keep a good answer
              -> requests      prepares, signs, keeps cookies, follows redirects
an exchange   retry.attempt    ask, and ask again
              tracer.attempt   write down each time
              limits           when it may go, and how many may
              guard_host       unless the host cannot be reached
              breakers.guard   unless the endpoint is down
              hedges.race      twice at once, if it is slow and the limits allow it
              companion.send   go along
              -> adapter       whichever is mounted
"""

from __future__ import annotations

import random
import threading
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

from requests import Response

from .deadlines import until_then
from .errors import ClientClosed
from .forks import reset_in_child
from .hedging import hedges_of
from .identity import Identity
from .journal import Journal
from .listeners import Listeners
from .making import Making
from .naps import nap, now, wall
from .pipeline import Call, Companion, Exchange, Step
from .policies.breakers import Breakers, CircuitBreaker
from .policies.budget import Budget
from .policies.cache import Cache
from .policies.explaining import missed, unasked
from .policies.flights import Flights
from .policies.limits import Limits
from .policies.meter import Meter
from .policies.retry import Retry
from .policies.tracer import Tracer
from .policies.turns import Turns
from .settings import Settings
from .transport.adapter import PoolingAdapter
from .transport.sent import state_of
from .wire import Wire
from .witness import Account, Witness

__all__ = ["Engine", "observe"]


class Engine:
    """The policies of one session, and what they share: clock, sleep, chance, journal."""

    def __init__(self, settings: Settings, *, breaker: CircuitBreaker | None = None) -> None:
        self.settings = settings
        self.breaker = breaker
        self.clock = settings.clock or now
        self.wall = wall
        self.journal = Journal(enabled=settings.debug)
        self.closing = threading.Event()
        self.adapter = PoolingAdapter(settings)
        self.identity = Identity(
            PoolingAdapter,
            remembered=2 * settings.cache_max_entries,
            by_rfc=settings.cache_mode == "rfc",
            share=settings.share,
        )
        self.breakers = Breakers(settings, clock=self.clock, journal=self.journal, template=breaker)
        self.listeners = Listeners(self.breakers.endpoint_of, changed=self.breakers.hear)
        self.meter = Meter(clock=self.clock, listeners=self.listeners)
        self.cache = Cache(settings, clock=self.clock, journal=self.journal)
        self.flights = Flights(clock=self.clock, journal=self.journal)
        sleep = settings.sleep or self._nap
        self.turns = Turns(self.cache.answers, clock=self.clock, sleep=sleep, journal=self.journal)
        terms = settings.retry_budget
        self.budget = None if terms is None else Budget(terms, clock=self.clock)
        self.retry = Retry(
            settings,
            clock=self.clock,
            sleep=sleep,
            random=settings.random or random.random,
            journal=self.journal,
            state_of=state_of,
            budget=self.budget,
            listeners=self.listeners,
        )
        why = partial(missed, self.cache) if settings.enable_cache else unasked
        self.tracer = Tracer(clock=self.clock, why=why, listeners=self.listeners, own=self.adapter)
        self.limits = Limits(settings, clock=self.clock, endpoint_of=self.breakers.endpoint_of)
        self.hedges = hedges_of(
            settings,
            clock=self.clock,
            journal=self.journal,
            endpoint_of=self.breakers.endpoint_of,
            budget=self.budget,
            limits=self.limits.steps(),
        )
        self.wire = Wire(settings, clock=self.clock)
        self.account: Account | None = None
        if _witness is not None:
            self.account = Account(_witness, self.retry, self.adapter, self.hedges)
            self.listeners.add("attempt", self.account.send)
            self.listeners.add("call", self.account.end)
        self.thread = Making()
        self.companion: Companion | None = None
        self.session: weakref.ref[Any] | None = None  # whose it is, once that has been said
        _ENGINES.add(self)

    # -- the sentence ----------------------------------------------------------------------------

    def call_steps(
        self, refuse: Step[Call] | None = None, *, again: bool = False
    ) -> list[Step[Call]]:
        """The first clause, without what is switched off, and ``again`` without looking.

        ``refuse`` only says early what the second clause would say.
        """
        settings = self.settings
        are_shared = settings.enable_cache and not self.cache.answers.is_near
        foresees = settings.enable_circuit_breaker and settings.endpoint_key is None
        steps: list[tuple[Step[Call], bool]] = [
            *([(self.companion.call, True)] if self.companion else []),
            (until_then(self.clock), are_shared),
            (self.cache.lookup, settings.enable_cache and not again),
            (self.tracer.follow, True),
            *([(refuse, foresees and not self.journal.enabled)] if refuse else []),
            (self.flights.join, settings.enable_deduplication),
            (self.turns.take, are_shared and settings.enable_deduplication),
            (self.cache.store, settings.enable_cache),
        ]
        return [step for step, is_on in steps if is_on]

    def exchange_steps(self) -> list[Step[Exchange]]:
        """The second clause."""
        breaks = self.settings.enable_circuit_breaker
        steps: list[tuple[Step[Exchange], bool]] = [
            (self.retry.attempt, True),  # with max_retries=0 it still counts and writes down
            (self.tracer.attempt, True),
            *[(step, True) for step in self._limiting()],
            (self.breakers.guard_host, breaks and self.breakers.guards_hosts),
            (self.breakers.guard, breaks),
            (self.hedges.race, True),  # any call may ask for it
        ]
        if self.companion is not None:
            steps.append((self.companion.send, True))
        return [step for step, is_on in steps if is_on]

    def _limiting(self) -> list[Step[Exchange]]:
        """What waits, and before that: whether there is anything to wait for.

        Outside of circuits, so that nobody holds the place of a trial while he waits for another.
        """
        steps = self.limits.steps()
        foresees = steps and self.settings.enable_circuit_breaker
        return [self.breakers.foresee, *steps] if foresees else steps

    # -- what is going on in this thread ---------------------------------------------------------

    @property
    def current(self) -> Call | None:
        """The call that this thread is making."""
        return self.thread.call

    def make(self, call: Call, work: Callable[[Call], Response]) -> Response:
        """What comes of ``work(call)``: the exchanges meanwhile, in this thread, belong to it."""
        return self.thread.make(call, work, clock=self.clock)

    # -- life ------------------------------------------------------------------------------------

    def _nap(self, seconds: float) -> None:
        if nap(seconds, self.closing):
            raise ClientClosed("the client was closed while a call waited for its next attempt")

    def close(self) -> None:
        """For good: calls that sleep between attempts wake up and end."""
        self.closing.set()
        self.limits.close()
        self.cache.refresher.close()
        self.rest()

    def rest(self) -> None:
        """Until the next call nothing is needed: neither the store nor idle threads."""
        self.cache.answers.close()
        self.breakers.close()
        self.hedges.close()

    def reset_after_fork(self) -> None:
        """In a child: locks may be held by threads that exist no more, sockets are the parent's."""
        self.thread = Making()
        is_closed, self.closing = self.closing.is_set(), threading.Event()
        if is_closed:
            self.closing.set()
        if self.session is not None and (session := self.session()) is not None:
            session._leave_to_parent()
        own = (self.flights, self.turns, self.cache, self.breakers, self.limits, self.adapter)
        for part in own:
            part.reset_after_fork()
        locked = self.meter, self.listeners, self.retry, self.budget, self.hedges, self.account
        for one in locked:
            if one is not None:
                one.reset_lock()

    def read(self) -> dict[str, Any]:
        """Every figure there is."""
        figures = self.meter.read()
        figures["cache_size"] = len(self.cache.answers)
        figures["cache_bytes"] = self.cache.answers.bytes
        figures["confirmed_responses"] = self.cache.keeper.confirmed
        figures["stale_responses"] = self.cache.lent
        figures["shared_responses"] = self.turns.shared
        figures["retries"] = self.retry.retries
        figures["rescued_requests"] = self.retry.rescued
        figures["refused_retries"] = 0 if self.budget is None else self.budget.refused
        figures["hedged_requests"] = self.hedges.sent
        figures["hedges_won"] = self.hedges.won
        figures["rejected_requests"] = self.breakers.rejected
        figures["limits"] = self.limits.read()
        figures["connections"] = self.adapter.statistics()
        figures["store"] = self.cache.answers.figures()
        return figures


_ENGINES: weakref.WeakSet[Engine] = weakref.WeakSet()
_witness: Witness | None = None


def observe(witness: Witness | None) -> Witness | None:
    """Let each engine made from now on tell ``witness`` of its calls; returns the one before."""
    global _witness
    before, _witness = _witness, witness
    return before


@reset_in_child
def _reset_all() -> None:
    for engine in list(_ENGINES):
        engine.reset_after_fork()
