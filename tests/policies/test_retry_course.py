"""Laws of the course of a call: connections, interruptions, threads, news and counts."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import requests

from browseros_api.errors import ClientClosed
from tests.policies.test_retry import Rig, answer, exchange_of


def test_discarded_answers_are_closed_before_the_delay() -> None:
    """R19"""
    bad, closed = [answer(503), answer(429), answer(500)], []
    rig = Rig(*bad, answer(200), sleep=lambda s: closed.append([b.raw.closed for b in bad]))
    rig.ask()
    assert closed == [[True, False, False], [True, True, False], [True, True, True]]


def test_an_answer_without_a_socket_can_be_discarded_too() -> None:
    """R19"""
    bad = requests.Response()
    bad.status_code = 503
    assert Rig(bad, answer(200)).ask().status_code == 200


@pytest.mark.parametrize("status", [200, 404, 503])
def test_the_answer_handed_out_is_neither_read_nor_closed(status: int) -> None:
    """R20"""
    last = answer(status, body=b"unread")
    assert Rig(answer(503), last, max_retries=1).ask() is last
    assert not last.raw.closed
    assert last.raw.read() == b"unread"


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_interrupted_attempt_is_the_last(stop: type[BaseException]) -> None:
    """R22"""
    for before in ([], [answer(503)]):
        rig = Rig(*before, stop())
        with pytest.raises(stop):
            rig.ask()
        assert rig.calls == len(before) + 1


@pytest.mark.parametrize("stop", [ClientClosed("closed"), KeyboardInterrupt()], ids=repr)
@pytest.mark.parametrize("outcome", [answer(503), requests.ConnectionError("reset")], ids=repr)
def test_an_interrupted_delay_means_no_further_attempt(stop: BaseException, outcome: Any) -> None:
    """R22"""

    def sleep(seconds: float) -> None:
        raise stop

    rig = Rig(outcome, sleep=sleep)
    with pytest.raises(type(stop)) as caught:
        rig.ask()
    assert caught.value is stop
    assert (rig.calls, rig.retry.retries) == (1, 0)


def test_each_exchange_has_all_retries_and_begins_with_the_shortest_delay() -> None:
    """R23"""
    rig = Rig(*[answer(503) for _ in range(6)], max_retries=2)
    hops = [exchange_of(), exchange_of()]
    for hop in hops:
        rig.ask(hop)
    assert rig.clock.slept == [1.0, 2.0, 1.0, 2.0]
    assert [hop.attempt for hop in hops] == [3, 3]


def test_threads_do_not_share_what_belongs_to_a_call() -> None:
    """R24"""
    count = 8
    barrier, slept = threading.Barrier(count, timeout=10), threading.local()
    seen: dict[int, list[float]] = {}

    def sleep(seconds: float) -> None:
        slept.delays.append(seconds)
        barrier.wait()  # every thread is between the same two attempts

    rig = Rig(sleep=sleep, max_retries=3)

    def run(number: int) -> None:
        slept.delays = []
        exchange = exchange_of()
        rig.retry.attempt(exchange, lambda hop: answer(503))
        seen[number] = [exchange.attempt, *slept.delays]

    threads = [threading.Thread(target=run, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert seen == {number: [4, 1.0, 2.0, 4.0] for number in range(count)}
    assert rig.retry.retries == 3 * count


def test_each_delay_is_announced_with_attempt_delay_and_outcome() -> None:
    """R25"""
    told: list[Any] = []
    bad, error = answer(503), requests.ReadTimeout("silence")

    def on_retry(attempt: int, delay: float, outcome: Any) -> None:
        readable = isinstance(outcome, requests.Response) and not outcome.raw.closed
        told.append((attempt, delay, outcome, readable))

    rig = Rig(bad, error, answer(200), on_retry=on_retry, sleep=told.append)
    rig.ask()
    assert told == [(1, 1.0, bad, True), 1.0, (2, 2.0, error, False), 2.0]


def test_what_the_announcement_raises_comes_out_and_nothing_leaks() -> None:
    """R25"""
    bad = answer(503)

    def on_retry(attempt: int, delay: float, outcome: Any) -> None:
        raise KeyError("a bug in the callback")

    rig = Rig(bad, on_retry=on_retry)
    with pytest.raises(KeyError, match="a bug in the callback"):
        rig.ask()
    assert (rig.calls, rig.clock.slept) == (1, [])
    assert bad.raw.closed


def test_the_announcement_may_use_the_session_itself() -> None:
    """R24, R25"""
    within: list[requests.Response] = []

    def on_retry(attempt: int, delay: float, outcome: Any) -> None:
        if not within:
            within.append(answer(201))
            rig.outcomes[:0] = [answer(500), within[0]]  # what the call within the call will get
            assert rig.ask() is within[0]

    rig = Rig(answer(503), answer(503), answer(200), max_retries=2, on_retry=on_retry)
    assert rig.ask().status_code == 200
    assert rig.clock.slept == [1.0, 1.0, 2.0]
    assert (rig.calls, rig.retry.retries, rig.retry.rescued) == (5, 3, 2)


@pytest.mark.parametrize("status", [200, 302, 404])
def test_success_after_a_retry_is_counted_apart(status: int) -> None:
    """R26"""
    rig = Rig(answer(200), answer(503), answer(503), answer(status))
    rig.ask()
    assert (rig.retry.retries, rig.retry.rescued) == (0, 0)
    rig.ask()
    assert (rig.retry.retries, rig.retry.rescued) == (2, 1)
    assert repr(rig.retry) == "<Retry [up to 3, after 1 to 32 s | 2 made, 1 rescued]>"


@pytest.mark.parametrize("last", [answer(503), requests.ReadTimeout("silence")], ids=repr)
def test_failure_after_all_retries_rescues_nobody(last: Any) -> None:
    """R26"""
    rig = Rig(answer(503), last, max_retries=1)
    assert rig.end() is last
    assert (rig.retry.retries, rig.retry.rescued) == (1, 0)
