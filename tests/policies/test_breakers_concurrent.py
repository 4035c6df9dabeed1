"""Laws of one breaker in many threads: events and barriers say when, never a sleep."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pybreaker
import pytest

from browseros_api.errors import CircuitOpenError
from browseros_api.policies.breakers import CircuitBreaker, Permit
from browseros_api.testing import FakeClock, wait_until
from tests.policies.breaking import PATIENCE, Boom, Diary, Preempted, fail, succeed, together, trip


class Slow:
    """A function that returns, or raises, when it is told to."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.entered = threading.Semaphore(0)
        self.leave = threading.Event()

    def __call__(self) -> str:
        self.entered.release()
        assert self.leave.wait(PATIENCE)
        if self.error is not None:
            raise self.error
        return "slow, but fine"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def in_background() -> Iterator[Callable[[Callable[[], object]], threading.Thread]]:
    threads = []

    def start(func: Callable[[], object]) -> threading.Thread:
        def run() -> None:
            with contextlib.suppress(Boom, CircuitOpenError):
                func()

        thread = threading.Thread(target=run)
        threads.append(thread)
        thread.start()
        return thread

    yield start
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_trials_under_way_are_never_more_than_allowed(clock: FakeClock) -> None:
    """B13: the others are refused while the trials are still running."""
    breaker, slow = CircuitBreaker(1, 60.0, 3, clock=clock), Slow()
    trip(breaker)
    clock.tick(60)
    refusals = threading.Semaphore(0)

    def caller() -> str:
        try:
            return breaker.call(slow)
        except CircuitOpenError:
            refusals.release()
            raise

    def release() -> None:
        for _ in range(9):
            assert refusals.acquire(timeout=PATIENCE)
        slow.leave.set()

    releaser = threading.Thread(target=release)
    releaser.start()
    outcomes = together(12, caller)
    releaser.join(PATIENCE)
    assert outcomes.count("slow, but fine") == 3
    assert sum(isinstance(outcome, CircuitOpenError) for outcome in outcomes) == 9
    assert (breaker.state, breaker.rejected_count) == ("closed", 9)


def test_a_trial_whose_thread_has_died_does_not_keep_it_half_open(clock: FakeClock) -> None:
    """B20: nobody can settle it any more."""
    breaker = CircuitBreaker(1, 60.0, 1, clock=clock)
    trip(breaker)
    clock.tick(60)
    together(1, lambda: breaker.admit() and None)
    succeed(breaker)
    assert breaker.state == "closed"


def test_a_trial_whose_thread_hangs_does_not_keep_it_half_open(
    clock: FakeClock, in_background: Callable[[Callable[[], object]], threading.Thread]
) -> None:
    """B20"""
    breaker, slow = CircuitBreaker(1, 60.0, 1, clock=clock), Slow()
    trip(breaker)
    clock.tick(60)
    in_background(lambda: breaker.call(slow))
    assert slow.entered.acquire(timeout=PATIENCE)
    with pytest.raises(CircuitOpenError):
        breaker.admit()
    clock.tick(60)
    succeed(breaker)
    assert breaker.state == "closed"
    slow.leave.set()


@pytest.mark.parametrize(("threshold", "state"), [(17, "closed"), (16, "open"), (5, "open")])
def test_threads_that_fail_together_are_counted_one_by_one(threshold: int, state: str) -> None:
    """B25: none is lost, and none is counted beyond the threshold."""
    diary = Diary()
    breaker, inside = CircuitBreaker(threshold, listeners=[diary]), threading.Barrier(16)

    def broken() -> None:
        inside.wait(PATIENCE)
        raise Boom

    outcomes = together(16, lambda: breaker.call(broken))
    assert {type(outcome) for outcome in outcomes} == {Boom}
    assert (breaker.state, breaker.failure_count) == (state, min(16, threshold))
    assert diary.changes == ([("closed", "open")] if state == "open" else [])


def test_no_failure_is_lost_however_many_there_are() -> None:
    """B25"""
    breaker = CircuitBreaker(10**6)

    def failing() -> None:
        for _ in range(500):
            breaker.settle(breaker.admit(), Boom())

    together(8, failing)
    assert breaker.failure_count == 4000


@pytest.mark.parametrize("state", ["closed", "half_open"])
def test_counts_are_right_wherever_a_thread_is_preempted(state: str) -> None:
    """B13, B25"""
    diary = Diary()
    breaker = CircuitBreaker(9, 60.0, 8, listeners=[diary])
    breaker._state_storage = Preempted("closed")
    if state == "half_open":
        breaker.half_open()
    permits = [one for one in together(12, breaker.admit) if isinstance(one, Permit)]
    assert len(permits) == (12 if state == "closed" else 8)
    ends = iter(permits)
    failure = Boom() if state == "closed" else None
    together(len(permits), lambda: breaker.settle(next(ends), failure))
    assert (breaker.state, breaker.failure_count) == (
        ("open", 9) if state == "closed" else ("closed", 0)
    )
    assert len(diary.changes) == (1 if state == "closed" else 2)


def test_threads_that_meet_an_expired_circuit_turn_it_half_open_once(clock: FakeClock) -> None:
    """B26"""
    diary = Diary()
    breaker = CircuitBreaker(1, 60.0, 3, clock=clock, listeners=[diary])
    trip(breaker)
    clock.tick(60)
    outcomes = together(16, breaker.admit)
    assert diary.changes == [("closed", "open"), ("open", "half-open")]
    assert sum(isinstance(outcome, CircuitOpenError) for outcome in outcomes) == 13


