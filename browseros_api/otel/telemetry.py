"""A span for each call, below it one for each request, and the context that goes with them.

A call's span is made while the call runs, so that what happens meanwhile is below it; where the
awaited client needs no thread (hits, followers, what is given up), it is made at the end.
"""

from __future__ import annotations

import copy
import time
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import count
from typing import TYPE_CHECKING, Any, TypeVar

from opentelemetry import context, propagate, trace
from requests import Response

from ..copying import copied_headers
from ..events import BreakerEvent, CallEvent, RetryEvent
from ..journal import LOGGER
from ..lines import check_lines
from ..pipeline import Call, Exchange, Proceed
from ..tracing.trace import Trace
from .figures import Figures
from .spans import Spans, describe, judge, nanoseconds
from .words import Words, outcome_of, template_of

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import Span, TracerProvider

__all__ = ["Telemetry"]

R = TypeVar("R")
Thing = TypeVar("Thing", Call, Exchange)

_CALL = context.create_key("browseros_api-call")  # the one that is made there
# What exporters set while they send, and what instrumentations of HTTP libraries ask.  There are no
# public names; the package opentelemetry-instrumentation takes these as well.
_IS_SILENT = getattr(context, "_SUPPRESS_INSTRUMENTATION_KEY", "suppress_instrumentation")
_IS_TOLD = getattr(context, "_SUPPRESS_HTTP_INSTRUMENTATION_KEY", "suppress_http_instrumentation")


@dataclass(slots=True)
class _Open:
    """A span that has begun, the call or the exchange that goes on below it, and there."""

    span: Span
    context: Context
    thing: Any
    sent: Iterator[int] = field(default_factory=count)
    endpoint: str = ""
    words: Words = field(default_factory=dict)
    began: float = field(default_factory=time.perf_counter)


