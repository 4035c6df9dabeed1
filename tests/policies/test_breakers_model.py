"""One breaker beside a model of it, through any story that hypothesis can think of."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
)

from browseros_api.errors import CircuitOpenError
from browseros_api.policies.breakers import CircuitBreaker, Permit
from browseros_api.testing import FakeClock
from tests.policies.breaking import Boom, Diary

RECOVERY, LEASE = 10, 25


class Model:
    """What a breaker does, one step at a time and without any machinery."""

    def __init__(self, threshold: int, trials: int) -> None:
        self.threshold, self.trials = threshold, trials
        self.changes: list[tuple[str, str]] = []
        self.state, self.failures, self.period, self.now, self.rejected = "closed", 0, 0, 0, 0
        self.successes, self.since, self.running = 0, 0, dict[int, int]()

    def turn(self, state: str, failures: int = 0) -> None:
        if state != self.state:
            self.changes.append((self.state, state))
        self.state, self.failures, self.period = state, failures, self.period + 1
        self.successes, self.since, self.running = 0, self.now, {}

    def wait(self) -> int:
        if self.state == "open":
            return max(0, self.since + RECOVERY - self.now)
        if self.state == "half-open" and self.successes + len(self.running) == self.trials:
            return max(0, min(self.running.values()) + LEASE - self.now)
        return 0

    def look(self) -> None:
        if self.state == "open" and not self.wait():
            self.turn("half-open")

    def begin(self, call: int) -> int | None:
        """The period that the call belongs to, if it is admitted."""
        self.look()
        if self.wait():
            self.rejected += 1
            return None
        if self.state == "half-open":
            if self.successes + len(self.running) == self.trials:
                del self.running[min(self.running, key=lambda c: (self.running[c], c))]
            self.running[call] = self.now
        return self.period

    def end(self, call: int, period: int, outcome: str) -> None:
        on_trial = self.state == "half-open"
        if period != self.period or (on_trial and call not in self.running):
            return
        self.running.pop(call, None)
        if outcome == "failure":
            failures = self.failures + 1
            if on_trial or failures == self.threshold:
                self.turn("open", failures)
            else:
                self.failures = failures
        elif outcome == "success":
            self.successes += on_trial
            self.failures = 0
            if on_trial and self.successes == self.trials:
                self.turn("closed")


class Story(RuleBasedStateMachine):
    calls = Bundle("calls")

    @initialize(threshold=st.integers(1, 4), trials=st.integers(1, 4))
    def make(self, threshold: int, trials: int) -> None:
        self.clock, self.diary, self.begun = FakeClock(0.0), Diary(), 0
        self.model = Model(threshold, trials)
        self.breaker = CircuitBreaker(
            threshold,
            RECOVERY,
            trials,
            exclude=[KeyError],
            probe_lease=LEASE,
            clock=self.clock,
            listeners=[self.diary],
        )

    @rule(target=calls)
    def begin(self) -> tuple[int, int | None, Permit | None]:
        self.begun += 1
        period = self.model.begin(self.begun)
        if period is not None:
            return self.begun, period, self.breaker.admit()
        with pytest.raises(CircuitOpenError) as caught:
            self.breaker.admit()
        assert caught.value.retry_after == self.model.wait() > 0
        return self.begun, None, None

    @rule(
        call=consumes(calls),
        outcome=st.sampled_from(["success", "failure", "failure", "excluded", "forgiven"]),
    )
    def end(self, call: Any, outcome: str) -> None:
        number, period, permit = call
        if permit is None:
            return
        self.model.end(number, period, outcome)
        if outcome == "forgiven":
            self.breaker.forgive(permit)
        else:
            failure = {"failure": Boom(), "excluded": KeyError(), "success": None}[outcome]
            self.breaker.settle(permit, failure)

    @rule(seconds=st.sampled_from([1, 5, 9, 10, 25]))
    def tick(self, seconds: int) -> None:
        self.model.now += seconds
        self.clock.tick(seconds)

    @rule()
    def look(self) -> None:
        self.model.look()
        assert self.breaker.state == self.model.state.replace("-", "_")

    @rule(state=st.sampled_from(["open", "half-open", "closed"]))
    def switch(self, state: str) -> None:
        self.model.turn(state)
        by_hand = {"open": "open", "half-open": "half_open", "closed": "close"}[state]
        getattr(self.breaker, by_hand)()

    @invariant()
    def agrees(self) -> None:
        breaker, model = self.breaker, self.model
        assert breaker.current_state == model.state
        assert breaker.failure_count == model.failures
        assert breaker.success_counter == model.successes
        assert breaker.rejected_count == model.rejected
        assert breaker.retry_after == model.wait()
        assert self.diary.changes == model.changes


TestStory = pytest.mark.timeout(120)(Story.TestCase)
Story.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
