"""Laws of the timer: what is due is done, in order, once, and by a thread that nothing kills."""

from __future__ import annotations

import gc
import itertools
import logging
import os
import queue
import random
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable

import pytest

from browseros_api.testing import wait_until
from browseros_api.timer import TIMER, Timer

LATER = 3600.0  # seconds; no test lasts so long


class Done:
    """What was called, in order, and on which threads."""

    def __init__(self) -> None:
        self.names: queue.SimpleQueue[object] = queue.SimpleQueue()
        self.threads: set[str] = set()

    def noting(self, name: object) -> Callable[[], None]:
        def callback() -> None:
            self.threads.add(threading.current_thread().name)
            self.names.put(name)

        return callback

    def take(self, count: int) -> list[object]:
        return [self.names.get(timeout=20) for _ in range(count)]


@pytest.fixture
def timer() -> Timer:
    return Timer()


@pytest.fixture
def done() -> Done:
    return Done()


def test_appointments_are_kept_in_the_order_in_which_they_are_due(timer: Timer, done: Done) -> None:
    now = time.monotonic()
    order = list(range(50))
    random.Random(7).shuffle(order)
    for number in order:
        timer.at(now + 0.05 + number / 1000, done.noting(number))
    assert done.take(50) == sorted(order)


def test_those_due_at_one_instant_are_kept_in_the_order_of_their_making(
    timer: Timer, done: Done
) -> None:
    instant = time.monotonic() + 0.02
    for number in range(20):
        timer.at(instant, done.noting(number))
    assert done.take(20) == list(range(20))


def test_nothing_is_done_before_it_is_due(timer: Timer, done: Done) -> None:
    began = time.monotonic()
    timer.after(0.05, done.noting("due"))
    done.take(1)
    assert time.monotonic() - began >= 0.05


def test_what_is_overdue_already_is_done_at_once(timer: Timer, done: Done) -> None:
    timer.after(LATER, done.noting("later"))
    timer.after(-LATER, done.noting("overdue"))
    assert done.take(1) == ["overdue"]


def test_an_earlier_appointment_wakes_the_thread(timer: Timer, done: Done) -> None:
    """It sleeps until the first of them, which may not be the first that was made."""
    timer.after(LATER, done.noting("later"))
    wait_until(lambda: timer._changed._waiters, message="the thread sleeps")
    timer.after(0.01, done.noting("sooner"))
    assert done.take(1) == ["sooner"]
    wait_until(lambda: timer._changed._waiters)
    timer.after(LATER / 2, done.noting("between"))
    timer.after(0.01, done.noting("sooner still"))
    assert done.take(1) == ["sooner still"]


def test_what_is_cancelled_is_not_done(timer: Timer, done: Done) -> None:
    instant = time.monotonic() + 0.02
    appointments = [timer.at(instant, done.noting(number)) for number in range(10)]
    for appointment in appointments[::2]:
        appointment.cancel()
        appointment.cancel()
    assert done.take(5) == [1, 3, 5, 7, 9]
    appointments[1].cancel()  # long done
    timer.after(0, done.noting("last"))
    assert done.take(1) == ["last"]


def test_one_daemon_thread_does_it_all_and_only_if_there_is_something(
    timer: Timer, done: Done
) -> None:
    def threads() -> list[threading.Thread]:
        return [one for one in threading.enumerate() if one is timer._thread]

    assert threads() == []
    for number in range(20):
        timer.after(0, done.noting(number))
    done.take(20)
    assert done.threads == {"browseros_api-timer"}
    assert [thread.daemon for thread in threads()] == [True]


@pytest.mark.parametrize("kind", [ValueError, SystemExit, KeyboardInterrupt, GeneratorExit])
def test_a_callback_that_raises_is_logged_and_kills_nothing(
    kind: type[BaseException], timer: Timer, done: Done, caplog: pytest.LogCaptureFixture
) -> None:
    def bad() -> None:
        raise kind("a bad callback")

    with caplog.at_level(logging.ERROR, logger="browseros_api"):
        timer.after(0, bad)
        timer.after(0, done.noting("next"))
        assert done.take(1) == ["next"]
    assert "an appointment failed" in caplog.text
    assert "a bad callback" in caplog.text


def test_a_callback_may_make_and_cancel_appointments(timer: Timer, done: Done) -> None:
    void = timer.after(LATER, done.noting("void"))

    def busy() -> None:
        void.cancel()
        timer.after(0, done.noting("made"))

    timer.after(0, busy)
    assert done.take(1) == ["made"]


