"""What the tests of whole sessions share: an authority for TLS, and stock requests beside ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from browseros_api import Session
from browseros_api.testing import ApiServer
from tests.faults.certificates import Authority
from tests.redis_server import RedisServer, redis_server

__all__ = ["Made", "redis_server"]

Open = Callable[..., requests.Session]
Made = Callable[..., Session]


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def safe_server(authority: Authority) -> Iterator[ApiServer]:
    """One that speaks TLS, for those who trust the authority."""
    with ApiServer(tls=authority.context()) as server:
        yield server


@pytest.fixture(params=["requests", "browseros_api"])
def either(request: pytest.FixtureRequest) -> Iterator[requests.Session]:
    """First requests' session, then ours: what people have written for one holds for the other."""
    is_stock = request.param == "requests"
    with requests.Session() if is_stock else Session(retry_base_delay=0.01) as session:
        yield session


@pytest.fixture(params=["sqlite", "redis"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a store that is empty."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/store/answers.db"
    server: RedisServer = request.getfixturevalue("redis_server")
    server.ask("FLUSHALL")
    return server.url


@pytest.fixture
def made(place: str) -> Iterator[Made]:
    """Makes sessions on the store; a machine that is busy is not a store that is slow."""
    sessions = []

    def make(**options: Any) -> Session:
        session = Session(**{"store": place, "store_timeout": 10.0, **options})
        sessions.append(session)
        return session

    yield make
    for session in sessions:
        session.close()
