"""One circuit breaker: what it can be told, and what it shows."""

from __future__ import annotations

import random as chance
import time
import weakref
from collections.abc import Callable, Iterable
from typing import Any

from ..checks import whole
from ..forks import reset_in_child
from ..terms import CircuitTerms
from .breaker_checks import (
    Exclusion,
    all_of,
    called,
    can_exclude,
    can_listen,
    check_terms,
    seconds,
)
from .breaker_hand import Switched
from .breaker_states import Listener

__all__ = ["CircuitBreaker"]

_RECOVERY, _SHORTEST_LEASE = 60.0, 60.0

# What belongs to this moment and process; everything else is inherited by copies.
_MOMENTARY = frozenset(
    (
        *("_lock", "_state", "_state_storage", "_trials", "_judge", "_changes", "_is_telling"),
        *("_opened_at", "_open_for", "_why", "_last_error", "_last_failure_time", "_rejected"),
    )
)


class CircuitBreaker(Switched):
    """Lets calls through as long as a service works, and spares it for a while when it does not.

    Any exception is a failure, except what is only a wish to stop (KeyboardInterrupt, SystemExit,
    cancellation), what another breaker says, and what ``exclude`` covers: these count as nothing.
    All of them reach the caller unchanged, also the one that opens the circuit.  While it is open
    a call raises ``CircuitOpenError`` at once.  Threads and tasks may share a breaker; none waits
    for another.  Copies, also pickled ones, have the settings, and start closed.

    Args:
        failure_threshold: consecutive failures that open the circuit.
        recovery_timeout: seconds that it then stays open.
        half_open_max_calls: trial calls after that, at once or not; all of them must succeed.
        name: what it is called in messages.
        exclude: exception classes, and predicates of an exception, that are no failures.
        is_failure: a predicate of results that are failures too; by default no result is.
        listeners: told of calls and changes, without a lock.  What they raise is logged.
        probe_lease: seconds after which a trial call that has not ended may lose its place to
            another one; by default ``recovery_timeout``, and at least a minute.
        terms: what else opens it, and for how long; without any: nothing, and as long each time.
        clock: monotonic seconds.
        random: numbers from 0 to 1, for the jitter of the terms.

    Of a generator only the making is seen, not what it yields.
    """

    def __init__(
        self,
        failure_threshold: int = 5,
        recovery_timeout: float = _RECOVERY,
        half_open_max_calls: int = 3,
        *,
        name: str = "",
        exclude: Iterable[Exclusion] = (),
        is_failure: Callable[[Any], bool] | None = None,
        listeners: Iterable[Listener] = (),
        probe_lease: float | None = None,
        terms: CircuitTerms | None = None,
        clock: Callable[[], float] = time.monotonic,
        random: Callable[[], float] | None = None,
    ) -> None:
        recovery_timeout = seconds("recovery_timeout", recovery_timeout)
        if probe_lease is None:
            probe_lease = max(recovery_timeout, _SHORTEST_LEASE)
        if not isinstance(name, str):
            raise TypeError(f"name must be a string, not {name!r}")
        super().__init__(
            fail_max=whole("failure_threshold", failure_threshold, least=1),
            reset_timeout=recovery_timeout,
            success_threshold=whole("half_open_max_calls", half_open_max_calls, least=1),
            name=name,
            exclude=all_of("exclude", exclude, can_exclude, "exception classes and predicates"),
            listeners=all_of("listeners", listeners, can_listen, "pybreaker listeners"),
            probe_lease=seconds("probe_lease", probe_lease),
            clock=called("clock", clock),
            random=chance.random if random is None else called("random", random),
            terms=CircuitTerms(),
        )
        self.adopt(terms)
        self.is_failure = None if is_failure is None else called("is_failure", is_failure)
        _LIVING.add(self)

    def adopt(self, terms: CircuitTerms | None) -> None:
        """Start afresh with these terms, whose listeners come to those it has."""
        if terms is None:
            return
        check_terms(terms, self.recovery_timeout, default=_RECOVERY)
        self._listeners += all_of("listeners", terms.listeners, can_listen, "pybreaker listeners")
        self.terms = terms
        self._start_afresh()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in _MOMENTARY}

    def __setstate__(self, inherited: dict[str, Any]) -> None:
        vars(self).update(inherited)
        self._excluded_exceptions = [*self._excluded_exceptions]
        self._listeners = [*self._listeners]
        self._start_afresh()
        _LIVING.add(self)

    # -- what it shows ---------------------------------------------------------------------------

    @property  # type: ignore[misc]
    def state(self) -> str:  # type: ignore[override]
        """``"closed"``, ``"open"`` or ``"half_open"``.

        An open circuit whose time is over becomes half-open by being looked at here or in
        ``status()``; looking changes nothing else, and looking elsewhere nothing at all.
        """
        return str(self.status()["state"])

    def status(self) -> dict[str, Any]:
        """All that is shown, of one moment: state, counts, and times as in the properties."""
        now = self.clock()
        with self._lock:
            self._notice(now)
            status = {
                "state": _shown(self.current_state),
                "failure_count": self.failure_count,
                "last_failure_time": self.last_failure_time,
                "rejected_count": self.rejected_count,
                "retry_after": self._refused_for(now),
                "isolated": self.isolated,
                "window": self._judge.shown(now),
            }
        self._tell_changes()
        return status

    @property
    def failure_count(self) -> int:
        """Consecutive failures up to now; of an open circuit, those that opened it."""
        return self.fail_counter

    @property
    def last_failure_time(self) -> float | None:
        """When the last failure was counted, in seconds since 1970, or ``None``."""
        return self._last_failure_time

    @property
    def last_error(self) -> BaseException | None:
        """A copy, without its traceback, of the failure that opened the circuit."""
        return self._last_error

    @property
    def rejected_count(self) -> int:
        """Calls that were not let through, or would not have been but for ``metrics_only``."""
        return self._rejected

    @property
    def window(self) -> dict[str, float] | None:
        """``calls`` of late, their ``failure_rate`` and ``slow_call_rate``; None: not counted."""
        now = self.clock()
        with self._lock:
            return self._judge.shown(now)

    @property
    def retry_after(self) -> float:
        """Seconds until a trial call is let through: 0.0 if one is now, or the circuit is closed.

        While all trial calls are under way it is the longest that this can take; of an isolated
        circuit it is infinite.
        """
        return self.wait_at(self.clock())

    def wait_at(self, now: float) -> float:
        """The same, as it will be at an instant of ``clock``, or has been at one just past."""
        with self._lock:
            return self._refused_for(now)

    @property
    def failure_threshold(self) -> int:
        """Consecutive failures that open the circuit."""
        return self.fail_max

    @property
    def recovery_timeout(self) -> float:
        """Seconds that the circuit stays open."""
        return self.reset_timeout

    @property
    def half_open_max_calls(self) -> int:
        """Trial calls that must succeed for the circuit to close."""
        return self.success_threshold

    def __repr__(self) -> str:
        name = f" {self.name!r}" if self.name else ""
        failures = f"{self.failure_count} of {self.fail_max} failures"
        return f"<{type(self).__name__}{name}: {_shown(self.current_state)}, {failures}>"


def _shown(state: str) -> str:
    return state.replace("-", "_")


_LIVING: weakref.WeakSet[CircuitBreaker] = weakref.WeakSet()


@reset_in_child
def _in_child() -> None:
    for breaker in list(_LIVING):
        breaker.reset_after_fork()
