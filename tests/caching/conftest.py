"""The stage that the laws of caching are shown on."""

from __future__ import annotations

from pathlib import Path

import pytest

from browseros_api.testing import ApiServer, FakeClock
from tests.caching.judging import Stage


@pytest.fixture
def stage(
    request: pytest.FixtureRequest, api_server: ApiServer, fake_clock: FakeClock, tmp_path: Path
) -> Stage:
    """A session as it comes, but for retries and circuits; where it keeps, a test may say."""
    if getattr(request, "param", "memory") == "memory":
        return Stage(api_server, fake_clock)
    # A machine that is busy is not a store that is slow.
    store = f"sqlite:///{tmp_path}/answers.db"
    return Stage(api_server, fake_clock, store=store, store_timeout=10.0)
