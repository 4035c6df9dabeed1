"""Where the sentence ends: one request through the mounted adapter, and its whole answer."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import requests
from requests import Response

from .deadlines import late
from .errors import (
    NEVER_SENT,
    PROCESSED,
    DeadlineExceeded,
    PoolTimeout,
    ReadTimeout,
    RequestState,
    as_timeout,
    mark,
)
from .journal import masked_url
from .pipeline import Call, Exchange
from .settings import Settings
from .transport.body import read_body, skim_body
from .transport.sent import state_of
from .transport.streams import bound
from .transport.watch import Watch

__all__ = ["Wire"]


class Wire:
    """What an attempt does, and by when: the settings and the call's deadline say so."""

    def __init__(self, settings: Settings, *, clock: Callable[[], float]) -> None:
        self.settings, self.clock = settings, clock

    def transmit(self, exchange: Exchange) -> Response:
        """Send one request through the adapter that is mounted, and read the whole answer.

        Bounded by the wall clock where the settings or the call's deadline say so.
        """
        bound, by_deadline = self._bound(exchange.call)
        if bound is not None and bound <= 0:
            raise _too_late(exchange, NEVER_SENT)
        until = None if bound is None else time.monotonic() + bound
        with Watch(until, exchange.call.spent) as watch:
            try:
                response = self._send(exchange)
                if not watch.expired:
                    if exchange.streams and exchange.call.deadline is not None:
                        self._bind_body(response, exchange, watch)
                    return response
                response.close()  # it may look whole, and have been cut
                overdue = _too_late if by_deadline else _too_slow
                failure: requests.RequestException = overdue(exchange, PROCESSED)
            except requests.RequestException as error:
                failure = error
        told = _told(exchange, failure, watch.expired, by_deadline)
        try:
            if told is failure:
                raise failure
            raise told from failure.__cause__ or failure.__context__
        finally:
            del failure, told  # an error must not be held by the frames that its traceback holds

    def _bound(self, call: Call) -> tuple[float | None, bool]:
        """Seconds that this attempt may take, and whether that is all that the deadline leaves."""
        attempt = call.attempt_timeout
        if call.deadline is None:
            return attempt, False
        left = call.deadline - self.clock()
        return (left, True) if attempt is None or left <= attempt else (attempt, False)

    def _bind_body(self, response: Response, exchange: Exchange, watch: Watch) -> None:
        """Whoever reads it has as long as the deadline leaves; an attempt's own bound is over."""
        call, request = exchange.call, exchange.request
        assert call.deadline is not None
        until = time.monotonic() + call.deadline - self.clock()
        too_late = partial(late, call, " in the body", PROCESSED, request=request)
        bound(response, watch, until=until, late=too_late)

    def _send(self, exchange: Exchange) -> Response:
        assert exchange.adapter is not None
        began = time.perf_counter()
        response = exchange.adapter.send(exchange.request, **exchange.options)
        response.__dict__.setdefault("_answered_after", time.perf_counter() - began)
        response.__dict__.setdefault("from_cache", False)
        try:
            self._read(exchange, response)
        except requests.RequestException as error:
            mark(error, PROCESSED)
            raise
        return response

    def _read(self, exchange: Exchange, response: Response) -> None:
        limit = self.settings.max_response_bytes
        if response.is_redirect:
            follows = bool(exchange.call.arguments.get("allow_redirects", True))
            skim_body(response, limit=limit, follows=follows)
        elif not exchange.streams:
            read_body(response, limit=limit)


def _told(
    exchange: Exchange, error: requests.RequestException, is_overdue: bool, is_late: bool
) -> requests.RequestException:
    """What the caller hears of ``error``; ``is_late``: the deadline is what bounds the attempt."""
    state = state_of(error)
    if error.request is None:
        error.request = exchange.request
    if isinstance(error, DeadlineExceeded):
        return error
    if is_late and (is_overdue or isinstance(error, PoolTimeout)):
        return _too_late(exchange, state)
    if is_overdue and not isinstance(error, TimeoutError):
        return _too_slow(exchange, state)
    return mark(as_timeout(error), state)


def _too_late(exchange: Exchange, state: RequestState) -> DeadlineExceeded:
    attempt = f"attempt {exchange.attempt}" if exchange.attempt else "the first attempt"
    return late(exchange.call, f" in {attempt}", state, request=exchange.request)


def _too_slow(exchange: Exchange, state: RequestState) -> ReadTimeout:
    what = f"{exchange.request.method} {masked_url(str(exchange.request.url))}"
    bound = exchange.call.attempt_timeout
    error = ReadTimeout(f"{what}: took longer than {bound:g} s", request=exchange.request)
    return mark(error, state)
