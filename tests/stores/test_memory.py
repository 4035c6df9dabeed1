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

from browseros_api.stores.entry import MOST_VARIANTS, Entry, Store
from browseros_api.stores.memory import MemoryStore
from browseros_api.testing import FakeClock


def entry(
    size: int = 1, *, expires: float = 2000.0, resource: str = "http://h/x", agent: str = ""
) -> Entry:
    """Of a snapshot of which the store asks nothing but its size."""
    snapshot: Any = SimpleNamespace(size=size)
    chosen_by = (("user-agent", agent),) if agent else ()
    return Entry(snapshot, expires, expires, 0.0, resource, chosen_by)


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
    assert store.get("a") == (kept,)
    assert store.get("b") == ()
    assert len(store) == 1


def test_an_entry_is_there_until_its_time_is_over_and_not_a_moment_longer(
    store: MemoryStore, clock: FakeClock
) -> None:
    store.put("a", entry(expires=1010.0))
    clock.tick(9.999)
    assert store.get("a") != ()
    clock.tick(0.001)
    assert store.get("a") == ()
    assert (len(store), store.bytes) == (0, 0)


@pytest.mark.parametrize("expires", [1000.0, 999.0, float("-inf")])
def test_an_entry_whose_time_is_over_is_not_kept_and_ends_the_one_before(
    store: MemoryStore, expires: float
) -> None:
    store.put("a", entry())
    assert store.put("a", entry(expires=expires)) is False
    assert store.get("a") == ()
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


def test_looking_makes_nothing_recent(store: MemoryStore) -> None:
    for key in "abc":
        store.put(key, entry())
    assert len(store.peek("a")) == 1
    assert store.peek("z") == ()
    assert list(store) == ["a", "b", "c"]
    store.put("d", entry())
    assert held(store) == {"b", "c", "d"}


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


# -- variants --------------------------------------------------------------------------------------


def agents(store: MemoryStore, key: str = "a") -> list[str]:
    """By which header's value the variants were chosen."""
    found = [one.chosen_by[0][1] for one in store.get(key)]
    assert found == [one.chosen_by[0][1] for one in store.peek(key)]
    return [str(agent) for agent in found]


def test_variants_are_kept_side_by_side_the_latest_first(store: MemoryStore) -> None:
    for agent in ("curl", "firefox", "lynx", "firefox"):
        store.put("a", entry(10, agent=agent))
    assert agents(store) == ["firefox", "lynx", "curl"]
    assert (len(store), store.bytes) == (1, 30)
    assert store.delete("a")
    assert agents(store) == []


def test_each_variant_has_its_own_time(store: MemoryStore, clock: FakeClock) -> None:
    store.put("a", entry(expires=1020.0, agent="curl"))
    store.put("a", entry(expires=1010.0, agent="firefox"))
    assert store.soonest() == 1020.0
    clock.tick(10)
    assert agents(store) == ["curl"]
    store.put("a", entry(expires=1030.0, agent="lynx"))
    assert store.bytes == 2
    clock.tick(10)
    assert agents(store) == ["lynx"]
    clock.tick(10)
    assert (store.expire(), len(store)) == (1, 0)


def test_a_variant_that_is_not_kept_ends_the_one_before_and_no_other(store: MemoryStore) -> None:
    for agent in ("curl", "firefox"):
        store.put("a", entry(agent=agent))
    assert store.put("a", entry(expires=999.0, agent="curl")) is False
    assert agents(store) == ["firefox"]
    assert store.put("a", entry(101, agent="firefox")) is False
    assert (agents(store), len(store), store._by_resource) == ([], 0, {})


def test_the_variants_of_a_key_are_bounded_in_number_and_in_bytes(store: MemoryStore) -> None:
    for number in range(40):
        store.put("a", entry(agent=str(number)))
    assert agents(store) == [str(number) for number in range(39, 39 - MOST_VARIANTS, -1)]
    for number in range(5):
        store.put("b", entry(30, agent=str(number)))
    assert agents(store, "b") == ["4", "3", "2"]
    assert store.bytes == 90, "what was there before made room"
    store.put("b", entry(50, agent="3"))
    assert agents(store, "b") == ["3", "4"]
    assert store.bytes == 80


# -- what is no longer so -------------------------------------------------------------------------


def test_what_is_no_longer_current_is_not_kept_and_changes_nothing(store: MemoryStore) -> None:
    before = entry()
    store.put("a", before, is_current=lambda: True)
    assert store.put("a", entry(), is_current=lambda: False) is False
    assert store.get("a") == (before,)


