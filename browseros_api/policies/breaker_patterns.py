"""What the breakers of a session are copied from, and how what they do is written down."""

from __future__ import annotations

import copy
import random
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import requests
from requests import Response

from ..journal import Journal
from ..listeners import Listeners
from ..settings import Settings
from ..terms import CircuitTerms
from .breaker_states import Listener
from .circuit_breaker import CircuitBreaker

__all__ = ["Herald", "Scribe", "endpoint_pattern", "host_pattern"]

_HOST_TRIALS = 1  # a connection that could be made tells all


def endpoint_pattern(
    settings: Settings, clock: Callable[[], float], template: CircuitBreaker | None
) -> CircuitBreaker:
    """What each endpoint's breaker is copied from: the template, or what the settings say."""
    if template is None:
        pattern = CircuitBreaker(
            settings.failure_threshold,
            settings.recovery_timeout,
            settings.half_open_max_calls,
            terms=settings.circuit,
            clock=clock,
        )
    else:
        pattern = copy.copy(template)
        if settings.circuit is not None and pattern.terms != CircuitTerms():
            raise ValueError("circuit and the terms of circuit_breaker must not both be given")
        pattern.adopt(settings.circuit)
    if pattern.clock is time.monotonic:  # nobody has chosen it
        pattern.clock = clock
    if pattern.random is random.random:
        pattern.random = settings.random or random.random
    if pattern.is_failure is None:
        pattern.is_failure = _is_server_error
    return pattern


def host_pattern(endpoint: CircuitBreaker) -> CircuitBreaker:
    """What each host's breaker is copied from: as strict in time as those of its endpoints."""
    terms = endpoint.terms
    own = replace(terms, failure_rate=None, slow_call_rate=None, slow_call=None)
    return CircuitBreaker(
        terms.host_failures or endpoint.failure_threshold,
        endpoint.recovery_timeout,
        _HOST_TRIALS,
        terms=own,
        clock=endpoint.clock,
        random=endpoint.random,
    )


class Scribe(Listener):
    """Writes down what circuits do."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def state_change(self, cb: Any, old_state: Any, new_state: Any) -> None:
        """One line for each change."""
        old, new = (state.name.replace("-", "_") for state in (old_state, new_state))
        self._journal.say("breaker %s: %s -> %s%s", cb.name, old, new, _because(cb.last_error))


class Herald(Listener):
    """Tells of the same whoever listens."""

    def __init__(self, listeners: Listeners) -> None:
        self._listeners = listeners

    def state_change(self, cb: Any, old_state: Any, new_state: Any) -> None:
        """One event for each change."""
        old, new = (state.name.replace("-", "_") for state in (old_state, new_state))
        self._listeners.breaker_turned(cb.name, old, new, cb.last_error)


def _because(error: BaseException | None) -> str:
    # Of others only the name: their texts quote URLs, and these may hold secrets.
    if error is None:
        return ""
    return f", after {error if type(error) is requests.HTTPError else type(error).__name__}"


def _is_server_error(response: Response) -> bool:
    return (response.status_code or 0) >= 500  # a mock may not have set it
