"""Asking again, where that may help and can do no harm, which the rules beside this file tell.

And only while retries are left, of the call and in the budget of its host, the body can be sent
once more, and the wait before it is neither longer than a server may ask for nor longer than the
call has left.  Otherwise the last answer is
returned, or the last error raised, just as it would have been without retries.
The circuit breaker stands inside, around each attempt: an open circuit ends the retries.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, cast

from requests import RequestException, Response

from ..errors import NEVER_SENT, PROCESSED, CircuitOpenError, RequestState, mark
from ..forks import importing
from ..journal import Journal, masked_url
from ..listeners import Listeners
from ..naps import wall
from ..pipeline import Exchange, Proceed
from ..raising import AsItIs
from ..refusals import LimitExceeded
from ..settings import Settings
from .outcomes import Outcome, attach, discard, is_transient, told
from .replay import rewind
from .rules import Rules

if TYPE_CHECKING:
    from tenacity import RetryCallState

__all__ = ["Retry"]


class Spendable(Protocol):
    """What a budget does for retries."""

    def earn(self, url: str, *, calls: int, answered: bool) -> None: ...

    def spend(self, url: str) -> bool: ...


class Retry:
    """The retries of a session: its step is ``attempt``.

    ``state_of(error)`` tells how far the request came; ``clock`` is the one that deadlines are
    instants of, ``wall`` (seconds since the epoch) the one that HTTP dates are compared with.
    ``sleep`` may raise, which ends the call with what it raised.  Without a ``budget`` a host may
    be asked any number of times.
    One instance serves all threads: what belongs to a call lives on the stack of that call.

    Attributes:
        retries: attempts made beyond the first one, of all exchanges together.
        rescued: exchanges that failed at first and succeeded in the end.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], object],
        random: Callable[[], float],
        journal: Journal,
        state_of: Callable[[RequestException], RequestState],
        listeners: Listeners | None = None,
        budget: Spendable | None = None,
        wall: Callable[[], float] = wall,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._sleep = sleep
        self._journal = journal
        self._state_of = state_of
        self._budget, self._listeners = budget, listeners
        self._rules = Rules(settings, random=random, wall=wall)
        self.retries = self.rescued = 0
        self.reset_lock()

    def reset_lock(self) -> None:
        """A new lock, for a child process whose parent may have held the old one."""
        self._counting = threading.Lock()

    def attempt(self, exchange: Exchange, proceed: Proceed[Exchange]) -> Response:
        """Send the request, again where the rules above say so, and hand out the last outcome.

        Before each delay ``settings.on_retry`` is called with the number of the attempt that
        failed (from 1), the delay in seconds, and its error or answer.  What it raises ends the
        call and comes out.  An answer it was shown is closed when it returns.
        """
        outcome = self._ask(exchange, proceed)
        try:
            if self._is_worth_repeating(exchange, outcome, 1):
                outcome = self._ask_again(exchange, proceed, outcome)
            if not isinstance(outcome, RequestException):
                return outcome
            with AsItIs(outcome):
                raise outcome
        finally:
            del outcome  # an error must not be held by the frames that its traceback holds

    def _ask(self, exchange: Exchange, proceed: Proceed[Exchange]) -> Outcome:
        call = exchange.call
        exchange.attempt += 1
        call.attempts += 1
        try:
            response = proceed(exchange)
        except RequestException as error:
            exchange.reached = self._state_of(error)
            if exchange.reached != NEVER_SENT:
                call.reached = exchange.reached
            mark(error, call.reached)
            if isinstance(error, (CircuitOpenError, LimitExceeded)):
                call.attempts -= 1  # nothing was sent
            if not is_transient(error):
                self._note(exchange, error, "not retried: asking again would not help")
                raise
            self._earn(exchange, answered=False)
            return error
        exchange.reached = call.reached = PROCESSED
        self._earn(exchange, answered=not self._rules.has_failed(response))
        return response

    def _earn(self, exchange: Exchange, *, answered: bool) -> None:
        if self._budget is not None:
            calls = int(exchange.attempt == 1)
            self._budget.earn(exchange.request.url or "", calls=calls, answered=answered)

    def _ask_again(
        self, exchange: Exchange, proceed: Proceed[Exchange], outcome: Outcome
    ) -> Outcome:
        with importing:  # and not at the head of the file: importing tenacity imports asyncio
            from tenacity import DoAttempt, DoSleep, RetryCallState, Retrying  # noqa: PLC0415
        # One of its own for each exchange: callbacks may call the session again in this thread.
        retrying = Retrying(
            retry=lambda s: self._is_worth_repeating(exchange, _outcome(s), s.attempt_number),
            wait=lambda s: self._rules.wait(_outcome(s), s.attempt_number),
            stop=lambda s: self._is_over(exchange, s),
            retry_error_callback=_outcome,
        )
        state = RetryCallState(retrying, fn=None, args=(), kwargs={})
        # An error goes in as a result, too: raised through tenacity it would collect its frames.
        state.set_result(outcome)
        retrying.begin()
        try:
            while True:
                step = retrying.iter(state)
                if isinstance(step, DoSleep):
                    self._pause(exchange, state)
                    state.prepare_for_next_attempt()
                elif isinstance(step, DoAttempt):
                    self._count(retries=1)
                    state.set_result(self._ask(exchange, proceed))
                else:
                    self._count(rescued=not self._rules.has_failed(step))
                    return cast(Outcome, step)
        finally:  # nor may tenacity's actions hold tenacity, and all this with it
            retrying.iter_state.reset()
            step = state.outcome = None

    def _is_worth_repeating(self, exchange: Exchange, outcome: Outcome, attempts: int) -> bool:
        objection = self._rules.objection(exchange, outcome, attempts)
        if objection is not None:
            self._note(exchange, outcome, objection)
        return objection is None

    def _is_over(self, exchange: Exchange, state: RetryCallState) -> bool:
        deadline, reason = exchange.call.deadline, ""
        if state.upcoming_sleep == math.inf:
            reason = "given up: the server asks for a longer wait than retry_max_delay"
        elif state.upcoming_sleep < exchange.refused_for:
            reason = "given up: the circuit has opened"  # the call that trips it has its own error
        elif deadline is not None and self._clock() + state.upcoming_sleep >= deadline:
            reason = "given up: the deadline comes before the next attempt"
        elif (failure := rewind(exchange.request)) is not None:
            # Now, before the delay: none is worth waiting for if the body cannot be sent.
            reason = f"given up: its body cannot be rewound ({type(failure).__name__})"
            attach(failure, _outcome(state))
        elif not self._may_spend(exchange):
            reason = "given up: the retry budget of its host is used up"
        if reason:
            self._note(exchange, _outcome(state), reason)
        return bool(reason)

    def _may_spend(self, exchange: Exchange) -> bool:
        return self._budget is None or self._budget.spend(exchange.request.url or "")

    def _pause(self, exchange: Exchange, state: RetryCallState) -> None:
        outcome, seconds = _outcome(state), float(state.upcoming_sleep)
        self._note(exchange, outcome, f"again in {seconds:.2f} s", seconds)
        try:
            if self._settings.on_retry is not None:
                self._settings.on_retry(state.attempt_number, seconds, outcome)
            if self._listeners is not None and self._listeners.hear_retries:
                self._listeners.retry_planned(exchange, outcome, seconds)
        finally:
            discard(outcome)  # before the delay, in which another call can use its connection
        spent = exchange.call.spent
        if spent is not None:
            spent.turn("sleep")
            spent.fold()
        self._sleep(seconds)
        if spent is not None:
            spent.turn("rest")

    def _count(self, *, retries: int = 0, rescued: int = 0) -> None:
        with self._counting:
            self.retries += retries
            self.rescued += rescued

    def _note(
        self, exchange: Exchange, outcome: Outcome, decision: str, delay: float = 0.0
    ) -> None:
        if decision and exchange.call.trace is not None:
            exchange.call.trace.decide(decision, delay)
        if not self._journal.enabled:
            return  # masking a URL is not free
        ending = f"; {decision}" if decision else ""
        what = f"{exchange.request.method} {masked_url(exchange.request.url or '')}"
        self._journal.say("%s attempt %d: %s%s", what, exchange.attempt, told(outcome), ending)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_counting"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.reset_lock()

    def __repr__(self) -> str:
        settings = self._settings
        return (
            f"<Retry [up to {settings.max_retries}, after {settings.retry_base_delay:g} to "
            f"{settings.retry_max_delay:g} s | {self.retries} made, {self.rescued} rescued]>"
        )


def _outcome(state: RetryCallState) -> Outcome:
    assert state.outcome is not None  # but for the time while an attempt is being made
    return cast(Outcome, state.outcome.result())
