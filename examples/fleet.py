"""Three processes that behave like one client: what one of them asks, the others need not.

python examples/fleet.py                               a server on this machine
python examples/fleet.py https://api.example.com       one with /items/N
python examples/fleet.py --store redis://host:6379/0   processes of more than one machine
"""

from __future__ import annotations

import multiprocessing
import tempfile
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

from _demo import arguments, target

from browseros_api import EnhancedAPIClient
from browseros_api.testing import ApiServer, Received, Reply

__all__: list[str] = []

PROCESSES = 3
SAME = 20  # items that each of them wants
OWN = 10  # and those that only one of them wants


class Told(NamedTuple):
    """What a process has to tell."""

    calls: int
    sent: int
    waited: int


def work(client: EnhancedAPIClient, number: int) -> Told:
    """In a process of its own; the client has come along, and is as good as new."""
    for item in range(SAME):
        client.get(f"/items/{item}")
    for item in range(OWN):
        client.get(f"/items/{1000 * (number + 1) + item}")
    stats = client.get_stats()
    return Told(stats["total_requests"], stats["attempts"], stats["shared_responses"])


def run(base_url: str, store: str) -> None:
    # A machine that is busy is not a store that is slow: better to wait than to ask twice.
    client = EnhancedAPIClient(base_url, store=store, store_timeout=5.0)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(PROCESSES, mp_context=context) as processes:
        told = list(processes.map(work, [client] * PROCESSES, range(PROCESSES)))
    calls, sent, waited = map(sum, zip(*told, strict=True))
    print(f"{PROCESSES} processes, {calls} calls, {sent} requests")
    print(f"{waited} calls waited for another process that was asking")


def furnish(server: ApiServer) -> None:
    """Each item takes a moment, so that the others come while one is asking."""

    def item(request: Received) -> Reply:
        return Reply(json={"id": int(request.path.rpartition("/")[2])}, delay=0.01)

    server.route("/items/*", item)


if __name__ == "__main__":
    parser = arguments(__doc__)
    parser.add_argument("--store", help="such as redis://host:6379/0 (default: a file)")
    given = parser.parse_args()
    with target(given, furnish) as url, tempfile.TemporaryDirectory() as folder:
        run(url, given.store or f"sqlite:///{folder}/answers.db")
