"""Laws of one circuit breaker, with time in the test's hands."""

from __future__ import annotations

import abc
import copy
import gc
import time
import traceback
import weakref
from collections.abc import Callable
from typing import Any

import pybreaker
import pytest
import requests

from browseros_api.errors import CircuitOpenError
from browseros_api.policies.breakers import BadResult, CircuitBreaker, Permit
from browseros_api.testing import FakeClock
from tests.policies.breaking import Boom, Diary, Panic, fail, refused, succeed, trip


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def diary() -> Diary:
    return Diary()


@pytest.fixture
def breaker(clock: FakeClock, diary: Diary) -> CircuitBreaker:
    return CircuitBreaker(3, 60.0, 2, name="/users", clock=clock, listeners=[diary])


# -- closed ----------------------------------------------------------------------------------------


def test_a_new_breaker_is_closed_and_has_counted_nothing(breaker: CircuitBreaker) -> None:
    """B1"""
    assert breaker.status() == {
        "state": "closed",
        "failure_count": 0,
        "last_failure_time": None,
        "rejected_count": 0,
        "retry_after": 0.0,
        "isolated": False,
        "window": None,
    }
    assert breaker.last_error is None


def test_the_defaults_are_five_failures_a_minute_and_three_trials() -> None:
    breaker = CircuitBreaker()
    limits = (breaker.failure_threshold, breaker.recovery_timeout, breaker.half_open_max_calls)
    assert limits == (5, 60.0, 3)


def test_a_success_takes_the_count_back_to_zero(breaker: CircuitBreaker) -> None:
    """B2"""
    fail(breaker)
    assert breaker.failure_count == 1
    succeed(breaker)
    assert (breaker.state, breaker.failure_count) == ("closed", 0)


def test_failures_between_successes_never_add_up(breaker: CircuitBreaker) -> None:
    """B3"""
    for _ in range(10):
        fail(breaker)
        fail(breaker)
        succeed(breaker)
    assert breaker.state == "closed"


@pytest.mark.parametrize("threshold", [1, 2, 5, 10])
def test_the_failure_that_reaches_the_threshold_opens_it(threshold: int) -> None:
    """B4"""
    breaker = CircuitBreaker(threshold)
    for _ in range(threshold - 1):
        fail(breaker)
    assert breaker.state == "closed"
    fail(breaker)
    assert (breaker.state, breaker.failure_count) == ("open", threshold)


def test_the_call_that_opens_it_raises_its_own_error(breaker: CircuitBreaker) -> None:
    """B5: also on trial."""
    fail(breaker)
    fail(breaker)
    fail(breaker, Boom("the last straw"))  # fail() looks at the very object
    assert breaker.state == "open"
    breaker.half_open()
    fail(breaker, Boom("on trial"))
    assert breaker.state == "open"


# -- open ------------------------------------------------------------------------------------------


def test_an_open_circuit_runs_nothing(breaker: CircuitBreaker, diary: Diary) -> None:
    """B6"""
    trip(breaker)
    diary.events.clear()
    refused(breaker)  # refused() looks whether it ran
    assert diary.events == []


def test_refusals_are_no_failures_and_prolong_nothing(
    breaker: CircuitBreaker, clock: FakeClock
) -> None:
    """B7"""
    trip(breaker)
    for _ in range(60):
        clock.tick(0.999)
        refused(breaker)
    assert breaker.failure_count == 3
    clock.tick(0.07)
    succeed(breaker)


def test_refusals_are_counted_apart(breaker: CircuitBreaker) -> None:
    """B8"""
    trip(breaker)
    for _ in range(4):
        refused(breaker)
    assert breaker.rejected_count == breaker.status()["rejected_count"] == 4


def test_a_refusal_names_the_circuit_and_says_when_to_come_back(
    breaker: CircuitBreaker, clock: FakeClock
) -> None:
    """B9"""
    trip(breaker)
    clock.tick(47.7)
    refusal = refused(breaker)
    assert isinstance(refusal, requests.ConnectionError)
    assert isinstance(refusal, pybreaker.CircuitBreakerError)
    assert refusal.endpoint == "/users"
    assert refusal.retry_after == pytest.approx(12.3) == breaker.retry_after
    said = "circuit for '/users' is open after 3 consecutive failures; next trial in 12.3 s"
    assert str(refusal) == said


