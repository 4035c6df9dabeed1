"""Requests as they come in: read from a socket, parsed, kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

__all__ = ["Headers", "Malformed", "Received", "RequestReader"]

_HEAD_LIMIT = 1024 * 1024  # bytes; a head may be strange in a test, but it must end
_PIECE = 256 * 1024


class Headers(Mapping[str, str]):
    """Headers in the order sent; names are looked up in any case.

    ``headers["Accept"]`` joins repeated lines by ``", "``, ``get_all`` keeps them apart, and
    ``pairs`` are all lines as ``(name, value)``, with the names as they were spelt.
    """

    __slots__ = ("_values", "pairs")

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self.pairs = tuple(pairs)
        self._values: dict[str, list[str]] = {}
        for name, value in self.pairs:
            self._values.setdefault(name.lower(), []).append(value)

    def __getitem__(self, name: str) -> str:
        return ", ".join(self._values[name.lower()])

    def get_all(self, name: str) -> list[str]:
        """Every value sent under ``name``; an empty list if there is none."""
        return list(self._values.get(name.lower(), ()))

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._values

    def __iter__(self) -> Iterator[str]:
        first = {name.lower(): name for name, _ in reversed(self.pairs)}
        return (first[name] for name in self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Headers({list(self.pairs)!r})"


@dataclass(frozen=True)
class Received:
    """A request as the server got it, complete with its body.

    Args:
        method: as sent, such as ``"GET"``.
        target: what stood between method and version: ``"/users?page=2"``.
        path: the target's path, not decoded: ``"/users"``.
        query: ``{"page": ["2"]}``, decoded.
        headers: looked up in any case.
        body: all of it; chunks are put together, a content coding is left as it is.
        connection: the number of the connection it came on, counted from 1.
    """

    method: str
    target: str
    path: str
    query: dict[str, list[str]]
    headers: Headers
    body: bytes
    connection: int
    version: str = "HTTP/1.1"

    @property
    def text(self) -> str:
        """The body as UTF-8."""
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """The body, decoded; ``ValueError`` if it is not JSON."""
        return json.loads(self.body)

    @property
    def wants_close(self) -> bool:
        """Whether the client said that this is its last request on the connection."""
        said = self.headers.get("connection", "").lower()
        return "close" in said or (self.version == "HTTP/1.0" and "keep-alive" not in said)


class Malformed(Exception):
    """What came in is not a request; ``status`` is what it deserves."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class RequestReader:
    """Reads one request after the other; what follows a request is kept for the next."""

    def __init__(
        self, receive: Callable[[int], bytes], send: Callable[[bytes], object], *, connection: int
    ) -> None:
        self._receive = receive
        self._send = send
        self._connection = connection
        self._buffer = b""

    def read(self) -> Received | None:
        """The next request, or None if the client went away, even in the middle of one."""
        head = self._read_head()
        if head is None:
            return None
        method, target, version, headers = _parse_head(head)
        body = self._read_body(headers) if _has_body(headers) else b""
        if body is None:
            return None
        path, query = _split_target(target)
        return Received(method, target, path, query, headers, body, self._connection, version)

    def _read_head(self) -> bytes | None:
        self._buffer = self._buffer.lstrip(b"\r\n")  # RFC 9112, 2.2: blank lines are ignored
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            if len(self._buffer) > _HEAD_LIMIT:
                raise Malformed(431, f"a head of more than {_HEAD_LIMIT} bytes")
            if not self._fill():
                return None
            self._buffer = self._buffer.lstrip(b"\r\n")
        head, self._buffer = self._buffer[:end], self._buffer[end + 4 :]
        return head

    def _read_body(self, headers: Headers) -> bytes | None:
        if not self._buffer and headers.get("expect", "").lower() == "100-continue":
            self._send(b"HTTP/1.1 100 Continue\r\n\r\n")
        if "transfer-encoding" not in headers:
            return self._read_exactly(_length_of(headers))
        if headers["transfer-encoding"].lower() != "chunked":
            raise Malformed(501, f"Transfer-Encoding: {headers['transfer-encoding']}")
        return self._read_chunks()

    def _read_chunks(self) -> bytes | None:
        chunks: list[bytes] = []
        while (line := self._read_line()) is not None:
            size = _chunk_size(line)
            if size == 0:
                break
            chunk = self._read_exactly(size)
            if chunk is None or self._read_line() is None:
                return None
            chunks.append(chunk)
        while line:  # the last chunk's own line, then the trailers, then an empty line
            line = self._read_line()
        return None if line is None else b"".join(chunks)

    def _read_line(self) -> bytes | None:
        while (end := self._buffer.find(b"\r\n")) < 0:
            if len(self._buffer) > _HEAD_LIMIT:
                raise Malformed(400, "a chunk's line without an end")
            if not self._fill():
                return None
        line, self._buffer = self._buffer[:end], self._buffer[end + 2 :]
        return line

    def _read_exactly(self, size: int) -> bytes | None:
        pieces, missing = [self._buffer], size - len(self._buffer)
        while missing > 0:
            piece = self._receive(_PIECE)
            if not piece:
                return None
            pieces.append(piece)
            missing -= len(piece)
        whole = b"".join(pieces)
        self._buffer = whole[size:]
        return whole[:size]

    def _fill(self) -> bool:
        more = self._receive(_PIECE)
        self._buffer += more
        return bool(more)


def _parse_head(head: bytes) -> tuple[str, str, str, Headers]:
    first, *lines = head.decode("latin-1").split("\r\n")
    method, _, rest = first.partition(" ")
    target, _, version = rest.rpartition(" ")
    if not target or " " in target or not version.startswith("HTTP/1."):
        raise Malformed(400, f"a request line {first[:100]!r}")
    pairs = []
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise Malformed(400, f"a header line {line[:100]!r}")
        pairs.append((name, value.strip(" \t")))
    return method, target, version, Headers(pairs)


def _has_body(headers: Headers) -> bool:
    return "content-length" in headers or "transfer-encoding" in headers


def _length_of(headers: Headers) -> int:
    lengths = set(headers.get_all("content-length"))
    text = lengths.pop()
    if lengths or not (text.isascii() and text.isdigit()):
        raise Malformed(400, f"Content-Length: {headers['content-length']}")
    return int(text)


def _chunk_size(line: bytes) -> int:
    text = line.partition(b";")[0].strip()
    try:
        return int(text, 16)
    except ValueError:
        raise Malformed(400, f"a chunk of size {text[:100]!r}") from None


def _split_target(target: str) -> tuple[str, dict[str, list[str]]]:
    if target.startswith("/"):
        path, question, query = target.partition("?")
        return path, parse_qs(query, keep_blank_values=True) if question else {}
    parts = urlsplit(target) if "://" in target else None  # a proxy's absolute form
    if parts is None:
        return target, {}  # CONNECT host:port, OPTIONS *
    return parts.path or "/", parse_qs(parts.query, keep_blank_values=True)
