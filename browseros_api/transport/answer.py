"""Answers, read more strictly than the standard library reads them."""

from __future__ import annotations

import http.client
from typing import Any, Protocol

from .trip import current_trip

__all__ = ["Answer", "HeadCutShort"]

_MOST_INTERIM = 10_000  # answers 1xx before the real one
_MOST_LINES = 100  # in the head of each of them
_LONGEST_LINE = 65536


class HeadCutShort(http.client.HTTPException):
    """The connection ended before the blank line that ends the head of an answer."""


class _Reader(Protocol):
    def readline(self, limit: int = -1, /) -> bytes: ...

    def close(self) -> None: ...


class _Head:
    """A stream that is read up to its first blank line: its end must not come before that."""

    __slots__ = ("_has_begun", "_readline", "close")

    def __init__(self, stream: _Reader) -> None:
        self._readline = stream.readline
        self._has_begun = False
        self.close = stream.close

    def readline(self, limit: int = -1) -> bytes:
        line = self._readline(limit)
        if not line and self._has_begun:
            raise HeadCutShort("the answer ended in the middle of its head")
        self._has_begun = True
        return line


class Answer(http.client.HTTPResponse):
    """An answer whose head must be complete, and that is never one of the interim ones.

    The standard library takes the end of the stream for the end of the head, and an interim
    answer other than 100 for the final one (RFC 9110, section 15.2: a client must be able to
    parse one or more of them, even if it does not expect any).
    """

    fp: Any

    def begin(self, *args: Any, **kwargs: Any) -> None:
        """Read the head."""
        if self.headers is not None:  # done already
            return
        stream = self.fp
        trip = current_trip()
        if trip is not None:
            # The first byte decides whether the request may be sent again.
            trip.is_answered = not hasattr(stream, "peek") or bool(stream.peek(1))
        self.fp = _Head(stream)
        try:
            super().begin(*args, **kwargs)
        finally:
            if self.fp is not None:
                self.fp = stream

    def _read_status(self) -> tuple[str, int, str]:
        for _ in range(_MOST_INTERIM):
            version, status, reason = super()._read_status()  # type: ignore[misc]
            if not 100 <= status < 200 or status == http.client.SWITCHING_PROTOCOLS:
                return version, status, reason
            self._skip_head()
        raise http.client.HTTPException(f"got more than {_MOST_INTERIM} interim answers")

    def _skip_head(self) -> None:
        for _ in range(_MOST_LINES):
            line = self.fp.readline(_LONGEST_LINE + 1)
            if len(line) > _LONGEST_LINE:
                raise http.client.LineTooLong("header line")
            if line in (b"\r\n", b"\n", b""):
                return
        raise http.client.HTTPException(f"got more than {_MOST_LINES} headers")
