"""browseros_api, with everything switched on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from browseros_api import EnhancedAPIClient, Session
from tests.benchmarks.peers.site import USERS, Site, Turn, repeated

__all__ = ["client_get", "client_hit", "get", "hit"]


@contextmanager
def get(site: Site) -> Iterator[Turn]:
    """``Session.get`` of what must not be kept."""
    with Session() as session:
        assert session.get(site.fresh).json() == USERS
        yield repeated(partial(session.get, site.fresh))


@contextmanager
def hit(site: Site) -> Iterator[Turn]:
    """``Session.get`` of what the server allowed to keep."""
    with Session() as session:
        session.get(site.kept)
        assert session.get(site.kept).from_cache
        yield repeated(partial(session.get, site.kept))


@contextmanager
def client_get(site: Site) -> Iterator[Turn]:
    """``EnhancedAPIClient.get`` of what must not be kept, decoded."""
    with EnhancedAPIClient(site.fast) as client:
        assert client.get("/fresh/users") == USERS
        yield repeated(partial(client.get, "/fresh/users"))


@contextmanager
def client_hit(site: Site) -> Iterator[Turn]:
    """``EnhancedAPIClient.get`` of what is kept, decoded."""
    with EnhancedAPIClient(site.fast) as client:
        assert client.get("/kept/users") == USERS
        assert client.get_cached("/kept/users") == USERS
        yield repeated(partial(client.get, "/kept/users"))