@pytest.mark.parametrize("state", ["closed", "half_open"])
@pytest.mark.parametrize("form", ["call", "decorator", "with"])
def test_calls_through_one_breaker_run_side_by_side(form: str, state: str) -> None:
    """B27: each of them waits inside for all the others."""
    breaker, inside = CircuitBreaker(1, 60.0, 8), threading.Barrier(8)
    if state == "half_open":
        breaker.half_open()

    def meet() -> str:
        inside.wait(PATIENCE)
        return "met"

    def within() -> str:
        with breaker:
            return meet()

    forms = {"call": lambda: breaker.call(meet), "decorator": breaker(meet), "with": within}
    assert together(8, forms[form]) == ["met"] * 8
    assert breaker.state == "closed"


@pytest.mark.parametrize("switch", ["open", "close", "half_open", "reset", "status"])
def test_nobody_waits_for_a_call_that_is_under_way(
    switch: str, in_background: Callable[[Callable[[], object]], threading.Thread]
) -> None:
    """B27"""
    breaker, slow = CircuitBreaker(1), Slow(Boom("late"))
    in_background(lambda: breaker.call(slow))
    assert slow.entered.acquire(timeout=PATIENCE)
    switched = in_background(getattr(breaker, switch))
    switched.join(PATIENCE)
    assert not switched.is_alive()
    slow.leave.set()


@pytest.mark.parametrize("user_code", ["exclude", "is_failure", "listener", "clock"])
def test_no_lock_is_held_while_code_of_the_users_runs(
    user_code: str, in_background: Callable[[Callable[[], object]], threading.Thread]
) -> None:
    slow = Slow()

    class Listener(pybreaker.CircuitBreakerListener):
        def state_change(self, *details: Any) -> None:
            slow()

    def judge(_: object = None) -> bool:
        if threading.current_thread() is judged:
            slow()
        return False

    def clock() -> float:
        return float(judge())

    options: dict[str, dict[str, Any]] = {
        "exclude": {"exclude": [judge]},
        "is_failure": {"is_failure": judge},
        "listener": {"listeners": [Listener()]},
        "clock": {"clock": clock},
    }
    breaker = CircuitBreaker(1, **options[user_code])
    ready = threading.Event()

    def call() -> None:
        ready.wait(PATIENCE)
        with breaker:
            if user_code != "is_failure":
                raise Boom
        breaker.call(lambda: 1)

    judged = in_background(call)
    ready.set()
    assert slow.entered.acquire(timeout=PATIENCE)

    def others() -> None:
        breaker.status()
        breaker.close()
        breaker.admit()

    other = in_background(others)
    other.join(PATIENCE)
    assert not other.is_alive()
    slow.leave.set()


def test_changes_are_told_in_order_whoever_makes_them() -> None:
    """B31"""
    diary = Diary()
    breaker = CircuitBreaker(1, 60.0, 1, listeners=[diary])
    switches = [breaker.open, breaker.half_open, breaker.close, breaker.reset]

    def switching() -> None:
        for turn in range(200):
            switches[turn % len(switches)]()

    together(4, switching)
    wait_until(lambda: diary.changes and diary.changes[-1][1] == breaker.current_state)
    assert diary.changes[0][0] == "closed"
    for (_, reached), (left, _) in zip(diary.changes, diary.changes[1:], strict=False):
        assert reached == left


def test_a_listener_that_raises_is_logged_and_changes_nothing(
    clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """B32"""

    class Broken(Diary):
        def __getattribute__(self, event: str) -> Any:
            raise ZeroDivisionError

    diary = Diary()
    breaker = CircuitBreaker(1, 60.0, 1, name="/n", clock=clock, listeners=[Broken(), diary])
    with caplog.at_level(logging.ERROR, logger="browseros_api"):
        trip(breaker)
        clock.tick(60)
        succeed(breaker)
    assert breaker.state == "closed"
    assert diary.changes == [("closed", "open"), ("open", "half-open"), ("half-open", "closed")]
    assert "a listener of circuit '/n' failed" in caplog.text


def test_a_listener_that_calls_back_neither_hangs_nor_is_told_out_of_order(
    clock: FakeClock,
) -> None:
    """B32"""

    class Meddler(pybreaker.CircuitBreakerListener):
        def state_change(self, cb: Any, old_state: Any, new_state: Any) -> None:
            assert cb.status()
            if new_state.name == "open":
                together(1, cb.half_open)  # from a thread of its own: no lock is held here
            elif new_state.name == "half-open":
                cb.call(lambda: 1)

    diary = Diary()
    breaker = CircuitBreaker(1, 60.0, 1, clock=clock, listeners=[Meddler(), diary])
    assert together(1, lambda: fail(breaker)) == [None]
    assert breaker.state == "closed"
    assert diary.changes == [("closed", "open"), ("open", "half-open"), ("half-open", "closed")]


def test_an_interrupted_listener_leaves_the_breaker_in_order() -> None:
    """B32"""

    class Interrupted(Diary):
        def state_change(self, cb: Any, old_state: Any, new_state: Any) -> None:
            super().state_change(cb, old_state, new_state)
            if len(self.changes) == 1:
                raise KeyboardInterrupt

    diary = Interrupted()
    breaker = CircuitBreaker(1, listeners=[diary])
    with pytest.raises(KeyboardInterrupt):
        breaker.open()
    breaker.close()
    assert diary.changes == [("closed", "open"), ("open", "closed")]
