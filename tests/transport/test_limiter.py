"""At most so many leases, first come, first served."""

from __future__ import annotations

import gc
import random
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from browseros_api.errors import PoolTimeout
from browseros_api.testing import wait_until
from browseros_api.transport.limiter import Lease, Limiter
from tests.interrupting import interrupt_main


@pytest.fixture
def restless() -> Iterator[None]:
    """Threads take turns as often as they can."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


class Gauge:
    """How many are inside at once, at most."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.inside = self.peak = self.total = 0

    def enter(self) -> None:
        with self.lock:
            self.inside += 1
            self.total += 1
            self.peak = max(self.peak, self.inside)

    def leave(self) -> None:
        with self.lock:
            self.inside -= 1


@pytest.mark.usefixtures("restless")
def test_two_hundred_threads_never_hold_more_than_the_limits_allow(crew: Any) -> None:
    limiter = Limiter(7, 3)
    everybody, by_host = Gauge(), {f"h{i}": Gauge() for i in range(5)}

    def work(number: int) -> None:
        chance = random.Random(number)
        for _ in range(10):
            host = f"h{chance.randrange(5)}"
            lease = limiter.acquire(host, timeout=20)
            for gauge in (everybody, by_host[host]):
                gauge.enter()
            time.sleep(0.0005)
            for gauge in (everybody, by_host[host]):
                gauge.leave()
            lease.release()

    for number in range(200):
        crew.start(work, number)
    crew.join()
    assert everybody.total == 2000
    assert everybody.peak <= 7
    assert max(gauge.peak for gauge in by_host.values()) <= 3
    assert (limiter.in_use, limiter.waiting, limiter.connected) == (0, 0, 0)
    assert limiter._hosts == {}


def test_who_comes_first_is_served_first(crew: Any) -> None:
    limiter = Limiter(1)
    lease = limiter.acquire("h")
    served: list[int] = []

    def work(number: int) -> None:
        mine = limiter.acquire("h", timeout=20)
        served.append(number)
        mine.release()

    for number in range(20):
        crew.start(work, number)
        wait_until(lambda: limiter.waiting == number + 1)  # noqa: B023
    lease.release()
    crew.join()
    assert served == list(range(20))


def test_nobody_snatches_a_lease_that_is_meant_for_a_waiter(crew: Any) -> None:
    limiter = Limiter(1)
    first = limiter.acquire("h")
    waiter: list[Lease] = []
    crew.start(lambda: waiter.append(limiter.acquire("h", timeout=20)))
    wait_until(lambda: limiter.waiting == 1)
    first.release()
    # It was handed over in that very moment, whether or not the waiter has woken up.
    with pytest.raises(PoolTimeout):
        limiter.acquire("h", timeout=0)
    crew.join()
    assert waiter[0].held


def test_a_host_that_is_full_keeps_no_other_host_waiting(crew: Any) -> None:
    limiter = Limiter(3, 2)
    held = [limiter.acquire("full"), limiter.acquire("full")]
    got: list[Lease] = []
    crew.start(lambda: got.append(limiter.acquire("full", timeout=20)))
    wait_until(lambda: limiter.waiting == 1)
    limiter.acquire("other", timeout=0).release()
    held.pop().release()
    crew.join()
    assert got[0].host == "full"


def test_a_freed_place_goes_to_the_first_waiter_whose_host_has_room(crew: Any) -> None:
    limiter = Limiter(2, 1)
    full, other = limiter.acquire("full"), limiter.acquire("other")
    served: list[str] = []
    keep: list[Lease] = []

    def work(host: str) -> None:
        keep.append(limiter.acquire(host, timeout=20))
        served.append(host)

    for number, host in enumerate(["full", "third"]):
        crew.start(work, host)
        wait_until(lambda: limiter.waiting == number + 1)  # noqa: B023
    other.release()
    wait_until(lambda: served == ["third"])
    full.release()
    crew.join()
    assert served == ["third", "full"]


def test_giving_back_twice_is_giving_back_once() -> None:
    limiter = Limiter(2)
    first, second = limiter.acquire("h"), limiter.acquire("h")
    first.release()
    first.release()
    assert limiter.in_use == 1
    second.release()
    assert limiter.in_use == 0


def test_a_lease_that_is_dropped_comes_back() -> None:
    limiter = Limiter(1)
    limiter.acquire("h")
    assert limiter.in_use == 0
    limiter.acquire("h", timeout=0).release()


