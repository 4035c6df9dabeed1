"""What a thread may do to a socket that another one uses: hold on to it, and shut it."""

from __future__ import annotations

import contextlib
import socket
from functools import partial
from typing import Any

__all__ = ["copy_of", "shut", "wire_of"]

_AT_ONCE = 0.001  # seconds; 0 would mean not to wait for anything


def wire_of(sock: Any) -> socket.socket | None:
    """The socket that is at the bottom of ``sock``."""
    # TLS inside TLS is not a socket itself, but has one.
    while sock is not None and not isinstance(sock, socket.socket):
        sock = getattr(sock, "socket", None)
    return sock


def copy_of(sock: Any) -> socket.socket | None:
    """A descriptor of its own for that, unless it is closed."""
    wire = wire_of(sock)
    try:
        return wire and _duplicate(wire)
    except OSError:  # closed already
        return None


def _duplicate(sock: socket.socket) -> Any:
    # C to its end, unlike socket.dup: an interrupt between having the descriptor, which is but a
    # number, and the socket that would close it would lose it for good.
    make = partial(socket.SocketType, sock.family, sock.type, sock.proto)
    return next(map(make, map(socket.dup, (sock.fileno(),))))


def shut(sock: socket.socket) -> None:
    """End whatever is being waited for on it."""
    # Not sock.shutdown(): that of a TLS socket drops its encryption first, and its user, who may
    # be about to write, would send plain text.
    try:
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
    except OSError:  # it is about to connect, and must not wait; or it is dead already
        with contextlib.suppress(OSError):
            socket.socket.settimeout(sock, _AT_ONCE)
