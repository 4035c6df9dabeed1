"""Watch the health of an API, and what the client makes of it.

python examples/monitor.py                                a server on this machine, 18 rounds
python examples/monitor.py --blocking                     without a loop
python examples/monitor.py https://api.example.com        each 30 s, until it is interrupted
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterable
from typing import Any

import requests
from _demo import arguments, target

import browseros_api
from browseros.api import EnhancedAPIClient
from browseros_api.testing import ApiServer, Reply

__all__: list[str] = []

SETTINGS: dict[str, Any] = {"max_retries": 0, "failure_threshold": 3, "half_open_max_calls": 1}


async def monitor(client: EnhancedAPIClient, rounds: Iterable[int], interval: float) -> None:
    """Awaited."""
    for number in rounds:
        try:
            await client.get("/health", use_cache=False)
            outcome = "ok"
        except requests.RequestException as error:
            outcome = told(error)
        report(number, outcome, client)
        await asyncio.sleep(interval)


def monitor_blocking(
    client: browseros_api.EnhancedAPIClient, rounds: Iterable[int], interval: float
) -> None:
    """The same without a loop."""
    for number in rounds:
        try:
            client.get("/health", use_cache=False)
            outcome = "ok"
        except requests.RequestException as error:
            outcome = told(error)
        report(number, outcome, client)
        time.sleep(interval)


def told(error: requests.RequestException) -> str:
    if isinstance(error, browseros_api.CircuitOpenError):
        return f"not asked, next trial in {error.retry_after:.1f} s"
    return f"failed: {error.response.status_code if error.response is not None else error}"


def report(number: int, outcome: str, client: Any) -> None:
    stats = client.get_stats()
    states = {name: info["state"] for name, info in client.get_circuit_breaker_status().items()}
    warning = ", ".join(f"{name} is {state}" for name, state in states.items() if state != "closed")
    print(
        f"{number:3}  success rate {stats['success_rate']:7.2%}  "
        f"average {stats['average_latency_ms']:6.2f} ms  {outcome}"
        + (f"  WARNING: {warning}" if warning else "")
    )


def furnish(server: ApiServer) -> None:
    """A service that is down for a while."""
    server.script("/health", Reply(json="ok", repeat=2), Reply(503, repeat=3), Reply(json="ok"))


async def main(url: str, rounds: Iterable[int], interval: float, options: dict[str, Any]) -> None:
    async with EnhancedAPIClient(url, **options) as client:
        await monitor(client, rounds, interval)


if __name__ == "__main__":
    parser = arguments(__doc__)
    parser.add_argument("--blocking", action="store_true", help="without a loop")
    given = parser.parse_args()
    is_real = given.url and not given.demo
    counted = itertools.count(1) if is_real else range(1, 19)
    seconds = 30.0 if is_real else 0.1
    settings = {**SETTINGS, "recovery_timeout": 60.0 if is_real else 1.0}
    with target(given, furnish) as base_url:
        if given.blocking:
            with browseros_api.EnhancedAPIClient(base_url, **settings) as blocking:
                monitor_blocking(blocking, counted, seconds)
        else:
            asyncio.run(main(base_url, counted, seconds, settings))
