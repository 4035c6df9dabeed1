"""Laws of the shelter: a shelf that fails costs nothing but what is on it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from browseros_api.deadlines import Deadline, left
from browseros_api.stores.shelf import Label, Turn
from browseros_api.stores.sheltered import Sheltered
from browseros_api.testing import FakeClock

KEYS = ("a", "b", "c")


class Shelf:
    """One of a dictionary, which fails when told to, before or after it has done its work."""

    kind, place = "shelf", "shelf://***@host"

    def __init__(self) -> None:
        self.held: dict[str, tuple[str, bytes]] = {}  # key to resource and record
        self.error: BaseException | None = None
        self.asked: list[str] = []
        self.hindered: Callable[[], object] = lambda: None

    def _ask(self, name: str) -> None:
        self.asked.append(name)
        self.hindered()
        if self.error is not None:
            raise self.error

    def read(self, key: str, *, is_use: bool) -> list[tuple[str, bytes]]:
        self._ask("read")
        return [("v", self.held[key][1])] if key in self.held else []

    def write(self, label: Label, record: bytes) -> bool:
        self._ask("write")
        self.held[label.key] = (label.resource, record)
        return True

    def drop(self, key: str, variant: str | None = None) -> bool:
        self._ask("drop")
        return self.held.pop(key, None) is not None

    def forget(self, resource: str) -> int:
        self._ask("forget")
        keys = [key for key, (one, _) in self.held.items() if one == resource]
        for key in keys:
            del self.held[key]
        return len(keys)

    def lease(self, key: str, holder: str, *, seconds: float) -> Turn:
        self._ask("lease")
        return Turn.LEAD

    def release(self, key: str, holder: str, *, is_kept: bool) -> bool:
        self._ask("release")
        return True

    def clear(self) -> None:
        self._ask("clear")
        self.held.clear()

    def expire(self) -> int:
        self._ask("expire")
        return 0

    def keys(self) -> Iterator[str]:
        self._ask("keys")
        yield from self.held

    def measure(self) -> tuple[int, int]:
        self._ask("measure")
        return len(self.held), 1

    def figures(self) -> dict[str, Any]:
        return {}

    def close(self) -> None:
        self._ask("close")

    def reset_after_fork(self) -> None:
        self.asked.append("reset")


def label(key: str, resource: str = "r") -> Label:
    return Label(key, "v", resource, 0.0, 1e10)


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def sheltered(shelf: Shelf, clock: FakeClock) -> Sheltered:
    return Sheltered(shelf, clock=clock)


def read(sheltered: Sheltered, key: str = "a") -> list[bytes]:
    return [record for _, record in sheltered.read(key, is_use=True)]


ASKED: dict[str, tuple[Callable[[Sheltered], Any], Any]] = {
    "read": (lambda s: s.read("a", is_use=True), []),
    "write": (lambda s: s.write(label("a"), b""), False),
    "drop": (lambda s: s.drop("a"), False),
    "drop a variant": (lambda s: s.drop("a", "v"), False),
    "forget": (lambda s: s.forget("r"), 0),
    "lease": (lambda s: s.lease("a", "x", seconds=1.0), Turn.GO),
    "release": (lambda s: s.release("a", "x", is_kept=True), False),
    "clear": (lambda s: s.clear(), None),
    "expire": (lambda s: s.expire(), 0),
    "keys": (lambda s: list(s.keys()), []),
    "measure": (lambda s: s.measure(), (0, 0)),
}


@pytest.mark.parametrize("name", ASKED)
@pytest.mark.parametrize("error", [OSError("gone"), ValueError("odd"), RuntimeError()])
def test_a_failure_never_reaches_the_caller(
    sheltered: Sheltered, shelf: Shelf, name: str, error: Exception
) -> None:
    shelf.error = error
    ask, nothing = ASKED[name]
    assert ask(sheltered) == nothing
    assert sheltered.figures() == {"store_state": "down", "store_errors": 1}
    assert ask(sheltered) == nothing  # and now the shelf is not even asked
    assert len(shelf.asked) == 1


@pytest.mark.parametrize("name", ASKED)
def test_what_does_not_fail_goes_through(sheltered: Sheltered, shelf: Shelf, name: str) -> None:
    ask, _ = ASKED[name]
    ask(sheltered)
    assert shelf.asked == [name.split(maxsplit=1)[0]]
    assert sheltered.figures() == {"store_state": "up", "store_errors": 0}


def test_closing_is_done_as_well_as_it_can_be(sheltered: Sheltered, shelf: Shelf) -> None:
    shelf.error = OSError()
    sheltered.close()
    assert sheltered.figures()["store_state"] == "up"


def test_an_interrupt_is_no_failure_of_the_shelf(sheltered: Sheltered, shelf: Shelf) -> None:
    shelf.error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        read(sheltered)
    assert sheltered.figures() == {"store_state": "up", "store_errors": 0}


# -- the pause -------------------------------------------------------------------------------------


def test_it_is_tried_again_after_a_pause_that_doubles_up_to_a_bound(
    sheltered: Sheltered, shelf: Shelf, clock: FakeClock
) -> None:
    shelf.error = OSError()
    read(sheltered)
    for pause in (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0):
        shelf.asked.clear()
        clock.tick(pause - 0.25)
        read(sheltered)
        assert shelf.asked == []
        clock.tick(0.25)
        read(sheltered)
        assert shelf.asked == ["read"]
    shelf.error = None
    clock.tick(30.0)
    sheltered.write(label("a"), b"1")
    assert read(sheltered) == [b"1"]
    assert sheltered.figures() == {"store_state": "up", "store_errors": 9}


def test_an_outage_is_one_warning_without_a_password(
    sheltered: Sheltered, shelf: Shelf, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "browseros_api")
    shelf.error = OSError("gone")
    for _ in range(10):
        read(sheltered)
        clock.tick(20.0)
    (warning,) = [one for one in caplog.records if one.levelno == logging.WARNING]
    assert "shelf://***@host" in warning.getMessage()
    assert "OSError: gone" in warning.getMessage()
    shelf.error = None
    clock.tick(30.0)
    read(sheltered)
    assert "is back" in caplog.records[-1].getMessage()
    clock.tick(61.0)
    shelf.error = OSError("again")
    read(sheltered)
    assert sum(one.levelno == logging.WARNING for one in caplog.records) == 2


def test_what_fails_soon_after_it_came_back_is_the_same_outage(
    sheltered: Sheltered, shelf: Shelf, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """A disk that is full can be read: it seems to be back each time."""
    for turn in range(4):
        shelf.error = OSError("full")
        sheltered.write(label("a"), b"")
        shelf.error = None
        shelf.asked.clear()
        clock.tick(0.5 * 2**turn - 0.25)
        read(sheltered)
        assert shelf.asked == []
        clock.tick(0.25)
        read(sheltered)
        assert shelf.asked == ["read", "read"]
    assert len(caplog.records) == 1


# -- what is owed ----------------------------------------------------------------------------------


def test_what_was_to_be_forgotten_is_forgotten_before_anything_is_read(
    sheltered: Sheltered, shelf: Shelf, clock: FakeClock
) -> None:
    for key in KEYS:
        sheltered.write(label(key, resource=f"r{key}"), b"1")
    shelf.error = OSError()
    sheltered.forget("ra")  # this one finds out
    sheltered.drop("b")  # this one does not even ask
    assert len(shelf.held) == 3
    shelf.error = None
    clock.tick(0.5)
    assert [read(sheltered, key) for key in KEYS] == [[], [], [b"1"]]


def test_what_fails_again_is_still_owed(
    sheltered: Sheltered, shelf: Shelf, clock: FakeClock
) -> None:
    sheltered.write(label("a"), b"1")
    shelf.error = OSError()
    sheltered.forget("r")
    shelf.hindered = lambda: setattr(shelf, "error", OSError() if "forget" in shelf.asked else None)
    shelf.asked.clear()
    clock.tick(0.5)
    assert read(sheltered) == []  # the look went well, and forgetting did not
    assert shelf.asked == ["read", "forget"]
    shelf.error, shelf.hindered = None, lambda: None
    clock.tick(1.0)
    assert read(sheltered) == []
    assert shelf.held == {}


def test_who_owes_too_much_owes_everything(
    sheltered: Sheltered, shelf: Shelf, clock: FakeClock
) -> None:
    for key in KEYS:
        sheltered.write(label(key), b"1")
    shelf.error = OSError()
    for number in range(2000):
        sheltered.forget(f"other{number}")
    shelf.error = None
    shelf.asked.clear()
    clock.tick(0.5)
    assert read(sheltered) == []
    assert shelf.held == {}
    assert len(shelf.asked) < 1100


def test_an_interrupt_while_it_is_tried_leaves_it_to_others(
    sheltered: Sheltered, shelf: Shelf, clock: FakeClock
) -> None:
    shelf.error = OSError()
    read(sheltered)
    clock.tick(0.5)
    shelf.error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        read(sheltered)
    shelf.error = None
    assert read(sheltered) == []
    clock.tick(1.0)
    sheltered.write(label("a"), b"1")
    assert read(sheltered) == [b"1"]


def test_one_thread_tries_and_the_others_go_on_without(
    sheltered: Sheltered, shelf: Shelf, clock: FakeClock
) -> None:
    shelf.error = OSError()
    read(sheltered)
    shelf.error = None
    clock.tick(0.5)
    shelf.asked.clear()
    is_tried, may_end = threading.Event(), threading.Event()

    def hindered() -> None:
        is_tried.set()
        assert may_end.wait(30)

    shelf.hindered = hindered
    trier = threading.Thread(target=read, args=(sheltered,))
    trier.start()
    assert is_tried.wait(30)
    assert read(sheltered) == []  # at once, though the trier is still at it
    sheltered.forget("r")  # owed, though the trier has begun
    assert shelf.asked == ["read"]
    may_end.set()
    trier.join()
    assert shelf.asked == ["read", "forget", "read"]
    assert sheltered.figures()["store_state"] == "up"


def test_a_child_begins_afresh(sheltered: Sheltered, shelf: Shelf) -> None:
    shelf.error = OSError()
    sheltered.forget("r")
    sheltered.reset_after_fork()
    shelf.error = None
    assert sheltered.figures()["store_state"] == "up"
    read(sheltered)
    assert shelf.asked == ["forget", "reset", "read"]


class Outages(RuleBasedStateMachine):
    """Whatever fails when: nothing is read that was to be forgotten."""

    def __init__(self) -> None:
        super().__init__()
        self.shelf, self.clock = Shelf(), FakeClock()
        self.sheltered = Sheltered(self.shelf, clock=self.clock)
        self.allowed: dict[str, set[bytes]] = {key: set() for key in KEYS}
        self.number = 0

    @rule(key=st.sampled_from(KEYS))
    def write(self, key: str) -> None:
        self.number += 1
        record = b"%d" % self.number
        if self.sheltered.write(label(key, resource=key), record):
            self.allowed[key] = {record}

    @rule(key=st.sampled_from(KEYS))
    def forget(self, key: str) -> None:
        self.sheltered.forget(key)
        self.allowed[key] = set()

    @rule(key=st.sampled_from(KEYS))
    def drop(self, key: str) -> None:
        self.sheltered.drop(key)
        self.allowed[key] = set()

    @rule()
    def clear(self) -> None:
        self.sheltered.clear()
        self.allowed = {key: set() for key in KEYS}

    @rule(is_down=st.booleans())
    def break_or_mend(self, is_down: bool) -> None:
        self.shelf.error = OSError() if is_down else None

    @rule(seconds=st.sampled_from([0.25, 1.0, 40.0, 100.0]))
    def wait(self, seconds: float) -> None:
        self.clock.tick(seconds)

    @invariant()
    def nothing_is_read_that_was_forgotten(self) -> None:
        for key in KEYS:
            assert {*read(self.sheltered, key)} <= self.allowed[key]


TestOutages = Outages.TestCase


# -- deadlines -------------------------------------------------------------------------------------


def test_nobody_waits_for_it_whose_time_is_over(
    sheltered: Sheltered, shelf: Shelf, clock: FakeClock
) -> None:
    with Deadline(1.0, clock=clock):
        assert sheltered.read("a", is_use=True) == []
        clock.tick(1.0)
        assert sheltered.read("a", is_use=True) == []
        assert sheltered.lease("a", "me", seconds=5.0) is Turn.GO
    assert shelf.asked == ["read"]


def test_what_must_be_forgotten_is_forgotten_however_late(
    sheltered: Sheltered, shelf: Shelf, clock: FakeClock
) -> None:
    left_there: list[float | None] = []
    shelf.hindered = lambda: left_there.append(left())
    with Deadline(1.0, clock=clock):
        clock.tick(1.0)
        sheltered.forget("r")
        sheltered.drop("a")
        assert left() == 0
    assert shelf.asked == ["forget", "drop"]
    assert left_there == [None, None], "nor is it hurried"


@pytest.mark.parametrize(("seconds", "state"), [(0.05, "up"), (1.0, "down")])
def test_whoever_leaves_it_no_time_does_not_say_that_it_is_slow(
    sheltered: Sheltered, shelf: Shelf, clock: FakeClock, seconds: float, state: str
) -> None:
    shelf.error = TimeoutError()
    with Deadline(seconds, clock=clock):
        assert sheltered.read("a", is_use=True) == []
    assert sheltered.figures()["store_state"] == state
