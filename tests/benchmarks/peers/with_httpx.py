"""httpx, blocking."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import httpx

from tests.benchmarks.peers.site import PAYLOAD, Site, Turn, repeated

__all__ = ["get"]


@contextmanager
def get(site: Site) -> Iterator[Turn]:
    """``httpx.Client.get``."""
    with httpx.Client() as client:
        assert client.get(site.fresh).content == PAYLOAD
        yield repeated(partial(client.get, site.fresh))
