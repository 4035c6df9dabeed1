"""Connections that nobody uses at the moment, and when they go."""

from __future__ import annotations

import contextlib
import queue
import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from urllib3.connection import HTTPConnection

from ..timer import TIMER
from .limiter import Lease, Limiter

__all__ = ["IdleConnections", "Shelf"]


class Shelf:
    """The idle connections of one pool, latest on top, where urllib3 expects a queue.

    It has no lock, so that the finalizer of a pool and a child after a fork can empty it.
    """

    __slots__ = ("connections", "maxsize")

    def __init__(self, maxsize: int = 0) -> None:
        self.maxsize = maxsize
        self.connections: list[Any] = []

    def get(self, block: bool = False, timeout: float | None = None) -> Any:
        """The latest; it never waits, since a caller may always open another one."""
        try:
            return self.connections.pop()
        except IndexError:
            raise queue.Empty from None

    def put(self, connection: Any, block: bool = False, timeout: float | None = None) -> None:
        """Put one on top; ``None``, the place holder of urllib3's queues, needs no place here."""
        if connection is None:
            return
        if self.full():
            raise queue.Full
        self.connections.append(connection)

    def qsize(self) -> int:
        """How many there are."""
        return len(self.connections)

    def empty(self) -> bool:
        """Whether there are none."""
        return not self.connections

    def full(self) -> bool:
        """Whether one more is too many."""
        return 0 < self.maxsize <= len(self.connections)


class IdleConnections:
    """All idle connections of an adapter, longest idle first; closed after ``keepalive`` seconds.

    Those in use and these together are never more than the limiter's total: whoever needs a socket
    beyond that closes the longest idle one first.  Counted under the limiter's own lock, so that
    there is no moment in which a connection is counted as neither.
    """

    def __init__(self, limiter: Limiter, *, keepalive: float, clock: Callable[[], float]) -> None:
        self._limiter = limiter
        self._keepalive = keepalive
        self._clock = clock
        self._entries: OrderedDict[HTTPConnection, tuple[Shelf, float]] = OrderedDict()
        self._is_awaited = False

    def __len__(self) -> int:
        # The finalizer of a pool closes what it had without telling us.
        try:
            with self._limiter.lock:
                return sum(connection.sock is not None for connection in self._entries)
        finally:
            self._limiter.settle()

    def take(self, shelf: Shelf, lease: Lease | None) -> HTTPConnection | None:
        """The latest connection on ``shelf`` that is not too old, now on account of ``lease``."""
        while True:
            now = self._clock()
            try:
                with self._limiter.lock:
                    try:
                        connection: HTTPConnection = shelf.connections[-1]
                        # From here on nothing is called: an interrupt finds it in both, or neither.
                        del shelf.connections[-1]
                    except IndexError:
                        return None
                    since = now
                    if connection in self._entries:
                        since = self._entries[connection][1]
                        del self._entries[connection]
                    if lease is not None:
                        self._limiter.connect(lease)
            finally:
                self._limiter.settle()
            if now - since < self._keepalive:
                return connection
            connection.close()

    def make_room(self, lease: Lease) -> None:
        """Count a new socket on account of ``lease``; the longest idle one goes if it must."""
        try:
            with self._limiter.lock:
                if lease.connected or not lease.held:
                    return
                is_full = self._limiter.connected + len(self._entries) >= self._limiter.total
                longest = self._pop_longest() if is_full else None
                self._limiter.connect(lease)
        finally:
            self._limiter.settle()
        if longest is not None:
            longest.close()

    def put(self, connection: HTTPConnection, shelf: Shelf, lease: Lease | None) -> bool:
        """Keep ``connection``, if there is a place for it."""
        now = self._clock()
        try:
            with self._limiter.lock:
                if shelf.full():
                    return False
                self._entries[connection] = (shelf, now)
                shelf.connections.append(connection)  # at once: no interrupt comes between
                if lease is not None:
                    self._limiter.disconnect(lease)
                is_awaited, self._is_awaited = self._is_awaited, True
        finally:
            self._limiter.settle()
        if not is_awaited:
            self._await(self._keepalive)
        return True

    def reap(self) -> float | None:
        """Close those whose time is over; seconds until the next one's is, if there is one."""
        now = self._clock()
        try:
            with self._limiter.lock:
                while self._entries:
                    _, since = next(iter(self._entries.values()))
                    if now - since < self._keepalive:
                        return self._keepalive - (now - since)
                    self._pop_longest().close()  # inside: until it is closed it counts
        finally:
            self._limiter.settle()
        return None

    def close(self, shelf: Shelf | None = None) -> None:
        """Close all of them, or those on ``shelf``."""
        try:
            with self._limiter.lock:
                chosen = [
                    connection
                    for connection, (place, _) in self._entries.items()
                    if shelf is None or place is shelf
                ]
                for connection in chosen:
                    self._remove(connection).close()
        finally:
            self._limiter.settle()

    def abandon(self) -> None:
        """In a child after a fork: have none, whoever held which lock."""
        for connection in list(self._entries):
            connection.close()
        self._entries.clear()

    def _pop_longest(self) -> HTTPConnection:
        return self._remove(next(iter(self._entries)))

    def _remove(self, connection: HTTPConnection) -> HTTPConnection:
        shelf, _ = self._entries[connection]
        with contextlib.suppress(ValueError):  # a finalizer has emptied the shelf
            shelf.connections.remove(connection)
        del self._entries[connection]  # last: what is in here only goes when its time is over
        return connection

    def _await(self, seconds: float) -> None:
        me = weakref.ref(self)

        def come_back() -> None:
            alive = me()
            if alive is not None:
                alive._come_back()

        TIMER.after(seconds, come_back)

    def _come_back(self) -> None:
        seconds = self.reap()
        try:
            with self._limiter.lock:
                if not self._entries:
                    self._is_awaited = False  # until somebody puts the next one
                    return
        finally:
            self._limiter.settle()
        self._await(max(seconds or self._keepalive, 0.001))
