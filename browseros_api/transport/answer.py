"""Answers, read more strictly than the standard library reads them."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from typing import Any, Protocol

from .genuine import Genuine
from .heads import Head, plain_head
from .trip import current_trip

__all__ = ["Answer", "HeadCutShort"]

_MOST_INTERIM = 10_000  # answers 1xx before the real one
_MOST_LINES = 100  # in the head of each of them
_LONGEST_LINE = 65536
_PASSED_BY = Genuine(
    (http.client, "parse_headers"),
    (http.client.HTTPResponse, "begin"),
    (http.client.HTTPResponse, "_read_status"),
)
_WITHOUT_BODY = (http.client.NO_CONTENT, http.client.NOT_MODIFIED)


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
    length: Any
    chunk_left: Any
    _method: str | None
    _check_close: Callable[[], bool]

    def begin(self, *args: Any, **kwargs: Any) -> None:
        """Read the head."""
        if self.headers is not None:  # done already
            return
        stream = self.fp
        received = stream.peek(1) if hasattr(stream, "peek") else None
        trip = current_trip()
        if trip is not None:
            # The first byte decides whether the request may be sent again.
            trip.is_answered = received is None or bool(received)
        if received and self.debuglevel == 0 and _PASSED_BY:
            head = plain_head(received)
            if head is not None:
                stream.read(head.size)
                self._take(head)
                return
        self.fp = _Head(stream)
        try:
            super().begin(*args, **kwargs)
        finally:
            if self.fp is not None:
                self.fp = stream

    def _take(self, head: Head) -> None:
        """What the standard library makes of a head."""
        self.version, self.status, self.reason = head.version, head.status, head.reason
        self.code = head.status
        self.headers = self.msg = head.message
        self.chunked = head.fields.get("transfer-encoding", "").lower() == "chunked"
        if self.chunked:
            self.chunk_left = None
        self.length = None if self.chunked else _length(head.fields.get("content-length"))
        if head.status in _WITHOUT_BODY or self._method == "HEAD":
            self.length = 0
        self.will_close = self._check_close() or (not self.chunked and self.length is None)

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


def _length(text: str | None) -> int | None:
    try:
        length = int(text or "")
    except ValueError:
        return None
    return length if length >= 0 else None
