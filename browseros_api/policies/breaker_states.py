"""A circuit: its three states, and the permits that lead through it.

    closed ────▶ open         the failure_threshold-th failure in a row
    open ──────▶ half-open    recovery_timeout has passed, and somebody calls or looks
    half-open ─▶ closed       all of half_open_max_calls trial calls have succeeded
    half-open ─▶ open         one trial call has failed; the whole recovery_timeout starts again

A call is admitted (under the lock), runs (without it), and is settled (under it).  A permit knows
the state that issued it: once the circuit has gone on to another one, the result changes nothing.
Listeners are told without the lock, in the order of what happened, and cannot interfere.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import pybreaker
from pybreaker import CircuitBreakerError as Refusal
from pybreaker import CircuitBreakerListener as Listener

from ..errors import CircuitOpenError, clone
from ..journal import LOGGER

__all__ = ["CLOSED", "HALF_OPEN", "OPEN", "Circuit", "Listener", "Permit", "Refusal"]

CLOSED, OPEN, HALF_OPEN = "closed", "open", "half-open"  # as pybreaker spells them


class Permit:
    """The right to make one call; settling or forgiving it, whichever comes first, spends it."""

    __slots__ = ("since", "state")

    def __init__(self, state: pybreaker.CircuitBreakerState, since: float = 0.0) -> None:
        self.state: pybreaker.CircuitBreakerState | None = state  # None: spent
        self.since = since


class Circuit(pybreaker.CircuitBreaker):
    """pybreaker's states, counters, exclusions and listeners; its own way through them.

    A sin, but nothing else keeps pybreaker's lock away from the call: this relies on its private
    ``_lock``, ``_state``, ``_state_storage``, ``_create_new_state``, ``_listeners`` and
    ``_excluded_exceptions``.  The ``call`` of its states is never used.
    """

    def __init__(self, *, probe_lease: float, clock: Callable[[], float], **settings: Any) -> None:
        super().__init__(**settings, throw_new_error_on_trip=False)
        self._probe_lease, self.clock = probe_lease, clock
        self._start_afresh()

    def _start_afresh(self) -> None:
        self._state_storage = pybreaker.CircuitMemoryStorage(CLOSED)
        self._state = self._create_new_state(CLOSED)
        self._opened_at, self._why = 0.0, ""
        self._last_error: BaseException | None = None
        self._last_failure_time: float | None = None
        self._rejected = 0
        self.reset_after_fork()

    def reset_after_fork(self) -> None:
        """Nobody holds the lock, and whatever is under way will be settled in the parent."""
        self._lock = threading.RLock()
        self._state = self._create_new_state(self._state.name)
        self._state_storage.state = self._state.name
        self._trials: dict[Permit, None] = {}  # in flight, oldest first
        self._changes: deque[tuple[Any, Any]] = deque()  # that listeners have not been told yet
        self._telling = False

    # -- passing through -------------------------------------------------------------------------

    def admit(self) -> Permit:
        """Leave to make one call, to be settled or forgiven; or else ``CircuitOpenError``."""
        state = self._state
        if isinstance(state, pybreaker.CircuitClosedState):
            return Permit(state)  # one reference, read once: no lock needed
        now = self.clock()
        with self._lock:
            self._notice(now)
            wait = self._wait(now)
            granted = self._refusal(wait) if wait > 0 else self._permit(now)
        self._tell_changes()
        if isinstance(granted, CircuitOpenError):
            raise granted from granted.last_error
        return granted

    def is_down(self) -> bool:
        """Whether it is open, and no trial is due; only ``admit`` says so for sure."""
        return bool(self._state.name == OPEN) and self._wait(self.clock()) > 0

    def settle(self, permit: Permit, failure: BaseException | None) -> None:
        """Report how the call ended: ``None`` is a success.

        An exception that is no failure of the service (``is_system_error``) counts as neither.
        """
        if failure is None:
            if self._is_spotless():
                permit.state = None
                return
            bare = None
        elif self._is_forgiven(permit, failure):
            return
        else:
            bare = _bare(failure)
        now = self.clock()
        with self._lock:
            is_current = self._book(permit, bare, now)
        if is_current and failure is None:
            self._tell("success")
        elif is_current:
            self._tell("failure", failure)
        self._tell_changes()

    def forgive(self, permit: Permit) -> None:
        """Give the permit back as if it had never been used."""
        with self._lock:
            self._trials.pop(permit, None)
            permit.state = None

    def _is_spotless(self) -> bool:
        # No success changes anything, and nobody is to be told.  No lock: if that has just become
        # wrong, then the success came in just before.
        return not (self._trials or self._state_storage.counter or self._listeners)

    def _is_forgiven(self, permit: Permit, failure: BaseException) -> bool:
        counts = False  # also where a predicate of the user's raises
        try:
            counts = self.is_system_error(failure)
        finally:
            if not counts:
                self.forgive(permit)
        return not counts

    # -- what happens under the lock -------------------------------------------------------------

    def _notice(self, now: float) -> None:
        if self._state.name == OPEN and self._wait(now) == 0:
            self._turn(HALF_OPEN)

    def _permit(self, now: float) -> Permit:
        permit = Permit(self._state, now)
        if self._state.name == HALF_OPEN:
            if self._is_full():  # then the oldest has outstayed its lease
                lapsed = next(iter(self._trials))
                del self._trials[lapsed]
                lapsed.state = None
            self._trials[permit] = None
        return permit

    def _wait(self, now: float) -> float:
        if self._state.name == OPEN:
            return max(0.0, self.reset_timeout - (now - self._opened_at))
        if self._state.name == HALF_OPEN and self._is_full():
            return max(0.0, self._probe_lease - (now - next(iter(self._trials)).since))
        return 0.0

    def _is_full(self) -> bool:
        return len(self._trials) + self.success_counter >= self.success_threshold

    def _refusal(self, wait: float) -> CircuitOpenError:
        self._rejected += 1
        circuit = f"circuit for {self.name!r}" if self.name else "circuit"
        if self._state.name == OPEN:
            message = f"{circuit} is {self._why}; next trial in {wait:.1f} s"
        else:
            message = f"{circuit} is on trial, and no more calls are let through; "
            message += f"next trial in {wait:.1f} s at the latest"
        return CircuitOpenError(
            message, endpoint=self.name or "", retry_after=wait, last_error=self._last_error
        )

    def _book(self, permit: Permit, failure: BaseException | None, now: float) -> bool:
        issuer, permit.state = permit.state, None
        if issuer is None or issuer is not self._state:
            return False
        was_trial, counts = issuer.name == HALF_OPEN, self._state_storage
        self._trials.pop(permit, None)
        if failure is not None:
            counts.increment_counter()
            self._last_failure_time = time.time()  # to be shown; nothing is decided by it
            if was_trial:
                self._trip(now, failure, "open again: a trial call failed")
            elif counts.counter >= self.fail_max:
                self._trip(now, failure, f"open after {_in_a_row(counts.counter)}")
        elif was_trial:
            counts.increment_success_counter()
            if counts.success_counter >= self.success_threshold:
                self._turn(CLOSED)
        else:
            counts.reset_counter()
        return True

    def _trip(self, now: float, failure: BaseException | None, why: str) -> None:
        self._opened_at, self._last_error, self._why = now, failure, why
        self._turn(OPEN)

    def _turn(self, name: str) -> None:
        old, counts = self._state, self._state_storage
        self._trials.clear()
        counts.reset_success_counter()
        if name != OPEN:  # an open circuit counts nothing, and goes on showing what opened it
            counts.reset_counter()
        if name == CLOSED:
            self._last_error = None
        counts.state = name
        self._state = self._create_new_state(name)  # a new object, even where the name stays
        if name != old.name:
            self._changes.append((old, self._state))

    # -- telling ---------------------------------------------------------------------------------

    def _tell(self, event: str, /, *details: Any, **more: Any) -> None:
        for listener in self.listeners:
            try:
                getattr(listener, event)(self, *details, **more)
            except Exception:
                LOGGER.exception("a listener of circuit %r failed", self.name)

    def _tell_changes(self) -> None:
        # One thread at a time, which keeps the order; it also tells what others, or the listeners
        # themselves, have changed meanwhile.
        while self._changes:
            with self._lock:
                if self._telling:
                    return
                self._telling = True
            try:
                while self._changes:
                    self._tell("state_change", *self._changes.popleft())
            finally:
                self._telling = False


def _bare(error: BaseException) -> BaseException:
    # To be remembered while the circuit is open, and a traceback would for so long keep alive the
    # variables of everybody through whom the error has passed.
    copy = clone(error)
    if copy is not error:  # there are classes that cannot be copied
        copy.__cause__ = None
    return copy


def _in_a_row(count: int) -> str:
    return f"{count} consecutive failure{'' if count == 1 else 's'}"
