"""Laws of a team: each job is done once or told to be cancelled, by as few threads as will do."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
import weakref
from collections import Counter
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import pytest

from browseros_api import ClientClosed
from browseros_api.desk import Desk, desk_here
from browseros_api.jobs import Job
from browseros_api.need import LOOK, Need
from browseros_api.team import Team
from browseros_api.testing import FakeClock, wait_until
from tests.awaiting import run
from tests.flying import PATIENCE, Caller


@pytest.fixture
def team() -> Iterator[Team]:
    team = Team(8, "team")
    yield team
    threads = team.threads
    team.dismiss()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()


class Told:
    """Jobs that were told to be over."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []

    def __call__(self, job: Job) -> None:
        self.jobs.append(job)

    def of(self, count: int) -> list[Job]:
        wait_until(lambda: len(self.jobs) >= count, timeout=PATIENCE)
        assert len(self.jobs) == count
        return self.jobs


# -- a job -----------------------------------------------------------------------------------------


def test_a_job_is_done_once() -> None:
    done, told = [], Told()
    job = Job(lambda: done.append(1), told)
    job.do()
    job.do()
    assert not job.cancel()
    assert (done, told.jobs, job.is_over, job.is_cancelled) == ([1], [job], True, False)


def test_a_job_that_was_cancelled_is_never_done() -> None:
    done, told = [], Told()
    job = Job(lambda: done.append(1), told)
    assert job.cancel()
    assert not job.cancel()
    job.do()
    assert (done, told.jobs, job.is_over, job.is_cancelled) == ([], [job], True, True)


def test_what_a_job_raises_is_held_by_nobody_else() -> None:
    class Odd(BaseException):
        pass

    def fail() -> None:
        raise Odd

    job = Job(fail, lambda _: None)
    job.do()
    seen = weakref.ref(job.error) if job.error is not None else None
    assert seen is not None
    assert isinstance(seen(), Odd)
    gc.disable()
    try:
        del job
        assert seen() is None
    finally:
        gc.enable()


# -- a team ----------------------------------------------------------------------------------------


def test_there_is_no_thread_before_there_is_something_to_do(team: Team) -> None:
    assert team.threads == []


def test_whatever_is_handed_in_is_done(team: Team) -> None:
    told = Told()
    for number in range(500):
        team.hand(Job(lambda number=number: number, told))  # type: ignore[misc]
    assert sorted(job.result for job in told.of(500)) == [*range(500)]
    assert len(team.threads) <= 8


def test_many_may_hand_in_at_once(team: Team) -> None:
    told, start = Told(), threading.Barrier(8)

    def hand_in() -> None:
        start.wait(PATIENCE)
        for _ in range(200):
            team.hand(Job(threading.get_ident, told))

    for caller in [Caller(hand_in) for _ in range(8)]:
        assert caller.value is None
    told.of(1600)
    wait_until(lambda: team._shift.active == 0, timeout=PATIENCE)
    assert not team.is_behind


def test_jobs_that_wait_for_each_other_get_threads_enough(team: Team) -> None:
    told, all_of_them = Told(), threading.Barrier(8)
    for _ in range(8):
        team.hand(Job(lambda: all_of_them.wait(PATIENCE), told))
    assert all(job.error is None for job in told.of(8))
    assert len(team.threads) == 8


def test_there_are_never_more_at_work_than_may_be() -> None:
    team, told, lock = Team(3, "team"), Told(), threading.Lock()
    now = peak = 0

    def work() -> None:
        nonlocal now, peak
        with lock:
            now += 1
            peak = max(now, peak)
        threading.Event().wait(0.001)
        with lock:
            now -= 1

    for _ in range(100):
        team.hand(Job(work, told))
    told.of(100)
    assert peak <= 3
    assert len(team.threads) <= 3
    team.dismiss()


def test_one_thread_is_enough_for_jobs_that_take_no_time(team: Team) -> None:
    told = Told()
    for count in range(1, 51):
        team.hand(Job(int, told))
        told.of(count)
    assert len(team.threads) == 1


