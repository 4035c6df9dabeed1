"""Figures for Prometheus: a collector of one session or client (extra ``prometheus``).

from prometheus_client import REGISTRY
from browseros_api.prometheus import Collector

REGISTRY.register(Collector(client, name="users"))
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from .events import AttemptEvent, CacheEvent, CallEvent, RetryEvent
from .labels import Labels

try:
    from prometheus_client.core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
        Metric,
    )
except ImportError as error:  # pragma: no cover  (said where it is missing)
    raise ImportError(
        "browseros_api.prometheus needs prometheus-client: pip install 'browseros-api[prometheus]'"
    ) from error

__all__ = ["BUCKETS", "Collector"]

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)  # seconds

_STATES = ("closed", "half_open", "open")
_TOTALS = {
    "rescued": "Requests that failed at first and succeeded in the end.",
    "hedged": "Requests sent beside another one that was slow.",
    "rejected": "Requests that an open circuit has refused.",
}
_GAUGES = {
    "connections_open": "Connections that are open now.",
    "connections_in_use": "Connections that a call uses now.",
    "waiting": "Calls that wait for a connection now.",
}


class Collector:
    """What a session or client does, by endpoint; labels are templates, never URLs.

    Args:
        source: a ``Session`` or an ``EnhancedAPIClient``, blocking or awaited.
        name: the value of the label ``client``, which tells several of them apart.
        buckets: bounds of the histogram of latencies, in seconds, ascending.
        max_endpoints: so many have labels of their own; those that come later share one.

    It listens from the beginning, and counts what happens from then on; ``close`` ends that.
    """

    def __init__(
        self, source: Any, *, name: str = "default", buckets: Iterable[float] = BUCKETS,
        max_endpoints: int = 200,
    ) -> None:  # fmt: skip
        self._source, self._client, self._most = source, name, max_endpoints
        self._bounds = tuple(float(bound) for bound in buckets)
        if not self._bounds or list(self._bounds) != sorted(set(self._bounds)):
            raise ValueError(f"buckets must be ascending, not {self._bounds!r}")
        self._lock = threading.Lock()
        self._counts: dict[str, dict[tuple[str, ...], int]] = {
            kind: {} for kind in ("calls", "deduplicated", "cache", "attempts", "retries")
        }
        self._latencies: dict[tuple[str, ...], list[float]] = {}
        self._labels = Labels(max_endpoints)
        heard: dict[str, Callable[[Any], None]] = {
            "call": self._call,
            "cache": self._cache,
            "attempt": self._attempt,
            "retry": self._retry,
        }
        self._removes = [source.on(event, callback) for event, callback in heard.items()]

    def close(self) -> None:
        """Count no more."""
        for remove in self._removes:
            remove()

    # -- what happens ----------------------------------------------------------------------------

    def _call(self, event: CallEvent) -> None:
        outcome = event.error if event.status is None else str(event.status)
        with self._lock:
            endpoint = self._labels.of(event.endpoint)
            self._add("calls", event.method, endpoint, str(outcome))
            if event.followed:
                self._add("deduplicated", event.method, endpoint)
            elif not event.from_cache:
                self._time((event.method, endpoint), event.seconds)

    def _cache(self, event: CacheEvent) -> None:
        with self._lock:
            self._add("cache", event.method, self._labels.of(event.endpoint), event.outcome)

    def _attempt(self, event: AttemptEvent) -> None:
        outcome = event.error if event.status is None else str(event.status)
        with self._lock:
            self._add("attempts", event.method, self._labels.of(event.endpoint), str(outcome))

    def _retry(self, event: RetryEvent) -> None:
        with self._lock:
            self._add("retries", event.method, self._labels.of(event.endpoint))

    def _add(self, kind: str, *labels: str) -> None:
        counts = self._counts[kind]
        counts[labels] = counts.get(labels, 0) + 1

    def _time(self, labels: tuple[str, ...], seconds: float) -> None:
        # For each bucket how many, then those above all bounds, then the sum.
        row = self._latencies.setdefault(labels, [0.0] * (len(self._bounds) + 2))
        row[bisect_left(self._bounds, seconds)] += 1
        row[-1] += seconds

    # -- what is collected -----------------------------------------------------------------------

    def collect(self) -> Iterator[Metric]:
        """All figures; Prometheus' registry calls this at each scrape."""
        with self._lock:
            counts = {kind: dict(of) for kind, of in self._counts.items()}
            latencies = {labels: list(row) for labels, row in self._latencies.items()}
        where = ("method", "endpoint")
        yield self._counter("calls", "Calls that have ended.", (*where, "outcome"), counts)
        yield self._counter(
            "deduplicated", "Calls that got the answer to an identical one.", where, counts
        )
        yield self._counter("cache", "Calls by what the cache did.", (*where, "outcome"), counts)
        yield self._counter("attempts", "Requests made.", (*where, "outcome"), counts)
        yield self._counter("retries", "Requests repeated.", where, counts)
        yield self._histogram(latencies, where)
        figures = self._source.get_stats()
        for name, text in _TOTALS.items():
            family = CounterMetricFamily(f"browseros_api_{name}", text, labels=["client"])
            family.add_metric([self._client], figures[f"{name}_requests"])
            yield family
        yield from self._gauges(figures)
        yield self._circuits()

    def describe(self) -> list[Metric]:
        """Nothing is read when it is registered."""
        return []

    def _counter(
        self, kind: str, text: str, labels: tuple[str, ...], counts: dict[str, Any]
    ) -> Metric:
        family = CounterMetricFamily(f"browseros_api_{kind}", text, labels=("client", *labels))
        for values, count in counts[kind].items():
            family.add_metric((self._client, *values), count)
        return family

    def _histogram(
        self, latencies: dict[tuple[str, ...], list[float]], labels: tuple[str, ...]
    ) -> Metric:
        text = "Seconds of calls that went to the network."
        family = HistogramMetricFamily(
            "browseros_api_call_seconds", text, labels=("client", *labels)
        )
        bounds = [*map(str, self._bounds), "+Inf"]
        for values, row in latencies.items():
            so_far, buckets = 0.0, []
            for bound, count in zip(bounds, row, strict=False):
                so_far += count
                buckets.append((bound, so_far))
            family.add_metric((self._client, *values), buckets=buckets, sum_value=row[-1])
        return family

    def _gauges(self, figures: dict[str, Any]) -> Iterator[Metric]:
        now = {"in_flight": figures["in_flight_requests"]}
        texts = {"in_flight": "Calls that have not ended.", **_GAUGES}
        now.update({name: figures["connections"][name] for name in _GAUGES})
        now["cache_entries"], texts["cache_entries"] = figures["cache_size"], "Answers kept."
        for name, value in now.items():
            family = GaugeMetricFamily(f"browseros_api_{name}", texts[name], labels=["client"])
            family.add_metric([self._client], value)
            yield family

    def _circuits(self) -> Metric:
        text = "1 for the state in which the circuit of an endpoint is."
        labels = ("client", "endpoint", "state")
        family = GaugeMetricFamily("browseros_api_circuit", text, labels=labels)
        shown = sorted(self._source.get_circuit_breaker_status().items())
        for endpoint, status in shown[: self._most]:
            for state in _STATES:
                family.add_metric((self._client, endpoint, state), status["state"] == state)
        return family
