"""A circuit: its three states, and the permits that lead through it.

    closed ────▶ open         the failure_threshold-th failure in a row, or, where the terms say so,
                              too many failures or slow calls among those of the window
    open ──────▶ half-open    recovery_timeout has passed, and somebody calls or looks; an isolated
                              one stays open
    half-open ─▶ closed       all of half_open_max_calls trial calls have succeeded
    half-open ─▶ open         one trial call has failed, or too many were slow; the whole time
                              starts again, and is doubled where the terms say so

A call is admitted (under the lock), runs (without it), and is settled (under it).  A permit knows
the state that issued it: once the circuit has gone on to another one, the result changes nothing.
Listeners are told without the lock, in the order of what happened, and cannot interfere.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import pybreaker
from pybreaker import CircuitBreakerError as Refusal
from pybreaker import CircuitBreakerListener as Listener

from ..errors import CircuitOpenError
from ..terms import CircuitTerms
from .breaker_judge import Judge
from .breaker_permits import Permit, Trials, refusal, without_cause
from .breaker_telling import Telling

__all__ = ["CLOSED", "HALF_OPEN", "OPEN", "Circuit", "Listener", "Permit", "Refusal"]

CLOSED, OPEN, HALF_OPEN = "closed", "open", "half-open"  # as pybreaker spells them


class Circuit(Telling):
    """pybreaker's states, counters, exclusions and listeners; its own way through them.

    A sin, but nothing else keeps pybreaker's lock away from the call: this relies on its private
    ``_lock``, ``_state``, ``_state_storage``, ``_create_new_state``, ``_listeners`` and
    ``_excluded_exceptions``.  The ``call`` of its states is never used.
    """

    def __init__(
        self, *, probe_lease: float, clock: Callable[[], float], random: Callable[[], float],
        terms: CircuitTerms, **settings: Any,
    ) -> None:  # fmt: skip
        super().__init__(**settings, throw_new_error_on_trip=False)
        self._probe_lease, self.clock, self.random, self.terms = probe_lease, clock, random, terms
        self._start_afresh()

    def _start_afresh(self) -> None:
        self._state_storage = pybreaker.CircuitMemoryStorage(CLOSED)
        self._state = self._create_new_state(CLOSED)
        self._opened_at, self._open_for, self._why = 0.0, 0.0, ""
        self._judge = Judge(self.terms)
        self._is_plain = not self.terms.counts_calls  # only failures in a row count
        self._last_error: BaseException | None = None
        self._last_failure_time: float | None = None
        self._rejected = 0
        self.reset_after_fork()

    def reset_after_fork(self) -> None:
        """Nobody holds the lock, and whatever is under way will be settled in the parent."""
        self._lock = threading.RLock()
        self._state = self._create_new_state(self._state.name)
        self._state_storage.state = self._state.name
        self._trials = Trials()
        self._changes = deque()
        self._is_telling = False

    # -- passing through -------------------------------------------------------------------------

    def admit(self) -> Permit:
        """Leave to make one call, to be settled or forgiven; or else ``CircuitOpenError``."""
        state = self._state
        if isinstance(state, pybreaker.CircuitClosedState):  # one reference, read once: no lock
            return Permit(state) if self._is_plain else Permit(state, self.clock())
        now = self.clock()
        with self._lock:
            self._notice(now)
            wait = self._wait(now)
            granted = self._permit(now) if wait == 0 else self._declined(wait)
        self._tell_changes()
        if isinstance(granted, Permit):
            return granted
        try:
            raise granted from granted.last_error
        finally:
            del granted  # an error must not be held by the frames that its traceback holds

    def is_down(self) -> bool:
        """Whether it is open, and no trial is due; only ``admit`` says so for sure."""
        return bool(self._state.name == OPEN) and self._is_strict() and self._left(self.clock()) > 0

    def settle(self, permit: Permit, failure: BaseException | None) -> float:
        """Report how the call ended: ``None`` is a success.  For how long calls are refused now.

        An exception that is no failure of the service (``is_system_error``) counts as neither.
        """
        if failure is None and self._is_spotless(permit):
            permit.state = None
            return 0.0
        bare = None
        if failure is not None:
            self._forgive_what_is_none(permit, failure)
            bare = without_cause(failure)
        now, shortening = self.clock(), self._judge.shortening(self.random)
        with self._lock:
            is_current = self._book(permit, bare, now, shortening)
            wait = self._refused_for(now)
        if is_current and failure is None:
            self._tell("success")
        elif is_current:
            self._tell("failure", failure)
        self._tell_changes()
        return wait

    def forgive(self, permit: Permit) -> None:
        """Give the permit back as if it had never been used."""
        with self._lock:
            self._trials.end(permit)
            permit.state = None

    def _is_spotless(self, permit: Permit) -> bool:
        # It changes nothing, and nobody is to be told.  No lock: if that has just become wrong,
        # then the success came in just before.
        if self._listeners or self._state_storage.counter or not self._is_plain:
            return False
        return isinstance(permit.state, pybreaker.CircuitClosedState)

    def _forgive_what_is_none(self, permit: Permit, failure: BaseException) -> None:
        counts = False  # also where a predicate of the user's raises
        try:
            counts = self.is_system_error(failure)
        finally:
            if not counts:
                self.forgive(permit)

    # -- what happens under the lock -------------------------------------------------------------

    def _notice(self, now: float) -> None:
        if self._state.name == OPEN and self._wait(now) == 0:
            self._turn(HALF_OPEN)

    def _permit(self, now: float) -> Permit:
        permit = Permit(self._state, now)
        if self._state.name == HALF_OPEN:
            running = self._trials.running()
            if self._is_full(running):  # then the oldest has outstayed its lease
                self.forgive(running[0])
            self._trials.begin(permit)
        return permit

    def _wait(self, now: float) -> float:
        if self._state.name == OPEN:
            return self._left(now)
        if self._state.name == HALF_OPEN and self._is_full(running := self._trials.running()):
            return max(0.0, self._probe_lease - (now - running[0].since))
        return 0.0

    def _left(self, now: float) -> float:
        return max(0.0, self._open_for - (now - self._opened_at))

    def _is_full(self, running: list[Permit]) -> bool:
        return bool(running) and len(running) + self.success_counter >= self.success_threshold

    def _is_strict(self) -> bool:
        return not self.terms.metrics_only or self._open_for == math.inf

    def _refused_for(self, now: float) -> float:
        return self._wait(now) if self._is_strict() else 0.0

    def _declined(self, wait: float) -> CircuitOpenError | Permit:
        self._rejected += 1
        if not self._is_strict():
            return Permit()
        is_open = self._state.name == OPEN
        return refusal(self.name or "", self._why if is_open else "", wait, self._last_error)

    def _book(
        self, permit: Permit, failure: BaseException | None, now: float, shortening: float
    ) -> bool:
        issuer, permit.state = permit.state, None
        if issuer is None or issuer is not self._state:
            return False
        is_slow, has_failed = self._judge.is_slow(now - permit.since), failure is not None
        if has_failed:
            self._state_storage.increment_counter()
            self._last_failure_time = time.time()  # to be shown; nothing is decided by it
        if issuer.name == HALF_OPEN:
            self._trials.end(permit)
            why = self._objection_to_trial(failed=has_failed, slow=is_slow)
        else:
            why = self._objection(now, failed=has_failed, slow=is_slow)
        if why:
            self._trip(now, self._judge.period(self.reset_timeout, shortening), failure, why)
        return True

    def _objection(self, now: float, *, failed: bool, slow: bool) -> str:
        """Why the circuit must open, if it must."""
        objection, counts = (
            self._judge.objection(now, failed=failed, slow=slow),
            self._state_storage,
        )
        if not failed:
            counts.reset_counter()
        elif counts.counter >= self.fail_max:
            plural = "" if counts.counter == 1 else "s"
            return f"open after {counts.counter} consecutive failure{plural}"
        return objection

    def _objection_to_trial(self, *, failed: bool, slow: bool) -> str:
        """Why the circuit must open again, if it must; else it may be closed now."""
        if failed:
            return "open again: a trial call failed"
        counts, judge = self._state_storage, self._judge
        counts.increment_success_counter()
        judge.slow_trials += slow
        if counts.success_counter < self.success_threshold:
            return ""
        objection = judge.objection_to_trials(counts.success_counter)
        if not objection:
            self._turn(CLOSED)
        return objection

    def _trip(self, now: float, seconds: float, failure: BaseException | None, why: str) -> None:
        self._opened_at, self._open_for = now, seconds
        self._last_error, self._why = failure, why
        self._turn(OPEN)

    def _turn(self, name: str) -> None:
        old, counts = self._state, self._state_storage
        self._trials.clear()
        counts.reset_success_counter()
        if name != OPEN:  # an open circuit counts nothing, and goes on showing what opened it
            counts.reset_counter()
            self._judge.start(openings=0 if name == CLOSED else self._judge.openings)
            self._open_for = 0.0
        if name == CLOSED:
            self._last_error = None
        counts.state = name
        self._state = self._create_new_state(name)  # a new object, even where the name stays
        if name != old.name:
            self._changes.append((old, self._state))