def test_a_refusal_says_why_it_is_open(clock: FakeClock) -> None:
    breaker = CircuitBreaker(1, 60.0, 1, clock=clock)
    fail(breaker)
    assert str(refused(breaker)).startswith("circuit is open after 1 consecutive failure; ")
    clock.tick(60.0)
    fail(breaker)
    assert str(refused(breaker)).startswith("circuit is open again: a trial call failed; ")
    breaker.open()
    assert str(refused(breaker)).startswith("circuit is open: it was opened by hand; ")
    clock.tick(60.0)
    trial = breaker.admit()
    on_trial = "circuit is on trial, and no more calls are let through; "
    assert str(refused(breaker)) == f"{on_trial}next trial in 60.0 s at the latest"
    breaker.forgive(trial)


def test_a_refusal_has_the_last_failure_as_its_cause(breaker: CircuitBreaker) -> None:
    """B10: of the failures, not of the refusals."""
    fail(breaker, Boom("first"))
    fail(breaker, Boom("second"))
    fail(breaker, Boom("third"))
    refused(breaker)
    refusal = refused(breaker)
    assert isinstance(refusal.last_error, Boom)
    assert str(refusal.last_error) == "third"
    assert refusal.__cause__ is refusal.last_error
    assert "Boom: third" in "".join(traceback.format_exception(refusal))


def test_a_hundred_refusals_have_tracebacks_no_longer_than_the_first(
    breaker: CircuitBreaker,
) -> None:
    """B10"""
    trip(breaker)

    def lines() -> int:
        return len(traceback.format_exception(refused(breaker)))

    first = lines()
    assert {lines() for _ in range(100)} == {first}


def test_what_the_failed_callers_held_is_not_kept_alive() -> None:
    class Load:
        pass

    def user(breaker: CircuitBreaker) -> weakref.ref[Load]:
        load = Load()
        with pytest.raises(Boom), breaker:
            raise Boom("with a traceback that leads here")
        return weakref.ref(load)

    breaker = CircuitBreaker(1)
    held = user(breaker)
    gc.collect()
    assert breaker.state == "open"
    assert held() is None


def test_an_error_that_cannot_be_copied_is_kept_itself() -> None:
    class Unique(Exception):
        def __new__(cls, *args: Any) -> Unique:
            if args == ("copied",):
                raise RuntimeError("there is only one")
            return super().__new__(cls)

    error = Unique()
    error.args = ("copied",)
    error.__cause__ = Boom("why")
    breaker = CircuitBreaker(1)
    fail(breaker, error)
    assert refused(breaker).last_error is error
    assert isinstance(error.__cause__, Boom)


# -- half-open -------------------------------------------------------------------------------------


def test_it_stays_open_for_just_the_recovery_timeout(
    breaker: CircuitBreaker, clock: FakeClock
) -> None:
    """B11"""
    trip(breaker)
    clock.tick(59.999)
    refused(breaker)
    assert breaker.state == "open"
    clock.tick(0.001)
    succeed(breaker)
    assert breaker.state == "half_open"


@pytest.mark.parametrize("notice", [succeed, lambda breaker: breaker.state, CircuitBreaker.status])
def test_it_turns_half_open_when_somebody_calls_or_looks(
    notice: Callable[[CircuitBreaker], object],
    breaker: CircuitBreaker,
    clock: FakeClock,
    diary: Diary,
) -> None:
    """B12"""
    trip(breaker)
    clock.tick(1e6)
    assert diary.changes == [("closed", "open")]
    notice(breaker)
    assert diary.changes == [("closed", "open"), ("open", "half-open")]
    assert breaker.state == "half_open"


def test_no_more_trials_than_allowed_are_under_way(
    breaker: CircuitBreaker, clock: FakeClock
) -> None:
    """B13: refused, not queued; and those that have succeeded count in."""
    trip(breaker)
    clock.tick(60)
    first, _second = breaker.admit(), breaker.admit()
    refused(breaker)
    breaker.settle(first, None)
    refused(breaker)
    assert breaker.rejected_count == 2


def test_one_failed_trial_opens_it_again_for_the_whole_time(
    breaker: CircuitBreaker, clock: FakeClock
) -> None:
    """B14"""
    trip(breaker)
    clock.tick(100)
    succeed(breaker)
    fail(breaker)
    assert (breaker.state, breaker.failure_count) == ("open", 1)
    clock.tick(59.999)
    refused(breaker)
    clock.tick(0.001)
    succeed(breaker)


