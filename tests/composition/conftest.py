"""What the tests of whole sessions share: an authority for TLS, and stock requests beside ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import requests

from browseros_api import Session
from browseros_api.testing import ApiServer
from tests.faults.certificates import Authority

Open = Callable[..., requests.Session]


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
