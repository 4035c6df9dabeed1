"""Fetch ten pages at once: awaited with gather, and blocking with get_many.

python examples/batch_fetch.py                            a server on this machine
python examples/batch_fetch.py https://api.example.com    one with /users?page=N
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from _demo import arguments, target

import browseros_api
from browseros.api import EnhancedAPIClient
from browseros_api.testing import ApiServer, Received, Reply

__all__: list[str] = []

PAGES = range(1, 11)


async def fetch_all_users(base_url: str) -> list[Any]:
    """Awaited: all pages concurrently."""
    async with EnhancedAPIClient(base_url) as client:
        results = await asyncio.gather(*[client.get("/users", params={"page": i}) for i in PAGES])
        return [user for page in results for user in page["users"]]


def fetch_all_users_blocking(base_url: str) -> list[Any]:
    """The same without a loop; the pages may come from any iterable, and are asked for lazily."""
    with browseros_api.EnhancedAPIClient(base_url) as client:
        pages = ({"endpoint": "/users", "params": {"page": i}} for i in PAGES)
        return [user for page in client.get_many(pages) for user in page["users"]]


def furnish(server: ApiServer) -> None:
    """Pages of ten users, of which each takes a tenth of a second."""

    def page(request: Received) -> Reply:
        first = 10 * (int(request.query["page"][0]) - 1)
        return Reply(json={"users": [{"id": first + i} for i in range(10)]}, delay=0.1)

    server.route("/users", page)


def report(how: str, users: list[Any], began: float) -> None:
    print(f"{how}: {len(users)} users of {len(PAGES)} pages in {time.perf_counter() - began:.2f} s")


if __name__ == "__main__":
    given = arguments(__doc__).parse_args()
    with target(given, furnish) as url:
        start = time.perf_counter()
        report("awaited ", asyncio.run(fetch_all_users(url)), start)
        start = time.perf_counter()
        report("blocking", fetch_all_users_blocking(url), start)