def test_callbacks_run_without_the_lock(timer: Timer, done: Done) -> None:
    def slow() -> None:
        other = threading.Thread(target=timer.after, args=(0, done.noting("made meanwhile")))
        other.start()
        other.join(10)
        done.noting("slow")()

    timer.after(0, slow)
    assert done.take(2) == ["slow", "made meanwhile"]


# -- memory --------------------------------------------------------------------------------------


def test_cancelled_appointments_are_swept_out(timer: Timer) -> None:
    for _ in range(10_000):
        timer.after(LATER, lambda: None).cancel()
    assert len(timer._heap) < 1000


def test_sweeping_loses_nothing(timer: Timer, done: Done) -> None:
    instant = time.monotonic() + 0.5
    order = list(range(1000))
    random.Random(11).shuffle(order)
    for number in order:
        timer.after(LATER, lambda: None).cancel()
        timer.at(instant + number / 1e6, done.noting(number))
        timer.after(LATER, lambda: None).cancel()
    assert done.take(1000) == list(range(1000))


def test_making_many_takes_no_more_than_so_much_sweeping(
    timer: Timer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing is cancelled, the next sweep is due when there are twice as many."""
    sweeps: list[int] = []
    sweep = timer._sweep
    monkeypatch.setattr(timer, "_sweep", lambda: (sweeps.append(len(timer._heap)), sweep()))
    for _ in range(5000):
        timer.after(LATER, lambda: None)
    assert len(sweeps) < 10


@pytest.mark.parametrize("ending", ["done", "cancelled", "failed"])
def test_what_a_callback_refers_to_is_let_go_of(
    ending: str, timer: Timer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, logger="browseros_api")  # or the record would keep it

    class Thing:
        def act(self) -> None:
            if ending == "failed":
                raise ValueError

    thing = Thing()
    seen = weakref.ref(thing)
    appointment = timer.after(LATER if ending == "cancelled" else 0, thing.act)
    if ending == "cancelled":
        wait_until(lambda: timer._changed._waiters, message="the thread waits for it")
        appointment.cancel()
    del thing
    wait_until(lambda: gc.collect() is not None and seen() is None)
    assert timer._thread is not None  # which has had nothing else to do since


def test_a_finalizer_may_cancel_and_make_appointments_wherever_it_runs(
    timer: Timer, done: Done
) -> None:
    """Also in the thread that holds the lock: as the collector of garbage may want it."""
    appointment = timer.after(LATER, lambda: None)

    def finalize() -> None:
        with timer._changed:
            appointment.cancel()
            timer.after(0, done.noting("made"))

    finalizing = threading.Thread(target=finalize)
    finalizing.start()
    finalizing.join(10)
    assert not finalizing.is_alive()
    assert done.take(1) == ["made"]


# -- the edges -----------------------------------------------------------------------------------


def test_an_appointment_in_a_thousand_years_is_no_trouble(timer: Timer, done: Done) -> None:
    timer.after(float("inf"), done.noting("never"))
    timer.after(1e12, done.noting("hardly ever"))
    wait_until(lambda: timer._changed._waiters)
    timer.after(0, done.noting("now"))
    assert done.take(1) == ["now"]


def test_where_no_thread_can_be_started_the_call_goes_on(
    timer: Timer,
    done: Done,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As when the interpreter is about to exit; once threads can be had again, it is caught up."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        timer.after(0, done.noting("first"))
    assert "no thread could be started" in caplog.text
    timer.after(0, done.noting("second"))
    assert done.take(2) == ["first", "second"]


def test_many_threads_make_and_cancel_at_once(timer: Timer, done: Done) -> None:
    barrier = threading.Barrier(8)

    def work(number: int) -> None:
        barrier.wait(10)
        for round_ in range(200):
            timer.after(random.random() / 1000, lambda: None).cancel()
            timer.after(random.random() / 1000, done.noting((number, round_)))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
    finally:
        sys.setswitchinterval(interval)
    assert set(done.take(1600)) == set(itertools.product(range(8), range(200)))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_process_starts_afresh() -> None:
    """With none of the parent's appointments, and a thread of its own once it makes one."""
    TIMER.after(LATER, lambda: None)
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with TIMER._changed:
            held.set()
            release.wait(20)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(10)
    child = os.fork()
    if child == 0:
        signal.alarm(10)  # it dies if it hangs
        try:
            ran = threading.Event()
            is_fresh = not TIMER._heap and TIMER._thread is None
            TIMER.after(0, ran.set)
            os._exit(0 if is_fresh and ran.wait(8) else 1)
        except BaseException:
            os._exit(2)
    release.set()
    holder.join(10)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
