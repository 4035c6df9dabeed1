"""A fleet of clients whose dependency dies, in simulated time: how much more is it asked?

    python -m tests.policies.fleet

Each client is a process of its own, with a retry policy and a budget of its own, and calls at a
steady rate.  Delays between attempts take no time here; that they spread the attempts out changes
nothing about how many there are.
"""

from __future__ import annotations

from dataclasses import dataclass

import requests

from browseros_api.errors import MAYBE_PROCESSED
from browseros_api.journal import Journal
from browseros_api.pipeline import Call, Exchange
from browseros_api.policies.budget import Budget
from browseros_api.policies.retry import Retry
from browseros_api.settings import Settings
from browseros_api.terms import RetryBudget
from browseros_api.testing import FakeClock

__all__ = ["Fleet"]

URL = "http://dependency.test/x"


@dataclass
class Fleet:
    """``clients`` that make ``rate`` calls a second each; ``terms`` None: without a budget."""

    clients: int
    rate: float
    terms: RetryBudget | None
    asked: int = 0
    is_dead: bool = False

    def __post_init__(self) -> None:
        self.clock = FakeClock()
        self._request = requests.Request("GET", URL).prepare()
        self.budgets = [
            Budget(self.terms, clock=self.clock) if self.terms is not None else None
            for _ in range(self.clients)
        ]
        self._policies = [self._policy(budget) for budget in self.budgets]

    def _policy(self, budget: Budget | None) -> Retry:
        return Retry(
            Settings(),
            clock=self.clock,
            sleep=lambda _: None,
            random=lambda: 0.5,
            journal=Journal(enabled=False),
            state_of=lambda _: MAYBE_PROCESSED,
            budget=budget,
        )

    def run(self, seconds: float) -> float:
        """Attempts for each call in so many seconds from now."""
        before, calls = self.asked, 0
        for _ in range(round(seconds * self.rate)):
            for policy in self._policies:
                policy.attempt(self._exchange(), self._answer)
                calls += 1
            self.clock.tick(1 / self.rate)
        return (self.asked - before) / calls

    def _exchange(self) -> Exchange:
        return Exchange(self._request, {}, Call("GET", URL))

    def _answer(self, _: Exchange) -> requests.Response:
        self.asked += 1
        response = requests.Response()
        response.status_code = 503 if self.is_dead else 200
        return response


def main() -> None:
    """Print how many times its normal load a dead dependency sees, with and without a budget."""
    print("clients  calls/s each  without   with: first 10 s   first minute   after that")
    for clients, rate in [(200, 20.0), (200, 5.0), (200, 1.0)]:
        without, fleet = Fleet(clients, rate, None), Fleet(clients, rate, RetryBudget())
        for one in (without, fleet):
            one.run(1.0)
            one.is_dead = True
        first = fleet.run(10.0)
        minute = (first + 5 * fleet.run(50.0)) / 6
        figures = f"{first:>16.2f} x {minute:>12.2f} x {fleet.run(10.0):>10.2f} x"
        print(f"{clients:>7}  {rate:>12g}  {without.run(1.0):>6.2f} x {figures}", flush=True)


if __name__ == "__main__":
    main()
