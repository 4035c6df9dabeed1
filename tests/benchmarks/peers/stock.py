"""requests and urllib3 as they come."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import requests
import urllib3

from tests.benchmarks.peers.site import PAYLOAD, USERS, Site, Turn, each_of, repeated

__all__ = ["get", "get_decoded", "get_new", "pool_get"]


@contextmanager
def get(site: Site) -> Iterator[Turn]:
    """``requests.Session.get``."""
    with requests.Session() as session:
        assert session.get(site.fresh).content == PAYLOAD
        yield repeated(partial(session.get, site.fresh))


@contextmanager
def get_new(site: Site) -> Iterator[Turn]:
    """``requests.Session.get`` of what was never asked for before."""
    with requests.Session() as session:
        yield each_of(site.fresh, session.get)


@contextmanager
def get_decoded(site: Site) -> Iterator[Turn]:
    """``requests.Session.get(...).json()``."""
    with requests.Session() as session:
        assert session.get(site.fresh).json() == USERS
        yield repeated(lambda: session.get(site.fresh).json())


@contextmanager
def pool_get(site: Site) -> Iterator[Turn]:
    """``urllib3.PoolManager.request``, which has read the body when it returns."""
    with urllib3.PoolManager() as pool:
        assert pool.request("GET", site.fresh).data == PAYLOAD
        yield repeated(partial(pool.request, "GET", site.fresh))
