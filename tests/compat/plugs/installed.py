"""For other people's suites: requests is what ``install()`` makes of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from browseros_api.installing import install


@pytest.fixture(autouse=True)
def _installed_anew() -> Iterator[None]:
    """What one test learns (answers, open circuits) is no business of the next."""
    with install(retry_base_delay=0.01):
        yield
