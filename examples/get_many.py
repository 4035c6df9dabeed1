"""Fetch a thousand things from a generator, in bounded memory, and count what did not come.

python examples/get_many.py                               a server on this machine
python examples/get_many.py https://api.example.com       one with /items/N
"""

from __future__ import annotations

import collections
import sys
import time
from collections.abc import Iterator

from _demo import arguments, target

from browseros_api import EnhancedAPIClient
from browseros_api.testing import ApiServer, Received, Reply

__all__: list[str] = []

ITEMS = 1000


def endpoints() -> Iterator[str]:
    """Never a list: the next one is made when there is room for it."""
    for number in range(ITEMS):
        yield f"/items/{number}"


def run(base_url: str) -> None:
    began = time.perf_counter()
    kinds: collections.Counter[str] = collections.Counter()
    with EnhancedAPIClient(base_url, max_retries=0) as client:
        answers = client.get_many(
            endpoints(),
            max_workers=8,
            ordered=False,
            on_error="return",
            use_cache=False,
            progress=sys.stderr.isatty(),  # needs browseros-api[progress]
        )
        for answer in answers:
            kinds["failed" if isinstance(answer, Exception) else "fetched"] += 1
        connections = client.get_stats()["connections"]["connections_opened"]
    seconds = time.perf_counter() - began
    print(f"{kinds['fetched']} fetched, {kinds['failed']} failed, in {seconds:.1f} s")
    print(f"{connections} connections")


def furnish(server: ApiServer) -> None:
    """Every hundredth item is missing."""

    def item(request: Received) -> Reply:
        number = int(request.path.rpartition("/")[2])
        return Reply(404) if number % 100 == 99 else Reply(json={"id": number})

    server.route("/items/*", item)


if __name__ == "__main__":
    given = arguments(__doc__).parse_args()
    with target(given, furnish) as url:
        run(url)
