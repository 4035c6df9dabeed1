"""Single flight under a storm: random keys, delays and faults, and laws that hold all the same."""

from __future__ import annotations

import contextlib
import itertools
import math
import random
import threading
import time
from collections.abc import Callable

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from browseros_api.errors import DeadlineExceeded, ReadTimeout
from browseros_api.journal import Journal
from browseros_api.pipeline import Call
from browseros_api.policies.flights import Flights
from tests.flying import URL, Caller, Panic, call_of, response

KEYS = "abcde"
THREADS, ROUNDS = 16, 120


class Boom(Exception):
    """A real failure."""


def own_flights() -> Flights:
    return Flights(clock=time.monotonic, journal=Journal(enabled=False))


class Storm:
    """Callers that ask at random, and a service that answers at random.

    Each answer and each failure tells its key and its number.
    """

    def __init__(self, seed: int) -> None:
        self.flights = own_flights()
        self.now = itertools.count()
        self.over: dict[str, int] = {}  # when the call was over for which this was made
        self.calls = self.executions = self.followed = 0
        self._lock = threading.Lock()
        self._seed = seed

    def caller(self, number: int) -> list[str]:
        chance = random.Random(f"{self._seed}-{number}")
        return [self._one(chance) for _ in range(ROUNDS)]

    def _one(self, chance: random.Random) -> str:
        key = chance.choice(KEYS)
        call = call_of(key, patience=chance.choice([None, None, 30.0, 0.002]))
        with self._lock:
            self.calls += 1
            began = next(self.now)
        if chance.random() < 0.05:
            self.flights.forget(URL)
        try:
            if chance.random() < 0.1:  # as the awaited client does, which may then not ask at all
                self.flights.board(call)
                if chance.random() < 0.3:
                    return "left"
            told = self.flights.join(call, self._service(chance)).content.decode()
        except (Boom, Panic, ReadTimeout, DeadlineExceeded) as error:
            told = str(error)
        finally:
            self.flights.leave(call)
            assert call.seat is None
        if "no answer within 0.002 s" in told:
            assert call.patience == 0.002
            return "gave up"
        assert told.startswith(key)
        with self._lock:
            assert self.over.get(told, math.inf) > began, "an answer from before the question"
            if not call.followed:
                self.over[told] = next(self.now)
            self.followed += call.followed
        return "told"

    def _service(self, chance: random.Random) -> Callable[[Call], requests.Response]:
        def ask(call: Call) -> requests.Response:
            with self._lock:
                self.executions += 1
            time.sleep(chance.choice([0, 0, 0.0002, 0.001, 0.003]))
            if chance.random() < 0.1:
                # Who asks alone may well lead or follow here, and fail for another key.
                with contextlib.suppress(Boom, Panic, requests.Timeout):
                    self.flights.join(call_of(chance.choice(KEYS)), self._plain)
            told = self._made_for(call)
            fault = chance.random()
            if fault < 0.1:
                raise Boom(told)
            if fault < 0.2:
                raise Panic(told)
            if fault < 0.25:
                raise DeadlineExceeded(told)
            if fault < 0.3:
                raise ReadTimeout(told)
            headers = {"Set-Cookie": "a=b"} if fault < 0.35 else {}
            return response(told.encode(), **headers)

        return ask

    def _plain(self, call: Call) -> requests.Response:
        return response(self._made_for(call).encode())

    def _made_for(self, call: Call) -> str:
        with self._lock:
            return f"{call.key} {next(self.now)}"


@pytest.mark.parametrize("seed", range(6))
def test_in_a_storm_every_call_ends_and_nobody_gets_anothers_or_an_old_answer(seed: int) -> None:
    storm = Storm(seed)
    callers = [Caller(storm.caller, number) for number in range(THREADS)]
    ends = [end for caller in callers for end in caller.value]
    assert len(ends) == storm.calls == THREADS * ROUNDS
    assert storm.executions <= storm.calls
    assert storm.followed > 0
    assert {"told", "gave up", "left"} <= set(ends)
    assert len(storm.flights) == 0


# -- every order of a few steps, without threads --------------------------------------------------

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["board", "leave", "land", "fail", "alone", "wake", "forget"]),
        st.integers(0, 4),
    ),
    max_size=40,
)


@settings(max_examples=300)
@given(STEPS)
def test_in_whatever_order_things_happen_somebody_asks_or_knows(
    steps: list[tuple[str, int]],
) -> None:
    """Of those who wait, each waits for a leader, or has been told, or can take over at once."""
    flights = own_flights()
    calls: dict[int, Call] = {}
    for step, number in steps:
        call = calls.get(number)
        if step == "forget":
            flights.forget(URL)
        elif step == "board" and call is None:
            flights.board(calls.setdefault(number, call_of()))
        elif call is not None:
            _take(flights, step, call)
            if call.seat is None:
                del calls[number]
        _check(calls)
    for call in calls.values():
        flights.leave(call)
    assert len(flights) == 0


def _take(flights: Flights, step: str, call: Call) -> None:
    seat = call.seat
    if step == "leave":
        flights.leave(call)
    elif seat.leads:
        outcomes = {"land": response(), "alone": response(Set_Cookie="a=b"), "fail": Panic()}
        if (outcome := outcomes.get(step)) is not None:
            _fly(flights, call, outcome)
    elif step == "wake" and seat.landing.done():
        told = seat.landing.result()
        if told.alone or flights.is_served(call, told):
            flights.leave(call)
        else:
            flights.board_again(call, told)


def _fly(flights: Flights, call: Call, outcome: requests.Response | Panic) -> None:
    def ask(_: Call) -> requests.Response:
        if isinstance(outcome, Panic):
            raise outcome
        return outcome

    with contextlib.suppress(Panic):
        flights.join(call, ask)


def _check(calls: dict[int, Call]) -> None:
    seats = [call.seat for call in calls.values()]
    for seat in seats:
        leaders = [one for one in seats if one.leads and one.flight is seat.flight]
        assert len(leaders) <= 1
        if not seat.leads and not seat.landing.done():
            flight = seat.flight
            assert leaders or flight.vacant
            assert flight.landing is seat.landing
            if flight.vacant:  # somebody has yet to notice that the leader is gone
                assert any(
                    one.landing.done() for one in seats if one.flight is flight and not one.leads
                )
