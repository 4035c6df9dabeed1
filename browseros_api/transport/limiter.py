"""How many connections may be in use at once: in total, and to one host."""

from __future__ import annotations

import threading
from collections import deque

from ..errors import PoolTimeout
from ..journal import told_seconds
from .watch import turn

__all__ = ["Lease", "Limiter"]


class Lease:
    """The right to use one connection to ``host``; giving it back twice does no harm.

    Whoever drops it gives it back too.  ``held`` and ``connected`` (whether a socket is open, or
    being opened, on its account) are written by the limiter alone, under its lock.
    """

    __slots__ = ("__weakref__", "_limiter", "connected", "held", "host")

    def __init__(self, limiter: Limiter, host: str) -> None:
        self._limiter = limiter
        self.host = host
        self.held = False
        self.connected = False

    def release(self) -> None:
        """Give it back.  Never waits: finalizers may call it, wherever they happen to run."""
        if self.held:
            self._limiter._take_back(self)

    def __del__(self) -> None:
        if getattr(self, "held", False):  # or an interrupt came before it was made
            self.release()


class Limiter:
    """Lends at most ``total`` leases, ``per_host`` of them for one host; first come, first served.

    A lease that comes back is handed to the first waiter whose host has room, so that nobody who
    comes later can snatch it away.

    What comes back while its ``lock`` is held, even from a finalizer that runs in the middle of a
    locked section, is put aside; whoever has held it says ``settle`` afterwards, however it ended.
    The lock is entered itself, and by nothing in Python that an interrupt could come into.
    """

    def __init__(self, total: int, per_host: int | None = None) -> None:
        self.total = total
        self.per_host = total if per_host is None else min(per_host, total)
        self.in_use = 0
        self.connected = 0
        self.reset_after_fork()
        self._hosts: dict[str, int] = {}
        self._waiting: dict[Lease, threading.Lock] = {}
        self._returned: deque[Lease] = deque()

    def reset_after_fork(self) -> None:
        """Nobody holds the lock."""
        self.lock = threading.RLock()  # it knows whose it is; nobody takes it twice

    def __repr__(self) -> str:
        return f"<Limiter [{self.in_use} of {self.total} in use, {self.waiting} waiting]>"

    @property
    def waiting(self) -> int:
        """How many callers are waiting for a lease."""
        return len(self._waiting)

    def acquire(self, host: str, *, timeout: float | None = None) -> Lease:
        """A lease for ``host``, after at most ``timeout`` seconds (``None``: for ever).

        Raises ``PoolTimeout``.
        """
        lease = Lease(self, host)
        try:
            with self.lock:
                gate = self._queue(lease)
        finally:
            self.settle()
        if gate is not None:
            self._wait(lease, gate, timeout)
        return lease

    def connect(self, lease: Lease) -> None:
        """Count a socket on the account of ``lease``; only with the lock held."""
        if lease.held and not lease.connected:
            lease.connected = True
            self.connected += 1

    def disconnect(self, lease: Lease) -> None:
        """Count it no longer; only with the lock held."""
        if lease.connected:
            lease.connected = False
            self.connected -= 1

    def _queue(self, lease: Lease) -> threading.Lock | None:
        """Grant it at once; otherwise what opens when it is granted."""
        if self._returned:
            self._drain()
        if self._has_room(lease.host):
            self._grant(lease)
            return None
        gate = threading.Lock()
        gate.acquire()
        self._waiting[lease] = gate
        return gate

    def _wait(self, lease: Lease, gate: threading.Lock, timeout: float | None) -> None:
        seconds = -1.0 if timeout is None else min(max(timeout, 0.0), threading.TIMEOUT_MAX)
        try:
            turn("queue")
            if gate.acquire(timeout=seconds):
                return
        except BaseException:  # Ctrl-C, most likely
            with self.lock:
                self._waiting.pop(lease, None)
            lease.release()
            raise
        try:
            with self.lock:
                if lease.held:  # at the very last moment
                    return
                del self._waiting[lease]
                message = self._complaint(lease.host, seconds)
        finally:
            self.settle()
        raise PoolTimeout(message)

    def _complaint(self, host: str, seconds: float) -> str:
        here = self._hosts.get(host, 0)
        if here >= self.per_host < self.total:
            setting, limit, used = "max_connections_per_host", self.per_host, here
        else:
            setting, limit, used = "max_connections", self.total, self.in_use
        return (
            f"no connection to {host} became free within {told_seconds(seconds)}: "
            f"{used} of {limit} ({setting}) are in use and {len(self._waiting)} more calls wait; "
            f"raise {setting} or pool_timeout, and close streamed responses"
        )

    def _has_room(self, host: str) -> bool:
        return self.in_use < self.total and self._hosts.get(host, 0) < self.per_host

    def _grant(self, lease: Lease) -> None:
        here = self._hosts.get(lease.host, 0) + 1
        self.in_use += 1  # from here on nothing is called or decided: no interrupt comes between
        self._hosts[lease.host] = here
        lease.held = True

    def _take_back(self, lease: Lease) -> None:
        self._returned.append(lease)
        self.settle()

    def settle(self) -> None:
        """Hand out what has come back, unless the lock is held; then its holder will."""
        # Whoever holds the lock looks again after it has let go of it: nothing is left lying.
        if not self._returned or self.lock._is_owned():  # type: ignore[attr-defined]
            return
        try:
            while self._returned and self.lock.acquire(blocking=False):
                try:
                    self._drain()
                finally:
                    self.lock.release()
        except BaseException:
            if self.lock._is_owned():  # type: ignore[attr-defined]  # interrupted just then
                self.lock.release()
            raise

    def _drain(self) -> None:
        while self._returned:
            lease = self._returned.popleft()
            if lease.held:
                self.disconnect(lease)
                left = self._hosts[lease.host] - 1  # from here on it is as above
                lease.held = False
                self.in_use -= 1
                self._hosts[lease.host] = left
                if not left:
                    del self._hosts[lease.host]
        while self._waiting and self.in_use < self.total and self._serve_one():
            pass

    def _serve_one(self) -> bool:
        for lease, gate in self._waiting.items():
            if self._has_room(lease.host):
                del self._waiting[lease]
                self._grant(lease)
                gate.release()
                return True
        return False