def test_it_closes_when_all_trials_have_succeeded_and_not_before(clock: FakeClock) -> None:
    """B15"""
    breaker = CircuitBreaker(1, 60.0, 5, clock=clock)
    fail(breaker)
    clock.tick(60)
    for _ in range(4):
        succeed(breaker)
        assert breaker.state == "half_open"
    succeed(breaker)
    assert breaker.state == "closed"


def test_successes_of_an_earlier_trial_period_do_not_count(
    breaker: CircuitBreaker, clock: FakeClock
) -> None:
    """B16"""
    trip(breaker)
    clock.tick(60)
    succeed(breaker)
    fail(breaker)
    clock.tick(60)
    succeed(breaker)
    assert breaker.state == "half_open"
    succeed(breaker)
    assert breaker.state == "closed"


def test_every_state_counts_from_zero(breaker: CircuitBreaker, clock: FakeClock) -> None:
    """B17: and while it is open nothing is counted, so that it shows what opened it."""

    def counts() -> tuple[int, int]:
        return breaker.failure_count, breaker.success_counter

    trip(breaker)
    assert counts() == (3, 0)
    clock.tick(60)
    assert (breaker.state, counts()) == ("half_open", (0, 0))
    succeed(breaker)
    fail(breaker)
    assert (breaker.state, counts()) == ("open", (1, 0))
    clock.tick(60)
    succeed(breaker)
    succeed(breaker)
    assert (breaker.state, counts()) == ("closed", (0, 0))
    fail(breaker)
    fail(breaker)
    assert breaker.state == "closed"


# -- what counts -----------------------------------------------------------------------------------


NEUTRAL = [KeyboardInterrupt(), SystemExit(1), GeneratorExit(), CircuitOpenError("another's")]


@pytest.mark.parametrize("error", [*NEUTRAL, KeyError("mine")], ids=lambda e: type(e).__name__)
def test_neutral_outcomes_count_neither_as_success_nor_as_failure(
    error: BaseException, clock: FakeClock
) -> None:
    """B18"""
    breaker = CircuitBreaker(3, 60.0, 2, exclude=[KeyError], clock=clock)
    fail(breaker)
    fail(breaker)
    fail(breaker, error)
    assert (breaker.state, breaker.failure_count) == ("closed", 2)
    fail(breaker)
    clock.tick(60)
    succeed(breaker)
    fail(breaker, error)
    assert (breaker.state, breaker.success_counter) == ("half_open", 1)


@pytest.mark.parametrize("error", NEUTRAL, ids=lambda e: type(e).__name__)
def test_a_neutral_outcome_gives_its_trial_permit_back(
    error: BaseException, breaker: CircuitBreaker, clock: FakeClock
) -> None:
    """B19"""
    trip(breaker)
    clock.tick(60)
    for _ in range(10):
        fail(breaker, error)
    breaker.forgive(breaker.admit())
    succeed(breaker)
    succeed(breaker)
    assert breaker.state == "closed"


def test_a_trial_that_never_reports_loses_its_place(
    breaker: CircuitBreaker, clock: FakeClock
) -> None:
    """B20"""
    trip(breaker)
    clock.tick(60)
    lost = breaker.admit()
    clock.tick(1)
    other = breaker.admit()
    assert refused(breaker).retry_after == breaker.retry_after == 59.0
    clock.tick(59)
    succeed(breaker)  # in the place of the first
    assert refused(breaker).retry_after == 1.0
    breaker.settle(lost, Boom("much too late"))
    breaker.settle(other, KeyboardInterrupt())
    assert breaker.state == "half_open"
    succeed(breaker)
    assert breaker.state == "closed"


def test_a_slow_trial_whose_place_nobody_needs_still_counts(
    breaker: CircuitBreaker, clock: FakeClock
) -> None:
    """B20"""
    trip(breaker)
    clock.tick(60)
    slow = breaker.admit()
    clock.tick(1e6)
    breaker.settle(slow, Boom("slow, and down"))
    assert breaker.state == "open"


