"""Caches for requests, with their answers in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import requests
from cachecontrol import CacheControl
from requests.adapters import HTTPAdapter
from requests_cache import CachedSession

from tests.benchmarks.peers.many import CROWD, crowded
from tests.benchmarks.peers.site import Site, Turn, repeated

__all__ = ["cachecontrol_hit", "requests_cache_crowd", "requests_cache_hit"]


@contextmanager
def requests_cache_hit(site: Site) -> Iterator[Turn]:
    """requests-cache with its memory backend."""
    with CachedSession(backend="memory") as session:
        session.get(site.kept)
        assert session.get(site.kept).from_cache
        yield repeated(partial(session.get, site.kept))


@contextmanager
def requests_cache_crowd(site: Site) -> Iterator[Turn]:
    """The same session, asked by many threads for what it does not know yet."""
    with CachedSession(backend="memory") as session:
        session.mount("http://", HTTPAdapter(pool_maxsize=CROWD))
        yield crowded(site, session.get)


@contextmanager
def cachecontrol_hit(site: Site) -> Iterator[Turn]:
    """CacheControl with the dictionary that it has by default."""
    with CacheControl(requests.Session()) as session:
        session.get(site.kept)
        assert session.get(site.kept).from_cache
        yield repeated(partial(session.get, site.kept))
