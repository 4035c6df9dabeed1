"""requests in threads: one session whose pool has a place for each of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from tests.benchmarks.peers.many import CROWD, crowded, gathered_in, loop
from tests.benchmarks.peers.site import Site, Turn, fresh_ones

__all__ = ["crowd", "gather", "get_many"]


@contextmanager
def get_many(site: Site, workers: int) -> Iterator[Turn]:
    """``requests.Session.get(...).json()`` in a ``ThreadPoolExecutor``."""
    with _session(workers) as session, ThreadPoolExecutor(workers) as executor:

        def get(url: str) -> Any:
            return session.get(url).json()

        def turn(calls: int) -> None:
            deque(executor.map(get, fresh_ones(site.fresh, calls)), maxlen=0)

        yield turn


@contextmanager
def gather(site: Site, connections: int) -> Iterator[Turn]:
    """The same behind ``run_in_executor``."""
    with (
        _session(connections) as session,
        ThreadPoolExecutor(connections) as executor,
        loop() as on,
    ):
        yield gathered_in(executor, on, site.fresh, lambda url: session.get(url).json())


@contextmanager
def crowd(site: Site) -> Iterator[Turn]:
    """``requests.Session.get`` of the same URL in many threads."""
    with _session(CROWD) as session:
        yield crowded(site, session.get)


@contextmanager
def _session(connections: int) -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.mount("http://", HTTPAdapter(pool_maxsize=connections))
        yield session