@pytest.mark.parametrize(
    ("recovery", "lease", "expected"), [(5, None, 60), (300, None, 300), (60, 2.5, 2.5)]
)
def test_a_trial_has_as_long_as_the_recovery_takes_and_at_least_a_minute(
    recovery: float, lease: float | None, expected: float, clock: FakeClock
) -> None:
    breaker = CircuitBreaker(1, recovery, 1, probe_lease=lease, clock=clock)
    breaker.half_open()
    trial = breaker.admit()
    assert breaker.retry_after == expected
    breaker.forgive(trial)
    assert breaker.retry_after == 0


def test_results_can_be_failures(clock: FakeClock) -> None:
    """B21"""
    breaker = CircuitBreaker(2, is_failure=lambda status: status >= 500, clock=clock)
    for status in (503, 404, 500):
        assert breaker.call(lambda status=status: status) == status
    assert (breaker.state, breaker.failure_count) == ("closed", 1)
    assert breaker.call(lambda: 502) == 502
    assert breaker.state == "open"
    refusal = refused(breaker)
    assert isinstance(refusal.last_error, BadResult)
    assert str(refusal.last_error) == "502"


def test_a_bad_result_is_not_remembered_at_length() -> None:
    breaker = CircuitBreaker(1, is_failure=bool)
    breaker.call(lambda: "x" * 10_000)
    assert str(breaker.last_error) == "'" + "x" * 199


def test_exclusion_covers_subclasses_and_predicates() -> None:
    """B22: also classes that have a metaclass, which pybreaker would take for predicates."""

    class Polite(Exception, metaclass=abc.ABCMeta):
        pass

    class VeryPolite(Polite):
        pass

    def is_404(error: BaseException) -> bool:
        return getattr(error, "status", None) == 404

    breaker = CircuitBreaker(1, exclude=[LookupError, Polite, is_404])
    missing = Boom("not found")
    missing.status = 404  # type: ignore[attr-defined]
    for error in (KeyError("sub"), Polite("abc"), VeryPolite("sub abc"), missing):
        fail(breaker, error)
        assert (breaker.state, breaker.failure_count) == ("closed", 0)
    fail(breaker, Boom("not covered"))
    assert breaker.state == "open"


def test_exclusions_can_be_added_and_removed_later() -> None:
    breaker = CircuitBreaker(2)
    breaker.add_excluded_exception(KeyError)
    fail(breaker, KeyError())
    assert breaker.failure_count == 0
    breaker.remove_excluded_exception(KeyError)
    fail(breaker, KeyError())
    assert breaker.failure_count == 1


@pytest.mark.parametrize("outcome", [None, Boom("late")])
@pytest.mark.parametrize("state", ["closed", "open", "half_open"])
def test_what_began_in_an_earlier_state_does_not_touch_the_counts(
    state: str, outcome: BaseException | None, breaker: CircuitBreaker, clock: FakeClock
) -> None:
    """B23"""
    of_closed = breaker.admit()
    trip(breaker)
    clock.tick(60)
    of_trial = breaker.admit()
    fail(breaker)
    clock.tick(10)
    assert breaker.state == "open"
    if state != "open":
        clock.tick(50)
        succeed(breaker)
        assert breaker.state == "half_open"
    if state == "closed":
        succeed(breaker)
        fail(breaker)
    before = breaker.status()
    assert before["state"] == state
    for late in (of_closed, of_trial):
        breaker.settle(late, outcome)
    assert breaker.status() == before


def test_closing_by_hand_makes_earlier_calls_count_for_nothing(breaker: CircuitBreaker) -> None:
    """B23"""
    early = [breaker.admit() for _ in range(3)]
    breaker.close()
    for permit in early:
        breaker.settle(permit, Boom("from before"))
    assert breaker.failure_count == 0


def test_what_is_no_exception_counts_once_and_gives_the_permit_back(
    breaker: CircuitBreaker, clock: FakeClock
) -> None:
    """B24"""
    fail(breaker, Panic())
    assert breaker.failure_count == 1
    fail(breaker, Panic())
    fail(breaker, Panic())
    assert breaker.state == "open"
    clock.tick(60)
    fail(breaker, Panic())
    assert (breaker.state, breaker.failure_count) == ("open", 1)


