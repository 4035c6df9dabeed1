"""The stage that the laws of caching are shown on."""

from __future__ import annotations

import pytest

from browseros_api.testing import ApiServer, FakeClock
from tests.caching.judging import Stage


@pytest.fixture
def stage(api_server: ApiServer, fake_clock: FakeClock) -> Stage:
    """A session as it comes, but for retries and circuits."""
    return Stage(api_server, fake_clock)
