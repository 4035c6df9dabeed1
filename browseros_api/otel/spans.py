"""The spans of calls and of requests, and what is said of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, StatusCode

from ..journal import masked_url
from ..pipeline import Exchange
from ..tracing.trace import Trace
from .words import SCHEMA, Words, method_of, outcome_of, server_of, template_of

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

__all__ = ["Spans", "describe", "judge", "nanoseconds"]


class Spans:
    """Begins them, below whatever span is current; ``endpoint_of`` names a method and URL."""

    def __init__(
        self, name: str, provider: TracerProvider | None, endpoint_of: Callable[[str, str], str]
    ) -> None:
        self._tracer = trace.get_tracer(
            "browseros_api", tracer_provider=provider, schema_url=SCHEMA
        )
        self._own: Words = {"browseros_api.client": name}
        self._endpoint_of = endpoint_of

    def of_call(self, method: str, url: str, began: int, endpoint: str | None = None) -> Span:
        """A call that began at so many nanoseconds since the epoch; no request is meant by it."""
        endpoint = self._endpoint(method, url) if endpoint is None else endpoint
        words = {**method_of(method), **server_of(url), **_url(url, endpoint), **self._own}
        return self._tracer.start_span(
            f"call {_title(words)}", kind=SpanKind.INTERNAL, attributes=words, start_time=began
        )

    def of_request(self, exchange: Exchange, number: int) -> tuple[Span, str, Words]:
        """One that is about to be sent, its endpoint, and what metrics may say of it.

        ``number`` counts those that were sent for the same call before.
        """
        method, url = str(exchange.request.method), str(exchange.request.url)
        endpoint = exchange.endpoint or self._endpoint(method, url)
        server, named = server_of(url), method_of(method)
        words = {**named, **server, **_url(url, endpoint), **self._own}
        if number:
            words["http.request.resend_count"] = number
        if exchange.circuit:
            words["browseros_api.circuit.state"] = exchange.circuit.replace("-", "_")
        if exchange.is_spare:
            words["browseros_api.hedge"] = True
        span = self._tracer.start_span(_title(words), kind=SpanKind.CLIENT, attributes=words)
        named.pop("http.request.method_original", None)
        return span, endpoint, {**named, **server}

    def _endpoint(self, method: str, url: str) -> str:
        try:
            return self._endpoint_of(method, url)
        except Exception:  # it may be a function of the user's; where it matters it is heard of
            return ""


def _url(url: str, endpoint: str) -> Words:
    return {"url.full": masked_url(url), "url.template": template_of(endpoint)}


def _title(words: Words) -> str:
    method = words["http.request.method"]
    return f"{'HTTP' if method == '_OTHER' else method} {words['url.template']}".rstrip()


def describe(span: Span, told: Trace) -> None:
    """Say what a call's trace says, and in the trace which span it has."""
    there = span.get_span_context()
    told.span = f"00-{there.trace_id:032x}-{there.span_id:016x}-{there.trace_flags:02x}"
    if not span.is_recording():
        return
    words: Words = {
        "browseros_api.cache": told.cache, "browseros_api.cache.reason": told.cache_reason,
        "browseros_api.dedup": told.dedup, "browseros_api.attempts": len(told.attempts),
    }  # fmt: skip
    if told.attempts and told.attempts[-1].decision:
        words["browseros_api.decision"] = told.attempts[-1].decision
    span.set_attributes(words)
    judge(span, outcome_of(told.status, told.error))


def judge(span: Span, words: Words) -> None:
    """Say what came of it, and whether that is an error."""
    span.set_attributes(words)
    if "error.type" in words:
        span.set_status(StatusCode.ERROR)


def nanoseconds(seconds: float) -> int:
    """OpenTelemetry's unit of time."""
    return int(seconds * 1e9)