@pytest.mark.parametrize(
    ("total", "per_host", "setting"),
    [(2, None, "max_connections"), (5, 2, "max_connections_per_host")],
)
def test_a_wait_that_is_too_long_says_what_to_change(
    total: int, per_host: int | None, setting: str
) -> None:
    limiter = Limiter(total, per_host)
    held = [limiter.acquire("http://h:80") for _ in range(2)]
    began = time.monotonic()
    with pytest.raises(PoolTimeout) as caught:
        limiter.acquire("http://h:80", timeout=0.1)
    assert 0.09 < time.monotonic() - began < 5
    text = str(caught.value)
    assert "http://h:80" in text
    assert "0.1 s" in text
    assert f"2 of 2 ({setting}) are in use" in text
    assert f"raise {setting} or pool_timeout" in text
    assert limiter.waiting == 0
    assert len(held) == limiter.in_use == 2


def test_without_a_bound_a_waiter_waits_until_there_is_room(crew: Any) -> None:
    limiter = Limiter(1)
    lease = limiter.acquire("h")
    crew.start(lambda: limiter.acquire("h", timeout=None).release())
    wait_until(lambda: limiter.waiting == 1)
    lease.release()
    crew.join()
    assert limiter.in_use == 0


def test_waiters_that_give_up_are_passed_over(crew: Any) -> None:
    limiter = Limiter(1)
    lease = limiter.acquire("h")

    def give_up() -> None:
        with pytest.raises(PoolTimeout):
            limiter.acquire("h", timeout=0.05)

    for _ in range(10):
        crew.start(give_up)
    patient: list[Lease] = []
    crew.start(lambda: patient.append(limiter.acquire("h", timeout=20)))
    wait_until(lambda: limiter.waiting == 1)
    lease.release()
    crew.join()
    assert limiter.in_use == 1
    assert patient[0].held


@pytest.mark.usefixtures("restless")
def test_a_lease_granted_at_the_last_moment_is_not_lost(crew: Any) -> None:
    limiter = Limiter(1)
    served = Gauge()

    def work(number: int) -> None:
        for turn in range(50):
            try:
                lease = limiter.acquire("h", timeout=0.0002 * ((number + turn) % 5))
            except PoolTimeout:
                continue
            served.enter()
            time.sleep(0.0001)
            served.leave()
            lease.release()

    for number in range(20):
        crew.start(work, number)
    crew.join()
    assert served.peak == 1
    assert (limiter.in_use, limiter.waiting) == (0, 0)


def test_ctrl_c_while_waiting_leaves_nothing_behind(crew: Any) -> None:
    limiter = Limiter(1)
    lease = limiter.acquire("h")

    def interrupt() -> None:
        wait_until(lambda: limiter.waiting == 1)
        interrupt_main()

    crew.start(interrupt)
    with pytest.raises(KeyboardInterrupt):
        limiter.acquire("h", timeout=20)
    assert (limiter.in_use, limiter.waiting) == (1, 0)
    lease.release()
    assert limiter.in_use == 0


def test_a_finalizer_inside_the_lock_neither_hangs_nor_miscounts() -> None:
    limiter = Limiter(2)
    lease, other = limiter.acquire("h"), limiter.acquire("h")
    with limiter.lock:
        lease.release()  # as a finalizer would that runs here
        assert limiter.in_use == 2
    limiter.settle()
    assert limiter.in_use == 1
    with limiter.lock:
        del other
    limiter.settle()
    assert limiter.in_use == 0


def test_leases_in_garbage_come_back_wherever_the_collector_runs(crew: Any) -> None:
    limiter = Limiter(4, 3)

    class Cycle:
        def __init__(self, lease: Lease) -> None:
            self.lease, self.me = lease, self

    def work(number: int) -> None:
        for turn in range(30):
            try:
                lease = limiter.acquire(f"h{(number + turn) % 2}", timeout=20)
            finally:
                [[] for _ in range(20)]  # something to count for the collector
            if turn % 2:
                lease.release()
            else:
                Cycle(lease)
                del lease
                if turn % 10 == 0:
                    gc.collect()

    usual = gc.get_threshold()
    gc.freeze()  # what others have left is not looked through again and again
    gc.set_threshold(1, 1, 1)
    try:
        for number in range(8):
            crew.start(work, number)
        collector_is_needed = True
        while collector_is_needed:
            gc.collect()
            collector_is_needed = any(thread.is_alive() for thread in crew.threads)
        crew.join()
    finally:
        gc.set_threshold(*usual)
        gc.collect()
        gc.unfreeze()
    assert (limiter.in_use, limiter.waiting) == (0, 0)
    assert limiter._hosts == {}


def test_it_tells_its_state() -> None:
    limiter = Limiter(3)
    lease = limiter.acquire("h")
    assert repr(limiter) == "<Limiter [1 of 3 in use, 0 waiting]>"
    lease.release()
