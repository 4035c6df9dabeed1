"""browseros_api in threads and awaited, with everything switched on."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from browseros_api import EnhancedAPIClient, Session
from browseros_api.aio import EnhancedAPIClient as AwaitedClient
from tests.benchmarks.peers.many import awaited, crowded, gathered, loop
from tests.benchmarks.peers.site import USERS, Site, Turn, fresh_ones

__all__ = ["awaited_hit", "crowd", "gather", "get_many"]


@contextmanager
def awaited_hit(site: Site) -> Iterator[Turn]:
    """The awaited ``get`` of what is kept, decoded."""
    with loop() as running:
        client = AwaitedClient(site.fast)
        try:
            assert running.run_until_complete(client.get("/kept/users")) == USERS
            assert running.run_until_complete(client.get_cached("/kept/users")) == USERS
            yield awaited(running, partial(client.get, "/kept/users"))
        finally:
            running.run_until_complete(client.close())


@contextmanager
def get_many(site: Site, workers: int) -> Iterator[Turn]:
    """``EnhancedAPIClient.get_many`` of new endpoints."""
    with EnhancedAPIClient(site.fast) as client:

        def turn(calls: int) -> None:
            endpoints = fresh_ones("/fresh/users", calls)
            deque(client.get_many(endpoints, max_workers=workers), maxlen=0)

        yield turn


@contextmanager
def gather(site: Site, connections: int) -> Iterator[Turn]:
    """Many awaited ``get`` of new endpoints at once."""
    with loop() as running:
        client = AwaitedClient(site.fast, max_connections=connections)
        try:
            yield gathered(running, "/fresh/users", client.get)
        finally:
            running.run_until_complete(client.close())


@contextmanager
def crowd(site: Site) -> Iterator[Turn]:
    """``Session.get`` of the same URL in many threads."""
    with Session() as session:
        yield crowded(site, session.get)
