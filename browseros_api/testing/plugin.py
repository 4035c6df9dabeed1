"""Fixtures for pytest: ``api_server`` and ``fake_clock``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .clock import FakeClock
    from .server import ApiServer

# Nothing of ours is imported before a test asks for it: every run of pytest loads this module.

__all__ = ["api_server", "fake_clock"]


@pytest.fixture
def api_server() -> Iterator[ApiServer]:
    """An ``ApiServer`` for this test alone; afterwards it raises what handlers raised."""
    from .server import ApiServer  # noqa: PLC0415

    with ApiServer() as server:
        yield server


@pytest.fixture
def fake_clock() -> FakeClock:
    """A ``FakeClock``: call it for the time, ``tick`` it, give its ``sleep`` to what sleeps."""
    from .clock import FakeClock  # noqa: PLC0415

    return FakeClock()