@pytest.mark.parametrize("end", ["settle", "fail", "forgive"])
def test_a_permit_is_spent_once(end: str, breaker: CircuitBreaker, clock: FakeClock) -> None:
    def spend(permit: Permit) -> None:
        if end == "forgive":
            breaker.forgive(permit)
        else:
            breaker.settle(permit, Boom("once") if end == "fail" else None)

    for expected in ("closed", "half_open"):
        assert breaker.state == expected
        permit = breaker.admit()
        spend(permit)
        before = breaker.status(), breaker.success_counter
        breaker.settle(permit, Boom("twice"))
        breaker.settle(permit, None)
        breaker.forgive(permit)
        assert (breaker.status(), breaker.success_counter) == before
        breaker.half_open()


def test_a_permit_is_spent_once_also_where_nothing_was_to_be_counted() -> None:
    breaker = CircuitBreaker(1)
    permit = breaker.admit()
    breaker.settle(permit, None)
    breaker.settle(permit, Boom("twice"))
    assert breaker.failure_count == 0


def test_permits_of_another_breaker_count_for_nothing(breaker: CircuitBreaker) -> None:
    breaker.settle(CircuitBreaker().admit(), Boom("over there"))
    assert breaker.failure_count == 0


@pytest.mark.parametrize("where", ["exclude", "is_failure"])
def test_a_predicate_that_raises_is_heard_and_counts_as_nothing(
    where: str, clock: FakeClock
) -> None:
    def broken(_: object) -> bool:
        raise ZeroDivisionError

    options: dict[str, Any] = {where: [broken] if where == "exclude" else broken}
    breaker = CircuitBreaker(1, 60.0, 1, clock=clock, **options)
    breaker.half_open()

    def called() -> str:
        if where == "exclude":
            raise Boom("to be judged")
        return "to be judged"

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            breaker.call(called)
    assert (breaker.state, breaker.failure_count, breaker.retry_after) == ("half_open", 0, 0.0)


# -- more than one, and by hand --------------------------------------------------------------------


def test_breakers_do_not_influence_each_other(breaker: CircuitBreaker, diary: Diary) -> None:
    """B28"""
    other = copy.copy(breaker)
    other.add_excluded_exception(KeyError)
    other.remove_listener(diary)
    trip(breaker)
    assert diary.changes == [("closed", "open")]
    assert (other.state, other.failure_count, other.rejected_count) == ("closed", 0, 0)
    succeed(other)
    assert breaker.state == "open"
    assert breaker.excluded_exceptions == ()


def test_opening_closing_and_resetting_by_hand_work(
    breaker: CircuitBreaker, clock: FakeClock
) -> None:
    """B30"""
    fail(breaker)
    breaker.open()
    assert (breaker.state, breaker.failure_count) == ("open", 0)
    assert refused(breaker).last_error is None
    breaker.close()
    assert (breaker.state, breaker.failure_count, breaker.retry_after) == ("closed", 0, 0.0)
    succeed(breaker)
    assert (breaker.rejected_count, breaker.last_failure_time is None) == (1, False)
    trip(breaker)
    breaker.reset()
    assert breaker.status() == CircuitBreaker().status()
    assert breaker.last_error is None
    fail(breaker)
    breaker.reset()
    assert breaker.status() == CircuitBreaker().status()


def test_opening_by_hand_lasts_as_long_as_any_other_and_starts_again(
    breaker: CircuitBreaker, clock: FakeClock
) -> None:
    """B30"""
    breaker.open()
    clock.tick(30)
    breaker.open()
    clock.tick(59.999)
    refused(breaker)
    clock.tick(0.001)
    assert breaker.state == "half_open"


def test_listeners_hear_of_each_change_once_and_in_order(
    breaker: CircuitBreaker, clock: FakeClock, diary: Diary
) -> None:
    """B31"""
    trip(breaker)
    refused(breaker)
    clock.tick(60)
    succeed(breaker)
    succeed(breaker)
    assert diary.changes == [("closed", "open"), ("open", "half-open"), ("half-open", "closed")]
    breaker.close()
    breaker.reset()
    breaker.open()
    breaker.open()
    assert diary.changes[3:] == [("closed", "open")]


def test_listeners_hear_of_calls_too(breaker: CircuitBreaker, diary: Diary) -> None:
    def fetch(path: str, *, page: int) -> str:
        raise Boom(path)

    breaker.call(lambda: 1)
    fail(breaker, KeyboardInterrupt())
    breaker.fail_max = 1
    with pytest.raises(Boom):
        breaker.call(fetch, "/users", page=2)
    assert diary.events == [
        "before <lambda>(){}",
        "success",
        "before broken(){}",
        "before fetch('/users',){'page': 2}",
        "failure /users",
        "closed -> open",
    ]


