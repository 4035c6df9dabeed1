"""Laws of what else opens a circuit, for how long, and who is let through all the same."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import gc
import math
import pickle
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from browseros_api import CircuitTerms
from browseros_api.errors import CircuitOpenError
from browseros_api.policies.breaker_window import Window
from browseros_api.policies.breakers import CircuitBreaker
from browseros_api.testing import FakeClock
from tests.policies.breaking import PATIENCE, Boom, Diary, fail, refused, succeed, together

Made = Callable[..., CircuitBreaker]
NEVER = 10**6  # failures in a row


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(0.0)


@pytest.fixture
def made(clock: FakeClock) -> Made:
    def make(threshold: int = NEVER, trials: int = 1, **terms: Any) -> CircuitBreaker:
        given = CircuitTerms(**terms)
        return CircuitBreaker(
            threshold, 60.0, trials, name="/n", clock=clock, terms=given, random=lambda: 0.5
        )

    return make


def slow(breaker: CircuitBreaker, clock: FakeClock, seconds: float) -> None:
    permit = breaker.admit()
    clock.tick(seconds)
    breaker.settle(permit, None)


# -- failure rate ----------------------------------------------------------------------------------


def test_it_opens_when_the_part_of_failures_is_reached(made: Made) -> None:
    breaker = made(failure_rate=0.5, minimum_calls=4)
    succeed(breaker)
    succeed(breaker)
    fail(breaker)
    succeed(breaker)
    assert breaker.window == {"calls": 4, "failure_rate": 0.25, "slow_call_rate": 0.0}
    fail(breaker)
    assert breaker.state == "closed"
    fail(breaker)
    assert breaker.state == "open"
    assert str(refused(breaker)) == (
        "circuit for '/n' is open: 3 of 6 calls have failed; next trial in 60.0 s"
    )
    assert isinstance(breaker.last_error, Boom)


def test_before_the_least_number_of_calls_a_rate_means_nothing(made: Made) -> None:
    breaker = made(failure_rate=0.1, minimum_calls=5)
    for _ in range(4):
        fail(breaker)
        assert breaker.state == "closed"
    succeed(breaker)  # the fifth call: now it means something
    assert breaker.state == "open"
    assert breaker.last_error is None


def test_failures_in_a_row_open_it_all_the_same(made: Made) -> None:
    breaker = made(2, failure_rate=1.0, minimum_calls=100)
    fail(breaker)
    fail(breaker)
    assert str(refused(breaker)).startswith("circuit for '/n' is open after 2 consecutive failures")


def test_what_is_older_than_the_window_counts_no_more(made: Made, clock: FakeClock) -> None:
    breaker = made(failure_rate=0.5, minimum_calls=3, window=10.0)
    fail(breaker)
    fail(breaker)
    clock.tick(9.9)
    assert breaker.window == {"calls": 2, "failure_rate": 1.0, "slow_call_rate": 0.0}
    clock.tick(0.1)
    assert breaker.window == {"calls": 0, "failure_rate": 0.0, "slow_call_rate": 0.0}
    fail(breaker)
    assert breaker.state == "closed"


def test_a_clock_that_goes_back_loses_no_call() -> None:
    window = Window(10.0)
    window.count(100.0, failed=True, slow=False)
    window.count(50.0, failed=False, slow=True)
    assert (window.calls, window.failures, window.slow) == (2, 1, 1)
    window.roll(111.0)
    assert window.calls == 0


def test_what_counts_as_nothing_is_not_in_the_window(made: Made) -> None:
    breaker = made(failure_rate=1.0, minimum_calls=1)
    fail(breaker, KeyboardInterrupt())
    breaker.forgive(breaker.admit())
    assert breaker.window == {"calls": 0, "failure_rate": 0.0, "slow_call_rate": 0.0}


def test_an_open_circuit_shows_the_rates_that_opened_it(made: Made, clock: FakeClock) -> None:
    breaker = made(failure_rate=1.0, minimum_calls=2, window=600.0)
    fail(breaker)
    fail(breaker)
    refused(breaker)
    assert breaker.status()["window"] == {"calls": 2, "failure_rate": 1.0, "slow_call_rate": 0.0}
    clock.tick(60.0)
    succeed(breaker)
    assert (breaker.state, breaker.window) == (
        "closed",
        {"calls": 0, "failure_rate": 0.0, "slow_call_rate": 0.0},
    )


def test_without_terms_no_call_is_counted_and_no_clock_asked() -> None:
    asked: list[int] = []
    breaker = CircuitBreaker(clock=lambda: float(len(asked.append(1) or asked)))
    succeed(breaker)
    assert (asked, breaker.window) == ([], None) or asked[1:] == []


# -- slow calls ------------------------------------------------------------------------------------


def test_it_opens_when_too_many_calls_are_slow(made: Made, clock: FakeClock) -> None:
    breaker = made(slow_call=2.0, slow_call_rate=0.5, minimum_calls=4)
    for seconds in (1.999, 2.0, 0.0):
        slow(breaker, clock, seconds)
    assert breaker.window == {"calls": 3, "failure_rate": 0.0, "slow_call_rate": 1 / 3}
    permit = breaker.admit()
    clock.tick(2.5)
    assert breaker.settle(permit, None) == 60.0
    assert str(refused(breaker)).startswith("circuit for '/n' is open: 2 of 4 calls were slow; ")
    assert refused(breaker).last_error is None


def test_a_slow_failure_is_both(made: Made, clock: FakeClock) -> None:
    breaker = made(slow_call=2.0)
    permit = breaker.admit()
    clock.tick(3)
    breaker.settle(permit, Boom())
    assert breaker.window == {"calls": 1, "failure_rate": 1.0, "slow_call_rate": 1.0}
    assert breaker.state == "closed"  # they are only counted: there is no rate


def test_trials_that_succeed_slowly_open_it_again(made: Made, clock: FakeClock) -> None:
    breaker = made(trials=4, slow_call=2.0, slow_call_rate=0.5, minimum_calls=1)
    slow(breaker, clock, 2.0)
    clock.tick(60)
    for seconds in (2, 0, 0, 2):
        slow(breaker, clock, seconds)
    assert str(refused(breaker)).startswith(
        "circuit for '/n' is open again: 2 of 4 trial calls were slow; "
    )
    clock.tick(60)
    for seconds in (2, 0, 0, 0):
        assert breaker.state == "half_open"
        slow(breaker, clock, seconds)
    assert breaker.state == "closed"


# -- how long --------------------------------------------------------------------------------------


def test_each_trial_that_fails_doubles_the_time_up_to_the_longest(
    made: Made, clock: FakeClock
) -> None:
    breaker = made(1, longest_recovery=300.0)
    for seconds in (60, 120, 240, 300, 300):
        fail(breaker)
        assert breaker.retry_after == seconds
        clock.tick(seconds)
    succeed(breaker)
    assert breaker.state == "closed"
    fail(breaker)  # closing has reset it
    assert breaker.retry_after == 60


def test_no_number_of_openings_is_too_much(made: Made, clock: FakeClock) -> None:
    breaker = made(1, longest_recovery=2_000_000.0)
    for _ in range(1200):
        fail(breaker)
        clock.tick(breaker.retry_after)
    fail(breaker)
    assert breaker.retry_after == 2_000_000.0


def test_without_a_longest_time_it_is_the_same_each_time(made: Made, clock: FakeClock) -> None:
    breaker = made(1)
    for _ in range(3):
        fail(breaker)
        assert breaker.retry_after == 60
        clock.tick(60)


def test_chance_takes_a_part_of_the_time_away_and_never_adds(made: Made, clock: FakeClock) -> None:
    breaker = made(1, jitter=0.5, longest_recovery=60.0)
    for chance, seconds in ((0.0, 60), (0.5, 45), (1.0, 30)):
        breaker.random = lambda chance=chance: chance  # type: ignore[misc]
        fail(breaker)
        assert breaker.retry_after == seconds
        clock.tick(seconds)


def test_opening_by_hand_takes_the_time_that_is_set(made: Made, clock: FakeClock) -> None:
    breaker = made(1, longest_recovery=300.0, jitter=1.0)
    for _ in range(2):
        fail(breaker)
        clock.tick(120)
    breaker.open()
    assert breaker.retry_after == 60.0
    clock.tick(60)
    fail(breaker)
    assert breaker.retry_after == 60.0  # doubled, and half of it taken away


# -- by hand ---------------------------------------------------------------------------------------


def test_what_is_isolated_stays_so_until_it_is_switched(made: Made, clock: FakeClock) -> None:
    breaker = made()
    late = breaker.admit()
    breaker.isolate()
    assert breaker.isolated
    clock.tick(1e9)
    breaker.settle(late, None)
    refusal = refused(breaker)
    assert str(refusal) == "circuit for '/n' is isolated until it is reset"
    assert (refusal.retry_after, breaker.retry_after) == (math.inf, math.inf)
    assert (breaker.state, breaker.status()["isolated"]) == ("open", True)
    assert breaker.is_down()


@pytest.mark.parametrize("switch", ["reset", "close", "half_open", "open"])
def test_every_switch_ends_an_isolation(switch: str, made: Made, clock: FakeClock) -> None:
    breaker = made()
    breaker.isolate()
    getattr(breaker, switch)()
    assert not breaker.isolated
    clock.tick(60)
    succeed(breaker)
    assert breaker.state == "closed"


def test_an_isolation_outlives_no_copy(made: Made) -> None:
    breaker = made(failure_rate=0.5)
    breaker.isolate()
    for twin in (copy.copy(breaker), pickle.loads(pickle.dumps(CircuitBreaker(terms=TERMS)))):
        assert (twin.state, twin.isolated) == ("closed", False)
        succeed(twin)
        assert twin.window["calls"] == 1
    assert breaker.window == {"calls": 0, "failure_rate": 0.0, "slow_call_rate": 0.0}


TERMS = CircuitTerms(failure_rate=0.25, longest_recovery=90.0)


# -- metrics only ----------------------------------------------------------------------------------


def test_metrics_only_shows_what_would_be_and_lets_everything_through(
    made: Made, clock: FakeClock
) -> None:
    diary = Diary()
    breaker = made(2, metrics_only=True, listeners=[diary])
    fail(breaker)
    fail(breaker)
    assert breaker.state == "open"
    for _ in range(3):
        succeed(breaker)
    assert (breaker.state, breaker.rejected_count, breaker.retry_after) == ("open", 3, 0.0)
    assert not breaker.is_down()
    clock.tick(60)
    trial = breaker.admit()
    fail(breaker)  # not a trial: that place is taken
    assert (breaker.state, breaker.rejected_count) == ("half_open", 4)
    breaker.settle(trial, None)
    assert breaker.state == "closed"
    assert diary.changes == [("closed", "open"), ("open", "half-open"), ("half-open", "closed")]


def test_what_is_isolated_refuses_also_with_metrics_only(made: Made) -> None:
    breaker = made(metrics_only=True)
    breaker.isolate()
    refused(breaker)
    breaker.reset()
    succeed(breaker)
    assert breaker.window == {"calls": 1, "failure_rate": 0.0, "slow_call_rate": 0.0}


# -- every permit comes back -----------------------------------------------------------------------


async def service() -> str:
    return "fine"


def drop_a_permit(breaker: CircuitBreaker) -> None:
    breaker.admit()


def drop_a_coroutine(breaker: CircuitBreaker) -> None:
    def asked() -> Coroutine[Any, Any, str]:
        return service()

    pending: Any = breaker.call(asked)  # it is admitted at once
    with pytest.raises(CircuitOpenError):
        breaker.admit()
    inner = pending.cr_frame.f_locals["pending"]
    inner.close()
    pending.close()


def cancel_a_task(breaker: CircuitBreaker) -> None:
    async def main() -> None:
        task = asyncio.ensure_future(breaker.call(asyncio.sleep, 3600))
        await asyncio.sleep(0)
        with pytest.raises(CircuitOpenError):
            breaker.admit()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


def die(breaker: CircuitBreaker) -> None:
    def end() -> None:
        _mine = breaker.admit()

    thread = threading.Thread(target=end)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive()


def be_interrupted(breaker: CircuitBreaker) -> None:
    fail(breaker, KeyboardInterrupt())


def be_interrupted_within(breaker: CircuitBreaker) -> None:
    with pytest.raises(KeyboardInterrupt), breaker:
        raise KeyboardInterrupt


def be_excluded_badly(breaker: CircuitBreaker) -> None:
    def confused(_: BaseException) -> bool:
        raise ZeroDivisionError

    breaker.add_excluded_exception(confused)
    with pytest.raises(ZeroDivisionError):
        breaker.call(int, "x")
    breaker.remove_excluded_exception(confused)


def be_judged_badly(breaker: CircuitBreaker) -> None:
    def confused(_: object) -> bool:
        raise ZeroDivisionError

    breaker.is_failure = confused
    with pytest.raises(ZeroDivisionError):
        breaker.call(int)
    breaker.is_failure = None


def hear_badly(breaker: CircuitBreaker) -> None:
    class Rude(Diary):
        def before_call(self, cb: Any, func: Any, *args: Any, **kwargs: Any) -> None:
            raise KeyboardInterrupt

    rude = Rude()
    breaker.add_listener(rude)
    with pytest.raises(KeyboardInterrupt):
        breaker.call(int)
    breaker.remove_listener(rude)


@pytest.mark.parametrize(
    "end",
    [
        drop_a_permit,
        drop_a_coroutine,
        cancel_a_task,
        die,
        be_interrupted,
        be_interrupted_within,
        be_excluded_badly,
        be_judged_badly,
        hear_badly,
    ],
)
def test_a_trial_that_comes_to_nothing_gives_its_place_back(
    end: Callable[[CircuitBreaker], None], made: Made
) -> None:
    """B19, B20, B24: at once, and not when its lease is over."""
    breaker = made(1)
    breaker.half_open()
    end(breaker)
    gc.collect()  # an error that was caught may have held the frame that held the permit
    assert breaker.state == "half_open"
    assert len(breaker._trials) == 0
    succeed(breaker)
    assert breaker.state == "closed"


def test_a_refusal_keeps_nothing_of_its_caller_until_the_garbage_is_collected(made: Made) -> None:
    """A permit of the caller's among it."""
    breaker = made(1)
    breaker.half_open()

    def call() -> None:
        _trial = breaker.admit()
        with contextlib.suppress(CircuitOpenError):
            breaker.admit()

    gc.disable()
    try:
        call()
        assert len(breaker._trials) == 0
    finally:
        gc.enable()


