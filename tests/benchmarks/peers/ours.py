"""browseros_api, with everything switched on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial

from browseros_api import CircuitOpenError, EnhancedAPIClient, Session
from tests.benchmarks.peers.site import USERS, Site, Turn, each_of, repeated

__all__ = ["client_get", "client_hit", "get", "get_new", "hit", "rejected"]


@contextmanager
def get(site: Site) -> Iterator[Turn]:
    """``Session.get`` of what must not be kept."""
    with Session() as session:
        assert session.get(site.fresh).json() == USERS
        yield repeated(partial(session.get, site.fresh))


@contextmanager
def get_new(site: Site) -> Iterator[Turn]:
    """``Session.get`` of what was never asked for before."""
    with Session() as session:
        yield each_of(site.fresh, session.get)


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


@contextmanager
def rejected(site: Site) -> Iterator[Turn]:
    """``Session.get`` of an endpoint whose circuit is open."""
    url = f"{site.origin}/down/users"
    with Session(retry_base_delay=0.0, recovery_timeout=86_400.0) as session:
        for _ in range(2):  # each with four attempts, of which five open the circuit
            with suppress(CircuitOpenError):
                session.get(url)

        def turn(calls: int) -> None:
            refused = 0
            for _ in range(calls):
                try:
                    session.get(url)
                except CircuitOpenError:
                    refused += 1
            assert refused == calls

        yield turn
