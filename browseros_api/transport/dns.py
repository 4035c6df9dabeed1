"""Where names lead, remembered for a while."""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from ..errors import clone

__all__ = ["Address", "DnsCache"]

Address = tuple[Any, Any, int, str, tuple[Any, ...]]
_Name = tuple[str, int, int]


class _Lookup:
    """One question that is being asked; whoever has the same one waits for the same answer."""

    __slots__ = ("addresses", "done", "error")

    def __init__(self) -> None:
        self.done = threading.Event()
        self.addresses: list[Address] = []
        self.error: BaseException | None = None


class DnsCache:
    """Answers of ``socket.getaddrinfo``, each used again for ``ttl`` seconds (0: never).

    Failures are not kept.  Concurrent questions about one name are asked once, in a thread of
    their own, since ``getaddrinfo`` knows no timeout and cannot be interrupted.

    Attributes:
        lookups: how often the system was asked.
        hits: how often that was not necessary.
    """

    def __init__(
        self, ttl: float, clock: Callable[[], float] = time.monotonic, *, most: int = 1024
    ) -> None:
        self.ttl = ttl
        self.most = most
        self._clock = clock
        self.reset()

    def reset(self) -> None:
        """Forget everything, also who is asking (after a fork nobody is)."""
        self._lock = threading.Lock()
        self._known: OrderedDict[_Name, tuple[float, list[Address]]] = OrderedDict()
        self._asking: dict[_Name, _Lookup] = {}
        self.lookups = 0
        self.hits = 0

    def resolve(
        self,
        host: str,
        port: int,
        family: int = socket.AF_UNSPEC,
        *,
        timeout: float | None = None,
    ) -> list[Address]:
        """The addresses of ``host``, as ``getaddrinfo`` gives them, for a stream.

        Raises what ``getaddrinfo`` raises, ``TimeoutError`` after ``timeout`` seconds.
        """
        if _is_address(host):
            return _ask(host, port, family)
        name, now = (host.lower(), port, family), self._clock()
        with self._lock:
            known = self._find(name, now)
            if known is not None:
                return known
            lookup, is_new = self._join(name)
        if is_new:
            self._start(name, lookup)
        if not lookup.done.wait(timeout):
            raise TimeoutError(f"looking up {host} timed out")
        if lookup.error is not None:
            raise clone(lookup.error)
        return lookup.addresses

    def recall(self, host: str, port: int, family: int = socket.AF_UNSPEC) -> list[Address] | None:
        """What is remembered of ``host``, if it is and is not too old."""
        name, now = (host.lower(), port, family), self._clock()
        with self._lock:
            return self._find(name, now)

    def prefer(self, host: str, port: int, family: int, address: Address) -> None:
        """Begin with this one next time, as long as the name is remembered."""
        name = (host.lower(), port, family)
        with self._lock:
            if name in self._known:
                expiry, known = self._known[name]
                self._known[name] = (expiry, sorted(known, key=lambda one: one != address))

    def forget(self, host: str, port: int, family: int = socket.AF_UNSPEC) -> None:
        """Let the next question about ``host`` be asked anew."""
        with self._lock:
            self._known.pop((host.lower(), port, family), None)

    def _find(self, name: _Name, now: float) -> list[Address] | None:
        found = self._known.get(name)
        if found is None:
            return None
        if now >= found[0]:
            del self._known[name]
            return None
        self._known.move_to_end(name)
        self.hits += 1
        return found[1]

    def _join(self, name: _Name) -> tuple[_Lookup, bool]:
        lookup = self._asking.get(name)
        if lookup is not None:
            self.hits += 1
            return lookup, False
        lookup = self._asking[name] = _Lookup()
        self.lookups += 1
        return lookup, True

    def _start(self, name: _Name, lookup: _Lookup) -> None:
        asker = threading.Thread(
            target=self._look_up, args=(name, lookup), name=f"dns {name[0]}", daemon=True
        )
        try:
            asker.start()
        except RuntimeError:  # no more threads, or the interpreter is about to end
            self._look_up(name, lookup)

    def _look_up(self, name: _Name, lookup: _Lookup) -> None:
        try:
            lookup.addresses = _ask(*name)
        except BaseException as error:
            lookup.error = error.with_traceback(None)  # whose frames hold the look-up
        expiry = self._clock() + self.ttl
        with self._lock:
            if self._asking.get(name) is lookup:
                del self._asking[name]
                if lookup.addresses and self.ttl:
                    self._known[name] = (expiry, lookup.addresses)
                    if len(self._known) > self.most:
                        self._known.popitem(last=False)
        lookup.done.set()


def _ask(host: str, port: int, family: int) -> list[Address]:
    # Found when called, not when imported: tests and other libraries replace it.
    return socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
