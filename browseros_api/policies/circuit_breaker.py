"""One circuit breaker: what it can be told, what it shows, and how it is switched by hand."""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from ..checks import duration, whole
from ..forks import reset_in_child
from .breaker_forms import Passage
from .breaker_states import CLOSED, HALF_OPEN, Listener

__all__ = ["CircuitBreaker"]

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")
Exclusion = type[BaseException] | Callable[[Any], bool]

_SHORTEST_LEASE = 60.0

# What belongs to this moment and process; everything else is inherited by copies.
_MOMENTARY = frozenset(
    (
        *("_lock", "_state", "_state_storage", "_trials", "_changes", "_telling"),
        *("_opened_at", "_why", "_last_error", "_last_failure_time", "_rejected"),
    )
)


class CircuitBreaker(Passage):
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
        clock: monotonic seconds.

    Of a generator only the making is seen, not what it yields.
    """

    def __init__(
        self,
        failure_threshold: int = 5,
        recovery_timeout: float = 60.0,
        half_open_max_calls: int = 3,
        *,
        name: str = "",
        exclude: Iterable[Exclusion] = (),
        is_failure: Callable[[Any], bool] | None = None,
        listeners: Iterable[Listener] = (),
        probe_lease: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        recovery_timeout = _seconds("recovery_timeout", recovery_timeout)
        if probe_lease is None:
            probe_lease = max(recovery_timeout, _SHORTEST_LEASE)
        if not isinstance(name, str):
            raise TypeError(f"name must be a string, not {name!r}")
        super().__init__(
            fail_max=whole("failure_threshold", failure_threshold, least=1),
            reset_timeout=recovery_timeout,
            success_threshold=whole("half_open_max_calls", half_open_max_calls, least=1),
            name=name,
            exclude=_all_of("exclude", exclude, _can_exclude, "exception classes and predicates"),
            listeners=_all_of("listeners", listeners, _can_listen, "pybreaker listeners"),
            probe_lease=_seconds("probe_lease", probe_lease),
            clock=_called("clock", clock),
        )
        self.is_failure = None if is_failure is None else _called("is_failure", is_failure)
        _LIVING.add(self)

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
                "retry_after": self._wait(now),
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
        """Calls that were not let through."""
        return self._rejected

    @property
    def retry_after(self) -> float:
        """Seconds until a trial call is let through: 0.0 if one is now, or the circuit is closed.

        While all trial calls are under way it is the longest that this can take.
        """
        return self.wait_at(self.clock())

    def wait_at(self, now: float) -> float:
        """The same, as it will be at an instant of ``clock``, or has been at one just past."""
        with self._lock:
            return self._wait(now)

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

    # -- by hand ---------------------------------------------------------------------------------

    def open(self) -> None:  # type: ignore[override]
        """Let nothing through for ``recovery_timeout`` seconds from now."""
        now = self.clock()
        with self._lock:
            self._state_storage.reset_counter()
            self._trip(now, None, "open: it was opened by hand")
        self._tell_changes()

    def half_open(self) -> None:
        """Let trial calls through, from now on."""
        self._switch(HALF_OPEN)

    def close(self) -> None:
        """Let everything through, and count from 0."""
        self._switch(CLOSED)

    def reset(self) -> None:
        """Close it, and forget everything that has happened."""
        with self._lock:
            self._last_failure_time, self._rejected = None, 0
        self._switch(CLOSED)

    def _switch(self, name: str) -> None:
        with self._lock:
            self._turn(name)
        self._tell_changes()


def _shown(state: str) -> str:
    return state.replace("-", "_")


def _seconds(name: str, value: object) -> float:
    seconds = duration(name, value, optional=False)
    assert seconds is not None
    return seconds


def _called(name: str, value: F) -> F:
    if not callable(value):
        raise TypeError(f"{name} must be callable, not {value!r}")
    return value


def _all_of(name: str, values: Iterable[T], fits: Callable[[T], bool], allowed: str) -> list[T]:
    try:
        found = list(values)
    except TypeError:
        raise TypeError(f"{name} must be an iterable of {allowed}, not {values!r}") from None
    for value in found:
        if not fits(value):
            raise TypeError(f"{name} must hold {allowed}, not {value!r}")
    return found


def _can_exclude(value: object) -> bool:
    return issubclass(value, BaseException) if isinstance(value, type) else callable(value)


def _can_listen(value: object) -> bool:
    return isinstance(value, Listener)


_LIVING: weakref.WeakSet[CircuitBreaker] = weakref.WeakSet()


@reset_in_child
def _in_child() -> None:
    for breaker in list(_LIVING):
        breaker.reset_after_fork()
