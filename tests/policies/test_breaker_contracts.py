"""Laws of copies and forks, and what is relied on in pybreaker."""

from __future__ import annotations

import copy
import gc
import inspect
import os
import pickle
import signal
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pybreaker
import pytest

from browseros_api.policies.breakers import CircuitBreaker
from browseros_api.testing import wait_until
from tests.policies.breaking import Boom, Diary, fail, refused, trip


@pytest.fixture
def breaker() -> CircuitBreaker:
    return CircuitBreaker(3, 60.0, 2, name="/users", clock=float)  # it is always 0.0


def is_polite(error: BaseException) -> bool:
    return "please" in str(error)


def is_bad(result: object) -> bool:
    return result == "bad"


class Named(CircuitBreaker):
    """A breaker of a user's, with more to it."""

    def __init__(self, team: str) -> None:
        super().__init__(2, 7.0, 1, name="theirs", exclude=[KeyError, is_polite], is_failure=is_bad)
        self.team = team


def pickled(breaker: CircuitBreaker) -> Any:
    return pickle.loads(pickle.dumps(breaker))


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickled])
def test_a_copy_has_the_settings_and_starts_closed(copied: Callable[[Any], Any]) -> None:
    original = Named("payments")
    trip(original)
    refused(original)
    twin = copied(original)
    assert type(twin) is Named
    assert (twin.team, twin.name) == ("payments", "theirs")
    assert twin.status() == CircuitBreaker().status()
    assert twin.last_error is None
    fail(twin, KeyError())
    fail(twin, Boom("please"))
    assert twin.call(lambda: "bad") == "bad"
    assert twin.failure_count == 1
    fail(twin)
    assert (twin.state, twin.recovery_timeout, twin.half_open_max_calls) == ("open", 7.0, 1)
    assert original.rejected_count == 1


def test_a_refusal_can_be_pickled(breaker: CircuitBreaker) -> None:
    trip(breaker)
    refusal = refused(breaker)
    twin = pickle.loads(pickle.dumps(refusal))
    assert (str(twin), twin.endpoint, twin.retry_after) == (str(refusal), "/users", 60.0)


def test_a_breaker_that_nobody_holds_goes_away() -> None:
    breaker = CircuitBreaker(1)
    with pytest.raises(Boom), breaker:
        raise Boom
    gone = weakref.ref(breaker)
    del breaker
    gc.collect()
    assert gone() is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.parametrize("copied", [lambda breaker: breaker, copy.copy])
def test_a_forked_child_finds_every_lock_free_and_every_trial_over(
    copied: Callable[[CircuitBreaker], CircuitBreaker], breaker: CircuitBreaker
) -> None:
    breaker = copied(breaker)
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with breaker._lock:
            held.set()
            release.wait(30)

    breaker.half_open()
    permits = [breaker.admit(), breaker.admit()]
    holder = threading.Thread(target=hold)
    holder.start()
    try:
        assert held.wait(5)
        child = os.fork()
        if child == 0:
            verdict = 1
            try:
                breaker.settle(permits[0], Boom("the parent's"))
                breaker.forgive(breaker.admit())
                breaker.call(lambda: 1)
                verdict = 0 if (breaker.state, breaker.success_counter) == ("half_open", 1) else 2
            finally:
                os._exit(verdict)
        assert exit_status(child) == 0
    finally:
        release.set()
        holder.join(5)
    breaker.settle(permits[0], None)
    breaker.settle(permits[1], None)
    assert breaker.state == "closed"


def exit_status(child: int) -> int:
    """How the child process ended; one that hangs is ended."""
    try:
        found = wait_until(lambda: ended(child), timeout=10, message="the child hangs")
    except AssertionError:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise
    assert found is not None
    return os.waitstatus_to_exitcode(found[1])


def ended(child: int) -> tuple[int, int] | None:
    found = os.waitpid(child, os.WNOHANG)
    return found if found[0] else None


def test_what_is_relied_on_in_pybreaker_is_there() -> None:
    """A contract: none of these names is public."""
    stock = pybreaker.CircuitBreaker(4, 5, 6, exclude=[KeyError], listeners=[Diary()], name="n")
    with stock._lock:  # in an attribute of the breaker, where it can be replaced
        pass
    assert type(stock._state) is pybreaker.CircuitClosedState
    assert type(stock._state_storage) is pybreaker.CircuitMemoryStorage
    assert type(stock._listeners) is list
    assert type(stock._excluded_exceptions) is list
    assert list(inspect.signature(stock._create_new_state).parameters) == [
        *("new_state", "prev_state", "notify"),
    ]
    for name, kind in {
        pybreaker.STATE_CLOSED: pybreaker.CircuitClosedState,
        pybreaker.STATE_OPEN: pybreaker.CircuitOpenState,
        pybreaker.STATE_HALF_OPEN: pybreaker.CircuitHalfOpenState,
    }.items():
        assert type(stock._create_new_state(name)) is kind
        assert stock._create_new_state(name).name == name
    assert stock._create_new_state("open") is not stock._create_new_state("open")
    assert (stock.fail_max, stock.reset_timeout, stock.success_threshold) == (4, 5, 6)


def test_a_new_state_of_pybreakers_tells_nobody_and_resets_nothing() -> None:
    """A contract: telling and counting are ours."""
    diary = Diary()
    stock = pybreaker.CircuitBreaker(listeners=[diary])
    stock._state_storage.increment_counter()
    stock._state_storage.increment_success_counter()
    for name in ("open", "half-open", "closed"):
        stock._create_new_state(name)
    assert (stock.fail_counter, stock.success_counter, diary.events) == (1, 1, [])


def test_no_method_of_pybreakers_breaker_is_left_that_would_call_under_its_lock() -> None:
    """A contract: what is inherited neither runs user code nor changes state."""
    inherited = {
        name
        for name, value in vars(pybreaker.CircuitBreaker).items()
        if getattr(CircuitBreaker, name) is value and name[:2] != "__"
    }
    assert inherited <= {
        *("_create_new_state", "_inc_counter", "current_state", "fail_counter", "success_counter"),
        *("fail_max", "reset_timeout", "success_threshold", "name"),
        *("excluded_exceptions", "add_excluded_exception", "add_excluded_exceptions"),
        *("remove_excluded_exception", "listeners", "add_listener", "add_listeners"),
        "remove_listener",
    }
