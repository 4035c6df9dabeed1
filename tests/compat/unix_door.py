"""A second door of a server: a socket in the file system."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from browseros_api.testing import ApiServer

__all__ = ["UnixDoor"]

_SECONDS = 10.0


class UnixDoor:
    """Whoever connects to ``path`` talks to ``server``; ``visits`` counts them."""

    def __init__(self, server: ApiServer, path: Path) -> None:
        self.path = path
        self.visits = 0
        self._home = (server.host, server.port)
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._run(self._accept)

    def _run(self, act: Callable[..., None], *args: socket.socket) -> None:
        thread = threading.Thread(target=act, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                visitor, _ = self._listener.accept()
                self.visits += 1
                host = socket.create_connection(self._home, timeout=_SECONDS)
                host.settimeout(None)
                self._sockets += [visitor, host]
                self._run(_pour, visitor, host)
                self._run(_pour, host, visitor)

    def __enter__(self) -> UnixDoor:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for sock in (self._listener, *self._sockets):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(_SECONDS)
            assert not thread.is_alive(), "a thread of the door hangs"
        for sock in (self._listener, *self._sockets):
            sock.close()


def _pour(source: socket.socket, target: socket.socket) -> None:
    """Bytes go from one to the other until the source says that it is done."""
    with contextlib.suppress(OSError):
        while piece := source.recv(65536):
            target.sendall(piece)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
