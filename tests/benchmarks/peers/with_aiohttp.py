"""aiohttp, and aiohttp-client-cache with its answers in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import ClientSession, TCPConnector
from aiohttp_client_cache import CacheBackend, CachedSession

from tests.benchmarks.peers.many import awaited, gathered, loop
from tests.benchmarks.peers.site import USERS, Site, Turn

__all__ = ["awaited_hit", "gather"]


@contextmanager
def gather(site: Site, connections: int) -> Iterator[Turn]:
    """``ClientSession.get`` of many new URLs at once, decoded."""
    with loop() as running:
        session = running.run_until_complete(_session(connections))

        async def get(url: str) -> Any:
            async with session.get(url) as response:
                return await response.json()

        try:
            yield gathered(running, site.fresh, get)
        finally:
            running.run_until_complete(session.close())


@contextmanager
def awaited_hit(site: Site) -> Iterator[Turn]:
    """``CachedSession.get`` of what is kept, decoded."""
    with loop() as running:
        session = running.run_until_complete(_cached_session())

        async def get() -> Any:
            async with session.get(site.kept) as response:
                assert response.from_cache or is_first
                return await response.json()

        try:
            is_first = True
            assert running.run_until_complete(get()) == USERS
            is_first = False
            yield awaited(running, get)
        finally:
            running.run_until_complete(session.close())


async def _session(connections: int) -> ClientSession:
    return ClientSession(connector=TCPConnector(limit=connections))


async def _cached_session() -> CachedSession:
    return CachedSession(cache=CacheBackend())
