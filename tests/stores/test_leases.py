"""Laws of leases: one of all that share a store asks, and the others wait no longer than it may."""

from __future__ import annotations

import threading
from typing import Any, cast

import pytest

from browseros_api import Settings
from browseros_api.stores.entry import Store
from browseros_api.stores.opening import open_store
from browseros_api.stores.shelf import IN_VAIN, Turn
from browseros_api.testing import FakeClock, wait_until
from tests.stores.answers import entry, key
from tests.stores.conftest import KINDS, Opener

A, B = key("a"), key("b")
SHARED = [kind for kind in KINDS if kind != "memory"]

shared = pytest.mark.parametrize("place", SHARED, indirect=True)


def turn(store: Store, holder: str, name: str = A, *, seconds: float = 60.0) -> Turn:
    return store.lease(name, holder, seconds=seconds)


@pytest.mark.parametrize("place", ["memory"], indirect=True)
def test_in_memory_everybody_may_go(store: Store) -> None:
    assert [turn(store, holder) for holder in "xy"] == [Turn.GO, Turn.GO]
    assert store.release(A, "x", is_kept=True) is False


@shared
def test_one_leads_and_the_others_wait_until_it_has_asked(opened: Opener) -> None:
    first, second = opened(), opened()
    assert turn(first, "x") is Turn.LEAD
    assert [turn(second, "y"), turn(first, "z")] == [Turn.WAIT, Turn.WAIT]
    assert turn(second, "y", B) is Turn.LEAD
    assert turn(first, "x") is Turn.LEAD  # it may lead on
    assert first.release(A, "x", is_kept=True) is True
    assert turn(second, "y") is Turn.LEAD


@shared
def test_only_who_leads_can_end_it(store: Store) -> None:
    turn(store, "x")
    for is_kept in (True, False):
        assert store.release(A, "y", is_kept=is_kept) is False
        assert store.release(B, "x", is_kept=is_kept) is False
    assert turn(store, "y") is Turn.WAIT
    assert store.release(A, "x", is_kept=True) is True
    assert store.release(A, "x", is_kept=True) is False


@shared
def test_where_nothing_was_kept_nobody_waits_for_a_while(
    store: Store, clock: FakeClock, place: dict[str, str]
) -> None:
    turn(store, "x")
    assert store.release(A, "x", is_kept=False) is True
    assert [turn(store, holder) for holder in "xyz"] == [Turn.GO] * 3
    if place["store"].startswith("sqlite"):  # a server has a clock of its own
        clock.tick(IN_VAIN + 0.5)
        assert turn(store, "y") is Turn.LEAD


@shared
def test_who_leads_for_too_long_leads_no_more(store: Store, clock: FakeClock) -> None:
    assert turn(store, "killed", seconds=0.05) is Turn.LEAD
    clock.tick(0.1)
    wait_until(lambda: turn(store, "y") is Turn.LEAD, timeout=30)
    assert store.release(A, "killed", is_kept=False) is False
    assert turn(store, "z") is Turn.WAIT


@shared
def test_of_many_threads_one_leads(opened: Opener) -> None:
    stores = [opened() for _ in range(4)]
    for number in range(10):
        barrier = threading.Barrier(8)
        turns: list[Turn] = []

        def work(which: int, name: str) -> None:
            barrier.wait(30)  # noqa: B023
            turns.append(turn(stores[which % 4], str(which), name))  # noqa: B023

        threads = [threading.Thread(target=work, args=(n, key(str(number)))) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(turns, key=str) == [Turn.LEAD] + [Turn.WAIT] * 7


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
def test_who_has_waited_for_the_file_goes_by_the_time_at_which_its_turn_comes(
    opened: Opener, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = opened(), opened()
    shelf: Any = cast(Any, second)._shelf._shelf
    write = shelf._write

    def late(work: Any) -> Any:
        """Meanwhile somebody else has asked, and kept the answer."""
        clock.tick(1.0)
        assert turn(first, "x") is Turn.LEAD
        clock.tick(1.0)
        assert first.release(A, "x", is_kept=True)
        clock.tick(1.0)
        return write(work)

    monkeypatch.setattr(shelf, "_write", late)
    assert turn(second, "y") is Turn.LEAD  # and looks whether it is there, before it asks


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
def test_a_lease_that_ends_while_somebody_looks_was_not_in_vain(
    opened: Opener, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = opened(), opened()
    assert turn(first, "x") is Turn.LEAD
    shelf: Any = cast(Any, second)._shelf._shelf

    def read_before_it_ended() -> float:
        monkeypatch.undo()
        read = clock()
        clock.tick(1.0)
        assert first.release(A, "x", is_kept=True)
        return read

    monkeypatch.setattr(shelf, "_now", read_before_it_ended)
    assert turn(second, "y") is Turn.LEAD


@shared
def test_leases_are_no_answers(store: Store) -> None:
    turn(store, "x")
    assert (len(store), list(store), store.get(A)) == (0, [], ())
    store.put(A, entry())
    assert turn(store, "y") is Turn.WAIT


@pytest.mark.parametrize("place", ["redis://127.0.0.1:1", "sqlite:////proc/answers.db"])
def test_while_a_store_is_down_nobody_waits(place: str, clock: FakeClock) -> None:
    store = open_store(Settings(store=place, store_timeout=5.0), clock=clock)
    assert [turn(store, holder) for holder in "xy"] == [Turn.GO, Turn.GO]
    assert store.release(A, "x", is_kept=True) is False
