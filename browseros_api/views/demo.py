"""What the engine saves, shown on a real server of this machine."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import requests

from ..client import EnhancedAPIClient
from ..testing import ApiServer, Reply

__all__ = ["Finding", "demonstrate", "drawn"]

_PAGES, _PAGE_TAKES = 100, 0.06  # seconds the server thinks about a page
_CALLS = 1000


@dataclass(frozen=True)
class Finding:
    """One thing shown: ``measured`` in ``unit``, to be at least or at most ``promised``."""

    name: str
    without: str
    measured: float
    unit: str
    promised: float
    at_most: bool = False

    @property
    def is_met(self) -> bool:
        """Whether what was measured is what is promised."""
        if self.at_most:
            return self.measured <= self.promised
        return self.measured >= self.promised

    def to_dict(self) -> dict[str, Any]:
        """For a machine to read."""
        return {**asdict(self), "is_met": self.is_met}


def drawn(finding: Finding) -> str:
    """One line for people."""
    bound = "at most" if finding.at_most else "at least"
    mark = "ok " if finding.is_met else "NO "
    measured = f"{finding.measured:,.4g} {finding.unit}"
    promise = f"{bound} {finding.promised:,.4g}"
    return f"  {mark} {finding.name:<44} {measured:<22} ({promise}; {finding.without})"


def demonstrate() -> Iterator[Finding]:
    """Measure, one after the other; takes some ten seconds."""
    with ApiServer() as server:
        for show in (_identical, _cached, _concurrent, _flaky, _pooled):
            server.reset_counts()
            yield from show(server)


def _client(server: ApiServer, **options: Any) -> EnhancedAPIClient:
    # By name, so that there is something to look up.
    return EnhancedAPIClient(f"http://localhost:{server.port}", **options)


def _identical(server: ApiServer) -> Iterator[Finding]:
    everybody_asks = threading.Event()
    server.route("/expensive", Reply(json={"answer": 42}, hold=everybody_asks))
    with _client(server) as client, ThreadPoolExecutor(10) as threads:
        calls = [threads.submit(client.get, "/expensive") for _ in range(10)]
        _until(lambda: client.get_stats()["in_flight_requests"] == 10)
        everybody_asks.set()
        for call in calls:
            call.result(timeout=30)
    hits = server.hits("/expensive")
    yield Finding("10 identical calls at once", "10 without", hits, "request(s)", 1, at_most=True)


def _cached(server: ApiServer) -> Iterator[Finding]:
    server.route("/config", Reply(json={"theme": "dark"}))
    with _client(server) as client:
        client.get("/config")
        server.reset_counts()
        for _ in range(100):
            client.get("/config")
    hits = server.hits("/config")
    yield Finding("100 calls for a known answer", "100 without", hits, "requests", 0, at_most=True)


def _concurrent(server: ApiServer) -> Iterator[Finding]:
    server.route("/pages", Reply(json={"users": []}, delay=_PAGE_TAKES))
    began = time.perf_counter()
    with requests.Session() as session:
        for page in range(_PAGES):
            session.get(server.url("/pages"), params={"page": page}, timeout=30).json()
    one_by_one = time.perf_counter() - began
    with _client(server) as client:
        pages = [f"/pages?page={page}" for page in range(_PAGES)]
        began = time.perf_counter()
        for _ in client.get_many(pages, max_workers=_PAGES):
            pass
        at_once = time.perf_counter() - began
    took = f"{one_by_one:.1f} s one by one, {at_once:.2f} s here"
    yield Finding(f"{_PAGES} pages at once", took, one_by_one / at_once, "times faster", 15)


def _flaky(server: ApiServer) -> Iterator[Finding]:
    server.script("/flaky", Reply(status=503), Reply(reset="before"), Reply(json={"ok": True}))
    with _client(server, retry_base_delay=0.05) as client:
        client.get("/flaky")
        rescued = client.get_stats()["rescued_requests"]
    without = "an error without"
    yield Finding("a 503 and a reset, then an answer", without, rescued, "call rescued", 1)


def _pooled(server: ApiServer) -> Iterator[Finding]:
    with _client(server) as client:
        for _ in client.get_many(f"/echo?call={number}" for number in range(_CALLS)):
            pass
        connections = client.get_stats()["connections"]
    opened, looked_up = connections["connections_opened"], connections["dns_lookups"]
    without = f"{_CALLS:,} without"
    yield Finding(
        f"{_CALLS:,} calls: connections saved", without, 100 * (1 - opened / _CALLS), "%", 90
    )
    yield Finding(
        f"{_CALLS:,} calls: look-ups saved", without, 100 * (1 - looked_up / _CALLS), "%", 99
    )


def _until(condition: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 30
    while not condition() and time.monotonic() < give_up:
        time.sleep(0.01)
