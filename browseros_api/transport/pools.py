"""Pools of urllib3 whose connections are counted, aged and cut short by watches."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cached_property, partial
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ClosedPoolError
from urllib3.util.connection import is_connection_dropped

from .connections import Census, PlainConnection, TlsConnection
from .dns import DnsCache
from .foreign import IS_FOREIGN, foreign_pool_classes
from .idle import IdleConnections, Shelf
from .limiter import Limiter
from .trip import Trip, current_trip
from .watch import current_watch

__all__ = ["Fleet", "PlainPool", "TlsPool"]

_OURS: dict[Any, Any] = {HTTPConnection: PlainConnection, HTTPSConnection: TlsConnection}


class Fleet:
    """The connections of one adapter: how many may be, which are idle, where names lead."""

    def __init__(
        self,
        *,
        total: int,
        per_host: int,
        keepalive: float,
        dns_ttl: float,
        clock: Callable[[], float] | None,
    ) -> None:
        clock = clock or time.monotonic
        self.limiter = Limiter(total, per_host)
        self.idle = IdleConnections(self.limiter, keepalive=keepalive, clock=clock)
        self.dns = DnsCache(dns_ttl, clock)
        self.census = Census()

    def abandon(self) -> None:
        """In a child after a fork: close its copies of the sockets, whoever held which lock."""
        self.limiter.reset_after_fork()  # a stream of the parent's may be dropped here
        self.idle.abandon()
        self.census.abandon()

    def pool_classes(self) -> dict[str, Any]:
        """What a ``PoolManager`` is to make its pools of, by scheme."""
        if IS_FOREIGN:
            return foreign_pool_classes(self.census)
        return {"http": partial(PlainPool, self), "https": partial(TlsPool, self)}


class PlainPool(HTTPConnectionPool):
    """The connections of a fleet to one host."""

    QueueCls: Any = Shelf

    def __init__(self, fleet: Fleet, host: str, port: int | None = None, **options: Any) -> None:
        options["block"] = False  # the limiter has waited already, and for a bounded time
        super().__init__(host, port, **options)
        self._fleet = fleet

    def __str__(self) -> str:
        # As urllib3's own: it is part of many messages, and people look for it.
        return f"HTTPConnectionPool(host={self.host!r}, port={self.port!r})"

    @property
    def ConnectionCls(self) -> Any:  # type: ignore[override]
        """Ours, unless somebody has put another class, of a mock or of HTTP/2, in its place."""
        usual = super().ConnectionCls
        return _OURS.get(usual, usual)

    def _get_conn(self, timeout: float | None = None) -> Any:
        shelf: Any = self.pool
        if shelf is None:
            raise ClosedPoolError(self, "Pool is closed.")
        trip = current_trip()
        if trip is not None and trip.rehearsed is not None:
            connection, trip.rehearsed = trip.rehearsed, None
            return connection
        if super().ConnectionCls not in _OURS:
            if trip is not None:
                trip.is_connected = True  # for all we know
            self._fleet.idle.close(shelf)
            return super()._get_conn(timeout)
        connection = self.take_idle(trip)
        if connection is not None:
            return connection
        if trip is not None:
            trip.reused = False
            self._fleet.idle.make_room(trip.lease)
        connection = self._new_conn()
        connection.lease = None if trip is None else trip.lease
        return connection

    @cached_property
    def host_field(self) -> str:
        """The line that tells the server whom it is asked for, as http.client writes it."""
        scratch: Any = self.ConnectionCls(self.host, self.port)
        scratch.putrequest("GET", "/", skip_accept_encoding=True)
        return str(scratch._buffer[1], "latin-1") + "\r\n"

    def take_idle(self, trip: Trip | None) -> Any:
        """A connection that is open still, for ``trip``; ``None`` if there is none."""
        shelf: Any = self.pool
        if shelf is None or super().ConnectionCls not in _OURS:
            return None
        lease = None
        if trip is not None:
            lease, trip.is_connected = trip.lease, bool(trip.is_connected)
        while trip is None or not trip.wants_fresh:
            connection: Any = self._fleet.idle.take(shelf, lease)
            if connection is None:
                break
            if not isinstance(connection, PlainConnection) or is_connection_dropped(connection):
                connection.close()
                continue
            connection.lease = lease
            connection.join(current_watch())
            if trip is not None:
                trip.reused = trip.is_connected = True
            return connection
        return None

    def _validate_conn(self, conn: Any) -> None:
        if not getattr(conn, "replay", None):  # or it may be closed, and would be opened again
            super()._validate_conn(conn)

    def _new_conn(self) -> Any:
        connection: Any = super()._new_conn()
        if isinstance(connection, PlainConnection):
            connection.dns = self._fleet.dns
            connection.census = self._fleet.census
        return connection

    def _put_conn(self, conn: Any) -> None:
        shelf: Any = self.pool
        if not isinstance(conn, PlainConnection):
            super()._put_conn(conn)
            return
        was_cut = conn.leave()
        if conn.answer is not None:
            was_cut |= not conn.answer.isclosed()  # half of it may be there still
            conn.answer = None
        lease, conn.lease = conn.lease, None
        if conn.sock is None:
            return
        if was_cut or shelf is None or not self._fleet.idle.put(conn, shelf, lease):
            conn.close()


class TlsPool(PlainPool, HTTPSConnectionPool):  # type: ignore[override]
    """The same over TLS."""

    def __str__(self) -> str:
        return f"HTTPSConnectionPool(host={self.host!r}, port={self.port!r})"
