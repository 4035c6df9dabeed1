"""Laws of the retry budget: a script never notices it, and a dead host is not asked by all."""

from __future__ import annotations

import contextlib
import os
import pickle
import threading
from typing import Any

import pytest
import requests

from browseros_api import EnhancedAPIClient, RetryBudget, Session
from browseros_api.policies.budget import Budget
from browseros_api.testing import ApiServer, FakeClock, Reply
from tests.flying import Caller
from tests.policies.fleet import Fleet
from tests.policies.test_retry import Rig, answer, exchange_of

URL = "http://a.test/x"


def made(clock: FakeClock, **terms: Any) -> Budget:
    return Budget(RetryBudget(**terms), clock=clock)


def spent(budget: Budget, url: str = URL, most: int = 1000) -> int:
    """How many retries it grants at once."""
    return next(count for count in range(most) if not budget.spend(url))


# -- one host -------------------------------------------------------------------------------------


def test_a_host_has_its_reserve_at_first(fake_clock: FakeClock) -> None:
    budget = made(fake_clock)
    assert (spent(budget), budget.refused) == (100, 1)
    assert spent(budget) == 0
    assert repr(budget) == "<Budget [1 hosts fail | 2 retries refused]>"


def test_five_calls_pay_for_a_retry_however_they_end(fake_clock: FakeClock) -> None:
    budget = made(fake_clock, per_second=0)
    spent(budget)
    for answered in [True, False] * 10:
        budget.earn(URL, calls=1, answered=answered)
    assert spent(budget) == 4
    for _ in range(50):
        budget.earn(URL, calls=0, answered=False)  # retries pay for nothing
    assert spent(budget) == 0


def test_seconds_pay_only_up_to_a_good_answer(fake_clock: FakeClock) -> None:
    budget = made(fake_clock, ratio=0)
    spent(budget)
    fake_clock.tick(3.0)
    budget.earn(URL, calls=1, answered=False)
    assert spent(budget) == 0
    fake_clock.tick(2.0)
    budget.earn(URL, calls=0, answered=True)  # be it to a retry
    assert spent(budget) == 50
    budget.earn(URL, calls=1, answered=True)
    assert spent(budget) == 0


def test_no_more_is_saved_than_the_reserve(fake_clock: FakeClock) -> None:
    budget = made(fake_clock, reserve=7)
    spent(budget)
    fake_clock.tick(50.0)
    budget.earn(URL, calls=1, answered=True)
    assert spent(budget) == 7
    for _ in range(1000):
        budget.earn(URL, calls=1, answered=False)
    assert spent(budget) == 7


def test_a_host_that_was_left_alone_begins_anew(fake_clock: FakeClock) -> None:
    """What calls once an hour has all its retries each time."""
    budget = made(fake_clock, reserve=3)
    for _ in range(3):
        assert spent(budget) == 3
        fake_clock.tick(60.0)
        assert spent(budget) == 0
        fake_clock.tick(60.1)


def test_hosts_do_not_pay_for_each_other(fake_clock: FakeClock) -> None:
    budget = made(fake_clock, reserve=3)
    assert spent(budget, "http://a.test/x") == 3
    assert spent(budget, "http://user:password@A.test/y?z=1") == 0
    assert "password" not in repr(vars(budget))
    assert spent(budget, "http://a.test:8080/x") == 3
    assert spent(budget, "http://b.test/x") == 3


def test_hosts_that_answer_need_no_memory(fake_clock: FakeClock) -> None:
    budget = made(fake_clock)
    for number in range(3000):
        budget.earn(f"http://{number}.test/", calls=1, answered=True)
    assert "[0 hosts fail" in repr(budget)
    for number in range(3000):
        budget.spend(f"http://{number}.test/")
    assert "[1024 hosts fail" in repr(budget)
    fake_clock.tick(1.0)
    budget.earn("http://2999.test/", calls=1, answered=True)
    assert "[1023 hosts fail" in repr(budget)


