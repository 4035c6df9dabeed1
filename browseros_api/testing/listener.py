"""The thread that accepts connections, and the threads that serve them."""

from __future__ import annotations

import os
import selectors
import socket
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from .connection import Connection, hang_up
from .ledger import Ledger
from .reply import Reply
from .routes import Handler
from .wire import Received

if TYPE_CHECKING:
    from ssl import SSLContext

__all__ = ["Listener"]

_BACKLOG = 1024  # connections that may wait to be accepted; the system may allow fewer
_PATIENCE = 5.0  # seconds a handler gets to come back when everything closes


class Listener:
    """Listens from the moment it is made, and leaves nothing behind when it is closed.

    ``find`` gives the reply to a request, or a function to ask for one.
    ``_threads`` belongs to the accepting thread until that has been joined.
    """

    def __init__(
        self,
        address: tuple[str, int],
        *,
        ledger: Ledger,
        find: Callable[[Received], Reply | Handler],
        tls: SSLContext | None,
    ) -> None:
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._sock = socket.create_server(address, family=family, backlog=_BACKLOG)
        self._sock.setblocking(False)
        self.port: int = self._sock.getsockname()[1]
        self._ledger = ledger
        self._find = find
        self._tls = tls
        self._stopping = threading.Event()
        self._alarm, self._alarmed = socket.socketpair()
        self._threads: set[threading.Thread] = set()
        self._finished: list[threading.Thread] = []
        self._pid = os.getpid()
        self._acceptor = threading.Thread(target=self._accept, name="api-server", daemon=True)
        self._acceptor.start()

    def close(self) -> None:
        """Hang up on everybody and join every thread; ``RuntimeError`` if one does not end."""
        self._stopping.set()
        if self._pid == os.getpid():  # a forked child has neither the threads nor a say
            self._alarm.send(b"!")  # closing it would not do while a child holds a copy
            deadline = time.monotonic() + _PATIENCE
            self._acceptor.join(_PATIENCE)
            self._ledger.each_open(hang_up)
            for thread in self._threads:
                thread.join(max(0.0, deadline - time.monotonic()))
        for sock in (self._alarm, self._alarmed, self._sock):
            sock.close()
        stuck = sorted(thread.name for thread in self._threads if thread.is_alive())
        if stuck:
            raise RuntimeError(f"still running after {_PATIENCE:g} s: {', '.join(stuck)}")

    def _accept(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._alarmed, selectors.EVENT_READ)
            selector.register(self._sock, selectors.EVENT_READ)
            while not any(key.fileobj is self._alarmed for key, _ in selector.select()):
                try:
                    self._welcome(self._sock.accept()[0])
                except BlockingIOError:  # it was there, and has gone again
                    continue
                except OSError:  # no more files: let some be closed
                    self._stopping.wait(0.01)

    def _welcome(self, sock: socket.socket) -> None:
        while self._finished:
            finished = self._finished.pop()
            finished.join()
            self._threads.discard(finished)
        try:
            sock.settimeout(None)  # whatever the process's default is
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                sock = self._tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        except OSError:  # it has gone already
            sock.close()
            return
        self._serve(Connection(sock, self._ledger, self._find, self._stopping))

    def _serve(self, connection: Connection) -> None:
        def serve() -> None:
            try:
                connection.serve()
            finally:
                self._finished.append(thread)

        name = f"api-server-{connection.number}"
        thread = threading.Thread(target=serve, name=name, daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # the system has no more threads
            connection.close()
            self._ledger.errors.append(error)
        else:
            self._threads.add(thread)
