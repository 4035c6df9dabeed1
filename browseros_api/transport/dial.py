"""Opening a socket to a name: each of its addresses in turn, within one budget of time."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from typing import Any

from urllib3.exceptions import LocationParseError
from urllib3.util import connection as urllib3_connection

from .dns import Address, DnsCache
from .watch import Watch, current_watch, turn

__all__ = ["Dialer", "left_until"]

SocketOptions = Sequence[tuple[int, int, int | bytes]]

_DECENT = 1.0  # seconds for one address, if the budget has them: a first packet may get lost


def left_until(instant: float | None) -> float | None:
    """Seconds until ``instant`` of ``time.monotonic``; raises ``TimeoutError`` if it is over."""
    if instant is None:
        return None
    left = instant - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left


class Dialer:
    """Opens a socket to ``host`` and ``port``, until the instant ``until`` at the latest.

    Whatever is remembered of a name is forgotten as soon as none of its addresses answers; if the
    system then names others, those are tried too.  The one that answers is the first next time.
    """

    def __init__(
        self,
        dns: DnsCache,
        *,
        until: float | None,
        source_address: tuple[str, int] | None,
        options: SocketOptions | None,
    ) -> None:
        self._dns = dns
        self._until = until
        self._source_address = source_address
        self._options = options or ()

    def dial(self, host: str, port: int) -> socket.socket:
        """The open socket; raises ``gaierror``, ``TimeoutError`` or another ``OSError``."""
        host = _checked(host)
        family = urllib3_connection.allowed_gai_family()
        known = self._dns.recall(host, port, family)
        if known is not None:
            try:
                return self._preferred(host, port, family, known)
            except OSError:
                self._dns.forget(host, port, family)
                fresh = self._ask(host, port, family)
                if set(fresh) == set(known):
                    raise
        else:
            fresh = self._ask(host, port, family)
        try:
            return self._preferred(host, port, family, fresh)
        except OSError:
            self._dns.forget(host, port, family)
            raise

    def _preferred(
        self, host: str, port: int, family: int, addresses: list[Address]
    ) -> socket.socket:
        # Or one that swallows everything, as IPv6 does on many a network, would cost its share of
        # the time again for each connection.
        sock, address = self._first_open(addresses)
        if address != addresses[0]:
            self._dns.prefer(host, port, family, address)
        return sock

    def _ask(self, host: str, port: int, family: int) -> list[Address]:
        turn("lookup")
        addresses = self._dns.resolve(host, port, family, timeout=left_until(self._until))
        turn("connect")
        return addresses

    def _first_open(self, addresses: list[Address]) -> tuple[socket.socket, Address]:
        waiting = len(addresses)
        for address in addresses:
            try:
                return self._open(address, self._share(waiting)), address
            except OSError:
                waiting -= 1
                if not waiting:
                    raise
        raise OSError("getaddrinfo returns an empty list")

    def _share(self, waiting: int) -> float | None:
        # A fair one, so that an address that swallows everything does not keep the next from
        # being tried; but not so little that a distant one could not answer.
        left = left_until(self._until)
        return None if left is None else max(left / waiting, min(left, _DECENT))

    def _open(self, address: Address, timeout: float | None) -> socket.socket:
        family, kind, protocol, _, target = address
        sock = socket.socket(family, kind, protocol)
        try:
            for option in self._options:
                sock.setsockopt(*option)
            sock.settimeout(timeout)
            if self._source_address:
                sock.bind(self._source_address)
            watch = current_watch()
            if watch is None or not watch.can_be_cut:
                sock.connect(target)
            else:
                _connect(sock, target, watch)
        except BaseException:
            sock.close()
            raise
        return sock


def _connect(sock: socket.socket, target: tuple[Any, ...], watch: Watch) -> None:
    watch.hold(sock, sock)
    try:
        if watch.expired:
            raise TimeoutError("timed out")
        sock.connect(target)
    finally:
        watch.let_go(sock)


def _checked(host: str) -> str:
    if host.startswith("["):
        host = host.strip("[]")
    try:
        host.encode("idna")
    except UnicodeError:
        raise LocationParseError(f"'{host}', label empty or too long") from None
    return host
