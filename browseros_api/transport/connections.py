"""Connections that know the DNS cache of their pool and the watch of their caller."""

from __future__ import annotations

import select
import socket
import ssl
import sys
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.util import Timeout
from urllib3.util import connection as urllib3_connection

from .answer import Answer
from .dial import Dialer
from .dns import DnsCache
from .inherited import close_copy
from .limiter import Lease
from .replay import Replay
from .trip import current_trip
from .watch import Watch, current_watch, turn

__all__ = ["SOCKET_OPTIONS", "Census", "PlainConnection", "TlsConnection"]

SOCKET_OPTIONS = [
    *HTTPConnection.default_socket_options,
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
]

_STOCK_CREATE_CONNECTION = urllib3_connection.create_connection


class Census:
    """Which sockets were opened, and which of them are open still."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sockets: weakref.WeakSet[Any] = weakref.WeakSet()
        self.opened = 0

    def add(self, sock: Any) -> int:
        """One more was opened; returns its number."""
        with self._lock:
            self.opened += 1
            self._sockets.add(sock)
            return self.opened

    def abandon(self) -> None:
        """In a child after a fork: close its copies of all of them."""
        for sock in list(self._sockets):
            close_copy(sock)

    def open(self) -> int:
        """How many are open now."""
        with self._lock:
            return sum(sock.fileno() >= 0 for sock in self._sockets)


class PlainConnection(HTTPConnection):
    """A connection that uses one budget of time for all addresses, and may be cut by a watch.

    ``lease`` is that of the call it serves, ``replay`` what has happened to that already, and
    ``answer`` what was received last without urllib3.  ``number`` tells its socket from those that
    were opened before.  ``dns`` and ``census`` are set by its pool, before it is used; it knows
    nothing of its pool, or a pool that nobody needs would not go away.
    """

    dns: DnsCache
    census: Census
    lease: Lease | None = None
    number: int | None = None
    replay: Replay | None = None
    answer: Answer | None = None
    _watch: Watch | None = None
    _poll: Callable[[int], list[Any]] | None = None

    def __str__(self) -> str:
        # As urllib3's own: it is part of many messages, and people look for it.
        return f"HTTPConnection(host={self.host!r}, port={self.port!r})"

    def join(self, watch: Watch | None) -> None:
        """Let ``watch`` cut what is done from now on."""
        self._watch = watch
        if watch is not None:
            watch.hold(self, self.sock)
            if watch.spent is not None:
                watch.spent.connection = self.number

    def leave(self) -> bool:
        """End that; tells whether it was cut."""
        watch, self._watch = self._watch, None
        return watch is not None and watch.let_go(self)

    def connect(self) -> None:
        """Connect, and be counted."""
        turn("connect")
        super().connect()
        self.number = self.census.add(self.sock)
        self._poll = _poll_of(self.sock)
        trip = current_trip()
        if trip is not None:
            trip.is_connected = True
        self.join(current_watch())
        turn("send")

    @property
    def is_connected(self) -> bool:
        """Whether it is open, and nothing has come that nobody asked for, such as its end."""
        if self.sock is None or self._poll is None:
            return super().is_connected
        return not self._poll(0)

    def close(self) -> None:
        """Close it; it connects anew if it is used again."""
        self.leave()  # first: a descriptor that is closed may be another's the next moment
        answer, self.answer, self.replay, self._poll = self.answer, None, None, None
        super().close()
        if answer is not None:
            answer.close()

    def send(self, data: Any) -> None:
        """Write ``data``, or find out what came of that."""
        if self.replay is None:
            super().send(data)
        else:
            self.replay.send()

    def response_class(  # type: ignore[override]
        self, sock: Any, *arguments: Any, **options: Any
    ) -> Answer:
        """An answer that is still to be read: http.client takes this for its class."""
        replay, self.replay = self.replay, None
        return Answer(sock if replay is None else replay.receive(sock), *arguments, **options)

    def getresponse(self) -> Any:
        """The answer, with its body unread."""
        sock, watch = self.sock, self._watch
        turn("server")
        response = super().getresponse()
        turn("body")
        if self.sock is None and watch is not None:
            # Handed over to the answer, which will close it at its end without telling us.
            self._watch = watch
            watch.hold(self, sock, as_copy=True)
        return response

    def _new_conn(self) -> socket.socket:
        if urllib3_connection.create_connection is not _STOCK_CREATE_CONNECTION:
            return super()._new_conn()  # replaced by somebody who knows better where to go
        timeout = Timeout.resolve_default_timeout(self.timeout)
        dialer = Dialer(
            self.dns,
            until=_earlier(timeout, current_watch()),
            source_address=self.source_address,
            options=self.socket_options,
        )
        try:
            sock = dialer.dial(self._dns_host, self.port)
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        except TimeoutError as error:
            raise ConnectTimeoutError(
                self,
                f"Connection to {self.host} timed out. (connect timeout={self.timeout})",
            ) from error
        except OSError as error:
            raise NewConnectionError(
                self, f"Failed to establish a new connection: {error}"
            ) from error
        _bound(sock, timeout)
        sys.audit("http.client.connect", self, self.host, self.port)
        watch = current_watch()
        if watch is not None and watch.can_be_cut:  # a handshake that follows, too
            self._watch = watch
            watch.hold(self, sock, as_copy=True)
        return sock

    def _tunnel(self) -> None:
        self.join(current_watch())
        super()._tunnel()
        if isinstance(self.sock, ssl.SSLSocket):
            return  # TLS inside TLS leaves the outer one in place, so that it can be cut
        self.leave()  # its descriptor moves to a TLS socket that nobody sees before it stands
        _bound(self.sock, Timeout.resolve_default_timeout(self.timeout))


class TlsConnection(PlainConnection, HTTPSConnection):
    """The same over TLS; the timeout of its socket bounds the handshake as a whole."""

    def __str__(self) -> str:
        return f"HTTPSConnection(host={self.host!r}, port={self.port!r})"

    def _new_conn(self) -> socket.socket:
        sock = super()._new_conn()
        turn("tls")
        return sock


def _poll_of(sock: Any) -> Callable[[int], list[Any]] | None:
    """Tells, without waiting, what has come; kept, since that is asked for each request."""
    if not hasattr(select, "poll"):  # as on Windows, and where gevent has patched it away
        return None
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return poll.poll


def _earlier(timeout: float | None, watch: Watch | None) -> float | None:
    """The instant at which the first of the two is over."""
    until = None if watch is None else watch.until
    if timeout is None:
        return until
    end = time.monotonic() + timeout
    return end if until is None else min(end, until)


def _bound(sock: Any, timeout: float | None) -> None:
    """Let ``sock`` wait for ``timeout`` seconds, but not longer than the watch of this thread."""
    watch = current_watch()
    left = None if watch is None else watch.remaining()
    if left is not None:
        left = max(left, 0.001)  # 0 would mean not to wait for anything
        timeout = left if timeout is None else min(timeout, left)
    sock.settimeout(timeout)
