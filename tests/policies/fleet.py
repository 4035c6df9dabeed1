"""A fleet of clients whose dependency dies, in simulated time: how much more is it asked?

    python -m tests.policies.fleet

Each client is a session as it comes, with policies of its own, and calls at a steady rate.  Delays
between attempts take no time here; that they spread the attempts out changes nothing about how many
there are.
"""

from __future__ import annotations

from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any

import requests
from requests.adapters import BaseAdapter

from browseros_api import Session
from browseros_api.terms import RetryBudget
from browseros_api.testing import FakeClock

__all__ = ["Fleet"]

URL = "http://dependency.test/x"


class _Dependency(BaseAdapter):
    def __init__(self, fleet: Fleet) -> None:
        super().__init__()
        self._fleet = fleet

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:  # type: ignore[override]
        self._fleet.asked += 1
        response = requests.Response()
        response.status_code = 503 if self._fleet.is_dead else 200
        response.url, response.request, response._content = URL, request, b""
        return response

    def close(self) -> None:
        """Nothing is open."""


@dataclass
class Fleet:
    """``clients`` that make ``rate`` calls a second each; ``terms`` None: without a budget.

    ``breaks``: with circuit breakers, as they are by default.
    """

    clients: int
    rate: float
    terms: RetryBudget | None
    breaks: bool = False
    asked: int = 0
    is_dead: bool = False

    def __post_init__(self) -> None:
        self.clock = FakeClock()
        self._sessions = [self._session() for _ in range(self.clients)]

    def _session(self) -> Session:
        session = Session(
            clock=self.clock,
            sleep=lambda _: None,
            retry_budget=self.terms,
            enable_circuit_breaker=self.breaks,
        )
        session.mount("http://", _Dependency(self))
        return session

    def run(self, seconds: float) -> float:
        """Attempts for each call in so many seconds from now."""
        before, calls = self.asked, 0
        for _ in range(round(seconds * self.rate)):
            for session in self._sessions:
                with suppress(requests.RequestException):  # a circuit is open
                    session.get(URL, use_cache=False)
                calls += 1
            self.clock.tick(1 / self.rate)
        return (self.asked - before) / calls

    def __enter__(self) -> Fleet:
        return self

    def __exit__(self, *_: object) -> None:
        with ExitStack() as closing:
            for session in self._sessions:
                closing.enter_context(session)


def _died(clients: int, rate: float, terms: RetryBudget | None, *, breaks: bool = False) -> str:
    with Fleet(clients, rate, terms, breaks) as fleet:
        fleet.run(1.0)
        fleet.is_dead = True
        first = fleet.run(10.0)
        minute = (first + 5 * fleet.run(50.0)) / 6
        return f"{first:>14.2f} x {minute:>12.2f} x {fleet.run(10.0):>10.2f} x"


def main() -> None:
    """Print how many times its normal load a dead dependency sees, with and without a budget."""
    ways: list[tuple[str, RetryBudget | None, bool]] = [
        ("neither", None, False),
        ("the budget alone", RetryBudget(), False),
        ("budget and breakers: the default", RetryBudget(), True),
    ]
    print("calls/s each  with                              first 10 s   first minute   after that")
    for rate in (20.0, 5.0, 1.0):
        for name, terms, breaks in ways:
            figures = _died(20, rate, terms, breaks=breaks)
            print(f"{rate:>12g}  {name:<32} {figures}", flush=True)


if __name__ == "__main__":
    main()
