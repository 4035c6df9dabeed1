"""A picture of each policy, made from a real run: ``python docs/make_policies.py``."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import requests

from browseros_api import EnhancedAPIClient
from browseros_api.testing import ApiServer, Reply, wait_until
from browseros_api.tracing.timeline import Timeline
from browseros_api.tracing.trace import Trace

HERE = Path(__file__).resolve().parent


def pooled(server: ApiServer) -> Timeline:
    """Twenty calls by eight threads over four connections."""
    server.route("*", Reply(json=1, delay=0.1))
    with EnhancedAPIClient(server.base_url, max_connections=4) as client:
        _at_once(client, [f"/users/{number}" for number in range(20)], threads=8)
        return client.timeline()


def deduplicated(server: ApiServer) -> Timeline:
    """Six threads that want the same."""
    everybody_asks = threading.Event()
    server.route("/expensive", Reply(json=42, hold=everybody_asks, delay=0.4))
    with EnhancedAPIClient(server.base_url) as client, ThreadPoolExecutor(6) as threads:
        calls = [threads.submit(client.get, "/expensive") for _ in range(6)]
        wait_until(lambda: client.get_stats()["in_flight_requests"] == 6)
        everybody_asks.set()
        for call in calls:
            call.result()
        return client.timeline()


def retried(server: ApiServer) -> Trace:
    """A call that needs four attempts."""
    server.script("/flaky", Reply(503, repeat=3, delay=0.05), Reply(json={"ok": True}, delay=0.1))
    with EnhancedAPIClient(server.base_url, retry_base_delay=0.2) as client:
        client.get("/flaky")
        assert client.last_trace is not None
        return client.last_trace


def cached(server: ApiServer) -> Timeline:
    """An answer that is asked for once, used again, and asked for anew when it is too old."""
    server.route("/rates", Reply(json={"EUR": 1.0}, delay=0.1))
    with EnhancedAPIClient(server.base_url, cache_ttl=0.6) as client:
        pause = threading.Event()
        for _ in range(20):
            client.get("/rates")
            pause.wait(0.1)
        return client.timeline()


def broken(server: ApiServer) -> Timeline:
    """An endpoint that is down, left alone, and tried again."""
    server.script("/down", Reply(503, repeat=5, delay=0.05), Reply(json=1, delay=0.05))
    with EnhancedAPIClient(server.base_url, max_retries=0, recovery_timeout=1.0) as client:
        pause = threading.Event()
        for _ in range(24):
            with contextlib.suppress(requests.RequestException):
                client.get("/down", use_cache=False)
            pause.wait(0.08)
        return client.timeline()


def limited(server: ApiServer) -> Timeline:
    """Twelve threads want the same endpoint, which takes three requests at once."""
    server.route("/reports", Reply(json=1, delay=0.15))
    with EnhancedAPIClient(server.base_url, bulkhead=3, enable_deduplication=False) as client:
        _at_once(client, [f"/reports?of={number}" for number in range(12)], threads=12)
        return client.timeline()


def hedged(server: ApiServer) -> Trace:
    """An answer that takes long, and a second request that is answered sooner."""
    stuck = threading.Event()
    server.script("/users", Reply(json=1), Reply(json=1, hold=stuck), Reply(json=1, delay=0.1))
    with EnhancedAPIClient(server.base_url, hedge=0.2) as client:
        for _ in range(2):
            client.get("/users", use_cache=False)
        stuck.set()
        assert client.last_trace is not None
        return client.last_trace


def fallen_back(server: ApiServer) -> Timeline:
    """A service that is down, but for what it has said before: nobody hears of an error."""
    lasting = {"Cache-Control": "max-age=0, stale-if-error=60"}
    server.script("/rates", Reply(json=1, headers=lasting, delay=0.05), Reply(503, repeat=99))
    server.route("/news", Reply(503, delay=0.05))
    pause = threading.Event()
    with EnhancedAPIClient(server.base_url, cache_mode="rfc", max_retries=0) as client:
        for endpoint in ["/rates", "/news"] * 8:
            client.get(endpoint, fallback={})
            pause.wait(0.05)
        return client.timeline()


def bounded(server: ApiServer) -> Timeline:
    """Calls within a block that has a second; the fourth is cut, and the fifth not begun."""
    server.route("*", Reply(json=1, delay=0.3))
    with EnhancedAPIClient(server.base_url) as client, client.deadline(1.0):
        for number in range(5):
            with contextlib.suppress(requests.RequestException):
                client.get(f"/users/{number}")
        return client.timeline()


def _at_once(client: EnhancedAPIClient, endpoints: list[str], *, threads: int) -> None:
    with ThreadPoolExecutor(threads) as several:
        list(several.map(client.get, endpoints))


PICTURES: dict[str, Any] = {
    "pooling": pooled,
    "deduplication": deduplicated,
    "retries": retried,
    "caching": cached,
    "circuit-breaker": broken,
    "limits": limited,
    "hedging": hedged,
    "fallback": fallen_back,
    "deadlines": bounded,
}


def main() -> None:
    """Make them all."""
    for name, run in PICTURES.items():
        for _ in range(2):  # what is imported only once is no news
            with ApiServer() as server:
                seen = run(server)
        picture = seen.svg if isinstance(seen, Timeline) else _alone(seen)
        (HERE / f"{name}.svg").write_text(picture + "\n", encoding="utf-8")
        print(seen)


def _alone(trace: Trace) -> str:
    """In a file of its own it has to ask which colours the reader prefers."""
    dark = "@media (prefers-color-scheme: dark) { svg { color: #e6edf3 } }"
    style = f"<style>svg {{ color: #1f2328 }} {dark}</style>"
    return trace._repr_html_().replace("<title>", f"{style}<title>", 1)


if __name__ == "__main__":
    main()
