"""Laws of the collector: what happens is counted by endpoint, and no URL is a label."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from browseros_api import CircuitOpenError, EnhancedAPIClient
from browseros_api.testing import ApiServer, Reply, wait_until

prometheus = pytest.importorskip("browseros_api.prometheus")
exposition = pytest.importorskip("prometheus_client")


@pytest.fixture
def client(api_server: ApiServer) -> Iterator[EnhancedAPIClient]:
    with EnhancedAPIClient(api_server.base_url, sleep=lambda _: None) as client:
        yield client


def scraped(collector: Any) -> dict[str, float]:
    """What a scrape of it reads, by the library's own parser."""
    from prometheus_client.parser import text_string_to_metric_families as parsed  # noqa: PLC0415

    registry = exposition.CollectorRegistry()
    registry.register(collector)
    text = exposition.generate_latest(registry).decode()
    found = {}
    for family in parsed(text):
        for name, labels, value, *_ in family.samples:
            rest = ",".join(f"{key}={labels[key]}" for key in sorted(labels) if key != "client")
            found[f"{name}{{{rest}}}"] = value
    return found


def test_calls_attempts_retries_and_hits_are_counted(
    client: EnhancedAPIClient, api_server: ApiServer
) -> None:
    api_server.script("/users/7", Reply(503), Reply(json=1))
    collector = prometheus.Collector(client, name="users")
    for _ in range(3):
        client.get("/users/7", params={"token": "s3cret"})
    found = scraped(collector)
    at = "endpoint=/users/{id},method=GET"
    assert found[f"browseros_api_calls_total{{{at},outcome=200}}"] == 3
    assert found[f"browseros_api_cache_total{{{at},outcome=hit}}"] == 2
    assert found[f"browseros_api_cache_total{{{at},outcome=miss}}"] == 1
    assert found[f"browseros_api_attempts_total{{{at},outcome=503}}"] == 1
    assert found[f"browseros_api_attempts_total{{{at},outcome=200}}"] == 1
    assert found[f"browseros_api_retries_total{{{at}}}"] == 1
    assert found[f"browseros_api_call_seconds_count{{{at}}}"] == 1
    assert found["browseros_api_call_seconds_bucket{endpoint=/users/{id},le=+Inf,method=GET}"] == 1
    assert found["browseros_api_cache_entries{}"] == 1
    assert found["browseros_api_circuit{endpoint=/users/{id},state=closed}"] == 1
    assert found["browseros_api_circuit{endpoint=/users/{id},state=open}"] == 0
    assert not [name for name in found if "s3cret" in name or "127.0.0.1" in name]


def test_what_is_shared_rescued_and_refused_is_counted(
    client: EnhancedAPIClient, api_server: ApiServer
) -> None:
    go = threading.Event()
    api_server.route("/x", Reply(json=1, hold=go))
    api_server.script("/flaky", Reply(503), Reply(json=1))
    collector = prometheus.Collector(client)
    asked = [client.submit("GET", "/x") for _ in range(3)]
    flights = client.session.engine.flights._flying
    wait_until(lambda: [len(flight.followers) for flight in flights.values()] == [2])
    go.set()
    assert [one.result(10) for one in asked] == [1, 1, 1]
    client.get("/flaky")
    client.circuits["/flaky"].open()
    with pytest.raises(CircuitOpenError):
        client.get("/flaky", use_cache=False)
    found = scraped(collector)
    assert found["browseros_api_deduplicated_total{endpoint=/x,method=GET}"] == 2
    assert found["browseros_api_call_seconds_count{endpoint=/x,method=GET}"] == 1
    assert found["browseros_api_rescued_total{}"] == 1
    assert found["browseros_api_rejected_total{}"] == 1
    assert found["browseros_api_hedged_total{}"] == 0


def test_failures_are_named(client: EnhancedAPIClient, api_server: ApiServer) -> None:
    api_server.route("/x", Reply(reset="before"))
    collector = prometheus.Collector(client)
    with pytest.raises(requests.ConnectionError):
        client.get("/x")
    found = scraped(collector)
    at = "endpoint=/x,method=GET,outcome=ConnectionError"
    assert found[f"browseros_api_calls_total{{{at}}}"] == 1
    assert found[f"browseros_api_attempts_total{{{at}}}"] == 4


def test_endpoints_are_bounded(client: EnhancedAPIClient) -> None:
    collector = prometheus.Collector(client, max_endpoints=2)
    for name in ("a", "b", "c", "d"):
        client.get(f"/{name}")
    calls = {name: n for name, n in scraped(collector).items() if "calls_total" in name}
    assert len(calls) == 3
    assert calls["browseros_api_calls_total{endpoint=(others),method=GET,outcome=200}"] == 2


def test_buckets_add_up(client: EnhancedAPIClient, api_server: ApiServer) -> None:
    api_server.route("/slow", Reply(json=1, delay=0.05))
    collector = prometheus.Collector(client, buckets=(0.05, 1000.0))
    client.get("/slow")
    found = scraped(collector)
    at = "browseros_api_call_seconds_bucket{endpoint=/slow,le=%s,method=GET}"
    assert [found[at % bound] for bound in ("0.05", "1000.0", "+Inf")] == [0, 1, 1]
    assert found["browseros_api_call_seconds_sum{endpoint=/slow,method=GET}"] >= 0.05


def test_closed_it_counts_no_more(client: EnhancedAPIClient) -> None:
    collector = prometheus.Collector(client)
    client.get("/a")
    collector.close()
    client.get("/b")
    assert len([name for name in scraped(collector) if "calls_total" in name]) == 1
    assert not client.session.engine.listeners.hear_calls


@pytest.mark.parametrize("buckets", [(), (2.0, 1.0), (1.0, 1.0)])
def test_buckets_that_do_not_ascend_are_refused(
    client: EnhancedAPIClient, buckets: tuple[float, ...]
) -> None:
    with pytest.raises(ValueError, match="buckets must be ascending"):
        prometheus.Collector(client, buckets=buckets)