def test_threads_never_spend_more_than_there_is(fake_clock: FakeClock) -> None:
    budget, barrier = made(fake_clock), threading.Barrier(8)

    def spend() -> int:
        barrier.wait(20)
        return sum(budget.spend(URL) for _ in range(50))

    assert sum(caller.value for caller in [Caller(spend) for _ in range(8)]) == 100
    assert budget.refused == 300


def test_a_budget_can_be_pickled(fake_clock: FakeClock) -> None:
    budget = Budget(RetryBudget(reserve=3))
    spent(budget)
    copy = pickle.loads(pickle.dumps(budget))
    assert (copy.refused, spent(copy)) == (1, 0)


@pytest.mark.parametrize(
    ("terms", "told"),
    [
        ({"ratio": -0.1}, "ratio must be a finite number of at least 0"),
        ({"per_second": float("nan")}, "per_second must be a finite number"),
        ({"reserve": 0}, "reserve must be at least 1"),
        ({"reserve": 1.5}, "reserve must be a whole number"),
    ],
)
def test_terms_that_make_no_sense_are_refused(terms: dict[str, Any], told: str) -> None:
    with pytest.raises((TypeError, ValueError), match=told):
        RetryBudget(**terms)


# -- the retries that it pays for -----------------------------------------------------------------


@pytest.mark.parametrize("bad", [answer(503), requests.ReadTimeout("silence")], ids=repr)
def test_without_budget_the_last_outcome_comes_out_at_once(bad: Any) -> None:
    rig = Rig(bad, budget=(budget := made(FakeClock(), reserve=1)))
    budget.spend("http://127.0.0.1:1/")
    assert rig.end() is bad
    assert (rig.calls, rig.clock.slept, budget.refused) == (1, [], 1)


def test_only_a_retry_that_would_be_made_is_paid_for() -> None:
    budget = made(FakeClock(), reserve=1)
    for bad, options in [
        (answer(404), {}),
        (answer(503), {"method": "POST"}),
        (answer(503, "1000"), {}),
        (answer(503), {"deadline": 1000.5}),
        (answer(503), {"method": "PUT", "data": iter([b"gone"])}),
    ]:
        assert Rig(bad, budget=budget).end(exchange_of(**options)) is bad
    assert Rig(answer(503), answer(200), budget=budget).ask().status_code == 200
    assert Rig(answer(503), budget=budget).ask().status_code == 503


def test_nothing_sent_pays_for_nothing(api_server: ApiServer) -> None:
    api_server.route("*", Reply(503))
    with Session(
        failure_threshold=1, recovery_timeout=1000, retry_budget=RetryBudget(reserve=1)
    ) as session:
        budget = session.engine.budget
        assert budget is not None
        budget.spend(api_server.base_url)
        for _ in range(20):
            with contextlib.suppress(requests.ConnectionError):
                session.post(api_server.url("/x"))
        assert not budget.spend(api_server.base_url)
        assert api_server.hits() == 1


# -- a fleet, in simulated time -------------------------------------------------------------------


def test_without_a_budget_a_dead_dependency_is_asked_four_times_as_often() -> None:
    fleet = Fleet(clients=20, rate=10.0, terms=None, is_dead=True)
    assert fleet.run(1.0) == 4.0


@pytest.mark.parametrize(
    ("clients", "rate", "seconds", "reserve"),
    [
        (1, 20.0, 60.0, 100),  # by default, over a minute
        (200, 10.0, 2.0, 2),  # the same in short
    ],
)
def test_a_full_fleet_asks_a_dead_dependency_hardly_more_often(
    clients: int, rate: float, seconds: float, reserve: int
) -> None:
    fleet = Fleet(clients=clients, rate=rate, terms=RetryBudget(reserve=reserve))
    assert fleet.run(0.1) == 1.0
    fleet.is_dead = True
    assert 1.2 < fleet.run(seconds) <= 1.3
    assert fleet.run(seconds / 2) == pytest.approx(1.2, abs=0.05)


