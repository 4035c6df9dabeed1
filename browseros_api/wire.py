"""Where the sentence ends: one request through the mounted adapter, and its whole answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import cast

import requests
from requests import Response
from requests.adapters import HTTPAdapter

from .deadlines import late
from .errors import (
    NEVER_SENT,
    PROCESSED,
    DeadlineExceeded,
    ReadTimeout,
    RequestState,
    as_timeout,
    mark,
)
from .journal import LOGGER, masked_url
from .pipeline import Call, Exchange
from .settings import Settings
from .transport import streams
from .transport.adapter import PoolingAdapter
from .transport.body import read_body, skim_body
from .transport.elsewhere import clipped, hold_body
from .transport.sent import state_of
from .transport.single import asks_again, single
from .transport.watch import Watch

__all__ = ["Wire"]

_UNCACHED = (("from_cache", False), ("stale", False), ("age", 0.0), ("from_fallback", False))


class Wire:
    """What an attempt does, and by when: the settings and the call's deadline say so."""

    def __init__(self, settings: Settings, *, clock: Callable[[], float]) -> None:
        self.settings, self.clock = settings, clock
        self._warning = threading.Lock()  # taken for good by whoever says it

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
                response = self._send(exchange, watch)
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
        streams.bind(response, watch, until=until, late=too_late)

    def _send(self, exchange: Exchange, watch: Watch) -> Response:
        adapter, options = exchange.adapter, exchange.options
        assert adapter is not None
        if self.settings.max_retries and asks_again(adapter):
            adapter = self._warned_of(cast(HTTPAdapter, adapter))
        left = None
        if not isinstance(adapter, PoolingAdapter):
            watch.note("server")  # for all we know
            left = watch.remaining()
        if left is not None:
            options = {**options, "timeout": clipped(options.get("timeout"), left)}
        began = time.perf_counter()
        response = adapter.send(exchange.request, **options)
        response.__dict__.setdefault("_answered_after", time.perf_counter() - began)
        for name, value in _UNCACHED:
            response.__dict__.setdefault(name, value)
        if left is not None:
            hold_body(response, watch)
        try:
            self._read(exchange, response)
        except requests.RequestException as error:
            mark(error, PROCESSED)
            raise
        return response

    def _warned_of(self, adapter: HTTPAdapter) -> HTTPAdapter:
        """Stacked retries multiply: those of the adapter are left out, which is said once."""
        if self._warning.acquire(blocking=False):
            LOGGER.warning(
                "a mounted %s has retries of its own; they are left out, since the session's "
                "max_retries=%d counts: mount it without them, or set max_retries=0",
                type(adapter).__name__,
                self.settings.max_retries,
            )
        return single(adapter)

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
    if is_late and is_overdue:
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
    said = "was cut short" if bound is None else f"took longer than {bound:g} s"
    error = ReadTimeout(f"{what}: {said}", request=exchange.request)
    return mark(error, state)
