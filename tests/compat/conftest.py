"""What the tests with other people's software share.

Those of libraries that are no part of the ``test`` extra are collected only where
``BROWSEROS_API_COMPAT=1`` says that the ``compat`` extra is installed.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest
import requests

from browseros_api import Session

pytest.register_assert_rewrite("tests.compat.laws")

collect_ignore_glob = ["plugs/*", "tarpit.py"]
if os.environ.get("BROWSEROS_API_NIQUESTS") != "1":  # an environment of its own: see .ci/run
    collect_ignore_glob += ["test_niquests.py"]
if os.environ.get("BROWSEROS_API_COMPAT") != "1":
    collect_ignore_glob += [
        "neighbours/*",
        "test_betamax.py",
        "test_pytest_httpserver.py",
        "test_requests_mock.py",
        "test_vcr.py",
    ]


@pytest.fixture
def session() -> Iterator[Session]:
    """Ours with every policy on, and little patience between attempts."""
    with Session(retry_base_delay=0.01) as session:
        yield session


@pytest.fixture(params=["requests", "browseros_api"])
def either(request: pytest.FixtureRequest) -> Iterator[requests.Session]:
    """First requests' session, then ours: what people have written for one holds for the other."""
    stock = request.param == "requests"
    with requests.Session() if stock else Session(retry_base_delay=0.01) as session:
        yield session


@pytest.fixture
def nowhere() -> Iterator[str]:
    """The address of a port that refuses every connection: what a mock lets through fails."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"
