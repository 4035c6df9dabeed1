"""What has happened on a connection already, to be told to those who would have done it."""

from __future__ import annotations

import io
import socket
from typing import Any

__all__ = ["Replay", "received_again"]


class Replay:
    """One request that was sent, or not, and one answer that was received, or not.

    urllib3 sends and receives it once more: what it sees then are these outcomes, and what they
    mean is for urllib3 to say.
    """

    __slots__ = ("_error", "_received", "_was_sent")

    def __init__(
        self, *, was_sent: bool, error: Exception | None = None, received: bytes | None = None
    ) -> None:
        self._was_sent = was_sent
        self._error = error
        self._received = received

    def send(self) -> None:
        """Once it has failed it is forgotten: then the connection itself is asked for an answer."""
        if not self._was_sent:
            self._fail()

    def receive(self, sock: Any) -> Any:
        """What an answer can be read from."""
        if self._was_sent and self._error is not None:
            self._fail()
        return sock if self._received is None else _Refilled(sock, self._received)

    def _fail(self) -> None:
        error, self._error, self._was_sent = self._error, None, True
        try:
            if error is not None:
                raise error
        finally:
            del error  # it must not be held by the frame that it holds


class _Refilled:
    """A socket as far as http.client looks at it."""

    def __init__(self, sock: Any, received: bytes) -> None:
        self._sock, self._received = sock, received

    def makefile(self, mode: str) -> io.BufferedReader:
        return received_again(self._sock, self._received)


class _Again(socket.SocketIO):
    _received: bytes | None

    def readinto(self, buffer: Any) -> int | None:
        received = self._received
        if received is None:
            return super().readinto(buffer)
        size = min(len(buffer), len(received))
        buffer[:size] = received[:size]
        self._received = received[size:] or None
        return size


def received_again(sock: Any, received: bytes | None) -> io.BufferedReader:
    """A file of what comes through ``sock``, after what was ``received``: empty if it had ended."""
    raw = sock.makefile("rb", buffering=0)  # which counts itself, so that ``sock`` stays open
    raw.__class__ = _Again
    raw._received = received
    return io.BufferedReader(raw)
