"""A circuit breaker for each endpoint, and the step that asks it.

    what came of a request                                  it counts as
    ──────────────────────────────────────────────────────  ────────────
    connection error, timeout, cut body, 5xx                a failure
    any other answer, 4xx and 429 among them                a success
    no free connection, deadline passed, another breaker's  nothing
        refusal, undecodable body, bad input, interrupt,
        anything else that is raised

Each attempt counts, since the step stands within the retries.
"""

from __future__ import annotations

import copy
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import requests
from requests import PreparedRequest, Response
from requests.exceptions import ChunkedEncodingError

from ..errors import CircuitOpenError, DeadlineExceeded, PoolTimeout, without_history
from ..journal import Journal
from ..pipeline import Exchange, Proceed
from ..settings import Settings
from .breaker_forms import BadResult
from .breaker_states import Listener, Permit
from .circuit_breaker import CircuitBreaker
from .endpoints import endpoint_namer

__all__ = ["BadResult", "Breakers", "CircuitBreaker", "Permit"]

_FAILURES = (requests.ConnectionError, requests.Timeout, ChunkedEncodingError)
_NEUTRAL = (CircuitOpenError, DeadlineExceeded, PoolTimeout)  # these win where it is of both kinds


class Breakers:
    """The breakers of the endpoints that were used last, each made when first asked for.

    Their settings are ``settings``' or, where it is given, the ``template``'s; the template itself
    is only copied.  Its ``is_failure`` then judges answers, instead of "5xx".
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Callable[[], float],
        journal: Journal,
        template: CircuitBreaker | None = None,
    ) -> None:
        self.endpoint_of = endpoint_namer(settings.base_url, settings.endpoint_key)
        self.rejected = 0  # since the beginning, also by breakers that are no more
        self._pattern = _pattern(settings, clock, template)
        if journal.enabled:
            self._pattern.add_listener(_Scribe(journal))
        self._most = settings.max_endpoints
        self._breakers: OrderedDict[str, CircuitBreaker] = OrderedDict()  # latest used last
        self.reset_after_fork()

    def reset_after_fork(self) -> None:
        """Nobody holds the lock."""
        self._lock = threading.Lock()

    # -- the step --------------------------------------------------------------------------------

    def guard(self, exchange: Exchange, proceed: Proceed[Exchange]) -> Response:
        """Unless the endpoint is down."""
        request = exchange.request
        exchange.endpoint = self.endpoint_of(request.method or "", request.url or "")
        breaker = self.of(exchange.endpoint)
        permit = self._admitted(breaker, request)
        try:
            response = proceed(exchange)
            failure = _failure_told_by(response, breaker)
        except BaseException as error:
            if isinstance(error, _FAILURES) and not isinstance(error, _NEUTRAL):
                breaker.settle(permit, without_history(error))  # it is kept while open
                exchange.refused_for = breaker.wait_at(breaker.clock())
            else:
                breaker.forgive(permit)
            raise
        breaker.settle(permit, failure)
        exchange.refused_for = 0.0 if failure is None else breaker.wait_at(breaker.clock())
        return response

    def foresee(self, exchange: Exchange, proceed: Proceed[Exchange]) -> Response:
        """Refuse what ``guard`` would, before it waits for anything else."""
        request = exchange.request
        if self.is_down(request.method or "", request.url or ""):
            self.refuse(request)
        return proceed(exchange)

    def is_down(self, method: str, url: str) -> bool:
        """Whether ``guard`` would most likely refuse."""
        breaker = self._breakers.get(self.endpoint_of(method, url))
        return breaker is not None and breaker.is_down()

    def refuse(self, request: PreparedRequest) -> None:
        """Refuse as ``guard`` would, or do nothing if it would let the request through."""
        breaker = self.of(self.endpoint_of(request.method or "", request.url or ""))
        breaker.forgive(self._admitted(breaker, request))

    def _admitted(self, breaker: CircuitBreaker, request: PreparedRequest) -> Permit:
        try:
            return breaker.admit()
        except CircuitOpenError as refusal:
            refusal.request = request
            with self._lock:
                self.rejected += 1
            raise

    # -- the breakers ----------------------------------------------------------------------------

    def of(self, endpoint: str) -> CircuitBreaker:
        """The one breaker of this endpoint."""
        with self._lock:
            breaker = self._breakers.get(endpoint)
            if breaker is not None:
                self._breakers.move_to_end(endpoint)
                return breaker
        fresh = copy.copy(self._pattern)
        fresh.name = endpoint
        with self._lock:
            breaker = self._breakers.setdefault(endpoint, fresh)
        self._make_room(endpoint)
        return breaker

    def _make_room(self, latest: str) -> None:
        now = self._pattern.clock()
        with self._lock:
            while len(self._breakers) > self._most:
                others = ((k, one) for k, one in self._breakers.items() if k != latest)
                # What lets calls through does what a new one would do; the rest know something.
                idle = (name for name, breaker in others if breaker.wait_at(now) == 0)
                del self._breakers[next(idle, next(iter(self._breakers)))]

    def status(self) -> dict[str, dict[str, Any]]:
        """For each endpoint ``state``, ``failure_count`` and ``last_failure_time``, and then more.

        As with a single breaker, an open one whose time is over becomes half-open by being shown.
        """
        with self._lock:
            breakers = dict(self._breakers)
        return {endpoint: breaker.status() for endpoint, breaker in breakers.items()}

    def reset(self) -> None:
        """Close all of them, and forget everything that has happened."""
        with self._lock:
            self.rejected, breakers = 0, list(self._breakers.values())
        for breaker in breakers:
            breaker.reset()


class _Scribe(Listener):
    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def state_change(self, cb: Any, old_state: Any, new_state: Any) -> None:
        old, new = (state.name.replace("-", "_") for state in (old_state, new_state))
        self._journal.say("breaker %s: %s -> %s%s", cb.name, old, new, _because(cb.last_error))


def _because(error: BaseException | None) -> str:
    # Of others only the name: their texts quote URLs, and these may hold secrets.
    if error is None:
        return ""
    return f", after {error if type(error) is requests.HTTPError else type(error).__name__}"


def _pattern(
    settings: Settings, clock: Callable[[], float], template: CircuitBreaker | None
) -> CircuitBreaker:
    if template is None:
        pattern = CircuitBreaker(
            settings.failure_threshold,
            settings.recovery_timeout,
            settings.half_open_max_calls,
            clock=clock,
        )
    else:
        pattern = copy.copy(template)
        if pattern.clock is time.monotonic:  # nobody has chosen it
            pattern.clock = clock
    if pattern.is_failure is None:
        pattern.is_failure = _is_server_error
    return pattern


def _is_server_error(response: Response) -> bool:
    return (response.status_code or 0) >= 500  # a mock may not have set it


def _failure_told_by(response: Response, breaker: CircuitBreaker) -> BaseException | None:
    if breaker.is_failure is None or not breaker.is_failure(response):
        return None
    # Without the response: it would be remembered, body and all, while the circuit is open.
    return requests.HTTPError(f"{response.status_code} {response.reason or ''}".rstrip())
