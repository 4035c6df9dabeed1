"""A server that can be slow, fail and count; where nginx is missing it is the fast one, too.

    /fresh/...   the payload, not to be kept          /slow/...     the same, after 0.2 s
    /kept/...    the payload, to be kept for a day    /down/...     503
    /asked/...   how often the path behind ``/asked`` was asked for

A thread for each connection, one write for each answer, no delay by Nagle's algorithm.
"""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter

from tests.benchmarks.peers.site import PAYLOAD

__all__ = ["DELAY", "Origin", "main"]

DELAY = 0.2  # seconds
_LONGEST_HEAD = 65_536


def _answer(status: str, body: bytes, *more: str) -> bytes:
    head = [f"HTTP/1.1 {status}", "Server: bundled", "Content-Type: application/json"]
    head += [f"Content-Length: {len(body)}", "Connection: keep-alive", *more, "", ""]
    return "\r\n".join(head).encode() + body


_FRESH = _answer("200 OK", PAYLOAD, "Cache-Control: no-store")
_KEPT = _answer("200 OK", PAYLOAD, "Cache-Control: max-age=86400")
_DOWN = _answer("503 Service Unavailable", b'{"error": "down"}', "Cache-Control: no-store")


class Origin:
    """The server: a listening socket on loopback, and how often each path was asked for."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port: int = self.listener.getsockname()[1]
        self._lock = threading.Lock()
        self._asked: Counter[str] = Counter()

    def serve(self) -> None:
        """Accept connections until the listening socket is closed."""
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        unread = b""
        with connection:
            while True:
                head, end, unread = unread.partition(b"\r\n\r\n")
                if end:
                    connection.sendall(self._reply(head))
                    continue
                try:
                    more = connection.recv(_LONGEST_HEAD)
                except OSError:
                    return
                if not more or len(head) > _LONGEST_HEAD:
                    return
                unread = head + more

    def _reply(self, head: bytes) -> bytes:
        path = head.split(b" ", 2)[1].decode("latin-1")
        if path.startswith("/fresh/"):
            return _FRESH
        if path.startswith("/kept/"):
            return _KEPT
        if path.startswith("/asked/"):
            with self._lock:
                return _answer("200 OK", b"%d" % self._asked[path.removeprefix("/asked")])
        with self._lock:
            self._asked[path] += 1
        if path.startswith("/slow/"):
            time.sleep(DELAY)
            return _FRESH
        return _DOWN


def main() -> None:
    """Print the port, serve until standard input ends: whoever started it is then gone."""
    origin = Origin()
    print(origin.port, flush=True)
    threading.Thread(target=origin.serve, daemon=True).start()
    while input_left():
        pass


def input_left() -> bool:
    """Wait for a line of standard input; False at its end."""
    try:
        input()
    except EOFError:
        return False
    return True


if __name__ == "__main__":
    main()
