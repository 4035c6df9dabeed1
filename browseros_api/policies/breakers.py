"""A circuit breaker for each endpoint, and for each host if wished, and the steps that ask them.

    what came of a request                                  it counts as
    ──────────────────────────────────────────────────────  ────────────
    connection error, timeout, cut body, 5xx                a failure
    any other answer, 4xx and 429 among them                a success
    no free connection, deadline passed, another breaker's  nothing
        refusal, undecodable body, bad input, interrupt,
        anything else that is raised

Each attempt counts, since the steps stand within the retries.  Of a host's breaker it is a failure
that it was not reached, and a success that it was, whatever came of that; what a proxy does, and
all that counts as nothing above and was never sent, counts as nothing there, too.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import requests
from requests import PreparedRequest, Response
from requests.exceptions import ChunkedEncodingError, ProxyError

from ..errors import (
    MAYBE_PROCESSED,
    NEVER_SENT,
    PROCESSED,
    CircuitOpenError,
    DeadlineExceeded,
    PoolTimeout,
    without_history,
)
from ..journal import Journal
from ..pipeline import Exchange, Proceed
from ..settings import Settings
from ..stores.opening import is_server
from .breaker_forms import BadResult
from .breaker_patterns import Scribe, endpoint_pattern, host_pattern
from .breaker_registry import Registry
from .breaker_states import Permit
from .circuit_breaker import CircuitBreaker
from .endpoints import endpoint_namer, host_of

if TYPE_CHECKING:
    from .shared_circuits import Peers

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
        pattern = endpoint_pattern(settings, clock, template)
        of_hosts = host_pattern(pattern)
        self._peers = _peers(settings, clock)
        if self._peers is not None:
            pattern, of_hosts = map(self._peers.joined, (pattern, of_hosts))
        if journal.enabled:
            for one in (pattern, of_hosts):
                one.add_listener(Scribe(journal))
        self._endpoints = Registry(pattern, most=settings.max_endpoints)
        self._hosts = Registry(of_hosts, most=settings.max_endpoints)
        self.guards_hosts = pattern.terms.host_failures is not None
        self.reset_after_fork()

    def reset_after_fork(self) -> None:
        """Nobody holds the locks."""
        self._lock = threading.Lock()
        self._endpoints.reset_after_fork()
        self._hosts.reset_after_fork()
        if self._peers is not None:
            self._peers.reset_after_fork()

    def close(self) -> None:
        """Give back connections to a store; used again, it opens others."""
        if self._peers is not None:
            self._peers.close()

    # -- the steps -------------------------------------------------------------------------------

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
            if _is_of_the_network(error):
                exchange.refused_for = breaker.settle(permit, without_history(error))  # it is kept
            else:
                breaker.forgive(permit)
            raise
        exchange.refused_for = breaker.settle(permit, failure)
        return response

    def guard_host(self, exchange: Exchange, proceed: Proceed[Exchange]) -> Response:
        """Unless its host cannot be reached at all."""
        breaker = self.host(exchange.request.url or "")
        permit = self._admitted(breaker, exchange.request)
        try:
            response = proceed(exchange)
        except BaseException as error:
            reached = getattr(error, "request_state", None)
            if reached in (MAYBE_PROCESSED, PROCESSED):
                breaker.settle(permit, None)
            elif reached == NEVER_SENT and _is_of_the_host(error):
                refused_for = breaker.settle(permit, without_history(error))
                exchange.refused_for = max(exchange.refused_for, refused_for)
            else:
                breaker.forgive(permit)
            raise
        breaker.settle(permit, None)
        return response

    def foresee(self, exchange: Exchange, proceed: Proceed[Exchange]) -> Response:
        """Refuse what ``guard`` would, before it waits for anything else."""
        request = exchange.request
        if self.is_down(request.method or "", request.url or ""):
            self.refuse(request)
        return proceed(exchange)

    def is_down(self, method: str, url: str) -> bool:
        """Whether one of the steps would most likely refuse."""
        breaker = self._endpoints.known(self.endpoint_of(method, url))
        if breaker is not None and breaker.is_down():
            return True
        host = self._hosts.known(host_of(url)) if self.guards_hosts else None
        return host is not None and host.is_down()

    def refuse(self, request: PreparedRequest) -> None:
        """Refuse as the steps would, or do nothing if they would let the request through."""
        url = request.url or ""
        endpoint = self.of(self.endpoint_of(request.method or "", url))
        for breaker in (self.host(url), endpoint) if self.guards_hosts else (endpoint,):
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
        return self._endpoints.of(endpoint)

    def host(self, url: str) -> CircuitBreaker:
        """The one breaker of the host that ``url`` names, above those of its endpoints."""
        return self._hosts.of(host_of(url))

    def all(self) -> dict[str, CircuitBreaker]:
        """Those of the endpoints, and of the hosts, that there are now."""
        return {**self._endpoints.all(), **self._hosts.all()}

    def status(self) -> dict[str, dict[str, Any]]:
        """For each endpoint ``state``, ``failure_count`` and ``last_failure_time``, and then more.

        As with a single breaker, an open one whose time is over becomes half-open by being shown.
        """
        return {name: breaker.status() for name, breaker in self.all().items()}

    def reset(self) -> None:
        """Close all of them, and forget everything that has happened."""
        with self._lock:
            self.rejected = 0
        for breaker in self.all().values():
            breaker.reset()


def _peers(settings: Settings, clock: Callable[[], float]) -> Peers | None:
    """The other processes, where the store is one in which circuits can be shared."""
    if not (settings.enable_circuit_breaker and is_server(settings.store)):
        return None
    from .shared_circuits import peers_of  # noqa: PLC0415  (what few need)

    return peers_of(settings, clock=clock)


def _failure_told_by(response: Response, breaker: CircuitBreaker) -> BaseException | None:
    if breaker.is_failure is None or not breaker.is_failure(response):
        return None
    # Without the response: it would be remembered, body and all, while the circuit is open.
    return requests.HTTPError(f"{response.status_code} {response.reason or ''}".rstrip())


def _is_of_the_network(error: BaseException) -> bool:
    return isinstance(error, _FAILURES) and not isinstance(error, _NEUTRAL)


def _is_of_the_host(error: BaseException) -> bool:
    return _is_of_the_network(error) and not isinstance(error, ProxyError)
