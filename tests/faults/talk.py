"""One request, and everything that can be done to whoever sent it."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qs

from tests.faults.listener import no_linger

__all__ = ["FRESH", "MOST_BYTES", "MOST_SECONDS", "OK", "Act", "Asked", "Gone", "Talk", "Wire"]

OK = b'{"ok": true}'
FRESH = "Cache-Control: max-age=60"  # said in every head that can carry it, if the query is ?keep
MOST_BYTES = 8 * 1024 * 1024  # of a stream without an end ...
MOST_SECONDS = 10.0  # ... and for how long anything lasts


class Gone(OSError):
    """The client has hung up, or the server is being closed."""


@dataclass(frozen=True)
class Asked:
    """The head of a request: ``/name/token?query``."""

    method: str
    target: str
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(self.target.partition("?")[2], keep_blank_values=True)

    @property
    def name(self) -> str:
        """What is to be done to the client."""
        return self.path.split("/")[1]

    @property
    def token(self) -> str:
        """What tells this caller's requests from those of others."""
        return [*self.path.split("/"), ""][2]


class Wire:
    """The socket of a connection, read request by request."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._buffer = b""

    def head(self) -> Asked | None:
        """The next request's head, or None if there is no next one."""
        while b"\r\n\r\n" not in self._buffer:
            piece = self.sock.recv(65536)
            if not piece or len(self._buffer) > 1024 * 1024:
                return None
            self._buffer += piece
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ")
        pairs = (line.partition(":") for line in lines)
        return Asked(method, target, {name.lower(): value.strip() for name, _, value in pairs})

    def body(self, asked: Asked) -> bytes:
        """The body that belongs to this head."""
        if asked.headers.get("transfer-encoding") != "chunked":
            return self.exactly(int(asked.headers.get("content-length", "0")))
        pieces = []
        while size := int(self._line(), 16):
            pieces.append(self.exactly(size))
            self._line()
        self._line()
        return b"".join(pieces)

    def exactly(self, size: int) -> bytes:
        """So many bytes, not more."""
        while len(self._buffer) < size:
            self._buffer += self._some()
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        return taken

    def _line(self) -> bytes:
        while b"\r\n" not in self._buffer:
            self._buffer += self._some()
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        return line

    def _some(self) -> bytes:
        piece = self.sock.recv(65536)
        if not piece:
            raise Gone
        return piece


class Talk:
    """A request, and the ways to answer it.

    ``turn`` counts those of its token, from 1; ``hear`` waits for the next one on the connection,
    and returns None if none comes.
    """

    def __init__(
        self, wire: Wire, asked: Asked, *, body: bytes, turn: int, hear: Callable[[Wire], object]
    ) -> None:
        self.wire, self.asked, self.body, self.turn = wire, asked, body, turn
        self._hear = hear
        self.is_over = False
        self.flooded = 0

    def hear_next(self) -> None:
        """Wait until another request has come on this connection, and do not answer it."""
        self._hear(self.wire)

    # -- answering -------------------------------------------------------------------------------

    def head(self, first: str | bytes, *lines: str | bytes) -> bytes:
        """Status line, headers and the empty line after them; text is sent as UTF-8."""
        if "keep" in self.asked.query:
            lines = (FRESH, *lines)
        return b"\r\n".join([_bytes(line) for line in (first, *lines, "", "")])

    def say(self, *pieces: bytes) -> None:
        """Send this."""
        self.wire.sock.sendall(b"".join(pieces))

    def answer(
        self, body: bytes = OK, *lines: str | bytes, status: str = "200 OK", kind: str = "json"
    ) -> None:
        """Send a proper answer, and keep the connection."""
        kind = kind if "/" in kind else f"application/{kind}"
        own = [f"Content-Type: {kind}"] if kind else []
        head = self.head(f"HTTP/1.1 {status}", *own, f"Content-Length: {len(body)}", *lines)
        self.say(head, b"" if self.asked.method == "HEAD" else body)

    def send_elsewhere(self, where: str | bytes, status: str = "302 Found") -> None:
        """Send a proper redirect."""
        self.answer(b"{}", b"Location: " + _bytes(where), status=status)

    @property
    def echo(self) -> str:
        """A path at which this caller is told what it has sent."""
        return f"/echo/{self.asked.token}" + ("?keep" if "keep" in self.asked.query else "")

    # -- taking one's time -----------------------------------------------------------------------

    def pause(self, seconds: float) -> None:
        """Say nothing for so long; raises ``Gone`` as soon as the client hangs up."""
        sock = self.wire.sock
        if select.select([sock], [], [], min(seconds, MOST_SECONDS))[0]:
            if not sock.recv(1, socket.MSG_PEEK):
                raise Gone
            time.sleep(0.01)  # the client speaks; nobody listens, but nobody spins either

    def drip(self, data: bytes, seconds: float) -> None:
        """Send a byte, and one more after each pause."""
        until = time.monotonic() + MOST_SECONDS
        for byte in data:
            if time.monotonic() > until:
                return
            self.say(bytes([byte]))
            self.pause(seconds)

    def flood(self, piece: bytes, *, most: int = MOST_BYTES) -> None:
        """Send this again and again, until it has been enough; ``flooded`` counts the bytes."""
        until = time.monotonic() + MOST_SECONDS
        while self.flooded < most and time.monotonic() < until:
            self.say(piece)
            self.flooded += len(piece)

    # -- ending it -------------------------------------------------------------------------------

    def hang_up(self) -> None:
        """End the connection: a FIN."""
        self.is_over = True

    def reset(self) -> None:
        """End the connection: an RST."""
        no_linger(self.wire.sock)
        self.is_over = True


Act = Callable[[Talk], object]


def _bytes(line: str | bytes) -> bytes:
    return line.encode("utf-8") if isinstance(line, str) else line