def test_a_dismissed_team_cancels_what_waits_and_takes_no_more() -> None:
    team, told, go_on = Team(1, "team"), Told(), threading.Event()
    begun = threading.Event()
    team.hand(Job(lambda: (begun.set(), go_on.wait(PATIENCE)), told))
    assert begun.wait(PATIENCE)
    for _ in range(3):
        team.hand(Job(int, told))
    threads = team.threads
    team.dismiss()
    team.dismiss()
    assert [job.is_cancelled for job in told.of(3)] == [True] * 3
    with pytest.raises(ClientClosed):
        team.hand(Job(int, told))
    go_on.set()
    assert not told.of(4)[3].is_cancelled
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_the_threads_of_a_team_that_nobody_has_any_more_end() -> None:
    team, told = Team(4, "team"), Told()
    for _ in range(20):
        team.hand(Job(int, told))
    told.of(20)
    threads = team.threads
    del team
    gc.collect()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_if_there_can_be_no_thread_the_caller_hears_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    team, told = Team(2, "team"), Told()

    def fails(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fails)
        with pytest.raises(RuntimeError, match="new thread"):
            team.hand(Job(int, told))
    team.hand(Job(int, told))  # and does the first as well
    told.of(2)
    team.dismiss()


def test_an_interrupt_while_a_thread_is_made_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    team, told, go_on = Team(2, "team", least=2), Told(), threading.Event()
    team.hand(Job(lambda: go_on.wait(PATIENCE), told))

    def interrupted(self: threading.Thread) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", interrupted)
        with pytest.raises(KeyboardInterrupt):
            team.hand(Job(int, told))
    go_on.set()
    told.of(2)
    wait_until(lambda: team._shift.active == 0, timeout=PATIENCE)
    team.dismiss()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_has_threads_of_its_own(team: Team) -> None:
    told = Told()
    team.hand(Job(int, told))
    told.of(1)
    with team._shift._lock:  # as another thread of the parent may have it
        child = os.fork()
        if child == 0:
            signal.alarm(10)  # it dies if it hangs
            try:
                anew = Told()
                team.hand(Job(lambda: 7, anew))
                os._exit(0 if anew.of(1)[0].result == 7 else 1)
            except BaseException:
                os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


SCRIPT = """
import threading
from browseros_api.jobs import Job
from browseros_api.team import Team

def told(job):
    print("cancelled", job.is_cancelled)
    over.set()

team, begun, over = Team(1, "team"), threading.Event(), threading.Event()
team.hand(Job(int, print))
team.hand(Job(lambda: (begun.set(), over.wait(20), print("done")), lambda _: None))
assert begun.wait(20)
team.hand(Job(lambda: print("never"), told))
idle = Team(1, "idle")
idle.hand(Job(int, lambda _: None))
"""


def test_the_interpreter_waits_at_its_end_for_what_has_begun_and_for_nothing_else() -> None:
    command = [sys.executable, "-c", SCRIPT]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines()[1:] == ["cancelled True", "done"]


# -- who waits may do it himself -------------------------------------------------------------------


def test_what_is_next_may_be_done_by_whoever_waits_for_it() -> None:
    team, told = Team(2, "team", least=0), Told()
    first, second = Job(threading.get_ident, told), Job(threading.get_ident, told)
    with team._shift._lock:  # before any thread can come
        team._shift.jobs.extend([first, second])
    assert not team.do(second)  # its turn is not yet
    assert team.do(first)
    assert first.result == threading.get_ident()
    assert not team.do(first)
    assert team.do(second)
    assert team._shift.active == 0
    team.dismiss()


def test_whoever_waits_is_one_of_those_at_work() -> None:
    team, told, go_on = Team(1, "team", least=0), Told(), threading.Event()
    team.hand(Job(lambda: go_on.wait(PATIENCE), told))
    wait_until(lambda: team._shift.active == 1, timeout=PATIENCE)  # a thread has come for it
    job = Job(int, told)
    team.hand(job)
    assert not team.do(job)
    go_on.set()
    told.of(2)
    team.dismiss()


# -- how many are needed ---------------------------------------------------------------------------


