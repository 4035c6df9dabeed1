"""The last call of each thread: what is needed to tell what happened to it, and no body."""

from __future__ import annotations

import threading
from typing import Any

from requests import Response

from .tracing.trace import Trace

__all__ = ["Latest"]


class Latest(threading.local):
    """Of the thread that asks; a trace of what was known is made only when it is looked at."""

    _told: Trace | tuple[Any, ...] | None = None

    def of_error(self, error: BaseException) -> None:
        """A call has come to this instead of an answer."""
        self._told = error.__dict__.get("trace")

    def of_response(self, response: Response) -> None:
        """A call has come to this."""
        own = response.__dict__
        told = own.get("trace")
        if told is None and own.get("_hit") is not None:
            told = own["_hit"], own["status_code"], own["age"], own["_snapshot"].parts
        self._told = told

    def __reduce__(self) -> tuple[object, ...]:
        return Latest, ()  # elsewhere there was no call yet

    @property
    def trace(self) -> Trace | None:
        """What happened to it; None if there was no call yet."""
        told = self._told
        if isinstance(told, tuple):
            hit, status, age, parts = told
            told = self._told = Trace.of_hit(hit, status=status, age=age, parts=parts)
        return told
