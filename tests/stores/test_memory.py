"""Laws of the store in memory: bounded, least recently used first, nothing past its time."""

from __future__ import annotations

import random
import sys
import threading
from collections import OrderedDict
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from browseros_api.stores.memory import Entry, MemoryStore
from browseros_api.testing import FakeClock


def entry(size: int = 1, *, expires: float = 2000.0, resource: str = "http://h/x") -> Entry:
    """Of a snapshot of which the store asks nothing but its size."""
    snapshot: Any = SimpleNamespace(size=size)
    return Entry(snapshot, expires, resource)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(1000.0)


@pytest.fixture
def store(clock: FakeClock) -> MemoryStore:
    return MemoryStore(max_entries=3, max_bytes=100, clock=clock)


def held(store: MemoryStore) -> set[str]:
    """Which of the keys a to f are there, without touching them."""
    with store._lock:
        return {key for key in "abcdef" if key in store._entries}


# -- what is kept and for how long -----------------------------------------------------------------


def test_what_was_put_is_there_and_what_was_not_is_not(store: MemoryStore) -> None:
    kept = entry()
    assert store.put("a", kept) is True
    assert store.get("a") is kept
    assert store.get("b") is None
    assert len(store) == 1


def test_an_entry_is_there_until_its_time_is_over_and_not_a_moment_longer(
    store: MemoryStore, clock: FakeClock
) -> None:
    store.put("a", entry(expires=1010.0))
    clock.tick(9.999)
    assert store.get("a") is not None
    clock.tick(0.001)
    assert store.get("a") is None
    assert (len(store), store.bytes) == (0, 0)


@pytest.mark.parametrize("expires", [1000.0, 999.0, float("-inf")])
def test_an_entry_whose_time_is_over_is_not_kept_and_ends_the_one_before(
    store: MemoryStore, expires: float
) -> None:
    store.put("a", entry())
    assert store.put("a", entry(expires=expires)) is False
    assert store.get("a") is None
    assert store._by_resource == {}


def test_expired_entries_are_let_go_of_when_asked(store: MemoryStore, clock: FakeClock) -> None:
    store.put("a", entry(expires=1010.0))
    store.put("b", entry(expires=1020.0))
    assert (store.expire(), store.soonest()) == (0, 1010.0)
    clock.tick(10)
    assert (store.expire(), store.soonest()) == (1, 1020.0)
    clock.tick(10)
    assert (store.expire(), store.soonest()) == (1, None)
    assert store._by_resource == {}


# -- bounds ----------------------------------------------------------------------------------------


def test_the_least_recently_used_goes_first(store: MemoryStore) -> None:
    for key in "abc":
        store.put(key, entry())
    store.get("a")
    store.put("b", entry())
    store.put("d", entry())
    assert held(store) == {"a", "b", "d"}
    store.put("e", entry())
    assert held(store) == {"b", "d", "e"}


def test_asking_for_what_is_not_there_makes_nothing_recent(store: MemoryStore) -> None:
    for key in "abc":
        store.put(key, entry())
    store.get("z")
    store.put("d", entry())
    assert held(store) == {"b", "c", "d"}


def test_the_number_of_entries_is_bounded(store: MemoryStore) -> None:
    for number in range(50):
        store.put(str(number), entry())
        assert len(store) <= 3


def test_the_bytes_are_bounded_and_as_many_go_as_have_to(store: MemoryStore) -> None:
    store.put("a", entry(40))
    store.put("b", entry(40))
    store.put("c", entry(60))
    assert held(store) == {"b", "c"}
    assert store.bytes == 100
    store.put("d", entry(99))
    assert held(store) == {"d"}


def test_what_is_larger_than_the_whole_store_is_not_kept_and_drives_nobody_out(
    store: MemoryStore,
) -> None:
    store.put("a", entry(40))
    store.put("b", entry(40))
    assert store.put("c", entry(101)) is False
    assert held(store) == {"a", "b"}
    assert store.put("a", entry(101)) is False
    assert held(store) == {"b"}, "what it was to replace is out of date"


