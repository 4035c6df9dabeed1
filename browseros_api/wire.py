"""Where the sentence ends: one request through the mounted adapter, and its whole answer."""

from __future__ import annotations

import time
from collections.abc import Callable

import requests
from requests import Response

from .errors import DeadlineExceeded, PoolTimeout, ReadTimeout, as_timeout
from .journal import masked_url
from .pipeline import Call, Exchange
from .settings import Settings
from .transport.body import read_body, skim_body
from .transport.watch import Watch

__all__ = ["Wire"]

_UNCACHED = (("from_cache", False), ("stale", False), ("age", 0.0))


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
            raise self._too_late(exchange)
        with Watch(None if bound is None else time.monotonic() + bound) as watch:
            try:
                response = self._send(exchange)
                if not watch.expired:
                    return response
                response.close()  # it may look whole, and have been cut
                overdue = self._too_late if by_deadline else self._too_slow
                failure: requests.RequestException = overdue(exchange)
            except requests.RequestException as error:
                failure = error
        told = self._told(exchange, failure, watch.expired, by_deadline)
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

    def _told(
        self, exchange: Exchange, error: requests.RequestException, overdue: bool, late: bool
    ) -> requests.RequestException:
        if error.request is None:
            error.request = exchange.request
        if isinstance(error, DeadlineExceeded):
            return error
        if late and (overdue or isinstance(error, PoolTimeout)):
            return self._too_late(exchange)
        if overdue and not isinstance(error, TimeoutError):
            return self._too_slow(exchange)
        return as_timeout(error)

    def _send(self, exchange: Exchange) -> Response:
        assert exchange.adapter is not None
        began = time.perf_counter()
        response = exchange.adapter.send(exchange.request, **exchange.options)
        response.__dict__.setdefault("_answered_after", time.perf_counter() - began)
        for name, value in _UNCACHED:
            response.__dict__.setdefault(name, value)
        limit = self.settings.max_response_bytes
        if response.is_redirect:
            follows = bool(exchange.call.arguments.get("allow_redirects", True))
            skim_body(response, limit=limit, follows=follows)
        elif not exchange.streams:
            read_body(response, limit=limit)
        return response

    def _too_late(self, exchange: Exchange) -> DeadlineExceeded:
        what = f"{exchange.request.method} {masked_url(str(exchange.request.url))}"
        attempt = f"attempt {exchange.attempt}" if exchange.attempt else "the first attempt"
        return DeadlineExceeded(f"{what}: deadline passed in {attempt}", request=exchange.request)

    def _too_slow(self, exchange: Exchange) -> ReadTimeout:
        what = f"{exchange.request.method} {masked_url(str(exchange.request.url))}"
        bound = exchange.call.attempt_timeout
        return ReadTimeout(f"{what}: took longer than {bound:g} s", request=exchange.request)
