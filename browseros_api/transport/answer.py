"""Answers, read more strictly than the standard library reads them, and faster."""

from __future__ import annotations

import http.client
import io
from typing import Any, Protocol

from .genuine import Genuine
from .heads import Head, plain_head
from .replay import received_again
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


class _Opened:
    """What http.client takes for a socket, and takes a file from."""

    __slots__ = ("_file",)

    def __init__(self, file: Any) -> None:
        self._file = file

    def makefile(self, mode: str) -> Any:
        return self._file


class Answer(http.client.HTTPResponse):
    """An answer whose head must be complete, and that is never one of the interim ones.

    The standard library takes the end of the stream for the end of the head, and an interim
    answer other than 100 for the final one (RFC 9110, section 15.2: a client must be able to
    parse one or more of them, even if it does not expect any).
    """

    fp: Any
    length: Any
    head: Head | None = None  # if it was taken
    is_at_hand = False  # whether the whole body came with it
    _method: str | None

    @classmethod
    def taken(cls, sock: Any, head: Head, received: bytes, *, method: str, streams: bool) -> Answer:
        """One of which ``head`` was received already, with the beginning of its body behind it."""
        body = received[head.size :]
        is_at_hand = len(body) == head.length and not streams
        file = io.BytesIO(body) if is_at_hand else received_again(sock, body or None)
        answer = cls(_Opened(file), method=method)  # type: ignore[arg-type]
        answer.take(head)
        answer.head, answer.is_at_hand = head, is_at_hand
        return answer

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
            head = plain_head(received, self._method)
            if head is not None:
                stream.read(head.size)
                self.take(head)
                return
        self.fp = _Head(stream)
        try:
            super().begin(*args, **kwargs)
        finally:
            if self.fp is not None:
                self.fp = stream

    def flush(self) -> None:
        """There is nothing to be flushed, and closing comes by here.

        A body that was read to its end has given its connection back; whoever closes that, since it
        was idle too long, closes this answer as well, perhaps at the same instant as its reader.
        The standard library's would then complain that it is closed.
        """

    def take(self, head: Head) -> None:
        """What comes now is the body that belongs to ``head``."""
        self.version, self.status, self.reason = 11, head.status, head.reason
        self.code = head.status
        self.headers = self.msg = head.message()
        self.length = head.length
        self.chunked = head.length is None
        if self.chunked:
            self.chunk_left = None
        self.will_close = False

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
