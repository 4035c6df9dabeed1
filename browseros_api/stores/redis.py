"""A shelf on a Redis or Valkey server, for all processes that reach it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ..deadlines import left
from ..journal import masked_url
from .entry import MOST_VARIANTS
from .instants import Instants
from .redis_scripts import DROP, FORGET, LEASE, MEASURE, READ, RELEASE, TURN, WRITE
from .shelf import IN_VAIN, Label, Turn

__all__ = ["RedisShelf", "connected"]

_REMEMBERED = 600_000  # milliseconds: how long a change of a resource holds off older answers
_LEAST = 0.001  # seconds; 0 would mean not to wait for anything
_BATCH = 500  # keys that are looked for, and let go of, at once


def connected(url: str, *, timeout: float) -> Any:
    """redis-py's client; nothing connects before the first command.

    Nobody waits for it longer than ``timeout`` at each step, connecting and asking, nor longer than
    half of what his deadline leaves.  Its own retries are left out: they would make a server that
    is down a matter of seconds.

    Raises:
        ImportError: redis-py is missing; the message names the extra.
    """
    try:
        import redis  # noqa: PLC0415  (an extra)
        from redis import connection  # noqa: PLC0415
        from redis.backoff import NoBackoff  # noqa: PLC0415
        from redis.retry import Retry  # noqa: PLC0415
    except ImportError:
        raise ImportError("this store needs redis: pip install 'browseros-api[redis]'") from None
    parse: Any = connection.parse_url
    kind = parse(url).get("connection_class", connection.Connection)
    return redis.Redis.from_url(
        url,
        connection_class=type(kind.__name__, (_Hurried, kind), {}),
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        retry=Retry(NoBackoff(), 0),
        decode_responses=False,
        protocol=2,
    )


class _Hurried:
    """A connection of redis-py's that leaves half of the time to whoever is asked instead."""

    _sock: Any

    def send_packed_command(self, *arguments: Any, **options: Any) -> Any:
        if self._sock is not None:
            self._sock.settimeout(self.socket_timeout)
        return super().send_packed_command(*arguments, **options)  # type: ignore[misc]

    @property
    def socket_timeout(self) -> float:
        return _clipped(self._socket_timeout)

    @socket_timeout.setter
    def socket_timeout(self, seconds: float) -> None:
        self._socket_timeout = seconds

    @property
    def socket_connect_timeout(self) -> float:
        return _clipped(self._socket_connect_timeout)

    @socket_connect_timeout.setter
    def socket_connect_timeout(self, seconds: float) -> None:
        self._socket_connect_timeout = seconds


def _clipped(seconds: float) -> float:
    here = left()
    return seconds if here is None else min(seconds, max(here / 2, _LEAST))


class RedisShelf:
    """Every key begins with the namespace, and the server lets go of it when its time is over.

    A hit is one round trip.  All variants of a key are one hash, so that they come and go together.
    """

    kind = "redis"

    def __init__(self, url: str, *, namespace: str, instants: Instants, timeout: float) -> None:
        self.place = masked_url(url)
        self._url = url
        self._namespace = namespace
        self._now = instants.now
        self._timeout = timeout
        self._everything = f"{namespace}:all"
        self._connect()

    def _connect(self) -> None:
        self._client = connected(self._url, timeout=self._timeout)
        script = self._client.register_script
        self._read, self._write, self._drop = map(script, (READ, WRITE, DROP))
        self._forget, self._measure = map(script, (FORGET, MEASURE))
        self._lease, self._release = map(script, (LEASE, RELEASE))

    def reset_after_fork(self) -> None:
        """In a child: with connections of its own."""
        self._connect()

    def close(self) -> None:
        """Close the connections that nobody uses; used again, it opens others."""
        self._client.connection_pool.disconnect(inuse_connections=False)

    def _answer(self, key: str) -> str:
        return f"{self._namespace}:answer:{key}"

    def _index(self, resource: str) -> str:
        return f"{self._namespace}:resource:{resource}"

    def _change(self, resource: str) -> str:
        return f"{self._namespace}:change:{resource}"

    # -- the shelf -------------------------------------------------------------------------------

    def read(self, key: str, *, is_use: bool) -> list[tuple[str, bytes]]:
        """Variants under ``key`` and their records, the latest first."""
        told: list[bytes] = self._read(keys=[self._answer(key)])
        fields = zip(told[::2], told[1::2], strict=True)
        held = [(value, name) for name, value in fields if name != b"resource"]
        held.sort(reverse=True)  # by their turns
        return [(name.decode("ascii", "replace"), value[TURN:]) for value, name in held]

    def write(self, label: Label, record: bytes) -> bool:
        """Keep ``record``, if its resource has not changed since."""
        now = self._now()
        keys = [
            self._answer(label.key),
            self._index(label.resource),
            self._change(label.resource),
            self._everything,
        ]
        ttl, age = int(1000 * (label.expires - now)), int(1000 * (now - label.since))
        arguments: list[Any] = [label.variant, record, ttl, age, MOST_VARIANTS]
        return bool(self._write(keys=keys, args=arguments))

    def drop(self, key: str, variant: str | None = None) -> bool:
        """Let go of one variant, or of all under ``key``; whether there was anything."""
        chosen = [] if variant is None else [variant]
        return bool(self._drop(keys=[self._answer(key), self._everything], args=chosen))

    def forget(self, resource: str) -> int:
        """Let go of all keys of a resource, and hold off what was asked for before; how many."""
        keys = [self._index(resource), self._change(resource), self._everything]
        return int(self._forget(keys=keys, args=[_REMEMBERED]))

    def lease(self, key: str, holder: str, *, seconds: float) -> Turn:
        """Whose turn it is to ask; a lease ends by the server's clock."""
        name = f"{self._namespace}:lease:{key}"
        return Turn[self._lease(keys=[name], args=[holder, int(1000 * seconds)]).decode()]

    def release(self, key: str, holder: str, *, is_kept: bool) -> bool:
        """``holder`` has asked; whether it was still leading."""
        name = f"{self._namespace}:lease:{key}"
        return bool(self._release(keys=[name], args=[holder, 0 if is_kept else 1000 * IN_VAIN]))

    def clear(self) -> None:
        """Let go of everything in the namespace."""
        batch: list[bytes] = []
        for name in self._client.scan_iter(match=self._pattern(""), count=_BATCH):
            batch.append(name)
            if len(batch) == _BATCH:
                self._client.unlink(*batch)
                batch.clear()
        if batch:
            self._client.unlink(*batch)

    def expire(self) -> int:
        """The server sees to it."""
        return 0

    def keys(self) -> Iterator[str]:
        """The keys there were a moment ago."""
        begin = len(self._answer(""))
        for name in self._client.scan_iter(match=self._pattern("answer:"), count=_BATCH):
            yield name[begin:].decode("ascii", "replace")

    def _pattern(self, kind: str) -> str:
        return re.sub(r"([\\*?\[\]])", r"\\\1", f"{self._namespace}:{kind}") + "*"

    def measure(self) -> tuple[int, int]:
        """How many keys there are, and bytes, about."""
        count, size = self._measure(keys=[self._everything])
        return int(count), int(size)

    def figures(self) -> dict[str, Any]:
        """There is nothing more to tell."""
        return {}
