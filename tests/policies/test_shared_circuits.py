"""Laws of circuits that processes share on a server: each ``Peers`` here could be a process."""

from __future__ import annotations

import itertools
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from browseros_api import CircuitOpenError, CircuitTerms, Session
from browseros_api.policies.circuit_breaker import CircuitBreaker
from browseros_api.policies.shared_circuits import Peers
from browseros_api.stores.redis_board import RedisBoard
from browseros_api.testing import ApiServer, FakeClock, Reply, wait_until
from tests.composition.forking import assert_fine, in_child
from tests.redis_server import RedisServer, redis_server, started

__all__ = ["redis_server"]

PATIENCE = 30.0
_numbers = itertools.count()

Joined = Callable[..., CircuitBreaker]


class Down(Exception):
    """What the service does when it fails."""


@pytest.fixture
def clock() -> FakeClock:
    """Of the processes; the server has its own."""
    return FakeClock(1000.0)


@pytest.fixture
def namespace() -> str:
    return f"circuits{next(_numbers)}"


@pytest.fixture
def joined(redis_server: RedisServer, namespace: str, clock: FakeClock) -> Iterator[Joined]:
    """Makes breakers of one endpoint, each in a process of its own."""
    boards = []

    def make(
        name: str = "/users", *, base_url: str | None = None, breaker: Any = None, **settings: Any
    ) -> CircuitBreaker:
        board = RedisBoard(redis_server.url, namespace=namespace, timeout=10.0)
        boards.append(board)
        peers = Peers(board, base_url=base_url, clock=clock)
        given = {"failure_threshold": 2, "recovery_timeout": 60.0, "clock": clock, **settings}
        made = peers.joined(breaker or CircuitBreaker(**given))
        made.name = name
        return made

    yield make
    for board in boards:
        board.close()


def failed(breaker: CircuitBreaker, times: int = 2) -> None:
    for _ in range(times):
        breaker.settle(breaker.admit(), Down())


def refusal(breaker: CircuitBreaker) -> CircuitOpenError:
    with pytest.raises(CircuitOpenError) as caught:
        breaker.admit()
    return caught.value


def is_refused(breaker: CircuitBreaker) -> bool:
    try:
        breaker.forgive(breaker.admit())
    except CircuitOpenError:
        return True
    return False


def half_opened(joined: Joined, clock: FakeClock, number: int, **settings: Any) -> list[Any]:
    """Breakers whose circuit has been open, and may be tried now."""
    breakers = [joined(recovery_timeout=0.2, **settings) for _ in range(number)]
    failed(breakers[0])
    time.sleep(0.25)  # by the server's clock, which nobody can set
    for breaker in breakers[1:]:
        breaker.forgive(breaker.admit())
    clock.tick(0.3)
    assert [breaker.state for breaker in breakers] == ["half_open"] * number
    return breakers


# -- open ------------------------------------------------------------------------------------------


def test_what_opens_in_one_process_is_open_in_the_others_half_a_second_later(
    joined: Joined, clock: FakeClock
) -> None:
    first, second = joined(), joined()
    assert not is_refused(second)
    failed(first)
    assert not is_refused(second), "it has looked just now"
    clock.tick(0.5)
    told = refusal(second)
    assert "another process has found it down" in str(told)
    assert 50.0 < told.retry_after <= 60.0
    assert second.state == "open"
    assert "2 consecutive failures" in str(refusal(first)), "it knows why"


def test_a_process_that_comes_later_knows_it_at_once(joined: Joined) -> None:
    failed(joined())
    assert is_refused(joined())


def test_other_endpoints_and_other_services_have_circuits_of_their_own(joined: Joined) -> None:
    failed(joined("/users", base_url="https://a.example/v1/"))
    assert not is_refused(joined("/orders", base_url="https://a.example/v1/"))
    assert not is_refused(joined("/users", base_url="https://b.example/v1"))
    assert is_refused(joined("/users", base_url="https://a.example/v1"))
    assert is_refused(joined("https://a.example/v1/users", base_url=None)), "it is the same"


def test_failures_are_counted_by_each_process_for_itself(joined: Joined) -> None:
    first, second = joined(), joined()
    failed(first, 1)
    failed(second, 1)
    assert (is_refused(first), is_refused(second)) == (False, False)


def test_what_opens_later_does_not_lengthen_it(joined: Joined, clock: FakeClock) -> None:
    first, second = joined(), joined(recovery_timeout=6000.0)
    permits = [second.admit() for _ in range(2)]
    failed(first)
    for permit in permits:
        second.settle(permit, Down())
    assert refusal(second).retry_after <= 60.0


def test_late_results_change_nothing(joined: Joined, clock: FakeClock) -> None:
    first, second = joined(), joined()
    late = second.admit()
    failed(first)
    clock.tick(0.5)
    assert is_refused(second)
    second.settle(late, None)
    assert (is_refused(second), second.state) == (True, "open")


