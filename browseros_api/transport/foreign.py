"""Pools of a urllib3 that is a fork with connections of its own making: counted, bounded, no more.

urllib3-future, which niquests brings, lies where urllib3 was.  Its pools keep and share connections
in their own way, which leaves no place for what ``pools`` does with those that are idle.
"""

from __future__ import annotations

import http.client
import socket
from functools import partial
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from .connections import Census
from .trip import current_trip
from .watch import current_watch

__all__ = ["IS_FOREIGN", "foreign_pool_classes"]

IS_FOREIGN = not issubclass(HTTPConnection, http.client.HTTPConnection)


class _Bounded:
    """A connection that is counted when it stands, and may be cut by a watch.

    A watch has a copy of its descriptor until the watch itself ends: nothing tells when the
    connection is given back.
    """

    census: Census
    sock: Any
    timeout: float | None

    def connect(self) -> None:
        super().connect()  # type: ignore[misc]
        self.census.add(self.sock)
        _say_that_it_stands()

    def request(self, *args: Any, **options: Any) -> Any:
        if self.sock is not None:  # used before
            _say_that_it_stands()
            self._show(self.sock)
        return super().request(*args, **options)  # type: ignore[misc]

    def _new_conn(self) -> socket.socket:
        watch = current_watch()
        left = None if watch is None else watch.remaining()
        if left is not None:
            left = max(left, 0.001)  # 0 would mean not to wait for anything
            self.timeout = left if self.timeout is None else min(left, self.timeout)
        sock: socket.socket = super()._new_conn()  # type: ignore[misc]
        self._show(sock)  # a proxy or a handshake may hang, too
        return sock

    def _show(self, sock: Any) -> None:
        watch = current_watch()
        if watch is not None:
            watch.hold(self, sock, as_copy=True)


def _say_that_it_stands() -> None:
    trip = current_trip()
    if trip is not None:
        trip.is_connected = True


class _PlainConnection(_Bounded, HTTPConnection):
    pass


class _TlsConnection(_Bounded, HTTPSConnection):
    pass


_OURS: dict[Any, Any] = {HTTPConnection: _PlainConnection, HTTPSConnection: _TlsConnection}


class _PlainPool(HTTPConnectionPool):
    def __init__(self, census: Census, host: str, port: int | None = None, **options: Any) -> None:
        super().__init__(host, port, **options)
        self._census = census

    @property
    def ConnectionCls(self) -> Any:  # type: ignore[override]
        """Ours, unless somebody has put another class, such as that of a mock, in its place."""
        usual = super().ConnectionCls
        return _OURS.get(usual, usual)

    def _new_conn(self, **options: Any) -> Any:
        connection: Any = super()._new_conn(**options)
        connection.census = self._census
        return connection


class _TlsPool(_PlainPool, HTTPSConnectionPool):  # type: ignore[override]
    pass


# Messages tell these names, and people look for them.
_PlainConnection.__name__, _TlsConnection.__name__ = "HTTPConnection", "HTTPSConnection"
_PlainPool.__name__, _TlsPool.__name__ = "HTTPConnectionPool", "HTTPSConnectionPool"


def foreign_pool_classes(census: Census) -> dict[str, Any]:
    """What a ``PoolManager`` of the fork is to make its pools of, by scheme."""
    return {"http": partial(_PlainPool, census), "https": partial(_TlsPool, census)}
