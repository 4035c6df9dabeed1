"""What threads have done, brought to a loop: many things at once, where many are done."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from typing import Any

from .errors import ClientClosed
from .jobs import Job
from .need import LOOK
from .team import Team

__all__ = ["Desk", "desk_here"]


class Desk:
    """Of one event loop: threads ring, and whoever waits there goes on."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._rung: deque[asyncio.Future[None]] = deque()
        self._is_woken = False
        self._watched: weakref.WeakSet[Team] = weakref.WeakSet()

    def ring(self, waiter: asyncio.Future[None]) -> None:
        """Let ``waiter`` of the loop be done; from any thread."""
        self._rung.append(waiter)
        if not self._is_woken:  # waking a loop takes a system call: one for all who come meanwhile
            self._is_woken = True
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self.loop.call_soon_threadsafe(self._go_on)

    def _go_on(self) -> None:
        self._is_woken = False  # first: whoever comes later wakes the loop again
        while self._rung:
            _finish(self._rung.popleft())

    async def until_done(self, future: Future[Any], seconds: float | None) -> bool:
        """Await that ``future`` is done, so long at the most; it is never cancelled by that."""
        waiter = self.loop.create_future()
        future.add_done_callback(lambda _: self.ring(waiter))
        timer = None if seconds is None else self.loop.call_later(seconds, _finish, waiter)
        try:
            await waiter
        finally:
            if timer is not None:
                timer.cancel()
        return future.done()

    async def result(
        self, team: Team, work: Callable[[], Any], *, forgone: Callable[[], object] = lambda: None,
        seconds: float | None = None, late: Callable[[], Exception] | None = None,
    ) -> Any:  # fmt: skip
        """What comes of ``work`` on a thread of ``team``, in the context of the caller.

        If its turn does not come, ``forgone`` is called, and if that is because ``seconds`` have
        passed, what ``late`` returns is raised.
        """
        waiter = self.loop.create_future()

        def tell(job: Job) -> None:
            if job.is_cancelled:
                forgone()
            if team.is_behind:  # more will be over soon, and the loop looks from time to time
                self._rung.append(waiter)
            else:
                self.ring(waiter)

        job = Job(partial(copy_context().run, work), tell)
        timer: asyncio.TimerHandle | None = None
        try:
            team.hand(job)
            self._watch(team)
            if seconds is not None:
                timer = self.loop.call_later(seconds, job.cancel)
            await waiter
            if job.error is not None:
                raise job.error
            if job.is_cancelled:
                if late is not None and timer is not None and timer.when() <= self.loop.time():
                    raise late()
                raise ClientClosed("the client was closed before this call had its turn")
            return job.result
        finally:
            job.cancel()  # in case that this ``await`` was cancelled
            if timer is not None:
                timer.cancel()
            del job, timer  # an error must not be held by a frame that its traceback holds

    def _watch(self, team: Team) -> None:
        """Look from time to time at what is over, as long as the team is behind."""
        if team.is_behind and team not in self._watched:
            self._watched.add(team)
            self.loop.call_later(LOOK, self._look, team)

    def _look(self, team: Team) -> None:
        is_behind = team.is_behind  # first: who found it so before has left what it brought
        self._go_on()
        if is_behind:
            self.loop.call_later(LOOK, self._look, team)
        else:
            self._watched.discard(team)


def _finish(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


class _Here(threading.local):
    desk: Desk | None = None


_here = _Here()


def desk_here() -> Desk:
    """The desk of the loop that runs in this thread."""
    loop = asyncio.get_running_loop()
    desk = _here.desk
    if desk is None or desk.loop is not loop:
        desk = _here.desk = Desk(loop)
    return desk
