"""What is measured, with endpoints as labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry import metrics

from ..events import BreakerEvent, CallEvent, RetryEvent
from ..labels import Labels
from .words import SCHEMA, Words, method_of, outcome_of, place_of

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider

__all__ = ["Figures"]

# Seconds: the bounds that the conventions advise.
_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
_STATES = ("closed", "half_open", "open")


class Figures:
    """The instruments of one client."""

    def __init__(self, name: str, provider: MeterProvider | None, *, most: int) -> None:
        meter = metrics.get_meter("browseros_api", meter_provider=provider, schema_url=SCHEMA)
        self._own: Words = {"browseros_api.client": name}
        self._labels = Labels(most)
        self._requests = meter.create_histogram(
            "http.client.request.duration", unit="s", description="Duration of HTTP requests.",
            explicit_bucket_boundaries_advisory=_BOUNDS,
        )  # fmt: skip
        self._calls = meter.create_histogram(
            "browseros_api.call.duration", unit="s",
            description="Duration of calls, however many requests they took.",
            explicit_bucket_boundaries_advisory=_BOUNDS,
        )  # fmt: skip
        self._retries = meter.create_counter(
            "browseros_api.retries", unit="{retry}", description="Requests repeated."
        )
        self._circuits = meter.create_gauge(
            "browseros_api.circuit.state", unit="1",
            description="1 for the state in which the circuit of an endpoint is.",
        )  # fmt: skip

    def request(self, seconds: float, endpoint: str, words: Words) -> None:
        """A request has come to something."""
        place = place_of(self._labels.of(endpoint))
        self._requests.record(seconds, {**place, **words, **self._own})

    def call(self, event: CallEvent) -> None:
        """A call has ended."""
        words = self._about(event.method, event.endpoint)
        words.update(outcome_of(event.status, event.error))
        words["browseros_api.cache"] = "unknown" if event.trace is None else event.trace.cache
        words["browseros_api.followed"] = event.followed
        self._calls.record(event.seconds, words)

    def retry(self, event: RetryEvent) -> None:
        """A request is to be repeated."""
        self._retries.add(1, self._about(event.method, event.endpoint))

    def breaker(self, event: BreakerEvent) -> None:
        """A circuit has changed its state."""
        words = {**place_of(self._labels.of(event.endpoint)), **self._own}
        for state in _STATES:
            is_it = int(state == event.now)
            self._circuits.set(is_it, {**words, "browseros_api.circuit.state": state})

    def _about(self, method: str, endpoint: str) -> Words:
        name = method_of(method)["http.request.method"]
        place = place_of(self._labels.of(endpoint))
        return {"http.request.method": name, **place, **self._own}
