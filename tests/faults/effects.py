"""A server whose POSTs have an effect, and that breaks off at any byte of the talk."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.faults.listener import Listener, no_linger

__all__ = ["Break", "EffectServer"]

_ANSWER = (
    b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{"ok":true}'
)
_SECONDS = 10.0  # after which a client that says nothing is left


@dataclass(frozen=True)
class Break:
    """Where it breaks off: after ``after`` bytes of the request, or of the answer to all of it."""

    of: Literal["request", "answer"]
    after: int
    by: Literal["RST", "FIN"]


@dataclass
class Told:
    """What the server has seen of POSTs since the test last asked.

    Attributes:
        begun: connections on which a byte of a POST came.
        done: idempotency keys of those that came whole, each of which has had its effect; ``""``
            is a POST without one.
    """

    begun: int = 0
    done: list[str] = field(default_factory=list)

    @property
    def effects(self) -> int:
        """How many there are, for a server that knows a key when it comes again."""
        keys = Counter(self.done)
        return keys[""] + sum(1 for key in keys if key)


class EffectServer(Listener):
    """Answers everything with 200; the next ``times`` POSTs are broken off as told before.

    A POST is told from a GET by what the test has announced, not by its first byte, which may never
    be read.
    """

    def __init__(self, **where: Any) -> None:
        self._lock_of_told = threading.Lock()
        self._told = Told()
        self._break: Break | None = None
        self._times = 0
        self._awaits_post = False
        self.length = 0  # of the last request that was read whole, in bytes
        self.answer_length = len(_ANSWER)
        super().__init__(self._talk, **where)

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}/effects"

    def expect(self, how: Break | None = None, *, times: int = 10**6) -> Told:
        """From now on come POSTs; what was told until now is forgotten."""
        with self._lock_of_told:
            self._told, self._break, self._times = Told(), how, times
            self._awaits_post = True
            return self._told

    def rest(self) -> None:
        """What comes now is no POST."""
        with self._lock_of_told:
            self._awaits_post = False

    def _talk(self, sock: socket.socket, number: int) -> None:
        sock.settimeout(_SECONDS)
        while sock.recv(1, socket.MSG_PEEK):
            how = self._announced()
            if how is not None and how.of == "request":
                _read(sock, how.after)
                _leave(sock, how)
                return
            key = self._read_whole(sock)
            if key is not None:
                self._told.done.append(key)
            if how is not None:
                sock.sendall(_ANSWER[: how.after])
                _leave(sock, how)
                return
            sock.sendall(_ANSWER)

    def _announced(self) -> Break | None:
        with self._lock_of_told:
            if not self._awaits_post:
                return None
            self._told.begun += 1
            self._times -= 1
            return self._break if self._times >= 0 else None

    def _read_whole(self, sock: socket.socket) -> str | None:
        """The idempotency key of a POST; None of anything else."""
        data = b""
        while b"\r\n\r\n" not in data:
            data += _some(sock)
        head, _, body = data.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:])
        while len(body) < int(headers.get("content-length", 0)):
            body += _some(sock)
        self.length = len(head) + 4 + len(body)
        return headers.get("idempotency-key", "") if lines[0].startswith("POST") else None


def _some(sock: socket.socket) -> bytes:
    data = sock.recv(65536)
    if not data:
        raise ConnectionError("the client has gone")
    return data


def _read(sock: socket.socket, count: int) -> None:
    while count:
        data = sock.recv(count)
        if not data:
            return
        count -= len(data)


def _leave(sock: socket.socket, how: Break) -> None:
    if how.by == "RST":
        no_linger(sock)
        return
    sock.shutdown(socket.SHUT_WR)
    with suppress(OSError):  # what is left unread would make an RST of it
        while sock.recv(65536):
            pass