@pytest.mark.parametrize("rate", [1.0, 20.0])
def test_with_its_circuits_a_fleet_asks_less_than_ever_from_the_first_seconds(rate: float) -> None:
    with Fleet(clients=10, rate=rate, terms=RetryBudget(), breaks=True) as fleet:
        assert fleet.run(1.0) == 1.0
        fleet.is_dead = True
        assert 0 < fleet.run(10.0) <= 0.5  # five failures of each client, and that is all
        assert fleet.run(60.0) < 0.2


@pytest.mark.parametrize("rate", [1.0, 100.0])
def test_after_the_reserve_it_does_not_matter_how_busy_a_client_is(rate: float) -> None:
    fleet = Fleet(clients=5, rate=rate, terms=RetryBudget(reserve=10), is_dead=True)
    fleet.run(20.0 / rate)
    assert fleet.run(50.0 / rate) == pytest.approx(1.2, abs=0.05)


def test_when_it_lives_again_all_retries_are_there_again() -> None:
    fleet = Fleet(clients=1, rate=1.0, terms=RetryBudget(reserve=10), is_dead=True)
    fleet.run(50.0)
    fleet.is_dead = False
    assert fleet.run(1.0) == 1.0
    fleet.is_dead = True
    assert fleet.run(3.0) == 4.0


def test_a_host_that_fails_now_and_then_never_runs_out() -> None:
    """Each tenth attempt fails; at two calls a second that is far below what seconds pay."""
    budget = made(clock := FakeClock(), reserve=4)
    for number in range(500):
        outcomes = [answer(503), answer(200)] if number % 10 == 0 else [answer(200)]
        assert Rig(*outcomes, budget=budget).ask().status_code == 200
        clock.tick(0.5)
    assert budget.refused == 0


# -- on a live server -----------------------------------------------------------------------------


def load(server: ApiServer, calls: int, **settings: Any) -> dict[str, Any]:
    """The statistics after so many calls, by eight threads, to a server that is down."""
    server.route("*", Reply(503))
    with Session(
        retry_base_delay=0,
        enable_circuit_breaker=False,
        enable_deduplication=False,
        **settings,
    ) as session:

        def work() -> None:
            for _ in range(calls // 8):
                assert session.get(server.url("/x")).status_code == 503

        for caller in [Caller(work) for _ in range(8)]:
            assert caller.value is None
        return session.get_stats()


def test_a_server_that_is_down_sees_little_more_than_its_normal_load(
    api_server: ApiServer,
) -> None:
    stats = load(api_server, 320, retry_budget=RetryBudget(reserve=10))
    assert 320 * 1.2 <= api_server.hits() == stats["attempts"] <= 320 * 1.3
    assert stats["retries"] == api_server.hits() - 320
    assert stats["refused_retries"] > 200


def test_the_same_without_a_budget_is_four_times_its_load(api_server: ApiServer) -> None:
    stats = load(api_server, 80, retry_budget=None)
    assert (api_server.hits(), stats["refused_retries"]) == (320, 0)


def test_by_default_the_first_hundred_retries_are_always_made(api_server: ApiServer) -> None:
    """A batch whose server is down for a moment."""
    api_server.script("*", Reply(503, repeat=100), Reply(json=1))
    with EnhancedAPIClient(
        api_server.base_url, retry_base_delay=0, max_retries=100, enable_circuit_breaker=False
    ) as client:
        assert list(client.get_many([f"/{n}" for n in range(40)])) == [1] * 40
        assert client.get_stats()["refused_retries"] == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_does_not_wait_for_the_lock_of_its_parent(api_server: ApiServer) -> None:
    api_server.script("/x", Reply(503), Reply(200))
    with Session(retry_base_delay=0) as session:
        budget = session.engine.budget
        assert budget is not None
        with budget._lock:
            child = os.fork()
            if child == 0:
                try:
                    os._exit(0 if session.get(api_server.url("/x")).ok else 1)
                except BaseException:
                    os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
