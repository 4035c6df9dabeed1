"""hishel for httpx; the nearest that it has to memory is SQLite without a file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from hishel import SqliteStorage
from hishel.httpx import CacheClient

from tests.benchmarks.peers.site import Site, Turn, repeated

__all__ = ["hit"]


@contextmanager
def hit(site: Site) -> Iterator[Turn]:
    """A hit as it makes them by default, which is without asking what the server allowed."""
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    with CacheClient(storage=SqliteStorage(connection=connection)) as client:
        client.get(site.kept)
        assert client.get(site.kept).extensions["caching"]["from_cache"]
        yield repeated(partial(client.get, site.kept))
