"""What happens to each call that is made, written down while it happens.

Two steps: ``follow`` stands below the cache, so that an answer which is known costs nothing, and
``attempt`` between the retries and the breaker.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from requests import Response

from ..listeners import Listeners
from ..pipeline import Call, Exchange, Proceed
from ..spent import Spent
from ..tracing.attempt import Attempt
from ..tracing.trace import Trace

__all__ = ["Tracer"]

E = TypeVar("E", bound=BaseException)


class Tracer:
    """Gives each call its trace; ``why`` tells, in a word and a sentence, why it must be made.

    ``own`` is the adapter that is mounted unless somebody mounts another.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        why: Callable[[Call], tuple[str, str]],
        listeners: Listeners,
        own: object,
    ) -> None:
        self._clock, self._why, self._listeners, self._own = clock, why, listeners, own

    def follow(self, call: Call, proceed: Proceed[Call]) -> Response:
        """Write down how the call goes on, and tell whoever gets what comes of it."""
        trace = self.open(call)
        try:
            response = proceed(call)
        except BaseException as error:
            self.fail(call, error)
            raise
        trace.succeed(response, at=self._clock())
        if call.followed or call.followers:
            _say_role(call, trace)
        response.__dict__["trace"] = trace
        return response

    def open(self, call: Call) -> Trace:
        """The trace of a call that the cache could not answer."""
        now, spent, trace = self._clock(), call.spent, call.trace
        if spent is None:
            began = now if call.began is None else call.began
            spent = call.spent = Spent(self._clock, ("cache", began), ("rest", now))
        else:
            if trace is None and call.began is not None:
                spent.has_turned("cache", call.began)
            spent.has_turned("rest", now)
        if trace is None:
            url = call.asked or call.url
            trace = call.trace = Trace(call.method, url, spent, self._why(call))
            trace.wall = time.time() - (now - spent.marks[0][1])
        return trace

    def fail(self, call: Call, error: E) -> E:
        """The call has ended with this error."""
        trace = call.trace
        if trace is not None:
            trace.fail(error, at=self._clock())
            _say_role(call, trace)
            error.__dict__["trace"] = trace
        return error

    def attempt(self, exchange: Exchange, proceed: Proceed[Exchange]) -> Response:
        """Write down what comes of one attempt."""
        call = exchange.call
        trace = call.trace or self.open(call)
        if (spent := call.spent) is not None:
            spent.connection = None
        attempt = Attempt(exchange.attempt, exchange.request, self._clock())
        trace.attempts.append(attempt)
        try:
            response = proceed(exchange)
            attempt.answer(response)
            return response
        except BaseException as error:
            attempt.fail(error)
            raise
        finally:
            attempt.ended = self._clock()
            if spent is not None:
                attempt.connection = spent.connection
            attempt.judge(exchange.endpoint, exchange.circuit, exchange.refused_for)
            if self._listeners.hear_attempts:
                is_elsewhere = exchange.adapter is not self._own
                self._listeners.attempt_ended(attempt, is_elsewhere=is_elsewhere)


def _say_role(call: Call, trace: Trace) -> None:
    if call.followed:
        trace.dedup = "follower"
    elif call.followers:
        trace.dedup, trace.followers = "leader", call.followers
