"""What listeners are told: one object for each event, with secrets masked.

event      when it is told                                         with
─────────  ──────────────────────────────────────────────────────  ────────────
call       a call has ended, well or not, hits and followers too   CallEvent
cache      just before, what the cache had to do with it           CacheEvent
attempt    a request has come to an answer or an error             AttemptEvent
retry      a request is to be repeated, before the delay           RetryEvent
breaker    a circuit has changed its state                         BreakerEvent
"""

from __future__ import annotations

from dataclasses import dataclass

from .tracing.trace import Trace

__all__ = ["EVENTS", "AttemptEvent", "BreakerEvent", "CacheEvent", "CallEvent", "RetryEvent"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEvent:
    """A call has ended.

    Attributes:
        method, url: what was asked for.
        endpoint: its template, such as ``/users/{id}``: for labels of metrics.
        seconds: how long it took.
        status: of its answer; None: there is none.
        error: name of the class of what was raised instead.
        from_cache, followed: whether the answer was known, or somebody else's.
        attempts: requests that were sent for it.
        trace: what happened to it; None if it never came so far.
    """

    method: str
    url: str
    endpoint: str
    seconds: float
    status: int | None
    error: str | None
    from_cache: bool
    followed: bool
    attempts: int
    trace: Trace | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheEvent:
    """What the cache had to do with a call.

    Attributes:
        method, url, endpoint: as of a call.
        outcome: ``"hit"``, ``"stale"``, ``"revalidated"``, ``"miss"``, ``"bypass"``, ``"off"``.
        reason: why, in one sentence.
    """

    method: str
    url: str
    endpoint: str
    outcome: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptEvent:
    """A request was made, or refused.

    Attributes:
        method, url, endpoint: its own: a redirect has others than the call.
        number: from 1; what is above 1 is a repetition.
        seconds: how long it took.
        status: of its answer; None: there is none.
        error: name of the class of what was raised instead.
        state: how far it came: ``"never-sent"``, ``"maybe-processed"``, ``"processed"``.
        breaker: its circuit's state when it began: closed, half_open, open (refused); else empty.
        is_elsewhere: whether an adapter of somebody else's was to send it.
    """

    method: str
    url: str
    endpoint: str
    number: int
    seconds: float
    status: int | None
    error: str | None
    state: str
    breaker: str
    is_elsewhere: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryEvent:
    """A request is to be repeated.

    Attributes:
        method, url, endpoint: of the request.
        attempt: number of the attempt that has failed.
        delay: seconds until the next.
        status, error: what came of the one that has failed.
    """

    method: str
    url: str
    endpoint: str
    attempt: int
    delay: float
    status: int | None
    error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerEvent:
    """A circuit has changed its state.

    Attributes:
        endpoint: whose circuit.
        before, now: ``"closed"``, ``"open"`` or ``"half_open"``.
        error: name of the class of the failure that opened it.
    """

    endpoint: str
    before: str
    now: str
    error: str | None


EVENTS: dict[str, type] = {
    "call": CallEvent,
    "cache": CacheEvent,
    "attempt": AttemptEvent,
    "retry": RetryEvent,
    "breaker": BreakerEvent,
}
