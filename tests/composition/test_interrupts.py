"""Ctrl-C may come between any two instructions: no lock is lost, and no lease."""

from __future__ import annotations

import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from browseros_api.timer import Timer
from browseros_api.transport.idle import IdleConnections, Shelf
from browseros_api.transport.limiter import Limiter

pytestmark = [
    pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timer of signals"),
    pytest.mark.skipif(sys.gettrace() is not None, reason="tracers lose locks of their own"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

TIMES = 1500  # interrupts; with a lock that was entered in Python a few of them are enough


@contextmanager
def interrupted() -> Iterator[Callable[[Callable[[], object]], int]]:
    """Inside, what is called is called again and again, and interrupted at random."""
    chance, is_armed = random.Random(1), [False]

    def interrupt(*_: object) -> None:
        if is_armed[0]:
            is_armed[0] = False
            raise KeyboardInterrupt

    def again_and_again(work: Callable[[], object]) -> None:
        # A function of its own: CPython 3.13 does not count a loop's way back to what is tried.
        while is_armed[0]:  # in a finalizer an interrupt is said, and goes no further
            work()

    def often(work: Callable[[], object]) -> int:
        count, until = 0, time.monotonic() + 20
        while count < TIMES and time.monotonic() < until:
            try:
                signal.setitimer(signal.ITIMER_REAL, chance.uniform(2e-5, 2e-4), 0.001)
                is_armed[0] = True
                again_and_again(work)
            except KeyboardInterrupt:
                pass
            count += 1
        return count

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        yield often
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def is_free(lock: threading.RLock) -> bool:  # type: ignore[valid-type]
    """Whether another thread could have it."""
    told: list[bool] = []

    def take() -> None:
        told.append(lock.acquire(timeout=5))  # type: ignore[attr-defined]
        if told[0]:
            lock.release()  # type: ignore[attr-defined]

    thread = threading.Thread(target=take)
    thread.start()
    thread.join(20)
    return told == [True]


def test_the_timer_goes_on() -> None:
    timer, rung = Timer(), threading.Event()
    timer.after(60, int)
    with interrupted() as often:
        assert often(lambda: timer.after(60, int).cancel()) > 100
    timer.after(0, rung.set)
    assert rung.wait(10)


def test_leases_come_back() -> None:
    limiter = Limiter(2)
    idle = IdleConnections(limiter, keepalive=60, clock=time.monotonic)
    shelf = Shelf(2)

    def work() -> None:
        lease = limiter.acquire("h", timeout=5)
        try:
            idle.make_room(lease)
            idle.take(shelf, lease)
        finally:
            lease.release()

    with interrupted() as often:
        assert often(work) > 100
    assert is_free(limiter.lock)
    limiter.settle()
    assert (limiter.in_use, limiter.waiting) == (0, 0)
    assert not any(limiter._hosts.values())
