"""httpx, blocking and awaited."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import httpx

from tests.benchmarks.peers.many import gathered, loop
from tests.benchmarks.peers.site import PAYLOAD, Site, Turn, repeated

__all__ = ["gather", "get"]


@contextmanager
def get(site: Site) -> Iterator[Turn]:
    """``httpx.Client.get``."""
    with httpx.Client() as client:
        assert client.get(site.fresh).content == PAYLOAD
        yield repeated(partial(client.get, site.fresh))


@contextmanager
def gather(site: Site, connections: int) -> Iterator[Turn]:
    """``httpx.AsyncClient.get`` of many new URLs at once, decoded; it may wait for its turn."""
    limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
    with loop() as running:
        client = httpx.AsyncClient(limits=limits, timeout=httpx.Timeout(30.0, pool=None))

        async def get(url: str) -> Any:
            return (await client.get(url)).json()

        try:
            yield gathered(running, site.fresh, get)
        finally:
            running.run_until_complete(client.aclose())