def test_it_is_opened_and_closed_by_hand_for_all(joined: Joined, clock: FakeClock) -> None:
    first, second = joined(), joined()
    first.open()
    assert is_refused(first)
    assert is_refused(second)
    second.close()
    clock.tick(0.5)
    assert (is_refused(first), is_refused(second)) == (False, False)
    assert (first.state, second.state) == ("closed", "closed")


def test_what_one_process_isolates_stays_so_whatever_the_others_do(
    joined: Joined, clock: FakeClock
) -> None:
    first, second = joined(), joined()
    first.isolate()
    assert is_refused(first)
    assert not is_refused(second), "of one process"
    failed(second)
    clock.tick(0.5)
    second.close()
    clock.tick(0.5)
    assert first.isolated
    assert is_refused(first)


def test_who_only_measures_is_told_as_well_and_refuses_nothing(
    joined: Joined, clock: FakeClock
) -> None:
    first, second = joined(), joined(terms=CircuitTerms(metrics_only=True))
    failed(first)
    clock.tick(0.5)
    assert not is_refused(second)
    assert (second.state, second.rejected_count) == ("open", 1)


# -- half-open -------------------------------------------------------------------------------------


def test_trials_are_limited_over_all_processes(joined: Joined, clock: FakeClock) -> None:
    breakers = half_opened(joined, clock, 4, half_open_max_calls=3)
    barrier, outcomes = threading.Barrier(8), []

    def ask(breaker: CircuitBreaker) -> None:
        barrier.wait(PATIENCE)
        try:
            outcomes.append(breaker.admit())
        except CircuitOpenError as refused:
            outcomes.append(refused)

    threads = [threading.Thread(target=ask, args=(one,)) for one in breakers * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    refused = [one for one in outcomes if isinstance(one, CircuitOpenError)]
    assert (len(outcomes), len(refused)) == (8, 5)
    assert all(one.endpoint == "/users" and one.retry_after > 1 for one in refused)


def test_good_trials_of_different_processes_close_it_for_all(
    joined: Joined, clock: FakeClock
) -> None:
    breakers = half_opened(joined, clock, 4, half_open_max_calls=3)
    trials = [(breaker, breaker.admit()) for breaker in breakers[:3]]
    assert "no more calls are let through" in str(refusal(breakers[3]))
    for breaker, trial in trials:
        assert breaker.state == "half_open"
        breaker.settle(trial, None)
    assert breakers[2].state == "closed", "it has made the last one"
    clock.tick(0.5)
    assert [is_refused(breaker) for breaker in breakers] == [False] * 4
    assert [breaker.state for breaker in breakers] == ["closed"] * 4


def test_one_bad_trial_opens_it_for_all(joined: Joined, clock: FakeClock) -> None:
    breakers = half_opened(joined, clock, 3, half_open_max_calls=3)
    good, bad, late = [(breaker, breaker.admit()) for breaker in breakers]
    good[0].settle(good[1], None)
    bad[0].reset_timeout = 60.0
    bad[0].settle(bad[1], Down())
    clock.tick(0.5)
    assert [is_refused(breaker) for breaker in breakers] == [True] * 3
    late[0].settle(late[1], None)
    clock.tick(0.5)
    assert [is_refused(breaker) for breaker in breakers] == [True] * 3


def test_a_forgiven_trial_is_made_by_somebody_else(joined: Joined, clock: FakeClock) -> None:
    first, second = half_opened(joined, clock, 2, half_open_max_calls=1)
    trial = first.admit()
    assert is_refused(second)
    first.forgive(trial)
    second.settle(second.admit(), None)
    assert second.state == "closed"


def test_the_trial_of_a_process_that_was_killed_lapses(joined: Joined, clock: FakeClock) -> None:
    dead, second = half_opened(joined, clock, 2, half_open_max_calls=1, probe_lease=0.2)
    dead.admit()
    assert refusal(second).retry_after <= 0.2
    wait_until(lambda: not is_refused(second), timeout=PATIENCE)


def test_a_trial_that_has_lapsed_here_has_lapsed_there(joined: Joined, clock: FakeClock) -> None:
    (only,) = half_opened(joined, clock, 1, half_open_max_calls=1, probe_lease=0.2)
    slow = only.admit()
    time.sleep(0.25)
    clock.tick(0.25)
    trial = only.admit()
    only.settle(slow, Down())
    only.settle(trial, None)
    assert only.state == "closed"


def test_excluded_errors_give_a_trial_back(joined: Joined, clock: FakeClock) -> None:
    first, second = half_opened(joined, clock, 2, half_open_max_calls=1, exclude=[KeyError])
    first.settle(first.admit(), KeyError())
    assert not is_refused(second)


# -- the server ------------------------------------------------------------------------------------


def test_without_the_server_each_goes_on_and_with_it_they_share_again(
    tmp_path: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "browseros_api")
    with started(tmp_path) as server:
        boards = [RedisBoard(server.url, namespace="x", timeout=10.0) for _ in range(2)]
        settings = {"failure_threshold": 2, "recovery_timeout": 60.0, "clock": clock}
        first, second = (
            Peers(board, base_url=None, clock=clock).joined(CircuitBreaker(**settings))
            for board in boards
        )
        assert not is_refused(first)
        server.kill()
        clock.tick(1.0)
        failed(first)
        assert is_refused(first), "by itself"
        assert not is_refused(second)
        clock.tick(60.0)
        for _ in range(3):
            first.settle(first.admit(), None)
        assert first.state == "closed"
        told = [one for one in caplog.records if "circuits are not shared" in one.message]
        assert len(told) == 2, "once for each"
        server.start()
        clock.tick(60.0)
        failed(first)
        assert is_refused(first)
        assert is_refused(second)
        for board in boards:
            board.close()


def test_a_server_that_hangs_costs_its_timeout_once_in_a_while(
    tmp_path: Path, clock: FakeClock
) -> None:
    with started(tmp_path) as server:
        board = RedisBoard(server.url, namespace="x", timeout=0.05)
        peers = Peers(board, base_url=None, clock=clock)
        asked = []
        board.read = lambda: asked.append(clock()) or type(board).read(board)  # type: ignore
        breaker = peers.joined(CircuitBreaker(clock=clock))
        server.pause()
        for _ in range(200):
            assert not is_refused(breaker)
            clock.tick(0.5)
        server.resume()
        board.close()
        assert len(asked) <= 10, "after 0.5, 1, 2, 4, 8, 16, 30, 30 seconds"


def test_what_is_broken_on_the_server_is_dropped(
    joined: Joined, redis_server: RedisServer, namespace: str, clock: FakeClock
) -> None:
    breaker, key = joined(), f"{namespace}:circuits"
    for broken in ("", "{", "[]", "7", '{"gone": 1}', "null"):
        redis_server.ask("HSET", key, f"broken {broken}", broken)
    assert not is_refused(breaker)
    assert redis_server.ask("HKEYS", key) == []
    failed(breaker)
    (name,) = redis_server.ask("HKEYS", key)
    assert b"users" not in name
    assert 60_000 < redis_server.ask("PTTL", key) < 700_000
    redis_server.ask("HSET", key, name, "{")
    clock.tick(0.5)
    assert not is_refused(breaker), "nobody says so any more"


def test_a_child_goes_on_with_a_connection_of_its_own(joined: Joined, clock: FakeClock) -> None:
    breaker = joined()
    assert not is_refused(breaker)

    def child() -> None:
        breaker.peers.reset_after_fork()  # type: ignore[attr-defined]
        failed(breaker)

    if hasattr(os, "fork"):
        assert_fine(in_child(child))
        clock.tick(0.5)
        assert is_refused(breaker)


# -- sessions --------------------------------------------------------------------------------------


class Particular(CircuitBreaker):
    """A class of a user's own."""


def test_a_breaker_stays_what_it_is(joined: Joined) -> None:
    template = Particular(7, 8.0, 9, name="x")
    shared = joined(breaker=template)
    assert isinstance(shared, Particular)
    assert repr(shared) == "<Particular '/users': closed, 0 of 7 failures>"
    assert not hasattr(template, "peers")


def test_sessions_share_circuits_where_they_share_answers(
    redis_server: RedisServer, namespace: str, api_server: ApiServer
) -> None:
    api_server.route("/x", Reply(503))
    url, clock = api_server.url("/x"), FakeClock()
    store = f"{redis_server.url}?namespace={namespace}"
    options: dict[str, Any] = {"max_retries": 0, "store_timeout": 10.0, "clock": clock}
    with (
        Session(store=store, **options) as first,
        Session(store=store, **options) as second,
        Session(**options) as alone,
    ):
        for _ in range(5):
            assert first.get(url).status_code == 503
        with pytest.raises(CircuitOpenError):
            second.get(url)
        assert alone.get(url).status_code == 503
    assert api_server.hits("/x") == 6


def test_hosts_that_cannot_be_reached_are_shared_as_well(
    redis_server: RedisServer, namespace: str
) -> None:
    clock = FakeClock()
    options: dict[str, Any] = {
        "store": f"{redis_server.url}?namespace={namespace}", "store_timeout": 10.0,
        "max_retries": 0, "clock": clock, "circuit": CircuitTerms(host_failures=2),
    }  # fmt: skip
    with Session(**options) as first, Session(**options) as second:
        for path in "ab":
            with pytest.raises(requests.ConnectionError):
                first.get(f"http://127.0.0.1:1/{path}")
        with pytest.raises(CircuitOpenError) as caught:
            second.get("http://127.0.0.1:1/c")
    assert caught.value.endpoint == "http://127.0.0.1:1/*"
