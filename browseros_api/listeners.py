"""Who wants to hear what happens: told in the thread of the call, with no lock held."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from requests import Response

from .events import EVENTS, AttemptEvent, BreakerEvent, CacheEvent, CallEvent, RetryEvent
from .journal import LOGGER, masked_url
from .pipeline import Call, Exchange
from .tracing.attempt import Attempt

__all__ = ["Listener", "Listeners"]

Listener = Callable[[Any], object]
Namer = Callable[[str, str], str]


class Listeners:
    """The callbacks of one engine, by event.

    What a callback raises is logged, the first time, and goes no further.  ``name`` is asked for
    the endpoint of a method and URL, ``changed`` is told when others listen than before.

    Attributes:
        hear_calls, hear_attempts, hear_retries, hear_breakers: whether anybody does.
    """

    hear_calls = hear_attempts = hear_retries = hear_breakers = False

    def __init__(self, name: Namer, *, changed: Callable[[Listeners], object]) -> None:
        self._name, self._changed = name, changed
        self._of: dict[str, tuple[Listener, ...]] = dict.fromkeys(EVENTS, ())
        self._failed: set[int] = set()
        self.reset_lock()

    def reset_lock(self) -> None:
        """A new lock, for a child process whose parent may have held the old one."""
        self._lock = threading.Lock()

    def add(self, event: str, callback: Listener) -> Callable[[], None]:
        """Call it at each such event from now on; returns what ends that."""
        if event not in EVENTS:
            allowed = ", ".join(map(repr, EVENTS))
            raise ValueError(f"event must be one of {allowed}, not {event!r}")
        if not callable(callback):
            raise TypeError(f"callback must be callable, not {callback!r}")

        def heard(thing: Any) -> object:  # one of its own: the same callback may be there twice
            return callback(thing)

        def remove() -> None:
            with self._lock:
                self._failed.discard(id(heard))
                self._set(event, tuple(one for one in self._of[event] if one is not heard))
            self._changed(self)

        with self._lock:
            self._set(event, (*self._of[event], heard))
        self._changed(self)
        return remove

    def _set(self, event: str, listeners: tuple[Listener, ...]) -> None:
        self._of = of = {**self._of, event: listeners}
        self.hear_calls = bool(of["call"] or of["cache"])
        self.hear_attempts, self.hear_retries = bool(of["attempt"]), bool(of["retry"])
        self.hear_breakers = bool(of["breaker"])

    # -- what happens ----------------------------------------------------------------------------

    def call_ended(
        self, call: Call, seconds: float, outcome: Response | BaseException | None
    ) -> None:
        """``outcome`` is None if it was given up before its turn came."""
        is_answer = isinstance(outcome, Response)
        trace = getattr(outcome, "trace", None) or call.trace
        about = self._about(call.method, call.asked or call.url)
        if trace is not None and self._of["cache"]:
            self._tell("cache", CacheEvent(**about, outcome=trace.cache, reason=trace.cache_reason))
        if self._of["call"]:
            error = "CancelledError" if outcome is None else type(outcome).__name__
            event = CallEvent(
                **about, seconds=seconds, from_cache=call.from_cache, followed=call.followed,
                status=outcome.status_code if isinstance(outcome, Response) else None,
                error=None if is_answer else error, attempts=call.attempts, trace=trace,
            )  # fmt: skip
            self._tell("call", event)

    def attempt_ended(self, attempt: Attempt, *, is_elsewhere: bool) -> None:
        """A request has come to something."""
        method, url = str(attempt.method), attempt.url
        about = {"method": method, "url": url, "endpoint": attempt.endpoint}
        if not attempt.endpoint:  # there are no circuits
            about = self._about(method, url)
        event = AttemptEvent(
            **about, number=attempt.number, is_elsewhere=is_elsewhere,
            seconds=(attempt.ended or attempt.began) - attempt.began, status=attempt.status,
            error=attempt.error, state=attempt.state, breaker=attempt.breaker,
        )  # fmt: skip
        self._tell("attempt", event)

    def retry_planned(self, exchange: Exchange, outcome: Any, delay: float) -> None:
        """A request is to be repeated."""
        request, is_answer = exchange.request, isinstance(outcome, Response)
        event = RetryEvent(
            **self._about(str(request.method), str(request.url)), attempt=exchange.attempt,
            delay=delay, status=outcome.status_code if is_answer else None,
            error=None if is_answer else type(outcome).__name__,
        )  # fmt: skip
        self._tell("retry", event)

    def breaker_turned(
        self, endpoint: str, before: str, now: str, error: BaseException | None
    ) -> None:
        """A circuit has changed its state."""
        name = None if error is None else type(error).__name__
        self._tell("breaker", BreakerEvent(endpoint=endpoint, before=before, now=now, error=name))

    def _about(self, method: str, url: str) -> dict[str, str]:
        try:
            endpoint = self._name(method, url)
        except Exception:  # it may be a function of the user's; where it matters it is heard of
            endpoint = ""
        return {"method": method, "url": masked_url(url), "endpoint": endpoint}

    def _tell(self, event: str, thing: object) -> None:
        for listener in self._of[event]:
            try:
                listener(thing)
            except Exception:
                if id(listener) not in self._failed:
                    self._failed.add(id(listener))
                    LOGGER.exception("a listener of %r failed; said only once", event)
