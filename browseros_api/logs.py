"""Records for a log that machines read, of one session or client.

from browseros_api.logs import EventLog

EventLog(client, name="users")
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from .checks import whole
from .events import AttemptEvent, BreakerEvent, CallEvent, RetryEvent

__all__ = ["FIELDS", "EventLog"]

FIELDS = (
    *("event", "client", "method", "endpoint", "url", "status", "error", "seconds", "attempt"),
    *("attempts", "delay", "cache", "cache_reason", "dedup", "state", "circuit", "before", "span"),
)

_LOGGER = logging.getLogger("browseros_api.events")
# Of each event the highest level that it may have.
_LEVELS = {
    "call": logging.WARNING,
    "attempt": logging.DEBUG,
    "retry": logging.WARNING,
    "breaker": logging.WARNING,
}


class EventLog:
    """Writes what a session or client does to the logger ``browseros_api.events``.

    Calls are INFO, those that have failed WARNING; retries, and circuits that open, are WARNING,
    other changes of circuits INFO; attempts are DEBUG.  Each record has as attributes those of
    ``FIELDS`` that there is something to say of.  URLs are masked.

    Args:
        source: a ``Session`` or an ``EnhancedAPIClient``, blocking or awaited.
        name: the value of ``client``, which tells several of them apart.
        level: what is below is not even listened to, whatever the logger's own level.

    It writes from the beginning; ``close`` ends that.
    """

    def __init__(self, source: Any, *, name: str = "default", level: int = logging.INFO) -> None:
        self._name, self._least = name, whole("level", level, least=0)
        heard: dict[str, Callable[[Any], None]] = {
            "call": self._call,
            "attempt": self._attempt,
            "retry": self._retry,
            "breaker": self._breaker,
        }
        self._removes = [
            source.on(event, callback)
            for event, callback in heard.items()
            if _LEVELS[event] >= level
        ]

    def close(self) -> None:
        """Write no more."""
        for remove in self._removes:
            remove()

    def _call(self, event: CallEvent) -> None:
        level = logging.INFO if (event.status or 600) < 400 else logging.WARNING
        if not self._is_written(level):
            return
        trace, fields = event.trace, _fields(event, "status", "error", "seconds", "attempts")
        if trace is not None:
            fields.update(cache=trace.cache, cache_reason=trace.cache_reason, dedup=trace.dedup)
            fields.update(circuit=trace.breaker, span=trace.span)
        self._write(level, "call", fields, f"{_outcome(event)} in {event.seconds:.3f} s")

    def _attempt(self, event: AttemptEvent) -> None:
        if self._is_written(logging.DEBUG):
            fields = _fields(event, "status", "error", "seconds", "state")
            fields.update(attempt=event.number, circuit=event.breaker)
            text = f"attempt {event.number}: {_outcome(event)} in {event.seconds:.3f} s"
            self._write(logging.DEBUG, "attempt", fields, text)

    def _retry(self, event: RetryEvent) -> None:
        if self._is_written(logging.WARNING):
            fields = _fields(event, "status", "error", "attempt", "delay")
            text = f"attempt {event.attempt}: {_outcome(event)}, again in {event.delay:.3f} s"
            self._write(logging.WARNING, "retry", fields, text)

    def _breaker(self, event: BreakerEvent) -> None:
        level = logging.WARNING if event.now == "open" else logging.INFO
        if self._is_written(level):
            fields = {"endpoint": event.endpoint, "error": event.error}
            fields.update(before=event.before, circuit=event.now)
            text = f"the circuit was {event.before} and is {event.now}"
            self._write(level, "breaker", fields, text)

    def _is_written(self, level: int) -> bool:
        return level >= self._least and _LOGGER.isEnabledFor(level)

    def _write(self, level: int, event: str, fields: dict[str, Any], text: str) -> None:
        told = {name: value for name, value in fields.items() if value is not None and value != ""}
        what = " ".join(told[name] for name in ("method", "endpoint") if name in told)
        _LOGGER.log(
            level, "%s: %s", what, text, extra={"event": event, "client": self._name, **told}
        )


def _fields(event: Any, *names: str) -> dict[str, Any]:
    return {name: getattr(event, name) for name in ("method", "endpoint", "url", *names)}


def _outcome(event: CallEvent | AttemptEvent | RetryEvent) -> str:
    return str(event.error if event.status is None else event.status)
