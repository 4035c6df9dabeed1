"""Many GETs at once, by the window.

Of a batch, whatever its length, only a window is in the air at any time.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from typing import Any

from .bars import Bar, bar_maker
from .checkpoints import Unwritten
from .checks import one_of
from .errors import ClientClosed
from .jobs import Job
from .journal import LOGGER
from .need import LOOK
from .team import Team

__all__ = ["fetch"]

_AHEAD = 2  # calls per worker that are begun or waiting before their results are taken


def fetch(
    get: Callable[..., Any], endpoints: Iterable[Any], arguments: Mapping[str, Any], *,
    max_workers: int, ordered: bool, on_error: str, progress: bool,
    checkpoint: str | None = None, retried: Callable[[], int] = int,
) -> Iterator[Any]:  # fmt: skip
    """``get`` each of ``endpoints``; see ``EnhancedAPIClient.get_many``.

    ``retried`` counts retries, for the bar.
    """
    one_of("on_error", on_error, ("raise", "return", "skip"))
    for name, value in (("ordered", ordered), ("progress", progress)):
        if not isinstance(value, bool):
            raise TypeError(f"{name} must be True or False, not {value!r}")
    if isinstance(endpoints, (str, bytes, Mapping)) or not isinstance(endpoints, Iterable):
        what = "an iterable of endpoints, such as a list or a generator"
        raise TypeError(f"endpoints must be {what}, not {type(endpoints).__name__}")
    total = len(endpoints) if isinstance(endpoints, Sized) else None
    make_bar = bar_maker(total, retried) if progress else None
    batch = _Batch(get, endpoints, arguments, max_workers)
    return _results(batch, ordered, on_error, make_bar, tell=partial(_tell, total, checkpoint))


def _results(
    batch: _Batch, ordered: bool, on_error: str, make_bar: Callable[[], Bar] | None,
    *, tell: Callable[[int, KeyboardInterrupt], None],
) -> Iterator[Any]:  # fmt: skip
    # A generator of its own, so that wrong arguments raise at the call and not at the first item.
    bar = make_bar() if make_bar is not None else None
    done = 0
    try:
        for job in batch.in_order() if ordered else batch.as_completed():
            error = job.error
            if bar is not None:
                bar.count(has_failed=error is not None)
            if error is not None and (on_error == "raise" or not _is_of_one_call(error)):
                raise error
            done += 1
            if error is None:
                yield job.result
            elif on_error == "return":
                yield error
        if batch.failure is not None:
            raise batch.failure
    except KeyboardInterrupt as interrupt:
        batch.stop()  # first: to tell takes time, in which more would begin
        tell(done, interrupt)
        raise
    finally:
        batch.stop()
        if bar is not None:
            bar.close()


def _tell(total: int | None, checkpoint: str | None, done: int, interrupt: BaseException) -> None:
    """Say how far a batch is to whoever has interrupted it."""
    text = f"{done} done" if total is None else f"{done} of {total} done"
    if checkpoint is not None:
        text += f"; the same call goes on from {checkpoint!r}"
    LOGGER.warning("interrupted: %s", text)
    if not interrupt.args:
        interrupt.args = (text,)  # and no note: those are not shown before Python 3.11


def _is_of_one_call(error: BaseException) -> bool:
    # The next call of a closed client, or after Ctrl-C, would go no better: skipping has no end.
    return isinstance(error, Exception) and not isinstance(error, (ClientClosed, Unwritten))


class _Batch:
    """The window: what is in the air, and threads for it.  Used by one thread only.

    ``failure`` is what ``endpoints`` raised: it is told after the answers to those before it.
    """

    def __init__(
        self,
        get: Callable[..., Any],
        endpoints: Iterable[Any],
        arguments: Mapping[str, Any],
        workers: int,
    ) -> None:
        self.failure: Exception | None = None
        self._get, self._arguments = get, arguments
        self._endpoints = iter(endpoints)
        self._width = workers * _AHEAD
        self._workers = workers
        self._team: Team | None = None
        self._least = 1
        self._over: deque[Job] = deque()
        self._awaited: Job | None = None
        self._bell = threading.Lock()
        self._bell.acquire()

    def in_order(self) -> Iterator[Job]:
        self._least = 0  # what is waited for and not begun is done here
        window: deque[Job] = deque()
        while True:
            while len(window) < self._width and (job := self._next(self._ring)) is not None:
                window.append(job)
                if window[0].is_over:  # hand it out before asking for more, which may take its time
                    break
            if not window:
                return
            first = self._awaited = window.popleft()
            assert self._team is not None
            if not self._team.do(first):
                self._wait()
            self._awaited = None
            yield first

    def as_completed(self) -> Iterator[Job]:
        flying = 0
        while True:
            while flying < self._width and self._next(self._lay) is not None:
                flying += 1
                if self._over:
                    break
            if not flying:
                return
            self._wait()
            flying -= 1
            yield self._over.popleft()

    def _lay(self, job: Job) -> None:
        self._over.append(job)
        self._ring(job)

    def _is_there(self) -> bool:
        """Whether what is waited for is over."""
        awaited = self._awaited
        return bool(self._over) if awaited is None else awaited.is_over

    def _wait(self) -> None:
        # Whoever waits is woken when there is nothing more to begin.  Before, it looks from time to
        # time: to be woken for each answer would keep the threads from the next one.
        assert self._team is not None
        while True:
            is_behind = self._team.is_behind  # first: that it is not stays true
            if self._is_there():
                return
            self._bell.acquire(timeout=LOOK if is_behind else -1)

    def _ring(self, _: Job) -> None:
        if self._team is not None and not self._team.is_behind and self._is_there():
            with suppress(RuntimeError):  # it has rung already
                self._bell.release()

    def _next(self, tell: Callable[[Job], object]) -> Job | None:
        """The next call, begun; None if there is none."""
        try:
            for item in self._endpoints:
                return self._begin(item, tell)
        except Exception as failure:
            self.failure = failure
        self._endpoints = iter(())  # for good: it may not end well a second time
        return None

    def _begin(self, item: Any, tell: Callable[[Job], object]) -> Job:
        given = item if isinstance(item, Mapping) else {"endpoint": item}
        if self._team is None:
            self._team = Team(self._workers, "browseros_api-batch", least=self._least)
        call = {**self._arguments, **given}
        job = Job(partial(copy_context().run, _got, self._get, call), tell)
        self._team.hand(job)
        return job

    def stop(self) -> None:
        """Nothing new begins; what is in the air lands unseen."""
        if self._team is not None:
            self._team.dismiss()


def _got(get: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    return get(**arguments)
