"""One connection, served by one thread: read a request, answer it, well or badly."""

from __future__ import annotations

import os
import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, TypeGuard

from .ledger import Ledger
from .reply import Answer, Ending, Reply
from .routes import Handler
from .wire import Malformed, Received, RequestReader

if TYPE_CHECKING:
    from ssl import SSLSocket

__all__ = ["Connection", "hang_up"]

_LONGEST_HOLD = 30.0  # seconds
_GLANCE = 0.1  # seconds; how soon somebody who waits for another's event notices the shutdown
_NO_LINGER = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)


class Connection:
    """Serves requests until the client, an answer or the server ends it.

    ``find`` gives the reply to a request, or a function to ask for one; ``stopping`` is set when
    the server closes, which also shuts the socket down: nothing here outlives that by much.
    """

    def __init__(
        self,
        sock: socket.socket,
        ledger: Ledger,
        find: Callable[[Received], Reply | Handler],
        stopping: threading.Event,
    ) -> None:
        self._sock = sock
        self._ledger = ledger
        self._find = find
        self._stopping = stopping
        self._unhandled = 0
        self.number = ledger.opened(sock)

    def serve(self) -> None:
        """Handle it from the first byte to the last; it never raises."""
        ending = Ending.CLOSE
        try:
            if _is_tls(self._sock):
                self._sock.do_handshake()
            ending = self._serve_requests()
        except Malformed as error:
            self._refuse(error)
        except OSError:  # the client has gone, or the server shut the socket down
            pass
        finally:
            self._handled()
            self.close(ending)

    def _serve_requests(self) -> Ending:
        reader = RequestReader(self._sock.recv, self._sock.sendall, connection=self.number)
        ending = Ending.KEEP
        while ending is Ending.KEEP:
            request = reader.read()
            if request is None:
                return Ending.CLOSE
            self._ledger.received(request)
            self._unhandled = 1
            ending = self._respond(request)
            self._handled()
        return ending

    def _respond(self, request: Received) -> Ending:
        reply = self._reply_to(request)
        if reply.silent:
            return self._say_nothing()
        if not self._is_due(reply):
            return Ending.CLOSE
        answer = reply.answer(bodiless=request.method == "HEAD", closing=request.wants_close)
        return answer.ending if self._send(answer) else Ending.CLOSE

    def _reply_to(self, request: Received) -> Reply:
        try:
            reply = self._find(request)
            if not isinstance(reply, Reply):
                reply = reply(request)
            if not isinstance(reply, Reply):
                raise TypeError(f"the handler of {request.path} returned {reply!r}, not a Reply")
        except Exception as error:
            self._ledger.errors.append(error)
            return Reply(500, body=f"the handler failed: {error!r}\n")
        return reply

    def _is_due(self, reply: Reply) -> bool:
        """Wait as the reply demands; False if the server closes meanwhile."""
        if reply.hold is not None:
            deadline = time.monotonic() + _LONGEST_HOLD
            while not reply.hold.wait(_GLANCE):
                if self._stopping.is_set():
                    return False
                if time.monotonic() >= deadline:
                    late = TimeoutError(f"hold was not set within {_LONGEST_HOLD:g} s: {reply!r}")
                    self._ledger.errors.append(late)
                    break
        return not (reply.delay and self._stopping.wait(reply.delay))

    def _say_nothing(self) -> Ending:
        while self._sock.recv(65536):  # until the client hangs up, or the server does for us
            pass
        return Ending.CLOSE

    def _send(self, answer: Answer) -> bool:
        """Send all pieces; False if the server closes meanwhile."""
        last = len(answer.pieces) - 1
        for number, (piece, pause) in enumerate(answer.pieces):
            if pause and self._stopping.wait(pause):
                return False
            if number == last:
                self._handled()  # before, or a quick client's next request would overlap this one
            self._sock.sendall(piece)
        return True

    def _handled(self) -> None:
        if self._unhandled:
            self._unhandled = 0
            self._ledger.handled()

    def _refuse(self, error: Malformed) -> None:
        body = f"not a request: {error}\n"
        with suppress(OSError):
            self._send(Reply(error.status, body=body).answer(closing=True))

    def close(self, ending: Ending = Ending.CLOSE) -> None:
        """End the connection as told: with an RST, or properly."""
        self._ledger.closed(self._sock)
        with self._sock, suppress(OSError):
            if ending is Ending.RESET:
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
                return
            if _is_tls(self._sock):
                _say_goodbye(self._sock)
            # close() alone sends no FIN while a forked child holds a copy of the socket
            socket.socket.shutdown(self._sock, socket.SHUT_WR)


def hang_up(sock: socket.socket) -> None:
    """Send a FIN, and wake the thread that reads from or writes to ``sock``."""
    with suppress(OSError):
        # Not an SSLSocket's own method: it drops the TLS state under the feet of that thread.
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


def _is_tls(sock: socket.socket) -> TypeGuard[SSLSocket]:
    return hasattr(sock, "do_handshake")  # without importing ssl for those who do not need it


def _say_goodbye(sock: SSLSocket) -> None:
    with suppress(OSError, ValueError):
        sock.settimeout(0.0)  # say it, without waiting for the client's own
        sock.unwrap()
