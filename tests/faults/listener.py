"""A port of this machine, and a thread for each connection that comes in."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import TypeVar

__all__ = ["Listener", "no_linger"]

L = TypeVar("L", bound="Listener")
_PATIENCE = 5.0  # seconds that a thread gets to end when everything closes


class Listener:
    """Has ``serve(sock, number)`` called in a thread of its own for each connection, from 1.

    What ``serve`` raises as ``OSError`` is the client's business; anything else is kept in
    ``errors``, and raised when the ``with`` block is left.  ``accepted`` counts connections.
    """

    def __init__(
        self,
        serve: Callable[[socket.socket, int], None],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self._serve = serve
        self._lock = threading.Lock()
        self._open: dict[int, socket.socket] = {}
        self._threads: list[threading.Thread] = []
        self._is_closing = False
        self.accepted = 0
        self.errors: list[BaseException] = []
        self._sock = socket.create_server((host, port), backlog=128)
        self.port: int = self._sock.getsockname()[1]
        self._acceptor = threading.Thread(target=self._accept, name="hostile", daemon=True)
        self._acceptor.start()

    @property
    def open(self) -> int:
        """How many connections are being served."""
        with self._lock:
            return len(self._open)

    def replace(self, number: int, sock: socket.socket) -> None:
        """Connection ``number`` goes on as another socket, one of TLS for example."""
        with self._lock:
            self._open[number] = sock

    def close(self) -> None:
        """Cut every connection, and join every thread."""
        self._is_closing = True
        with suppress(OSError):  # wakes the thread that accepts
            self._sock.shutdown(socket.SHUT_RDWR)
        self._acceptor.join(_PATIENCE)
        self._sock.close()
        with self._lock:
            for sock in self._open.values():
                with suppress(OSError):
                    # Not an SSLSocket's own, which would drop the TLS state under its user.
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(_PATIENCE)
        assert not any(thread.is_alive() for thread in self._threads), "a thread did not end"

    def __enter__(self: L) -> L:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
        if error is None and self.errors:
            raise self.errors[0]

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._sock.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self.accepted += 1
                number = self.accepted
                self._open[number] = sock
            thread = threading.Thread(
                target=self._run, args=(sock, number), name=f"hostile-{number}", daemon=True
            )
            self._threads = [one for one in self._threads if one.is_alive()]
            self._threads.append(thread)
            thread.start()

    def _run(self, sock: socket.socket, number: int) -> None:
        try:
            self._serve(sock, number)
        except OSError:  # it has gone, or was cut
            pass
        except BaseException as error:
            self.errors.append(error)
        finally:
            with self._lock:
                last = self._open.pop(number)
            last.close()
            sock.close()


def no_linger(sock: socket.socket) -> None:
    """Let closing ``sock`` be an RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