def test_a_threshold_of_trials_that_is_lowered_leaves_nobody_stuck(made: Made) -> None:
    breaker = made(trials=3)
    breaker.half_open()
    succeed(breaker)
    succeed(breaker)
    breaker.success_threshold = 1
    assert breaker.retry_after == 0
    succeed(breaker)
    assert breaker.state == "closed"


def test_whatever_threads_do_it_can_recover(clock: FakeClock) -> None:
    """Calls, ends of all kinds and switches in any order, from all sides."""
    diary, trials = Diary(), 3
    terms = CircuitTerms(failure_rate=0.5, minimum_calls=5, slow_call=9.0, longest_recovery=600.0)
    breaker = CircuitBreaker(
        4, 60.0, trials, clock=clock, probe_lease=1e9, terms=terms, listeners=[diary]
    )
    numbers, start = iter(range(8)), threading.Barrier(8)
    ends = [None, Boom(), None, KeyboardInterrupt()]

    def busy() -> None:
        own = next(numbers)
        start.wait(PATIENCE)
        for turn in range(300):
            step = turn * 7 + own * 13
            try:
                permit = breaker.admit()
            except CircuitOpenError:
                clock.tick(20.0)
                continue
            if step % 11 == 0:
                breaker.forgive(permit)
            elif step % 11 != 1:  # else it is dropped
                breaker.settle(permit, ends[step % 4])
            if step % 97 == 0:
                (breaker.open, breaker.half_open, breaker.reset)[step % 3]()

    assert together(8, busy) == [None] * 8
    left = "closed"
    for old, new in diary.changes:
        assert old == left
        left = new
    clock.tick(600.0)
    assert len(breaker._trials) == 0
    for _ in range(trials):
        succeed(breaker)
    assert breaker.state == "closed"