def test_nothing_can_be_forgotten_between_asking_and_keeping(store: MemoryStore) -> None:
    forgetting = threading.Thread(target=store.forget, args=("http://h/x",))

    def is_current() -> bool:
        forgetting.start()
        forgetting.join(0.2)
        return True

    store.put("a", entry(), is_current=is_current)
    forgetting.join(5)
    assert not forgetting.is_alive()
    assert held(store) == set()


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
    assert store.get("a") != ()


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


RESOURCES = {key: f"http://h/{number % 3}" for number, key in enumerate("abcdef")}


def end(kept: list[Entry]) -> float:
    return max(one.expires for one in kept)


def size_of(kept: list[Entry]) -> int:
    return sum(one.snapshot.size for one in kept)


class Model(RuleBasedStateMachine):
    """The same, in the simplest words."""

    keys = st.sampled_from("abcdef")
    resources = st.sampled_from(["http://h/0", "http://h/1", "http://h/2"])

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock(0.0)
        self.store = MemoryStore(max_entries=4, max_bytes=100, clock=self.clock)
        self.model: OrderedDict[str, list[Entry]] = OrderedDict()

    def expire(self) -> None:
        """A key goes when the last of its variants does; until then they count."""
        now = self.clock()
        for key in [key for key, kept in self.model.items() if end(kept) <= now]:
            del self.model[key]

    @rule(
        key=keys,
        size=st.integers(0, 110),
        ttl=st.integers(-1, 9),
        agent=st.sampled_from(["", "curl", "lynx"]),
    )
    def put(self, key: str, size: int, ttl: int, agent: str) -> None:
        self.expire()
        now = self.clock()
        one = entry(size, expires=now + ttl, resource=RESOURCES[key], agent=agent)
        others = [
            other
            for other in self.model.pop(key, [])
            if other.expires > now and other.chosen_by != one.chosen_by
        ]
        is_fit = ttl > 0 and size <= 100
        kept = [one, *others] if is_fit else others
        while size_of(kept) > 100:
            kept.pop()
        while self.model and (
            len(self.model) >= 4 or size_of(kept) + sum(map(size_of, self.model.values())) > 100
        ):
            if not kept:
                break
            self.model.popitem(last=False)
        if kept:
            self.model[key] = kept
        assert self.store.put(key, one) == is_fit

    @rule(key=keys)
    def get(self, key: str) -> None:
        self.expire()
        if key in self.model:
            self.model.move_to_end(key)
        kept = [one for one in self.model.get(key, []) if one.expires > self.clock()]
        assert self.store.get(key) == tuple(kept)

    @rule(key=keys)
    def delete(self, key: str) -> None:
        self.expire()
        assert self.store.delete(key) == (self.model.pop(key, None) is not None)

    @rule(resource=resources)
    def forget(self, resource: str) -> None:
        self.expire()
        gone = [key for key in self.model if RESOURCES[key] == resource]
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
        assert self.store.bytes == sum(map(size_of, self.model.values()))
        assert self.store.soonest() == min(map(end, self.model.values()), default=None)
        assert set(self.store) == self.model.keys()

    @invariant()
    def nothing_is_left_behind(self) -> None:
        check(self.store)


def check(store: MemoryStore) -> None:
    """Whether the index and the books tell of what is there: no more, and no less."""
    with store._lock:
        there = {key: list(kept) for key in tuple_of(store) if (kept := raw(store, key))}
        index = {key for keys in store._by_resource.values() for key in keys}
        assert index == there.keys()
        assert all(keys for keys in store._by_resource.values()), "an empty resource"
        for key, kept in there.items():
            assert store._by_resource[kept[0].resource][key] == end(kept)
        booked = store._entries._Cache__currsize  # type: ignore[attr-defined]
        assert booked == sum(map(size_of, there.values()))
        assert len(there) <= store._max_entries
        assert booked <= store._max_bytes


def tuple_of(store: MemoryStore) -> tuple[str, ...]:
    return tuple(store._entries._Cache__data)  # type: ignore[attr-defined]


def raw(store: MemoryStore, key: str) -> tuple[Entry, ...] | None:
    """What is there in truth, expired or not, without making it recent."""
    found: tuple[Entry, ...] | None = store._entries._Cache__data.get(key)  # type: ignore[attr-defined]
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
                        where, agent = f"http://h/{int(key) % 20}", chance.choice(["", "x", "y"])
                        one = entry(
                            chance.randrange(120),
                            expires=clock() + life,
                            resource=where,
                            agent=agent,
                        )
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


def test_it_is_a_store(store: MemoryStore) -> None:
    kept: Store = store
    kept.put("a", entry())
    kept.close()
    assert kept.get("a") != (), "memory has nothing to give back"


def test_it_tells_how_full_it_is(store: MemoryStore) -> None:
    store.put("a", entry(7))
    assert repr(store) == "<MemoryStore [1 entries, 7 bytes]>"
