"""The hostile server, and who vouches for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.hostile import HostileServer
from tests.faults.table import CASES


@pytest.fixture
def hostile() -> Iterator[HostileServer]:
    with HostileServer(CASES.values()) as server:
        yield server
