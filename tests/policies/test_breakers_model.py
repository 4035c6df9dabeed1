"""One breaker beside a model of it, through any story that hypothesis can think of."""

from __future__ import annotations

import math
from typing import Any

import pybreaker
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
)

from browseros_api import CircuitTerms
from browseros_api.errors import CircuitOpenError
from browseros_api.policies.breakers import CircuitBreaker, Permit
from browseros_api.testing import FakeClock
from tests.policies.breaking import Boom, Diary, Preempted, together

RECOVERY, LEASE, WINDOW = 10, 25, 20
CHANCE = 0.5  # what random() gives: exact in binary, as all times here


class Model:
    """What a breaker does, one step at a time and without any machinery."""

    def __init__(
        self, threshold: int, trials: int, terms: CircuitTerms, lease: int = LEASE
    ) -> None:
        self.threshold, self.trials, self.terms, self.lease = threshold, trials, terms, lease
        self.changes: list[tuple[str, str]] = []
        self.state, self.failures, self.period, self.now, self.rejected = "closed", 0, 0, 0, 0
        self.successes, self.slow_trials, self.running = 0, 0, dict[int, int]()
        self.since, self.open_for, self.openings = 0, 0.0, 0
        self.calls: list[tuple[int, bool, bool]] = []  # slice of time, failed, slow

    def turn(self, state: str, failures: int = 0) -> None:
        if state != self.state:
            self.changes.append((self.state, state))
        self.state, self.failures, self.period = state, failures, self.period + 1
        self.successes, self.slow_trials, self.since, self.running = 0, 0, self.now, {}
        if state != "open":
            self.calls = []
        if state == "closed":
            self.openings = 0

    def trip(self, failures: int) -> None:
        longest = self.terms.longest_recovery
        doubled = RECOVERY * 2**self.openings
        seconds = RECOVERY if longest is None else min(doubled, longest)
        self.open_for = seconds * (1 - self.terms.jitter * CHANCE)
        self.openings += 1
        self.turn("open", failures)

    def switch(self, name: str) -> None:
        if name in ("open", "isolate"):
            self.open_for = RECOVERY if name == "open" else math.inf
            self.openings, self.calls = 1, []
            self.turn("open")
        else:
            self.turn({"half_open": "half-open"}.get(name, "closed"))
        if name == "reset":
            self.rejected = 0

    def isolated(self) -> bool:
        return self.state == "open" and self.open_for == math.inf

    def wait(self) -> float:
        if self.state == "open":
            return max(0, self.since + self.open_for - self.now)
        if self.state == "half-open" and self.successes + len(self.running) == self.trials:
            return max(0, min(self.running.values()) + self.lease - self.now)
        return 0

    def refuses_for(self) -> float:
        return 0 if self.terms.metrics_only and not self.isolated() else self.wait()

    def look(self) -> None:
        if self.state == "open" and not self.wait():
            self.turn("half-open")

    def begin(self, call: int) -> tuple[int, int] | None:
        """The period that the call belongs to and when it began, if it is admitted and counts."""
        self.look()
        if self.wait():
            self.rejected += 1
            return None
        if self.state == "half-open":
            if self.successes + len(self.running) == self.trials:
                del self.running[min(self.running, key=lambda c: (self.running[c], c))]
            self.running[call] = self.now
        return self.period, self.now

    def end(self, call: int, begun: tuple[int, int] | None, outcome: str) -> None:
        on_trial = self.state == "half-open"
        if begun is None or begun[0] != self.period or (on_trial and call not in self.running):
            return
        self.running.pop(call, None)
        if outcome not in ("success", "failure"):
            return
        has_failed, slow_call = outcome == "failure", self.terms.slow_call
        is_slow = slow_call is not None and self.now - begun[1] >= slow_call
        if on_trial:
            self.end_of_trial(has_failed, is_slow)
        else:
            self.end_of_call(has_failed, is_slow)

    def end_of_trial(self, has_failed: bool, is_slow: bool) -> None:
        if has_failed:
            self.trip(1)
            return
        self.successes += 1
        self.slow_trials += is_slow
        most = self.terms.slow_call_rate
        if self.successes == self.trials:
            if most is not None and self.slow_trials / self.trials >= most:
                self.trip(0)
            else:
                self.turn("closed")

    def end_of_call(self, has_failed: bool, is_slow: bool) -> None:
        self.failures = self.failures + 1 if has_failed else 0
        self.calls.append((self.now * 10 // WINDOW, has_failed, is_slow))
        seen, terms = self.window(), self.terms
        is_bad = (
            seen is not None
            and seen["calls"] >= terms.minimum_calls
            and (
                (terms.failure_rate is not None and seen["failure_rate"] >= terms.failure_rate)
                or (
                    terms.slow_call_rate is not None
                    and seen["slow_call_rate"] >= terms.slow_call_rate
                )
            )
        )
        if is_bad or (has_failed and self.failures == self.threshold):
            self.trip(self.failures)

    def window(self) -> dict[str, float] | None:
        terms = self.terms
        if not (terms.metrics_only or terms.failure_rate or terms.slow_call):
            return None
        calls = [call for call in self.calls if call[0] > self.now * 10 // WINDOW - 10]
        count = len(calls) or 1
        return {
            "calls": len(calls),
            "failure_rate": sum(failed for _, failed, _ in calls) / count,
            "slow_call_rate": sum(slow for _, _, slow in calls) / count,
        }


@st.composite
def any_terms(draw: st.DrawFn) -> CircuitTerms:
    slow_call = draw(st.sampled_from([None, 5]))
    rates = st.sampled_from([None, 0.25, 0.5, 1])
    return CircuitTerms(
        failure_rate=draw(rates),
        slow_call=slow_call,
        slow_call_rate=draw(rates) if slow_call else None,
        window=WINDOW,
        minimum_calls=draw(st.integers(1, 5)),
        longest_recovery=draw(st.sampled_from([None, RECOVERY, 35])),
        jitter=draw(st.sampled_from([0, 0.5])),
        metrics_only=draw(st.sampled_from([False, False, True])),
    )


class Beside(RuleBasedStateMachine):
    """A breaker and its model, which agree whatever the rules of a subclass do to both."""

    lease = LEASE
    storage = pybreaker.CircuitMemoryStorage

    @initialize(threshold=st.integers(1, 4), trials=st.integers(1, 4), terms=any_terms())
    def make(self, threshold: int, trials: int, terms: CircuitTerms) -> None:
        self.clock, self.diary, self.begun = FakeClock(0.0), Diary(), 0
        self.model = Model(threshold, trials, terms, self.lease)
        self.permits: dict[int, Permit] = {}  # not in a bundle, which would hold them for ever
        self.breaker = CircuitBreaker(
            threshold,
            RECOVERY,
            trials,
            exclude=[KeyError],
            probe_lease=self.lease,
            clock=self.clock,
            random=lambda: CHANCE,
            terms=terms,
            listeners=[self.diary],
        )
        self.breaker._state_storage = self.storage("closed")

    @rule(seconds=st.sampled_from([1, 5, 9, 10, 25]))
    def tick(self, seconds: int) -> None:
        self.model.now += seconds
        self.clock.tick(seconds)

    @rule()
    def look(self) -> None:
        self.model.look()
        assert self.breaker.state == self.model.state.replace("-", "_")

    @invariant()
    def agrees(self) -> None:
        breaker, model = self.breaker, self.model
        assert breaker.current_state == model.state
        assert breaker.failure_count == model.failures
        assert breaker.success_counter == model.successes
        assert breaker.rejected_count == model.rejected
        assert breaker.retry_after == model.refuses_for()
        assert breaker.is_down() == (model.state == "open" and model.refuses_for() > 0)
        assert breaker.isolated == model.isolated()
        assert breaker.window == model.window()
        assert len(breaker._trials) == len(model.running)
        assert self.diary.changes == model.changes

    def finish(self, number: int, outcome: str) -> None:
        """End a call the way it is told."""
        permit = self.permits.pop(number)
        if outcome == "forgiven":
            self.breaker.forgive(permit)
        elif outcome != "dropped":
            failure = {"failure": Boom(), "excluded": KeyError(), "success": None}[outcome]
            assert self.breaker.settle(permit, failure) >= 0


ENDS = ["success", "success", "failure", "failure", "excluded", "forgiven", "dropped"]
SWITCHES = ["open", "half_open", "close", "reset", "isolate"]


class Story(Beside):
    calls = Bundle("calls")

    @rule(target=calls)
    def begin(self) -> Any:
        self.begun += 1
        begun, refuses = self.model.begin(self.begun), self.model.refuses_for()
        if begun is not None or not refuses:
            self.permits[self.begun] = self.breaker.admit()
            return self.begun, begun
        with pytest.raises(CircuitOpenError) as caught:
            self.breaker.admit()
        assert caught.value.retry_after == refuses > 0
        return multiple()

    @rule(call=consumes(calls), outcome=st.sampled_from(ENDS))
    def end(self, call: Any, outcome: str) -> None:
        number, begun = call
        self.model.end(number, begun, outcome)
        self.finish(number, outcome)

    @rule(seconds=st.sampled_from([0, 1, 5]), outcome=st.sampled_from(["success", "failure"]))
    def call(self, seconds: int, outcome: str) -> None:
        """From its beginning to its end."""
        self.begun += 1
        begun = self.model.begin(self.begun)
        if begun is None and self.model.refuses_for():
            with pytest.raises(CircuitOpenError):
                self.breaker.admit()
            return
        self.permits[self.begun] = self.breaker.admit()
        self.tick(seconds)
        self.model.end(self.begun, begun, outcome)
        self.finish(self.begun, outcome)

    @rule()
    def recover(self) -> None:
        """Wait until a trial is due, or a call may lose its place."""
        if 0 < self.model.wait() < math.inf:
            self.tick(math.ceil(self.model.wait()))

    @rule(name=st.sampled_from(SWITCHES))
    def switch(self, name: str) -> None:
        self.model.switch(name)
        getattr(self.breaker, name)()


class Yielding(Preempted):
    """Gives way to whoever is ready, for the shortest time there is."""

    pause = 0.00001


class Crowd(Beside):
    """Everything is done by many threads at once, and comes to what it would come to in a row."""

    storage = Yielding
    lease = 10**6  # who loses its place to whom would be a matter of order

    def __init__(self) -> None:
        super().__init__()
        self.out: dict[int, tuple[int, int] | None] = {}

    @rule(count=st.integers(2, 6))
    def begin(self, count: int) -> None:
        numbers = range(self.begun + 1, self.begun + count + 1)
        begun = {number: self.model.begin(number) for number in numbers}
        granted = [one for one in together(count, self.breaker.admit) if isinstance(one, Permit)]
        lax = self.model.terms.metrics_only and not self.model.isolated()
        assert len(granted) == (count if lax else sum(map(bool, begun.values())))
        # Those that count know their state: which thread got which place is a matter of chance.
        granted.sort(key=lambda permit: permit.state is None)
        counted = sorted(numbers, key=lambda number: begun[number] is None)
        for number, permit in zip(counted, granted, strict=False):
            assert (permit.state is None) == (begun[number] is None)
            self.permits[number], self.out[number] = permit, begun[number]
        self.begun += count

    @rule(data=st.data(), outcome=st.sampled_from(ENDS))
    def end(self, data: st.DataObject, outcome: str) -> None:
        self.end_together(data, [outcome])

    @rule(data=st.data())
    def end_anyhow(self, data: st.DataObject) -> None:
        """One failure among successes ends a trial, whichever comes first."""
        if self.model.state != "closed":
            self.end_together(data, ["failure", "success", "forgiven"])

    def end_together(self, data: st.DataObject, outcomes: list[str]) -> None:
        if not self.out:
            return
        numbers = data.draw(st.lists(st.sampled_from([*self.out]), unique=True, max_size=6))
        ends = [(one, outcomes[place % len(outcomes)]) for place, one in enumerate(numbers)]
        for number, outcome in ends:
            self.model.end(number, self.out.pop(number), outcome)
        todo = iter(ends)
        if ends:
            assert together(len(ends), lambda: self.finish(*next(todo))) == [None] * len(ends)

    @rule(name=st.sampled_from(SWITCHES), count=st.integers(2, 4))
    def switch(self, name: str, count: int) -> None:
        for _ in range(count):
            self.model.switch(name)
        together(count, getattr(self.breaker, name))


TestStory = pytest.mark.timeout(120)(Story.TestCase)
Story.TestCase.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)

TestCrowd = pytest.mark.timeout(120)(Crowd.TestCase)
Crowd.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