def test_listeners_can_be_added_and_removed(breaker: CircuitBreaker, diary: Diary) -> None:
    breaker.remove_listener(diary)
    breaker.open()
    breaker.add_listener(diary)
    breaker.close()
    assert diary.changes == [("open", "closed")]


@pytest.mark.parametrize(
    ("options", "kind", "says"),
    [
        ({"failure_threshold": 0}, ValueError, "failure_threshold must be at least 1"),
        ({"failure_threshold": 2.0}, TypeError, "failure_threshold must be a whole number"),
        ({"failure_threshold": True}, TypeError, "failure_threshold must be a whole number"),
        ({"recovery_timeout": -1}, ValueError, "recovery_timeout must be"),
        ({"recovery_timeout": 0}, ValueError, "recovery_timeout must be positive"),
        ({"recovery_timeout": float("nan")}, ValueError, "recovery_timeout must be"),
        ({"recovery_timeout": "60"}, TypeError, "recovery_timeout must be a number of seconds"),
        ({"recovery_timeout": None}, TypeError, "recovery_timeout must be a number of seconds"),
        ({"half_open_max_calls": 0}, ValueError, "half_open_max_calls must be at least 1"),
        ({"half_open_max_calls": "3"}, TypeError, "half_open_max_calls must be a whole number"),
        ({"probe_lease": 0}, ValueError, "probe_lease must be positive"),
        ({"name": None}, TypeError, "name must be a string"),
        ({"exclude": KeyError}, TypeError, "exclude must be an iterable of exception classes"),
        ({"exclude": [404]}, TypeError, "exclude must hold exception classes and predicates"),
        ({"exclude": [int]}, TypeError, "exclude must hold exception classes and predicates"),
        ({"is_failure": 500}, TypeError, "is_failure must be callable"),
        ({"listeners": [print]}, TypeError, "listeners must hold pybreaker listeners"),
        ({"clock": 0.0}, TypeError, "clock must be callable"),
    ],
)
def test_illegal_settings_are_refused_by_name(
    options: dict[str, Any], kind: type[Exception], says: str
) -> None:
    """B33"""
    with pytest.raises(kind, match=says):
        CircuitBreaker(**options)


def test_a_jump_of_the_wall_clock_changes_nothing(
    breaker: CircuitBreaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B35"""
    trip(breaker)
    now = time.time()
    for jump in (1e6, -1e6):
        monkeypatch.setattr(time, "time", lambda jump=jump: now + jump)
        refused(breaker)
        assert breaker.retry_after == 60.0
        breaker.close()
        trip(breaker)
        assert breaker.last_failure_time == now + jump


def test_looking_changes_nothing_but_an_open_circuit_whose_time_is_over(
    breaker: CircuitBreaker, clock: FakeClock, diary: Diary
) -> None:
    """B36"""
    fail(breaker)
    trip_events = [*diary.events]

    def look() -> dict[str, Any]:
        first = breaker.status()
        assert repr(breaker)
        assert {name: getattr(breaker, name) for name in first} == first == breaker.status()
        return first

    began = time.time()
    assert look()["failure_count"] == 1
    assert abs(look()["last_failure_time"] - began) < 3600
    assert diary.events == trip_events
    fail(breaker)
    fail(breaker)
    clock.tick(59.5)
    assert look()["retry_after"] == 0.5
    assert look()["state"] == "open"
    clock.tick(0.5)
    assert (breaker.retry_after, breaker.failure_count, breaker.current_state) == (0.0, 3, "open")
    assert (look()["state"], look()["failure_count"]) == ("half_open", 0)
    assert diary.changes == [("closed", "open"), ("open", "half-open")]
    assert breaker.success_counter == 0


def test_its_repr_tells_its_state(breaker: CircuitBreaker) -> None:
    fail(breaker)
    assert repr(breaker) == "<CircuitBreaker '/users': closed, 1 of 3 failures>"
    breaker.half_open()
    assert repr(breaker) == "<CircuitBreaker '/users': half_open, 0 of 3 failures>"
    assert repr(CircuitBreaker()) == "<CircuitBreaker: closed, 0 of 5 failures>"
