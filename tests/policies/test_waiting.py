"""Laws of lines: first come, first served, nobody is forgotten, and no wait that cannot end."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from functools import partial

import pytest

from browseros_api import ClientClosed
from browseros_api.policies.slots import Slots
from browseros_api.policies.waiting import Hall, Line, Perhaps, TooLong
from browseros_api.testing import FakeClock, wait_until
from tests.flying import Caller, Panic


def nothing() -> None:
    """What begins need not be told."""


def hall(clock: Callable[[], float] = time.monotonic) -> Hall:
    return Hall(clock=clock, sleep=None)


class Turnstile:
    """Lets as many go as it is told, in the order in which they ask."""

    def __init__(self, line: Line) -> None:
        self.line, self.free, self.gone = line, 0, list[str]()
        self.asked = list[str]()

    def enter(self, name: str) -> None:
        def ask(before: int) -> float:
            self.asked.append(name)
            if before or not self.free:
                return math.inf
            self.free -= 1
            self.gone.append(name)
            return 0.0

        self.line.enter(ask, until=None, begin=nothing)

    def let(self, many: int) -> None:
        self.free += many
        self.line.stir()


def queued(turnstile: Turnstile, names: str) -> list[Caller[None]]:
    """Callers with these names, who wait in this order."""
    callers = []
    for number, name in enumerate(names, 1):
        callers.append(Caller(turnstile.enter, name))
        wait_until(lambda number=number: len(turnstile.line) == number)  # type: ignore[misc]
    return callers


def test_who_comes_first_goes_first() -> None:
    turnstile = Turnstile(hall().line())
    callers = queued(turnstile, "abcdef")
    turnstile.let(2)
    wait_until(lambda: len(turnstile.line) == 4)
    turnstile.let(4)
    assert [caller.value for caller in callers] == [None] * 6
    assert turnstile.gone == list("abcdef")


def test_only_the_first_one_asks_while_the_others_wait() -> None:
    turnstile = Turnstile(hall().line())
    callers = queued(turnstile, "abcdefgh")
    turnstile.asked.clear()
    turnstile.let(1)
    wait_until(lambda: len(turnstile.line) == 7)
    wait_until(lambda: "b" in turnstile.asked)
    assert set(turnstile.asked) <= {"a", "b"}
    turnstile.let(7)
    assert [caller.value for caller in callers] == [None] * 8


def test_who_waits_is_not_passed_by_who_comes_later() -> None:
    turnstile = Turnstile(hall().line())
    callers = queued(turnstile, "a")
    turnstile.free += 1  # and nobody has been told yet
    callers += queued_behind(turnstile, "b")
    turnstile.let(1)
    assert [caller.value for caller in callers] == [None] * 2
    assert turnstile.gone == ["a", "b"]


def queued_behind(turnstile: Turnstile, name: str) -> list[Caller[None]]:
    caller = Caller(turnstile.enter, name)
    wait_until(lambda: len(turnstile.line) == 2)
    return [caller]


def test_a_wait_that_does_not_fit_is_refused_at_once(fake_clock: FakeClock) -> None:
    line = hall(fake_clock).line()
    with pytest.raises(TooLong) as caught:
        line.enter(lambda _: 5.0, until=fake_clock() + 4.9, begin=lambda: pytest.fail("it waits"))
    assert caught.value.seconds == 5.0
    assert len(line) == 0


def test_somebody_behind_others_is_refused_at_once_too(fake_clock: FakeClock) -> None:
    line = hall(fake_clock).line()
    first = Caller(lambda: line.enter(lambda _: math.inf, until=None, begin=nothing))
    wait_until(lambda: len(line) == 1)
    places: list[int] = []

    def ask(before: int) -> float:
        places.append(before)
        return 9.0

    with pytest.raises(TooLong):
        line.enter(ask, until=fake_clock() + 8.0, begin=nothing)
    assert (places, len(line)) == ([1], 1)
    line._hall.close()
    assert isinstance(first.error, ClientClosed)


def test_time_that_runs_out_ends_the_wait(fake_clock: FakeClock) -> None:
    line = hall().line()
    began = time.monotonic()
    with pytest.raises(TooLong) as caught:
        line.enter(lambda _: math.inf, until=began + 0.05, begin=nothing)
    assert caught.value.seconds == math.inf
    assert time.monotonic() >= began + 0.05


def test_nobody_is_refused_for_what_may_be_over_sooner(fake_clock: FakeClock) -> None:
    line = Hall(clock=fake_clock, sleep=fake_clock.sleep).line()
    waits: list[float] = [Perhaps(9.0)]
    caller = Caller(lambda: line.enter(lambda _: waits[0], until=fake_clock() + 5.0, begin=nothing))
    wait_until(lambda: len(line) == 1)
    waits[0] = 0.0
    line.stir()
    assert caller.value is None
    assert fake_clock.slept == []  # it could not have been woken
    with pytest.raises(TooLong) as caught:
        line.enter(lambda _: Perhaps(9.0), until=fake_clock(), begin=nothing)
    assert caught.value.seconds == math.inf


def test_closing_wakes_everybody() -> None:
    home = hall()
    turnstiles = [Turnstile(home.line()), Turnstile(home.line())]
    callers = [caller for one in turnstiles for caller in queued(one, "abc")]
    home.close()
    assert all(isinstance(caller.error, ClientClosed) for caller in callers)
    assert [len(one.line) for one in turnstiles] == [0, 0]
    with pytest.raises(ClientClosed):
        turnstiles[0].enter("late")


def test_what_interrupts_the_first_one_lets_the_next_one_ask() -> None:
    turnstile = Turnstile(hall().line())

    def panic(_: int) -> float:
        if not go.is_set():
            return math.inf
        raise Panic

    go = threading.Event()
    first = Caller(lambda: turnstile.line.enter(panic, until=None, begin=nothing))
    wait_until(lambda: len(turnstile.line) == 1)
    second = queued_behind(turnstile, "b")[0]
    turnstile.free = 1
    go.set()
    turnstile.line.stir()
    assert isinstance(first.error, Panic)
    assert second.value is None


def test_an_injected_sleep_is_what_waits_for_time(fake_clock: FakeClock) -> None:
    line = Hall(clock=fake_clock, sleep=fake_clock.sleep).line()
    due = fake_clock() + 7.0
    line.enter(lambda _: max(0.0, due - fake_clock()), until=None, begin=nothing)
    assert fake_clock.slept == [7.0]


def test_a_forked_child_begins_with_empty_lines() -> None:
    home = hall()
    line = home.line()
    caller = Caller(lambda: line.enter(lambda _: math.inf, until=None, begin=nothing))
    wait_until(lambda: len(line) == 1)
    kept, line._waiting = line._waiting, line._waiting.copy()
    home.reset_after_fork()
    assert len(line) == 0
    line._waiting = kept
    home.close()
    assert isinstance(caller.error, ClientClosed)


# -- slots ----------------------------------------------------------------------------------------


def test_holders_are_never_more_than_the_limit_and_all_come_back() -> None:
    slots, most = Slots(hall(), 3), list[int]()
    start = threading.Barrier(12)

    def work() -> None:
        start.wait(20)
        for _ in range(100):
            me = object()
            slots.line.enter(partial(slots.ask, me), until=None, begin=nothing)
            most.append(slots.in_use)
            time.sleep(0)  # lets another thread come in between, if there is one
            for _ in range(2):  # twice does no harm
                slots.holders.discard(me)
                slots.line.stir()

    callers = [Caller(work) for _ in range(12)]
    assert [caller.value for caller in callers] == [None] * 12
    assert (len(most), slots.in_use, slots.is_idle) == (1200, 0, True)
    assert max(most) <= 3


def test_so_many_as_the_limit_are_there_at_once() -> None:
    slots = Slots(hall(), 3)
    assert [slots.ask(who, 0) for who in "abcd"] == [0, 0, 0, math.inf]
    slots.holders.discard("b")
    assert slots.ask("d", 0) == 0


def test_whose_turn_it_is_not_gets_none() -> None:
    slots = Slots(hall(), 1)
    assert slots.ask("a", 1) == math.inf
    assert slots.in_use == 0


def test_who_left_without_a_word_is_found_out_all_the_same() -> None:
    slots = Slots(hall(), 1)
    slots.ask("a", 0)
    waits = threading.Event()
    caller = Caller(lambda: slots.line.enter(partial(slots.ask, "b"), until=None, begin=waits.set))
    assert waits.wait(20)
    slots.holders.discard("a")  # and was interrupted before it stirred anybody
    assert caller.value is None
    assert slots.holders == {"b"}


def test_a_limit_below_one_is_one() -> None:
    slots = Slots(hall(), 0.3)
    assert slots.ask("a", 0) == 0
    assert slots.ask("b", 0) == math.inf


def test_what_the_parent_held_is_not_missed_in_a_child() -> None:
    slots = Slots(hall(), 1)
    assert slots.ask("a", 0) == 0
    slots.reset_after_fork()
    assert slots.ask("b", 0) == 0
    slots.holders.discard("a")
    assert slots.holders == {"b"}