class Telemetry:
    """Tells OpenTelemetry what a session or client does, from now on; ``close`` ends that.

    Args:
        source: a ``Session`` or an ``EnhancedAPIClient``, blocking or awaited.
        name: the value of ``browseros_api.client``, which tells several of them apart.
        tracer_provider, meter_provider: where spans and metrics go; None: the global ones.
        propagate: whether requests carry the context of their spans to the servers.
        max_endpoints: so many have labels of their own in metrics; later ones share one.

    Raises:
        ValueError: there is one of this source already.
    """

    def __init__(
        self, source: Any, *, name: str = "default", tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None, propagate: bool = True,
        max_endpoints: int = 200,
    ) -> None:  # fmt: skip
        session = getattr(source, "session", source)
        engine = session.engine
        if engine.companion is not None:
            raise ValueError(f"source: {source!r} has a Telemetry already; close that first")
        self._spans = Spans(name, tracer_provider, engine.breakers.endpoint_of)
        self._figures = Figures(name, meter_provider, most=max_endpoints)
        self._propagates, self._clock = propagate, engine.clock
        self._session = weakref.ref(session)
        self._has_failed = False
        heard: dict[str, Callable[[Any], None]] = {
            "call": self._call_ended,
            "retry": self._retry_planned,
            "breaker": self._breaker_turned,
        }
        self._removes = [session.on(event, callback) for event, callback in heard.items()]
        session._accompany(self)

    def close(self) -> None:
        """Tell no more."""
        for remove in self._removes:
            remove()
        session = self._session()
        if session is not None and session.engine.companion is self:
            session._accompany(None)

    # -- the steps -------------------------------------------------------------------------------

    def call(self, call: Call, proceed: Proceed[Call]) -> Response:
        """Make the call within a span of its own."""
        return self._within(self._safely(self._call_begins, call), call, proceed, self._call_ends)

    def send(self, exchange: Exchange, proceed: Proceed[Exchange]) -> Response:
        """Send the request within a span of its own, and with its context."""
        opened = self._safely(self._request_begins, exchange)
        return self._within(opened, exchange, proceed, self._request_ends)

    def _within(
        self, opened: _Open | None, thing: Thing, proceed: Proceed[Thing],
        end: Callable[[_Open, Response | BaseException], None],
    ) -> Response:  # fmt: skip
        if opened is None:
            return proceed(thing)
        token = context.attach(opened.context)
        try:
            response = proceed(opened.thing)
        except BaseException as error:
            self._safely(end, opened, error)
            raise
        else:
            self._safely(end, opened, response)
            return response
        finally:
            context.detach(token)

    def _safely(self, function: Callable[..., R], *arguments: Any) -> R | None:
        """What samplers, processors and exporters raise is logged once, and goes no further."""
        try:
            return function(*arguments)
        except Exception:
            if not self._has_failed:
                self._has_failed = True
                LOGGER.exception("OpenTelemetry failed; said only once")
            return None

    # -- a call ----------------------------------------------------------------------------------

    def _call_begins(self, call: Call) -> _Open | None:
        if context.get_value(_IS_SILENT):
            return None
        began = time.time_ns()
        if call.began is not None and not call.refreshes:
            began -= nanoseconds(self._clock() - call.began)
        span = self._spans.of_call(call.method, call.asked or call.url, began)
        if call.refreshes:
            span.set_attribute("browseros_api.refreshes", True)
        opened = _Open(span, trace.set_span_in_context(span), call)
        inside = context.set_value(_CALL, opened, opened.context)
        opened.context = context.set_value(_IS_TOLD, True, inside)
        return opened

    def _call_ends(self, opened: _Open, outcome: Response | BaseException) -> None:
        told = getattr(outcome, "trace", None) or opened.thing.trace
        if told is not None:
            describe(opened.span, told)
        else:  # somebody's hook or adapter has put something in its place
            judge(opened.span, outcome_of(*_told_by(outcome)))
        opened.span.end()

    def _call_ended(self, event: CallEvent) -> None:
        if context.get_value(_IS_SILENT):
            return
        if event.trace is not None and event.trace.span is None:  # its span is not there yet
            self._safely(self._call_was, event, event.trace)
        self._figures.call(event)

    def _call_was(self, event: CallEvent, told: Trace) -> None:
        now = time.time_ns()
        began = now - nanoseconds(event.seconds)
        span = self._spans.of_call(event.method, event.url, began, event.endpoint)
        describe(span, told)
        judge(span, outcome_of(event.status, event.error))
        span.end(now)

    # -- a request -------------------------------------------------------------------------------

    def _request_begins(self, exchange: Exchange) -> _Open | None:
        if context.get_value(_IS_SILENT):
            return None
        call: Any = context.get_value(_CALL)
        span, endpoint, words = self._spans.of_request(exchange, next(call.sent) if call else 0)
        inside = context.set_value(_IS_TOLD, True, trace.set_span_in_context(span))
        thing = self._safely(_carrying, exchange, inside) if self._propagates else None
        return _Open(span, inside, thing or exchange, endpoint=endpoint, words=words)

    def _request_ends(self, opened: _Open, outcome: Response | BaseException) -> None:
        seconds, span = time.perf_counter() - opened.began, opened.span
        words = outcome_of(*_told_by(outcome))
        version = _VERSIONS.get(getattr(getattr(outcome, "raw", None), "version", 0))
        if version is not None:
            words["network.protocol.version"] = version
        self._figures.request(seconds, opened.endpoint, {**opened.words, **words})
        judge(span, words)
        if (state := getattr(outcome, "request_state", None)) is not None:
            span.set_attribute("browseros_api.request.state", state)
        span.end()

    # -- what else happens -----------------------------------------------------------------------

    def _retry_planned(self, event: RetryEvent) -> None:
        words: Words = {"browseros_api.attempt": event.attempt, "browseros_api.delay": event.delay}
        _note("retry", {**words, **outcome_of(event.status, event.error)})
        self._figures.retry(event)

    def _breaker_turned(self, event: BreakerEvent) -> None:
        words: Words = {"url.template": template_of(event.endpoint)}
        words.update({"browseros_api.circuit.before": event.before})
        _note("circuit", {**words, "browseros_api.circuit.state": event.now})
        self._figures.breaker(event)


_VERSIONS = {10: "1.0", 11: "1.1", 20: "2"}


def _told_by(outcome: Response | BaseException) -> tuple[int | None, str | None]:
    if isinstance(outcome, BaseException):
        return None, type(outcome).__name__  # not its text, which may quote the URL's secrets
    return outcome.status_code, None


def _note(name: str, words: Words) -> None:
    """Add an event to the span of the call that this thread is making, if it is."""
    call: Any = context.get_value(_CALL)
    if call is not None:
        call.span.add_event(name, words)


def _carrying(exchange: Exchange, inside: Context) -> Exchange:
    """The same with the headers that tell a server of its span.

    In a copy: another attempt has a span of its own, and a redirect goes to somebody else.
    """
    carrier: dict[str, str] = {}
    propagate.inject(carrier, context=inside)
    if not carrier:
        return exchange
    request = copy.copy(exchange.request)
    request.headers = copied_headers(request.headers)
    request.headers.update(carrier)
    check_lines(request)
    return replace(exchange, request=request)
