"""Threads that do what they are handed: as few at once as are needed, within a bound."""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Callable

from .errors import ClientClosed
from .forks import look, reset_in_child
from .jobs import Job, taken
from .need import LOOK, Need
from .timer import TIMER

__all__ = ["Team"]


class Team:
    """Threads of somebody's own; they end when it is dismissed or dropped.

    The interpreter, when it ends, waits for jobs that have begun, and drops the others.
    With ``least=0`` whoever waits for a job is to begin it: threads come only if time is left.
    """

    def __init__(self, most: int, name: str, *, least: int = 1) -> None:
        self._bounds, self._name = (least, most), name
        self._start()
        _TEAMS.add(self)

    def _start(self) -> None:
        self._shift = _Shift(Need(*self._bounds), self._name)
        self._end = weakref.finalize(self, self._shift.end)

    def reset_after_fork(self) -> None:
        """In a child: the threads are the parent's, and so is what they were to do."""
        self._end.detach()
        self._start()

    def hand(self, job: Job) -> None:
        """Have it done; ``ClientClosed`` is raised if the team was dismissed."""
        look()
        self._shift.hand(job)

    def do(self, job: Job) -> bool:
        """Do it here and now if it is the next whose turn comes, and not too many are at work."""
        if not self._shift.claim(job):
            return False
        try:
            job.do()
        finally:
            self._shift.unclaim()
        return True

    @property
    def is_behind(self) -> bool:
        """Whether jobs wait for their turn: then something will be over soon."""
        return bool(self._shift.jobs)

    def dismiss(self) -> None:
        """For good: jobs whose turn has not come are cancelled."""
        self._end()

    @property
    def threads(self) -> list[threading.Thread]:
        """Those there are."""
        return [one for one in self._shift.threads if one.is_alive()]

    def __repr__(self) -> str:
        shift = self._shift
        return f"<Team [{shift.active} of {shift.limit} at work, {len(shift.jobs)} jobs wait]>"


class _Shift:
    """What the threads know: nothing of the team, which is to end them when it goes.

    ``end`` may be called by a finalizer from inside any of the others, and so takes no lock.
    """

    def __init__(self, need: Need, name: str) -> None:
        self._need, self._name = need, name
        self._lock = threading.Lock()
        self._gates: list[threading.Lock] = []  # of threads that wait for a job, the latest last
        self._is_watched = False
        self.threads: list[threading.Thread] = []
        self.jobs: deque[Job] = deque()
        self.active = 0
        self.is_over = False

    @property
    def limit(self) -> int:
        return self._need.limit

    def hand(self, job: Job) -> None:
        with self._lock:
            if self.is_over:
                raise ClientClosed("the client was closed; make a new one")
            self.jobs.append(job)
            count = self._summoned()
            is_new = not (count or self._is_watched)
            if is_new:
                self._is_watched = True
                self._need.begin()
        self._send(count)
        if is_new:
            TIMER.after(LOOK, self._watch)
        if self.is_over:  # the end came between
            job.cancel()

    def _watch(self) -> None:
        """As long as jobs wait, see whether more threads or fewer are needed."""
        with self._lock:
            self._is_watched = bool(self.jobs) and not self.is_over
            if not self._is_watched:
                return
            self._need.look()
            count = self._summoned()
        TIMER.after(LOOK, self._watch)
        self._send(count)

    def claim(self, job: Job) -> bool:
        with self._lock:
            is_next = self.active < self._need.most and bool(self.jobs) and self.jobs[0] is job
            if is_next:
                self.jobs.popleft()
                self.active += 1
            return is_next

    def unclaim(self) -> None:
        with self._lock:
            self.active -= 1

    def _summoned(self) -> int:
        """How many threads more there are to be, which are at work from now on."""
        count = max(0, min(len(self.jobs), self.limit - self.active))
        self.active += count
        return count

    def _send(self, count: int) -> None:
        try:
            while count:
                gate = taken(self._gates)
                if gate is not None:
                    gate.release()
                else:
                    self._start()
                count -= 1
        except BaseException as error:  # there can be no more threads, or it is interrupted
            with self._lock:
                self.active -= count
            if not (self.threads and isinstance(error, Exception)):
                raise

    def _start(self) -> None:
        name = f"{self._name}_{len(self.threads)}"
        thread = threading.Thread(target=self._work, name=name, daemon=_at_exit is None)
        self.threads.append(thread)  # it is there before anything comes of what it does
        try:
            thread.start()
        except Exception:  # there can be no more
            self.threads.remove(thread)
            raise

    def _work(self) -> None:
        gate = threading.Lock()
        gate.acquire()
        while not self.is_over:
            job = self._next(gate)
            if job is not None:
                job.do()
                del job
            elif not self.is_over:  # if it comes now, it finds the gate
                gate.acquire()

    def _next(self, gate: threading.Lock) -> Job | None:
        """The next job, if there is one and not enough are at work."""
        with self._lock:
            job = _first(self.jobs) if self.active <= self.limit else None
            if job is None:
                self.active -= 1
                self._gates.append(gate)
            return job

    def end(self) -> None:
        self.is_over = True
        while (job := _first(self.jobs)) is not None:
            job.cancel()
        while (gate := taken(self._gates)) is not None:
            gate.release()


def _first(jobs: deque[Job]) -> Job | None:
    try:
        return jobs.popleft()
    except IndexError:
        return None


_TEAMS: weakref.WeakSet[Team] = weakref.WeakSet()
# Of what comes to the interpreter's end only this comes before it waits for threads.  A private
# name, the one by which concurrent.futures does the same; without it threads are not waited for.
_at_exit: Callable[..., object] | None = getattr(threading, "_register_atexit", None)


def _dismiss_all() -> None:
    for team in list(_TEAMS):
        team.dismiss()


if _at_exit is not None:
    _at_exit(_dismiss_all)


@reset_in_child
def _reset_all() -> None:
    for team in list(_TEAMS):
        team.reset_after_fork()
