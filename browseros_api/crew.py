"""Threads of a client's own, and the jobs that wait for one."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from typing import Any, Generic, TypeVar

from .errors import ClientClosed
from .forks import look, reset_in_child
from .timer import TIMER

__all__ = ["Crew"]

T = TypeVar("T")


class Crew:
    """Threads that are there from the first job on, in a forked child anew."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._is_dismissed = False
        self.reset_after_fork()
        _CREWS.add(self)

    def reset_after_fork(self) -> None:
        """No threads, and a lock that nobody holds."""
        self._lock = threading.Lock()
        self._executor: ThreadPoolExecutor | None = None
        self._spare: ThreadPoolExecutor | None = None

    def submit(self, job: Callable[[], T]) -> Future[T]:
        """Have ``job`` done, in the context of the caller; what comes of it is in the Future."""
        look()
        work = partial(copy_context().run, job)
        with self._lock:
            if self._is_dismissed:
                raise ClientClosed("the client was closed; make a new one")
            if self._executor is None:
                self._executor = ThreadPoolExecutor(self.most, "browseros_api")
            return self._executor.submit(work)

    def submit_within(self, seconds: float, job: Callable[[], T]) -> Future[T]:
        """The same, but if no thread becomes free in time, it is begun on a spare one.

        That is for a job which has a deadline of its own, and then ends at once.
        """
        future: Future[T] = Future()
        turn = _Turn(partial(copy_context().run, job), future)
        waiting = self.submit(turn.take)
        appointment = TIMER.after(seconds, partial(self._take_now, turn))
        waiting.add_done_callback(lambda _: appointment.cancel())
        waiting.add_done_callback(turn.drop)
        return future

    def _take_now(self, turn: _Turn[Any]) -> None:
        with self._lock:
            if self._is_dismissed:
                return
            if self._spare is None:  # one: what waits for it ends at once
                self._spare = ThreadPoolExecutor(1, "browseros_api-spare")
            self._spare.submit(turn.take)

    def dismiss(self) -> None:
        """For good: jobs that were not begun are cancelled, those that were are left to end."""
        with self._lock:
            self._is_dismissed = True
            executors = self._executor, self._spare
            self._executor = self._spare = None
        for executor in executors:
            if executor is not None:
                executor.shutdown(wait=False, cancel_futures=True)

    def __getstate__(self) -> dict[str, Any]:
        return {"most": self.most, "_is_dismissed": self._is_dismissed}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.reset_after_fork()
        _CREWS.add(self)


class _Turn(Generic[T]):
    """A job for whichever thread comes first; what comes of it is in ``future``."""

    def __init__(self, job: Callable[[], T], future: Future[T]) -> None:
        # Who takes it takes it out: it must not be done twice, and what has become of it must not
        # be held by those who still have their turn to come.
        self._open = [(job, future)]

    def take(self) -> None:
        """Do it, unless it was begun, cancelled or dropped."""
        try:
            job, future = self._open.pop()
        except IndexError:
            return
        try:
            if future.set_running_or_notify_cancel():
                future.set_result(job())
        except BaseException as error:
            future.set_exception(error)
        finally:
            del future  # an error must not be held by a frame that its traceback holds

    def drop(self, waiting: Future[Any]) -> None:
        """Nobody will take it, if ``waiting`` was cancelled."""
        if waiting.cancelled():
            with suppress(IndexError):
                _, future = self._open.pop()
                future.cancel()
                future.set_running_or_notify_cancel()


_CREWS: weakref.WeakSet[Crew] = weakref.WeakSet()


@reset_in_child
def _reset_all() -> None:
    for crew in list(_CREWS):
        crew.reset_after_fork()
