"""One exchange that may be asked twice at once: the first good answer wins."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from contextvars import copy_context
from dataclasses import replace
from functools import partial
from typing import Protocol

from requests import RequestException, Response

from ..errors import NEVER_SENT, ClientClosed, let_go
from ..jobs import Job
from ..pipeline import Exchange, Proceed
from ..raising import AsItIs
from ..timer import TIMER

__all__ = ["Cuttable", "Race", "is_good"]

_Outcome = Response | RequestException
_REFUSED = 429


class Cuttable(Protocol):
    """What binds the sockets of a thread, until another thread cuts it."""

    def cut(self) -> None: ...


class Race:
    """The caller's thread asks; if that takes long, a second thread does, beside it.

    Whoever loses is cut, which ends what it waits for: its connection is closed and not used again.
    ``watch`` makes what cuts; ``may_hedge`` is asked on the timer's thread; ``hand`` has a job
    done on another one, and may raise.  Only the fields that both threads write are locked.
    """

    def __init__(
        self,
        exchange: Exchange,
        proceed: Proceed[Exchange],
        *,
        watch: Callable[[], AbstractContextManager[Cuttable]],
        may_hedge: Callable[[Exchange], bool],
        hand: Callable[[Job], None],
    ) -> None:
        self._exchange, self._proceed, self._hand = exchange, proceed, hand
        self._watch, self._may_hedge = watch, may_hedge
        self._context = copy_context()
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self._bell = threading.Lock()  # opens when the hedge is over
        self._own: Cuttable | None = None
        self._job: Job | None = None
        self._hedged_by: Cuttable | None = None
        self._hedge: _Outcome | None = None
        self._is_over = False
        self.hedged_after: float | None = None  # seconds
        self.was_won_by_hedge = False

    # -- in the caller's thread ------------------------------------------------------------------

    def run(self, seconds: float) -> Response:
        """Ask, and once more after so many ``seconds`` without an answer."""
        appointment = None
        try:
            with self._watch() as self._own:
                appointment = TIMER.after(seconds, self._start)
                outcome = self._asked()
            if not is_good(outcome):
                outcome = self._best(outcome)
        finally:
            if appointment is not None:
                appointment.cancel()
            self._end()
        try:
            if not isinstance(outcome, RequestException):
                return outcome
            with AsItIs(outcome):
                raise outcome
        finally:
            del outcome  # an error must not be held by the frames that its traceback holds

    def _asked(self) -> _Outcome:
        try:
            return self._proceed(self._exchange)
        except RequestException as error:
            return error

    def _best(self, own: _Outcome) -> _Outcome:
        """Of this and of what comes of the hedge, if there is one."""
        with self._lock:
            self._is_over = self._job is None  # it is too late for one
        if self._is_over:
            return own
        if (spent := self._exchange.call.spent) is not None:
            spent.turn("server")
        with self._bell:
            pass
        if spent is not None:
            spent.turn("rest")
        with self._lock:
            hedge, self._hedge, self._is_over = self._hedge, None, True
        if hedge is None or not _is_better(hedge, own):
            if hedge is not None:
                _discard(hedge)
            return own
        self.was_won_by_hedge = is_good(hedge)
        _discard(own)
        return hedge

    def _end(self) -> None:
        """Whatever is still on its way is of no use any more."""
        with self._lock:
            self._is_over = True
            hedge, self._hedge = self._hedge, None
            job, self._job = self._job, None  # which knows us: no circle for the collector
            watch = self._hedged_by
        if job is not None:
            job.cancel()
        if watch is not None:
            watch.cut()
        if hedge is not None:
            _discard(hedge)

    # -- in other threads ------------------------------------------------------------------------

    def _start(self) -> None:
        """It has taken long: have it asked again, beside it."""
        if self._is_over or not self._may_hedge(self._exchange):
            return
        self._bell.acquire()
        job = Job(partial(self._context.run, self._ask_beside), self._ring)
        with self._lock:
            if self._is_over:
                return
            self._job = job
        try:
            self._hand(job)
        except (ClientClosed, RuntimeError):  # or there can be no more threads
            job.cancel()

    def _ring(self, _: Job) -> None:
        self._bell.release()

    def _ask_beside(self) -> None:
        try:
            with self._watch() as watch:
                with self._lock:
                    if self._is_over:
                        return
                    self._hedged_by = watch
                outcome: _Outcome = self._proceed(self._copy())
        except RequestException as error:
            outcome = error
        with self._lock:
            is_late = self._is_over
            if not is_late:
                self._hedge = outcome
        if is_late:
            _discard(outcome)
        elif is_good(outcome) and self._own is not None:
            self._own.cut()

    def beside(self, exchange: Exchange, proceed: Proceed[Exchange]) -> Response:
        """The second request goes now: nothing holds it back."""
        self.hedged_after = time.monotonic() - self._began
        return proceed(exchange)

    def _copy(self) -> Exchange:
        """The same exchange for another thread, within what the attempt has left."""
        call = self._exchange.call
        left = call.attempt_timeout
        if left is not None:
            left -= time.monotonic() - self._began
        call = replace(call, spent=None, attempt_timeout=left)
        options = dict(self._exchange.options)
        return replace(self._exchange, call=call, options=options, is_spare=True)


def is_good(outcome: _Outcome) -> bool:
    """Whether it is an answer that nothing better is to be waited for."""
    if isinstance(outcome, RequestException):
        return False
    status = outcome.status_code or 0  # a mock may not have set it
    return status < 500 and status != _REFUSED


def _is_better(outcome: _Outcome, other: _Outcome) -> bool:
    """A good answer than any other, any answer than an error, and one that says more than less."""
    if not isinstance(outcome, RequestException):
        return is_good(outcome) or isinstance(other, RequestException)
    return isinstance(other, RequestException) and _state(other) == NEVER_SENT != _state(outcome)


def _state(error: RequestException) -> str:
    return getattr(error, "request_state", NEVER_SENT)


def _discard(outcome: _Outcome) -> None:
    """Let go of what it holds: the body of an answer has been read."""
    if isinstance(outcome, RequestException):
        let_go(outcome)
    elif outcome.raw is not None:
        outcome.close()
