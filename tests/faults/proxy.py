"""A proxy that tunnels, or dies while it should."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable

from tests.faults.listener import Listener, no_linger

__all__ = ["DEATHS", "Proxy"]

OPEN = b"HTTP/1.1 200 Connection established\r\n\r\n"
Death = Callable[[socket.socket], None]


def say_nothing(sock: socket.socket) -> None:
    while sock.recv(65536):
        pass


def says(data: bytes) -> Death:
    return lambda sock: sock.sendall(data)


def opens(sock: socket.socket) -> None:
    sock.sendall(OPEN)
    sock.recv(65536)  # what TLS begins with; unread, it would make an RST of the end


def opens_and_babbles(sock: socket.socket) -> None:
    sock.sendall(OPEN + b"hello?\r\n\r\n")
    sock.recv(65536)


def opens_and_goes_silent(sock: socket.socket) -> None:
    sock.sendall(OPEN)
    say_nothing(sock)


# What becomes of a client that has said CONNECT; afterwards the connection is closed.
DEATHS: dict[str, Death] = {
    "hangs-up": lambda sock: None,
    "resets": no_linger,
    "never-answers": say_nothing,
    "refuses": says(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"),
    "wants-a-password": says(
        b'HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="p"\r\n'
        b"Content-Length: 0\r\n\r\n"
    ),
    "says-half": says(b"HTTP/1.1 200 Connec"),
    "babbles": says(b"\x00\x01\x02 what?\r\n\r\n"),
    "opens-and-hangs-up": opens,
    "opens-and-goes-silent": opens_and_goes_silent,
    "opens-and-babbles": opens_and_babbles,
}


class Proxy(Listener):
    """Tunnels what is said to it, until a reason to die comes.

    ``death`` is done to each client that says CONNECT; without one a tunnel is made, in which at
    most ``most`` bytes come back.  ``connects`` counts the clients that said CONNECT, ``forwards``
    the requests that were sent to be forwarded: these get no answer.
    """

    def __init__(self, death: Death | None = None, *, most: int = 1 << 30) -> None:
        self._death, self._most = death, most
        self._counting = threading.Lock()
        self.connects = self.forwards = 0
        super().__init__(self._talk)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _talk(self, sock: socket.socket, number: int) -> None:
        sock.settimeout(10.0)
        head = b""
        while b"\r\n\r\n" not in head:
            piece = sock.recv(65536)
            if not piece:
                return
            head += piece
        method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
        with self._counting:
            self.connects += method == "CONNECT"
            self.forwards += method != "CONNECT"
        if self._death is not None:
            self._death(sock)
        elif method == "CONNECT":
            host, _, port = target.rpartition(":")
            with socket.create_connection((host, int(port)), timeout=10.0) as there:
                sock.sendall(OPEN)
                self._pump(sock, there)

    def _pump(self, here: socket.socket, there: socket.socket) -> None:
        left = self._most
        while left > 0:
            for ready in select.select([here, there], [], [], 10.0)[0]:
                data = ready.recv(65536)
                if not data:
                    return
                if ready is there:
                    data = data[:left]
                    left -= len(data)
                (here if ready is there else there).sendall(data)