# -- what terms may be -----------------------------------------------------------------------------

NO_PARTS: list[Any] = ["0.5", True, [], -0.1, 1.1, math.nan, math.inf]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("failure_rate", value) for value in (0, *NO_PARTS)],
        *[("slow_call_rate", value) for value in (0, *NO_PARTS)],
        *[("jitter", value) for value in (None, *NO_PARTS)],
        *[("slow_call", value) for value in (0, -1, "1", True, math.inf)],
        *[("window", value) for value in (None, 0, -1, "1", True, math.inf)],
        *[("longest_recovery", value) for value in (0, -1, "1", True, math.inf)],
        *[("minimum_calls", value) for value in (None, 0, 1.5, "1", True)],
        *[("host_failures", value) for value in (0, 1.5, "1", True)],
        *[("metrics_only", value) for value in (None, 1, "yes")],
        *[("listeners", value) for value in (None, 1, Diary())],
    ],
)
def test_a_bad_term_is_an_error_that_names_it(name: str, value: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=rf"^{name} must be .*[a-z]"):
        CircuitTerms(**{name: value})


def test_a_rate_of_slow_calls_needs_a_bound() -> None:
    with pytest.raises(ValueError, match=r"^slow_call_rate \(0.5\) needs slow_call, in seconds$"):
        CircuitTerms(slow_call_rate=0.5)


def test_a_breaker_checks_what_it_is_given() -> None:
    with pytest.raises(TypeError, match=r"^terms must be a CircuitTerms or None, not 0\.5$"):
        CircuitBreaker(terms=0.5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^listeners must hold pybreaker listeners, not 1$"):
        CircuitBreaker(terms=CircuitTerms(listeners=[1]))
    with pytest.raises(TypeError, match=r"^random must be callable, not 1$"):
        CircuitBreaker(random=1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^recovery_timeout \(90\) .* longest_recovery \(30\)$"):
        CircuitBreaker(recovery_timeout=90, terms=CircuitTerms(longest_recovery=30))
    breaker = CircuitBreaker(1, terms=CircuitTerms(longest_recovery=30))  # the default gives way
    fail(breaker)
    assert 0 < breaker.retry_after <= 30


def test_terms_travel_and_compare() -> None:
    assert pickle.loads(pickle.dumps(TERMS)) == TERMS != CircuitTerms()
    assert CircuitTerms(listeners=[]) == CircuitTerms()
