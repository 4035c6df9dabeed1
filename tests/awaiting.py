"""Tasks and loops for tests of the awaited client, none of which waits for ever."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

from browseros.api import EnhancedAPIClient
from browseros_api.testing import wait_until
from tests.flying import PATIENCE


def run(main: Awaitable[Any]) -> Any:
    """``asyncio.run``, but not for ever."""

    async def bounded() -> Any:
        return await asyncio.wait_for(main, PATIENCE)

    return asyncio.run(bounded())


async def until(condition: Callable[[], object], message: str = "it did not come true") -> None:
    """``wait_until``, while the loop runs on."""
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, message
        await asyncio.sleep(0.001)


async def in_the_air(client: EnhancedAPIClient, followers: int, flights: int = 1) -> None:
    state = f"{flights} in the air, {followers} followers"
    await until(lambda: state in repr(client.session.engine.flights), state)


def begin(*calls: Any) -> list[asyncio.Task[Any]]:
    return [asyncio.ensure_future(call) for call in calls]


async def outcomes(tasks: list[asyncio.Task[Any]]) -> list[Any]:
    return await asyncio.gather(*tasks, return_exceptions=True)


def own_threads(client: EnhancedAPIClient) -> list[threading.Thread]:
    """The threads on which the client asks."""
    return client._team.threads


def check_statistics(client: EnhancedAPIClient, total: int | None = None) -> dict[str, Any]:
    """D19: nothing is in flight any more, and all is accounted for."""
    wait_until(lambda: client.get_stats()["in_flight_requests"] == 0, timeout=PATIENCE)
    stats = client.get_stats()
    assert stats["total_requests"] == stats["successful_requests"] + stats["failed_requests"]
    assert total is None or stats["total_requests"] == total
    assert len(client.session.engine.flights) == 0
    return stats
