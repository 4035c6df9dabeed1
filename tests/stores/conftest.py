"""Stores of every kind, and the clock that they obey."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from browseros_api import Settings
from browseros_api.stores.entry import Store
from browseros_api.stores.opening import open_store
from browseros_api.testing import FakeClock
from tests.redis_server import RedisServer, redis_server

__all__ = ["Opener", "redis_server"]

KEY = Fernet.generate_key()
KINDS = ("memory", "sqlite", "sqlite, sealed", "redis", "redis, sealed", "redis, no front")

Opener = Callable[..., Store]
_numbers = itertools.count()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(1000.0)


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    """Settings of a store of the kind that is the fixture's parameter, at a place of its own."""
    kind, _, trait = request.param.partition(", ")
    if kind == "memory":
        return {"store": "memory://"}
    if kind == "sqlite":
        chosen = {"store": f"sqlite:///{tmp_path / 'answers.db'}"}
    else:
        server: RedisServer = request.getfixturevalue("redis_server")
        front = "&front=0" if trait == "no front" else ""
        chosen = {"store": f"{server.url}?namespace=test{next(_numbers)}{front}"}
    # A machine that is busy is not a store that is slow.
    return {**chosen, "store_timeout": 10.0, "store_key": KEY if trait == "sealed" else None}


@pytest.fixture
def opened(place: dict[str, Any], clock: FakeClock) -> Iterator[Opener]:
    """Opens the store; all that it has opened are at one place, if it is not memory."""
    stores: list[Store] = []

    def open_it(**settings: Any) -> Store:
        store = open_store(Settings(**{**place, **settings}), clock=clock)
        stores.append(store)
        return store

    yield open_it
    for store in stores:
        store.close()


@pytest.fixture
def store(opened: Opener) -> Store:
    return opened()
