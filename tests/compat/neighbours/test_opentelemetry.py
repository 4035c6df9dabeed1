"""opentelemetry-instrumentation-requests: a span for each call that goes out."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from browseros_api import Session
from browseros_api.otel import Telemetry
from browseros_api.testing import ApiServer, Reply


@pytest.fixture
def provider() -> Iterator[TracerProvider]:
    provider = TracerProvider()
    yield provider
    provider.shutdown()


@pytest.fixture
def spans(provider: TracerProvider) -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    RequestsInstrumentor().instrument(tracer_provider=provider)
    yield exporter
    RequestsInstrumentor().uninstrument()


def test_a_call_is_a_span_and_tells_the_server(
    spans: InMemorySpanExporter, either: requests.Session, api_server: ApiServer
) -> None:
    api_server.route("/x", Reply(json=1))
    assert either.get(api_server.url("/x")).json() == 1
    (span,) = spans.get_finished_spans()
    assert (span.attributes or {})["http.status_code"] == 200
    trace = f"{span.get_span_context().trace_id:032x}"  # type: ignore[union-attr]
    assert trace in api_server.requests[0].headers["traceparent"]


def test_repetitions_are_within_the_span_of_their_call(
    spans: InMemorySpanExporter, session: Session, api_server: ApiServer
) -> None:
    api_server.script("/flaky", Reply(503), Reply(json=1))
    assert session.get(api_server.url("/flaky")).json() == 1
    (span,) = spans.get_finished_spans()
    assert (span.attributes or {})["http.status_code"] == 200
    assert session.get_stats()["retries"] == 1


def test_an_answer_that_is_kept_stays_so_with_spans(
    spans: InMemorySpanExporter, session: Session, api_server: ApiServer
) -> None:
    api_server.route("/kept", Reply(json=1, headers={"Cache-Control": "max-age=60"}))
    answers = [session.get(api_server.url("/kept")) for _ in range(3)]
    assert [answer.from_cache for answer in answers] == [False, True, True]
    assert len(spans.get_finished_spans()) == api_server.hits("/kept") == 1


def test_an_error_is_in_the_span(
    spans: InMemorySpanExporter, session: Session, nowhere: str
) -> None:
    with pytest.raises(requests.ConnectionError):
        session.get(f"{nowhere}/x")
    (span,) = spans.get_finished_spans()
    assert not span.status.is_ok


@pytest.mark.usefixtures("spans")
def test_afterwards_everything_is_as_before(session: Session, api_server: ApiServer) -> None:
    RequestsInstrumentor().uninstrument()
    assert session.get(api_server.url("/x")).ok
    assert "traceparent" not in api_server.requests[0].headers


def test_beside_our_own_telemetry_nothing_is_told_twice(
    spans: InMemorySpanExporter, provider: TracerProvider, session: Session, api_server: ApiServer
) -> None:
    api_server.script("/flaky", Reply(503), Reply(json=1))
    Telemetry(session, tracer_provider=provider)
    session.get(api_server.url("/flaky"))
    *sent, call = spans.get_finished_spans()
    assert [one.name for one in (*sent, call)] == ["GET /flaky", "GET /flaky", "call GET /flaky"]
    for received, span in zip(api_server.requests, sent, strict=True):
        assert f"{span.get_span_context().span_id:016x}" in received.headers["traceparent"]  # type: ignore[union-attr]
    with requests.Session() as stock:
        stock.get(api_server.url("/x"))
    assert spans.get_finished_spans()[-1].name == "GET"
