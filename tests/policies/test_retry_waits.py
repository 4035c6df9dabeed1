"""Laws of the waits between attempts: their lengths, and who has a say in them."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from browseros_api.pipeline import Exchange
from tests.policies.test_retry import Rig, answer, exchange_of


def test_delays_double_up_to_the_cap() -> None:
    """R8"""
    rig = Rig(*[answer(503) for _ in range(8)], max_retries=7, retry_max_delay=20.0)
    rig.ask()
    assert rig.clock.slept == [1.0, 2.0, 4.0, 8.0, 16.0, 20.0, 20.0]


def test_two_clients_do_not_wait_in_step() -> None:
    """R10"""
    chances = iter([0.0, 1.0, 0.5])
    rig = Rig(*[answer(503) for _ in range(4)], random=lambda: next(chances))
    rig.ask()
    assert rig.clock.slept == pytest.approx([0.9, 2.2, 4.0])


def test_full_jitter_is_chosen_by_a_setting() -> None:
    """R10"""
    rig = Rig(*[answer(503) for _ in range(4)], random=lambda: 0.25, jitter="full")
    rig.ask()
    assert rig.clock.slept == [0.25, 0.5, 1.0]


def test_nothing_is_slept_after_the_last_attempt() -> None:
    """R11"""
    order: list[str] = []
    rig = Rig(answer(503), answer(503), max_retries=1, sleep=lambda s: order.append("sleep"))

    def proceed(exchange: Exchange) -> requests.Response:
        order.append("attempt")
        return rig.proceed(exchange)

    rig.retry.attempt(exchange_of(), proceed)
    assert order == ["attempt", "sleep", "attempt"]


@pytest.mark.parametrize("status", [429, 503, 413])
@pytest.mark.parametrize(
    ("value", "seconds"),
    [("7", 7.0), ("0", 0.0), ("Tue, 14 Nov 2023 22:13:29 GMT", 9.0)],
    ids=["seconds", "no wait", "date"],
)
def test_the_wait_that_a_server_asks_for_is_waited(status: int, value: str, seconds: float) -> None:
    """R12"""
    good = answer(200)
    rig = Rig(answer(status, value), good)
    assert rig.ask() is good
    assert rig.clock.slept == [seconds]


@pytest.mark.parametrize("status", [500, 502, 504])
def test_other_answers_do_not_choose_the_wait(status: int) -> None:
    """R12"""
    rig = Rig(answer(status, "7"), answer(200))
    rig.ask()
    assert rig.clock.slept == [1.0]


@pytest.mark.parametrize("value", ["33", "31536000", "Fri, 01 Jan 2100 00:00:00 GMT", "9" * 999])
def test_a_wait_beyond_the_bound_ends_it_at_once(value: str) -> None:
    """R13"""
    bad = answer(503, value)
    rig = Rig(bad, retry_max_delay=32.0)
    assert rig.ask() is bad
    assert rig.clock.slept == []


def test_a_wait_just_within_the_bound_is_obeyed() -> None:
    """R13"""
    rig = Rig(answer(503, "32"), answer(200), retry_max_delay=32.0)
    assert rig.ask().status_code == 200
    assert rig.clock.slept == [32.0]


@pytest.mark.parametrize("value", ["soon", "-5", "", "1e3", "Sun, 99 Nov 1994 08:49:37 GMT"])
def test_junk_in_retry_after_is_ignored(value: str) -> None:
    """R13"""
    rig = Rig(answer(503, value), answer(200))
    rig.ask()
    assert rig.clock.slept == [1.0]


def test_a_date_in_the_past_means_no_wait() -> None:
    """R13"""
    rig = Rig(answer(503, "Sun, 06 Nov 1994 08:49:37 GMT"), answer(200))
    rig.ask()
    assert rig.clock.slept == [0.0]


@pytest.mark.parametrize("outcome", [answer(503), requests.ReadTimeout("silence")], ids=repr)
def test_a_delay_that_would_pass_the_deadline_is_not_slept(outcome: Any) -> None:
    """R27"""
    rig = Rig(answer(500), outcome, max_retries=9)
    exchange = exchange_of(deadline=rig.clock() + 3.0)  # after 1 s and before 1 + 2 s
    assert rig.end(exchange) is outcome
    assert (rig.calls, rig.clock.slept) == (2, [1.0])


def test_a_deadline_that_leaves_room_does_not_matter() -> None:
    """R27"""
    rig = Rig(answer(500), answer(500), answer(200))
    assert rig.ask(exchange_of(deadline=rig.clock() + 3.001)).status_code == 200


def test_a_wait_that_the_server_asks_for_is_bounded_by_the_deadline_too() -> None:
    """R27"""
    rig = Rig(answer(429, "5"))
    assert rig.ask(exchange_of(deadline=rig.clock() + 5)).status_code == 429
    assert rig.clock.slept == []


@pytest.mark.parametrize("name", ["max_retries", "retry_base_delay", "retry_max_delay"])
def test_negative_retries_and_delays_are_refused(name: str) -> None:
    """R28"""
    with pytest.raises(ValueError, match=name):
        Rig(**{name: -1})
