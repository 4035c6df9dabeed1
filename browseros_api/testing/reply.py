"""What a server answers, and how badly it may do so."""

from __future__ import annotations

import json as _json
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from enum import Enum
from http import HTTPStatus
from typing import Any, Literal, NamedTuple

__all__ = ["UNSET", "Answer", "Ending", "Reply"]


class _Unset(Enum):
    UNSET = "unset"

    def __repr__(self) -> str:
        return "UNSET"


UNSET = _Unset.UNSET  # None is a JSON document

_BODILESS = (204, 304)


class Ending(Enum):
    """What becomes of the connection after an answer."""

    KEEP = "keep"
    CLOSE = "close"
    RESET = "reset"


class Answer(NamedTuple):
    """A reply ready to be sent, piece by piece.

    ``pieces`` are pairs ``(bytes, pause)``; the pause, in seconds, comes before the bytes.
    """

    pieces: tuple[tuple[bytes, float], ...]
    ending: Ending


@dataclass(frozen=True, eq=False)
class Reply:
    """One answer of an ``ApiServer``; made once, it may be given any number of times.

        Reply(json={"id": 1})
        Reply(429, headers={"Retry-After": "1"})
        Reply(body=b"x" * 1000, truncate=500)          # half of what Content-Length says
        Reply(json=[], delay=0.2)                      # a fifth of a second before the first byte
        Reply(body="tick tock", drip=(1, 0.1))         # a byte each tenth of a second
        Reply(reset="before")                          # the connection is torn down

    HEAD, 204 and 304 send no body.  Headers given here win over those that would be added
    (Content-Type, Content-Length, Transfer-Encoding, Connection), be they true or not; they are
    only words: what happens to the connection is decided by the options below.

    Args:
        status: the status code; any number may be sent.
        reason: the phrase after it; None is the usual one, ``""`` none.
        headers: a mapping, or pairs where a name is to be repeated.
        body: bytes, or a text that is sent as UTF-8.
        json: a document to send instead of ``body``; None is sent as ``null``.
        content_type: instead of the one that follows from body or json.
        delay: seconds before the first byte.
        hold: an event that is waited for before the first byte, for at most 30 s; that it was
            not set by then is recorded in ``server.errors``.
        drip: ``(n, seconds)`` sends n bytes of the body, then n more after each pause.
        drip_head: the same for status line and headers.
        chunked: send the body in chunks of ``chunk_size`` bytes (of drip's n bytes, if it drips).
        truncate: only so many bytes of the body are sent, then the connection is closed (FIN);
            a chunked body lacks its end.
        reset: ends the connection with an RST ``"before"`` the first byte, within the
            ``"head"``, or after that many bytes of the body.
        close: say ``Connection: close``, and do it.
        close_silently: close after the answer without having said so: the client's pooled
            connection is stale.
        raw: exactly these bytes instead of all of the above, then a close unless ``keep``;
            ``raw=b""`` closes (FIN) without a word.
        keep: leave the connection open after ``raw``.
        silent: never answer; it ends when the client hangs up or the server is closed.
        repeat: how many times a script gives this reply before its next one.
    """

    status: int = 200
    _: KW_ONLY
    reason: str | None = None
    headers: Mapping[str, str] | Sequence[tuple[str, str]] = ()
    body: bytes | str = b""
    json: Any = UNSET
    content_type: str | None = None
    delay: float = 0.0
    hold: threading.Event | None = None
    drip: tuple[int, float] | None = None
    drip_head: tuple[int, float] | None = None
    chunked: bool = False
    chunk_size: int = 16 * 1024
    truncate: int | None = None
    reset: Literal["before", "head"] | int | None = None
    close: bool = False
    close_silently: bool = False
    raw: bytes | None = None
    keep: bool = False
    silent: bool = False
    repeat: int = 1
    _answers: dict[tuple[bool, bool], Answer] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        if sum((self.body != b"", self.json is not UNSET, self.raw is not None)) > 1:
            raise ValueError("give one of body, json and raw")
        if not 0 <= self.delay <= threading.TIMEOUT_MAX:
            raise ValueError(f"delay must be 0 seconds or more, not {self.delay!r}")
        for name, drip in (("drip", self.drip), ("drip_head", self.drip_head)):
            if drip is not None and not (drip[0] >= 1 and 0 <= drip[1] <= threading.TIMEOUT_MAX):
                raise ValueError(f"{name} must be (bytes, seconds), not {drip!r}")
        if isinstance(self.reset, str) and self.reset not in ("before", "head"):
            raise ValueError(f'reset must be "before", "head" or bytes, not {self.reset!r}')
        if self.chunk_size < 1 or self.repeat < 1:
            raise ValueError("chunk_size and repeat must be 1 or more")

    def answer(self, *, bodiless: bool = False, closing: bool = False) -> Answer:
        """What goes over the wire, to HEAD (``bodiless``), to a client that is leaving."""
        closing = closing or self.close
        if (ready := self._answers.get((bodiless, closing))) is None:
            ready = self._render(bodiless or self.status in _BODILESS, closing)
            self._answers[bodiless, closing] = ready
        return ready

    def _render(self, bodiless: bool, closing: bool) -> Answer:
        if self.raw is not None:
            pieces = _dripped(self.raw, self.drip)
            return Answer(pieces, Ending.KEEP if self.keep and not closing else Ending.CLOSE)
        payload, content_type = self._payload()
        head = self._head(len(payload), content_type, closing)
        if self.reset == "before":
            return Answer((), Ending.RESET)
        if self.reset == "head":
            return Answer(_dripped(head[: len(head) // 2], self.drip_head), Ending.RESET)
        ending = Ending.CLOSE if closing or self.close_silently else Ending.KEEP
        if self.truncate is not None:
            ending = Ending.CLOSE
        if self.reset is not None:
            ending = Ending.RESET
        body = () if bodiless else self._body(payload)
        return Answer(_joined(_dripped(head, self.drip_head), body), ending)

    def _payload(self) -> tuple[bytes, str | None]:
        if self.json is not UNSET:
            return _json.dumps(self.json).encode(), "application/json"
        if isinstance(self.body, str):
            return self.body.encode(), "text/plain; charset=utf-8"
        return self.body, "application/octet-stream" if self.body else None

    def _head(self, length: int, content_type: str | None, closing: bool) -> bytes:
        given = self.headers.items() if isinstance(self.headers, Mapping) else self.headers
        pairs = list(given)
        names = {name.lower() for name, _ in pairs}
        for name, value in self._added_headers(length, self.content_type or content_type, closing):
            if name.lower() not in names:
                pairs.append((name, value))
        reason = _phrase(self.status) if self.reason is None else self.reason
        lines = [f"HTTP/1.1 {self.status} {reason}", *(f"{name}: {value}" for name, value in pairs)]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def _added_headers(
        self, length: int, content_type: str | None, closing: bool
    ) -> Iterator[tuple[str, str]]:
        if content_type is not None:
            yield "Content-Type", content_type
        if self.chunked:
            yield "Transfer-Encoding", "chunked"
        elif self.status not in _BODILESS:
            yield "Content-Length", str(length)
        if closing:
            yield "Connection", "close"

    def _body(self, payload: bytes) -> tuple[tuple[bytes, float], ...]:
        limits = [n for n in (self.truncate, self.reset) if isinstance(n, int)]
        sent = payload[: min(limits)] if limits else payload
        if not self.chunked:
            return _dripped(sent, self.drip)
        size, pause = self.drip or (self.chunk_size, 0.0)
        chunks = [b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in _cut(sent, size)]
        if not limits:
            chunks.append(b"0\r\n\r\n")
        return _paced(chunks if self.drip else [b"".join(chunks)], pause)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def _cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def _dripped(data: bytes, drip: tuple[int, float] | None) -> tuple[tuple[bytes, float], ...]:
    size, pause = drip or (max(len(data), 1), 0.0)
    return _paced(_cut(data, size), pause)


def _paced(pieces: list[bytes], pause: float) -> tuple[tuple[bytes, float], ...]:
    return tuple((piece, pause if number else 0.0) for number, piece in enumerate(pieces))


def _joined(
    head: tuple[tuple[bytes, float], ...], body: tuple[tuple[bytes, float], ...]
) -> tuple[tuple[bytes, float], ...]:
    if not body:
        return head
    (last, pause), first = head[-1], body[0][0]
    return (*head[:-1], (last + first, pause), *body[1:])  # one packet, as good servers do
