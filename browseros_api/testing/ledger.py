"""What a server has seen: every counter, behind one lock."""

from __future__ import annotations

import select
import socket
import sys
import threading
from collections import Counter, deque
from collections.abc import Callable

from .wire import Received

__all__ = ["Ledger"]


class Ledger:
    """Counts connections and requests; each answer is exact at the moment it is given.

    A client's hang-up counts from the moment its FIN is there, not from when a thread gets
    round to it: otherwise a client that closes one connection and opens another would be seen
    with two.  Linux tells (POLLRDHUP); elsewhere the thread has to notice.
    """

    def __init__(self, *, remember: int) -> None:
        self.lock = threading.Lock()
        self.errors: list[BaseException] = []
        self._open: dict[int, socket.socket] = {}
        self._hangups = _Hangups()
        self._numbers = 0
        self._active = 0
        self._requests: deque[Received] = deque(maxlen=remember)
        self._zero()

    def _zero(self) -> None:
        self._requests.clear()
        self._hits: Counter[str] = Counter()
        self._accepted = 0
        self._peak_open = self._count_open()
        self._peak_active = self._active

    def reset_counts(self) -> None:
        """Start counting anew; what is open or being handled now still counts as such."""
        with self.lock:
            self._zero()

    # Connections

    def opened(self, sock: socket.socket) -> int:
        """A connection was accepted; its number."""
        with self.lock:
            self._open[sock.fileno()] = sock
            self._hangups.watch(sock)
            self._numbers += 1
            self._accepted += 1
            if len(self._open) > self._peak_open:
                self._peak_open = max(self._peak_open, self._count_open())
            return self._numbers

    def closed(self, sock: socket.socket) -> None:
        """A connection is about to be closed; call it before its number of file is free again."""
        with self.lock:
            if self._open.pop(sock.fileno(), None) is not None:
                self._hangups.forget(sock)

    def each_open(self, act: Callable[[socket.socket], object]) -> None:
        """Have ``act``, which must be quick, done to every open connection's socket."""
        with self.lock:  # as long as it is held, no socket is closed and its number used again
            for sock in self._open.values():
                act(sock)

    def _count_open(self) -> int:
        return len(self._open) - self._hangups.count()

    @property
    def accepted(self) -> int:
        with self.lock:
            return self._accepted

    @property
    def open(self) -> int:
        with self.lock:
            return self._count_open()

    @property
    def peak_open(self) -> int:
        with self.lock:
            return self._peak_open

    # Requests

    def received(self, request: Received) -> None:
        """A request has been read to its end, and is being handled from now on."""
        with self.lock:
            self._requests.append(request)
            self._hits[request.path] += 1
            self._active += 1
            self._peak_active = max(self._peak_active, self._active)

    def handled(self) -> None:
        """A request's answer is ready to the last byte."""
        with self.lock:
            self._active -= 1

    def hits(self, path: str | None) -> int:
        with self.lock:
            return sum(self._hits.values()) if path is None else self._hits[path]

    @property
    def requests(self) -> list[Received]:
        with self.lock:
            return list(self._requests)

    @property
    def active(self) -> int:
        with self.lock:
            return self._active

    @property
    def peak_active(self) -> int:
        with self.lock:
            return self._peak_active


class _Hangups:
    """How many of the watched connections the other side has left; 0 where nobody can tell."""

    def __init__(self) -> None:
        self._poll = None
        if sys.platform == "linux" and hasattr(select, "poll"):
            self._poll = select.poll()

    def watch(self, sock: socket.socket) -> None:
        if self._poll is not None and sys.platform == "linux":
            self._poll.register(sock.fileno(), select.POLLRDHUP)

    def forget(self, sock: socket.socket) -> None:
        if self._poll is not None:
            self._poll.unregister(sock.fileno())

    def count(self) -> int:
        return len(self._poll.poll(0)) if self._poll is not None else 0
