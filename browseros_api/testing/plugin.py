"""Fixtures for pytest: ``api_server``, ``fake_clock``, ``no_sleep`` and ``chaos``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .clock import FakeClock
    from .mischief import Chaos
    from .server import ApiServer
    from .sleeping import Sleeps

# Nothing of ours is imported before a test asks for it: every run of pytest loads this module.

__all__ = ["api_server", "chaos", "fake_clock", "no_sleep"]


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


@pytest.fixture
def no_sleep() -> Iterator[Sleeps]:
    """No session or client waits between attempts; ``slept`` tells how long it would have."""
    from .sleeping import no_sleep as sleepless  # noqa: PLC0415

    with sleepless() as sleeps:
        yield sleeps


@pytest.fixture
def chaos(request: pytest.FixtureRequest) -> Iterator[Callable[..., Chaos]]:
    """``chaos(rate=0.2, seed=7)`` lets ``api_server`` misbehave from there to the end of the test.

    With ``target=`` it is another server, or the adapters of a session.
    """
    from .mischief import chaos as made  # noqa: PLC0415

    with ExitStack() as end:

        def begin(*, target: Any = None, **options: Any) -> Chaos:
            subject = request.getfixturevalue("api_server") if target is None else target
            return end.enter_context(made(subject, **options))

        yield begin