class Course:
    """A ``Need`` that looks as time goes by, so much of it spent."""

    def __init__(self, least: int, most: int) -> None:
        self.clock, self.spent = FakeClock(), 0.0
        self.need = Need(least, most, clock=self.clock, spent=lambda: self.spent)

    def goes(self, *busy: float) -> list[int]:
        limits = []
        for share in busy:
            self.clock.tick(LOOK)
            self.spent += share * LOOK
            self.need.look()
            limits.append(self.need.limit)
        return limits


def test_while_there_is_time_left_more_are_needed() -> None:
    assert Course(1, 100).goes(*[0.0] * 12) == [1, 8, 8, 16, 16, 32, 32, 64, 64, 100, 100, 100]


def test_while_there_is_none_fewer_will_do() -> None:
    course = Course(1, 20)
    assert course.goes(*[0.0] * 6)[-1] == 20
    assert course.goes(*[1.0] * 15) == [20, 20, 10, 10, 10, 5, 5, 5, 2, 2, 2, 1, 1, 1, 1]


def test_once_is_chance() -> None:
    course = Course(1, 20)
    assert course.goes(*[0.0, 1.0, 1.0] * 5) == [1] * 15
    course.goes(0.0, 0.0)
    assert course.goes(*[1.0, 1.0, 0.7] * 5) == [8] * 15


def test_as_many_stay_as_keep_the_processor_busy() -> None:
    course = Course(1, 20)
    course.goes(0.0, 0.0)
    assert course.goes(*[0.75] * 20) == [8] * 20


def test_where_whoever_waits_does_it_there_may_be_none() -> None:
    course = Course(0, 4)
    assert course.goes(1.0, 1.0, 1.0, 0.0, 0.0) == [0, 0, 0, 0, 4]
    assert course.goes(*[1.0] * 9) == [4, 4, 2, 2, 2, 1, 1, 1, 0]


# -- a desk ----------------------------------------------------------------------------------------


def test_a_loop_is_woken_once_for_many() -> None:
    async def main() -> Counter[str]:
        desk, counts = Desk(asyncio.get_running_loop()), Counter[str]()
        real = desk.loop.call_soon_threadsafe

        def counted(*args: Any, **options: Any) -> Any:
            counts["woken"] += 1
            return real(*args, **options)

        desk.loop.call_soon_threadsafe = counted  # type: ignore[method-assign]
        waiters = [desk.loop.create_future() for _ in range(100)]
        for waiter in waiters:  # the loop stands still meanwhile
            desk.ring(waiter)
        await asyncio.gather(*waiters)
        return counts

    assert run(main())["woken"] == 1


def test_what_comes_of_a_job_comes_back_in_the_callers_context(team: Team) -> None:
    who: ContextVar[str] = ContextVar("who")

    async def ask(name: str) -> str:
        who.set(name)
        return str(await desk_here().result(team, who.get))

    async def main() -> list[str]:
        return list(await asyncio.gather(*[ask(str(number)) for number in range(300)]))

    assert run(main()) == [str(number) for number in range(300)]


def test_a_cancelled_await_gives_up_its_turn(team: Team) -> None:
    async def main() -> None:
        small, go_on, forgone = Team(1, "team"), threading.Event(), Told()
        busy = asyncio.ensure_future(desk_here().result(small, lambda: go_on.wait(PATIENCE)))
        await asyncio.sleep(0)
        waits = desk_here().result(small, int, forgone=lambda: forgone(Job(int, forgone)))
        task = asyncio.ensure_future(waits)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(forgone.jobs) == 1
        go_on.set()
        assert await busy is True
        small.dismiss()

    run(main())


def test_a_closed_loop_disturbs_no_thread(team: Team) -> None:
    told, go_on = Told(), threading.Event()

    async def main() -> None:
        asyncio.ensure_future(desk_here().result(team, lambda: go_on.wait(PATIENCE)))  # noqa: RUF006
        await asyncio.sleep(0)

    run(main())
    go_on.set()
    team.hand(Job(int, told))
    told.of(1)