def test_an_entry_as_large_as_the_store_fits(store: MemoryStore) -> None:
    assert store.put("a", entry(100)) is True
    assert store.put("a", entry(100)) is True
    assert (len(store), store.bytes) == (1, 100)


def test_an_expired_entry_drives_nobody_out(store: MemoryStore, clock: FakeClock) -> None:
    store.put("a", entry())
    store.put("b", entry(expires=1010.0))
    store.put("c", entry())
    clock.tick(10)
    store.put("d", entry())
    assert held(store) == {"a", "c", "d"}


# -- forgetting ------------------------------------------------------------------------------------


def test_a_resource_is_forgotten_with_all_its_queries_and_nothing_else(store: MemoryStore) -> None:
    store.put("a", entry(resource="http://h/x"))
    store.put("b", entry(resource="http://h/x"))
    store.put("c", entry(resource="http://h/xy"))
    assert store.forget("http://h/x") == 2
    assert held(store) == {"c"}
    assert store.forget("http://h/x") == 0
    assert set(store._by_resource) == {"http://h/xy"}


def test_what_has_expired_is_not_forgotten_twice(store: MemoryStore, clock: FakeClock) -> None:
    store.put("a", entry(expires=1010.0))
    clock.tick(10)
    assert store.forget("http://h/x") == 0
    assert store.delete("a") is False
    assert store._by_resource == {}


def test_one_entry_is_deleted(store: MemoryStore) -> None:
    store.put("a", entry())
    assert store.delete("a") is True
    assert store.delete("a") is False
    assert (held(store), store.bytes, store._by_resource) == (set(), 0, {})


def test_clearing_leaves_nothing(store: MemoryStore) -> None:
    for key in "abc":
        store.put(key, entry(30))
    store.clear()
    assert (len(store), store.bytes, store._by_resource) == (0, 0, {})
    assert store.put("a", entry(100))


def test_a_key_that_moves_to_another_resource_is_in_one_place_only(store: MemoryStore) -> None:
    store.put("a", entry(resource="http://h/x"))
    store.put("a", entry(resource="http://h/y"))
    assert set(store._by_resource) == {"http://h/y"}
    assert store.forget("http://h/x") == 0
    assert store.get("a") is not None


def test_time_that_passes_within_a_deletion_leaves_nothing_behind() -> None:
    """An entry that expires between being looked for and being taken out is still written off."""
    ticking = FakeClock(1000.0)

    def clock() -> float:
        ticking.tick(0.5)
        return ticking()

    for lifetime in range(1, 12):
        store = MemoryStore(max_entries=9, max_bytes=100, clock=clock)
        store.put("a", entry(expires=ticking() + lifetime / 2))
        store.delete("a")
        assert store._by_resource == {}, lifetime
        assert len(store) == 0


# -- all of it, against a model -------------------------------------------------------------------


class Model(RuleBasedStateMachine):
    """The same, in the simplest words."""

    keys = st.sampled_from("abcdef")
    resources = st.sampled_from(["http://h/1", "http://h/2", "http://h/3"])

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock(0.0)
        self.store = MemoryStore(max_entries=4, max_bytes=100, clock=self.clock)
        self.model: OrderedDict[str, Entry] = OrderedDict()

    def expire(self) -> None:
        now = self.clock()
        for key in [key for key, one in self.model.items() if one.expires <= now]:
            del self.model[key]

    @rule(key=keys, size=st.integers(0, 110), ttl=st.integers(-1, 9), resource=resources)
    def put(self, key: str, size: int, ttl: int, resource: str) -> None:
        self.expire()
        self.model.pop(key, None)
        one = entry(size, expires=self.clock() + ttl, resource=resource)
        if ttl > 0 and size <= 100:
            while self.model and (
                len(self.model) >= 4
                or size + sum(e.snapshot.size for e in self.model.values()) > 100
            ):
                self.model.popitem(last=False)
            self.model[key] = one
        assert self.store.put(key, one) == (key in self.model)

    @rule(key=keys)
    def get(self, key: str) -> None:
        self.expire()
        if key in self.model:
            self.model.move_to_end(key)
        assert self.store.get(key) is self.model.get(key)

    @rule(key=keys)
    def delete(self, key: str) -> None:
        self.expire()
        assert self.store.delete(key) == (self.model.pop(key, None) is not None)

    @rule(resource=resources)
    def forget(self, resource: str) -> None:
        self.expire()
        gone = [key for key, one in self.model.items() if one.resource == resource]
        for key in gone:
            del self.model[key]
        assert self.store.forget(resource) == len(gone)

    @rule(seconds=st.integers(0, 5))
    def wait(self, seconds: int) -> None:
        self.clock.tick(seconds)

    @precondition(lambda self: len(self.model) > 2)
    @rule()
    def clear(self) -> None:
        self.model.clear()
        self.store.clear()

    @rule()
    def look(self) -> None:
        self.expire()
        assert len(self.store) == len(self.model)
        assert self.store.bytes == sum(one.snapshot.size for one in self.model.values())
        assert self.store.soonest() == min(
            (one.expires for one in self.model.values()), default=None
        )

    @invariant()
    def nothing_is_left_behind(self) -> None:
        check(self.store)


