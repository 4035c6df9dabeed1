"""Rounds of calls to the same URLs: how each of them has fared."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import requests

from ..batches import fetch
from ..session import Session
from .answers import told

__all__ = ["Rounds", "Watched"]

_REMEMBERED = 60  # rounds


@dataclass
class Watched:
    """One URL: ``latencies`` in ms of the latest rounds, None where there was no good answer."""

    url: str
    calls: int = 0
    failed: int = 0
    is_up: bool = True
    breaker: str = "closed"
    said: str = ""
    latencies: deque[float | None] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))

    @property
    def success_rate(self) -> float:
        """A fraction; 1.0 before the first call."""
        return 1.0 - self.failed / self.calls if self.calls else 1.0

    @property
    def latest(self) -> float | None:
        """Of the last round."""
        return self.latencies[-1] if self.latencies else None

    @property
    def typical(self) -> float | None:
        """The median of the good ones."""
        good = [one for one in self.latencies if one is not None]
        return median(good) if good else None

    def to_dict(self) -> dict[str, Any]:
        """For a machine to read."""
        return {
            "url": self.url,
            "is_up": self.is_up,
            "said": self.said,
            "calls": self.calls,
            "failed": self.failed,
            "success_rate": round(self.success_rate, 4),
            "latency_ms": self.latest and round(self.latest, 1),
            "median_latency_ms": self.typical and round(self.typical, 1),
            "breaker": self.breaker,
        }


class Rounds:
    """All URLs at once, again and again; each has a breaker of its own."""

    def __init__(
        self, urls: list[str], headers: dict[str, Any], *,
        clock: Callable[[], float] = time.monotonic, **options: Any,
    ) -> None:  # fmt: skip
        self.session = Session(enable_cache=False, endpoint_key=lambda _, url: url, **options)
        self.session.headers.update(headers)
        self.watched = [Watched(url) for url in dict.fromkeys(urls)]
        self._clock = clock

    def check(self) -> None:
        """That each is a URL; what is none raises ValueError."""
        for one in self.watched:
            url = requests.Request("GET", one.url).prepare().url
            self.session.get_adapter(url or "")

    def go(self) -> Iterator[Watched]:
        """One round; each as its call has ended."""
        arguments: dict[str, Any] = {"ordered": False, "on_error": "raise", "progress": False}
        yield from fetch(self._ask, self.watched, {}, max_workers=32, **arguments)

    def _ask(self, endpoint: Watched) -> Watched:
        began, error = self._clock(), ""
        try:
            response = self.session.get(endpoint.url)
            error = "" if response.status_code < 400 else f"status {response.status_code}"
        except (requests.RequestException, ValueError) as failure:
            error = told(failure)
        took = 1000 * (self._clock() - began)
        endpoint.calls += 1
        endpoint.failed += bool(error)
        endpoint.is_up, endpoint.said = not error, error
        endpoint.latencies.append(None if error else took)
        endpoint.breaker = self._breaker(endpoint.url)
        return endpoint

    def _breaker(self, url: str) -> str:
        prepared = requests.PreparedRequest()
        try:
            prepared.prepare_url(url, None)
        except (requests.RequestException, ValueError):
            return "closed"
        status = self.session.get_circuit_breaker_status()
        state: str = status.get(str(prepared.url), {}).get("state", "closed")
        return state
