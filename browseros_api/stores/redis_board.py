"""A board on a Redis or Valkey server, on which processes write which circuits are not closed."""

from __future__ import annotations

from typing import NamedTuple

from ..journal import masked_url
from .redis import connected
from .redis_scripts import CIRCUIT, CIRCUITS

__all__ = ["Notice", "RedisBoard"]

_REMEMBERED = 600_000  # milliseconds after which a circuit that nobody tries is closed


class Notice(NamedTuple):
    """What the board says of a circuit: who opened it, and the seconds to its next change.

    No ``opening``: it is closed.  ``may_begin``: a trial that was asked for.
    """

    opening: str
    seconds: float
    may_begin: bool = False


class RedisBoard:
    """All instants are of the server's clock.  It may fail: whoever uses it is ready for that."""

    def __init__(self, url: str, *, namespace: str, timeout: float) -> None:
        self.place = masked_url(url)
        self._url, self._timeout = url, timeout
        self._circuits = f"{namespace}:circuits"
        self._connect()

    def _connect(self) -> None:
        self._client = connected(self._url, timeout=self._timeout)
        self._read, self._tell = map(self._client.register_script, (CIRCUITS, CIRCUIT))

    def reset_after_fork(self) -> None:
        """In a child: with connections of its own."""
        self._connect()

    def close(self) -> None:
        """Close the connections that nobody uses; used again, it opens others."""
        self._client.connection_pool.disconnect(inuse_connections=False)

    def read(self) -> dict[str, Notice]:
        """The circuits that are not closed."""
        told = iter(self._read(keys=[self._circuits]))
        return {
            name.decode(): Notice(opening.decode(), milliseconds / 1000)
            for name, opening, milliseconds in zip(told, told, told, strict=True)
        }

    def tell(self, name: str, event: str, who: str, *, seconds: float, most: int) -> Notice:
        """What has happened to a circuit, and what it is like then.

        Events: ``open``; ``try``, which begins a trial of so many seconds, and ``good``, ``bad`` or
        ``forgive``, which end it; ``close``.  ``most``: trials that must go well.
        """
        arguments = [name, event, who, int(1000 * seconds), most, _REMEMBERED]
        may_begin, opening, wait = self._tell(keys=[self._circuits], args=arguments)
        return Notice(opening.decode(), max(0.0, wait / 1000), bool(may_begin))