def check(store: MemoryStore) -> None:
    """Whether the index and the books tell of what is there: no more, and no less."""
    with store._lock:
        there = {key: entry for key in tuple_of(store) if (entry := raw(store, key)) is not None}
        index = {key for keys in store._by_resource.values() for key in keys}
        assert index == there.keys()
        assert all(keys for keys in store._by_resource.values()), "an empty resource"
        for key, one in there.items():
            assert store._by_resource[one.resource][key] == one.expires
        booked = store._entries._Cache__currsize  # type: ignore[attr-defined]
        assert booked == sum(one.snapshot.size for one in there.values())
        assert len(there) <= store._max_entries
        assert booked <= store._max_bytes


def tuple_of(store: MemoryStore) -> tuple[str, ...]:
    return tuple(store._entries._Cache__data)  # type: ignore[attr-defined]


def raw(store: MemoryStore, key: str) -> Entry | None:
    """What is there in truth, expired or not, without making it recent."""
    found: Entry | None = store._entries._Cache__data.get(key)  # type: ignore[attr-defined]
    return found


Model.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestAgainstTheModel = Model.TestCase


# -- many at once ----------------------------------------------------------------------------------


@pytest.fixture
def restless() -> Iterator[None]:
    """Threads take turns a thousand times as often as they do otherwise."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(5e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("restless")
def test_eight_threads_leave_the_books_in_order() -> None:
    clock = FakeClock(0.0)
    store = MemoryStore(max_entries=40, max_bytes=2000, clock=clock)
    gate, failures = threading.Barrier(8), []

    def work(seed: int) -> None:
        chance = random.Random(seed)
        gate.wait(5)
        try:
            for _ in range(1200):
                key = str(chance.randrange(120))
                match chance.randrange(12):
                    case 0 | 1 | 2 | 3 | 4:
                        life = chance.choice([0.5, 3.0, 100.0])
                        where = f"http://h/{chance.randrange(20)}"
                        one = entry(chance.randrange(120), expires=clock() + life, resource=where)
                        store.put(key, one)
                    case 5 | 6 | 7 | 8:
                        store.get(key)
                    case 9:
                        store.delete(key)
                    case 10:
                        store.forget(f"http://h/{chance.randrange(20)}")
                    case _:
                        clock.tick(0.05)
                        store.expire()
                        store.soonest()
                        assert len(store) <= 40
                        assert store.bytes <= 2000
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert not failures
    check(store)
    clock.tick(1000)
    assert (len(store), store.bytes, store._by_resource) == (0, 0, {})


def test_the_parent_may_hold_the_lock_when_it_forks(store: MemoryStore) -> None:
    store.put("a", entry())
    with store._lock:
        store.reset_after_fork()
        taken = threading.Thread(target=store.put, args=("b", entry()))
        taken.start()
        taken.join(5)
        assert not taken.is_alive()
    assert (held(store), store.bytes) == ({"b"}, 1)


def test_it_tells_how_full_it_is(store: MemoryStore) -> None:
    store.put("a", entry(7))
    assert repr(store) == "<MemoryStore [1 entries, 7 bytes]>"
