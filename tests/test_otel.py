"""Laws of the telemetry: who made which request is seen, and no call is hurt by being looked at."""

from __future__ import annotations

import asyncio
import gc
import logging
import pickle
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from requests.auth import HTTPDigestAuth

from browseros_api import CircuitOpenError, EnhancedAPIClient, Session, aio
from browseros_api.testing import ApiServer, FakeClock, Received, Reply, wait_until

otel = pytest.importorskip("browseros_api.otel")
sdk_trace = pytest.importorskip("opentelemetry.sdk.trace")

from opentelemetry import baggage, context, propagate, trace  # noqa: E402
from opentelemetry.sdk.metrics import MeterProvider  # noqa: E402
from opentelemetry.sdk.metrics.export import InMemoryMetricReader  # noqa: E402
from opentelemetry.sdk.trace.export import SimpleSpanProcessor  # noqa: E402
from opentelemetry.sdk.trace.export.in_memory_span_exporter import (  # noqa: E402
    InMemorySpanExporter,
)
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF  # noqa: E402
from opentelemetry.trace import SpanKind, StatusCode  # noqa: E402

FRESH = {"Cache-Control": "max-age=60"}


class Watcher:
    """Spans and metrics of whatever it is told to watch."""

    def __init__(self, **options: Any) -> None:
        self.exporter, self.reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.provider = sdk_trace.TracerProvider(**options)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.meters = MeterProvider([self.reader])
        self.tracer = self.provider.get_tracer("tests")

    def watch(self, source: Any, **options: Any) -> Any:
        return otel.Telemetry(
            source, tracer_provider=self.provider, meter_provider=self.meters, **options
        )

    def spans(self) -> list[Any]:
        """In the order in which they ended."""
        return [*self.exporter.get_finished_spans()]

    @property
    def calls(self) -> list[Any]:
        own = [one for one in self.spans() if one.instrumentation_scope.name == "browseros_api"]
        return [one for one in own if one.kind is SpanKind.INTERNAL]

    @property
    def requests(self) -> list[Any]:
        return [one for one in self.spans() if one.kind is SpanKind.CLIENT]

    def metrics(self) -> dict[str, list[Any]]:
        data = self.reader.get_metrics_data()
        resources = [] if data is None else data.resource_metrics
        return {
            metric.name: [*metric.data.data_points]
            for resource in resources
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


def is_below(child: Any, parent: Any) -> bool:
    return child.parent is not None and child.parent.span_id == parent.context.span_id


def carried(received: Received) -> str:
    return received.headers["traceparent"]


def parent_of(span: Any) -> str:
    """What is carried to a server whose spans are to be below this one."""
    there = span.context
    return f"00-{there.trace_id:032x}-{there.span_id:016x}-{there.trace_flags:02x}"


def carries(received: Received, span: Any) -> bool:
    return carried(received) == parent_of(span)


@pytest.fixture
def watcher() -> Iterator[Watcher]:
    watcher = Watcher()
    yield watcher
    watcher.provider.shutdown()
    watcher.meters.shutdown()


@pytest.fixture
def client(api_server: ApiServer) -> Iterator[EnhancedAPIClient]:
    with EnhancedAPIClient(api_server.base_url, sleep=lambda _: None) as client:
        yield client


@pytest.fixture
def session() -> Iterator[Session]:
    with Session(sleep=lambda _: None) as session:
        yield session


# -- spans ---------------------------------------------------------------------------------------


def test_a_call_is_a_span_and_below_it_each_request_is_one(
    watcher: Watcher, client: EnhancedAPIClient, api_server: ApiServer
) -> None:
    api_server.script("/users/7", Reply(503), Reply(json=1))
    watcher.watch(client, name="users")
    with watcher.tracer.start_as_current_span("mine") as mine:
        client.get("/users/7", params={"page": 2})
    (call,), (first, second) = watcher.calls, watcher.requests
    assert is_below(call, mine)
    assert is_below(first, call)
    assert is_below(second, call)
    assert (call.name, first.name) == ("call GET /users/{id}", "GET /users/{id}")
    port = int(api_server.base_url.rpartition(":")[2])
    common = {
        "http.request.method": "GET", "server.address": "127.0.0.1", "server.port": port,
        "url.full": api_server.url("/users/7?page=2"), "url.template": "/users/{id}",
        "browseros_api.client": "users",
    }  # fmt: skip
    sent = {**common, "network.protocol.version": "1.1", "browseros_api.circuit.state": "closed"}
    failed = {"http.response.status_code": 503, "error.type": "503"}
    assert dict(first.attributes) == {**sent, **failed}
    again = {"http.response.status_code": 200, "http.request.resend_count": 1}
    assert dict(second.attributes) == {**sent, **again}
    assert (first.status.status_code, second.status.status_code) == (
        StatusCode.ERROR,
        StatusCode.UNSET,
    )
    assert dict(call.attributes) == {
        **common, "http.response.status_code": 200, "browseros_api.cache": "miss",
        "browseros_api.cache.reason": "a miss: nothing is kept for it",
        "browseros_api.dedup": "none", "browseros_api.attempts": 2,
    }  # fmt: skip
    (retry,) = call.events
    assert retry.name == "retry"
    assert retry.attributes["browseros_api.attempt"] == 1
    assert retry.attributes["error.type"] == "503"
    assert call.start_time <= first.start_time <= first.end_time <= second.start_time
    assert second.end_time <= call.end_time
    assert call.instrumentation_scope.schema_url.startswith("https://opentelemetry.io/schemas/1.")


def test_each_request_carries_the_context_of_its_own_span(
    watcher: Watcher, client: EnhancedAPIClient, api_server: ApiServer
) -> None:
    api_server.script("/x", Reply(503), Reply(503), Reply(json=1))
    watcher.watch(client)
    client.get("/x")
    assert len(watcher.requests) == 3
    assert all(map(carries, api_server.requests, watcher.requests))


def test_redirects_are_resent_requests_of_the_same_call(
    watcher: Watcher, session: Session, api_server: ApiServer
) -> None:
    api_server.route("/a", Reply(302, headers={"Location": "/b"}))
    api_server.script("/b", Reply(503), Reply(302, headers={"Location": "/c"}))
    watcher.watch(session)
    session.get(api_server.url("/a"))
    counts = [one.attributes.get("http.request.resend_count") for one in watcher.requests]
    assert counts == [None, 1, 2, 3]
    assert [one.name for one in watcher.requests] == ["GET /a", "GET /b", "GET /b", "GET /c"]
    assert all(map(carries, api_server.requests, watcher.requests))
    assert watcher.calls[0].name == "call GET /a"


def test_an_answer_to_a_challenge_carries_its_own_context(
    watcher: Watcher, session: Session, api_server: ApiServer
) -> None:
    challenge = {"WWW-Authenticate": 'Digest realm="r", nonce="n", qop="auth", algorithm=MD5'}
    api_server.script("/x", Reply(401, headers=challenge), Reply(json=1))
    watcher.watch(session)
    assert session.get(api_server.url("/x"), auth=HTTPDigestAuth("ada", "s3cret")).ok
    assert len(watcher.requests) == 2
    assert all(map(carries, api_server.requests, watcher.requests))


def test_what_was_prepared_by_hand_has_spans_as_well(
    watcher: Watcher, session: Session, api_server: ApiServer
) -> None:
    watcher.watch(session)
    request = session.prepare_request(requests.Request("GET", api_server.url("/x")))
    session.send(request)
    assert "traceparent" not in request.headers
    (call,), (sent,) = watcher.calls, watcher.requests
    assert is_below(sent, call)
    assert carries(api_server.requests[0], sent)


def test_a_hit_is_a_span_without_any_below(
    watcher: Watcher, client: EnhancedAPIClient, api_server: ApiServer
) -> None:
    client.get("/x")
    watcher.watch(client)
    with watcher.tracer.start_as_current_span("mine") as mine:
        client.get("/x")
    (call,) = watcher.calls
    assert is_below(call, mine)
    assert call.attributes["browseros_api.cache"] == "hit"
    assert call.attributes["browseros_api.attempts"] == 0
    assert not watcher.requests


def test_a_call_that_only_wants_what_is_kept_has_one_span(
    watcher: Watcher, session: Session, api_server: ApiServer
) -> None:
    watcher.watch(session)
    answer = session.get(api_server.url("/x"), headers={"Cache-Control": "only-if-cached"})
    assert answer.status_code == 504
    (call,) = watcher.spans()
    assert call.attributes["error.type"] == "504"


def test_context_changes_nothing_in_who_shares_an_answer(
    watcher: Watcher, session: Session, api_server: ApiServer
) -> None:
    api_server.route("/x", Reply(json=1, headers={**FRESH, "Vary": "traceparent, Accept"}))
    watcher.watch(session)
    answers = []
    for _ in range(3):
        with watcher.tracer.start_as_current_span("another"):
            answers.append(session.get(api_server.url("/x")))
    assert [answer.from_cache for answer in answers] == [False, True, True]
    assert api_server.hits("/x") == 1


def test_followers_are_below_their_own_callers(
    watcher: Watcher, client: EnhancedAPIClient, api_server: ApiServer
) -> None:
    go = threading.Event()
    api_server.route("/x", Reply(json=1, hold=go))
    watcher.watch(client)
    parents: dict[int, int] = {}

    def ask(number: int) -> None:
        with watcher.tracer.start_as_current_span(f"caller {number}") as span:
            parents[number] = span.get_span_context().span_id
            client.get("/x")

    with ThreadPoolExecutor(4) as threads:
        asked = [threads.submit(ask, number) for number in range(4)]
        wait_until(lambda: client.get_stats()["in_flight_requests"] == 4)
        (flight,) = client.session.engine.flights._flying.values()
        wait_until(lambda: len(flight.followers) == 3)
        go.set()
        for one in asked:
            one.result(10)
    assert {one.parent.span_id for one in watcher.calls} == {*parents.values()}
    roles = sorted(one.attributes["browseros_api.dedup"] for one in watcher.calls)
    assert roles == ["follower", "follower", "follower", "leader"]
    (sent,) = watcher.requests
    (leader,) = (one for one in watcher.calls if one.attributes["browseros_api.dedup"] == "leader")
    assert is_below(sent, leader)


@pytest.mark.parametrize("how", ["get_many", "submit", "paginate"])
def test_what_is_done_on_threads_is_below_whoever_asked_for_it(
    how: str, watcher: Watcher, client: EnhancedAPIClient
) -> None:
    watcher.watch(client)
    with watcher.tracer.start_as_current_span("mine") as mine:
        if how == "get_many":
            assert len([*client.get_many(["/a", "/b", "/c"])]) == 3
        elif how == "submit":
            client.submit("GET", "/a").result(10)
        else:
            assert len([*client.paginate("/a")]) == 1
    assert watcher.calls
    assert all(is_below(call, mine) for call in watcher.calls)
    assert len(watcher.requests) == len(watcher.calls)
    assert all(
        sent.parent.span_id in {call.context.span_id for call in watcher.calls}
        for sent in watcher.requests
    )


def test_a_hedge_is_a_request_of_the_same_call(watcher: Watcher, api_server: ApiServer) -> None:
    go = threading.Event()
    api_server.script("/x", Reply(json=1, hold=go), Reply(json=2))
    with EnhancedAPIClient(api_server.base_url, hedge=0.05, max_retries=0) as client:
        watcher.watch(client)
        assert client.get("/x") == 2
        go.set()
        wait_until(lambda: len(watcher.requests) == 2)
    (call,) = watcher.calls
    hedges = [one for one in watcher.requests if one.attributes.get("browseros_api.hedge")]
    assert len(hedges) == 1
    assert hedges[0].attributes["http.request.resend_count"] == 1
    assert all(is_below(one, call) for one in watcher.requests)
    assert {carried(one) for one in api_server.requests} == {
        parent_of(one) for one in watcher.requests
    }


def test_awaited_calls_are_below_whoever_awaits_them(
    watcher: Watcher, api_server: ApiServer
) -> None:
    go = threading.Event()
    api_server.route("/x", Reply(json=1, hold=go))

    async def ask(client: aio.EnhancedAPIClient, name: str) -> int:
        with watcher.tracer.start_as_current_span(name) as span:
            await client.get("/x")
            return span.get_span_context().span_id

    async def main() -> list[int]:
        async with aio.EnhancedAPIClient(api_server.base_url) as client:
            watcher.watch(client)
            asked = [asyncio.ensure_future(ask(client, f"caller {n}")) for n in range(3)]
            while client.get_stats()["in_flight_requests"] < 3:
                await asyncio.sleep(0.005)
            go.set()
            return [*await asyncio.gather(*asked), await ask(client, "later")]

    *callers, later = asyncio.run(main())
    by_parent = {one.parent.span_id: one for one in watcher.calls}
    assert {*by_parent} == {*callers, later}
    roles = sorted(by_parent[one].attributes["browseros_api.dedup"] for one in callers)
    assert roles == ["follower", "follower", "leader"]
    assert by_parent[later].attributes["browseros_api.cache"] == "hit"
    assert len(watcher.calls) == 4
    (sent,) = watcher.requests
    assert sent.parent.span_id in {one.context.span_id for one in watcher.calls}


def test_a_call_that_is_given_up_before_its_turn_has_a_span(
    watcher: Watcher, api_server: ApiServer
) -> None:
    go = threading.Event()
    api_server.route("/x", Reply(json=1, hold=go))

    async def main() -> None:
        async with aio.EnhancedAPIClient(api_server.base_url, max_connections=1) as client:
            watcher.watch(client)
            first = asyncio.ensure_future(client.get("/x"))
            while not api_server.active_requests:
                await asyncio.sleep(0.005)
            second = asyncio.ensure_future(client.get("/y"))
            while client.get_stats()["in_flight_requests"] < 2:
                await asyncio.sleep(0.005)
            second.cancel()
            with pytest.raises(asyncio.CancelledError):
                await second
            go.set()
            await first

    asyncio.run(main())
    (given_up,) = (one for one in watcher.calls if one.name == "call GET /y")
    assert given_up.attributes["error.type"] == "CancelledError"
    assert given_up.status.status_code is StatusCode.ERROR
    assert len(watcher.requests) == 1


def test_a_refresh_in_the_background_is_nobodys_child(
    watcher: Watcher, api_server: ApiServer, fake_clock: FakeClock
) -> None:
    headers = {"Cache-Control": "max-age=1, stale-while-revalidate=60"}
    api_server.route("/x", Reply(json=1, headers=headers))
    with Session(clock=fake_clock) as session:
        session.get(api_server.url("/x"))
        fake_clock.tick(2)
        watcher.watch(session)
        with watcher.tracer.start_as_current_span("mine"):
            assert session.get(api_server.url("/x")).from_cache
        wait_until(lambda: len(watcher.calls) == 2)
    (refresh,) = (one for one in watcher.calls if "browseros_api.refreshes" in one.attributes)
    assert refresh.parent is None
    assert is_below(watcher.requests[0], refresh)
    assert refresh.end_time - refresh.start_time < 2e9 * 60


def test_what_fails_says_how_and_never_quotes_secrets(
    watcher: Watcher, client: EnhancedAPIClient, api_server: ApiServer
) -> None:
    api_server.route("/x", Reply(reset="before"))
    watcher.watch(client)
    with pytest.raises(requests.ConnectionError):
        client.get("/x", params={"token": "s3cret"}, headers={"Authorization": "Bearer s3cret"})
    (call,) = watcher.calls
    assert call.attributes["error.type"] == "ConnectionError"
    assert call.attributes["browseros_api.decision"] == "no retries left"
    assert call.status.status_code is StatusCode.ERROR
    assert len(watcher.requests) == len(api_server.requests) == 4
    for one in watcher.requests:
        assert one.attributes["error.type"] == "ConnectionError"
        assert one.attributes["browseros_api.request.state"] == "maybe-processed"
    assert "token=***" in call.attributes["url.full"]
    assert "s3cret" not in "".join(one.to_json() for one in watcher.spans())
    assert "s3cret" not in repr(watcher.metrics())


def test_a_stale_answer_in_need_is_no_error(
    watcher: Watcher, api_server: ApiServer, fake_clock: FakeClock
) -> None:
    api_server.script("/x", Reply(json=1, headers={"Cache-Control": "max-age=1"}), Reply(503))
    with Session(clock=fake_clock, stale_if_error=60, max_retries=0) as session:
        session.get(api_server.url("/x"))
        fake_clock.tick(2)
        watcher.watch(session)
        assert session.get(api_server.url("/x")).stale
    (call,), (sent,) = watcher.calls, watcher.requests
    assert call.attributes["browseros_api.cache"] == "stale"
    assert call.status.status_code is StatusCode.UNSET
    assert sent.status.status_code is StatusCode.ERROR


def test_an_open_circuit_sends_nothing_and_says_so(watcher: Watcher, api_server: ApiServer) -> None:
    api_server.route("/x", Reply(500))
    with Session(failure_threshold=1, max_retries=0) as session:
        watcher.watch(session, name="mine")
        session.get(api_server.url("/x"))
        with pytest.raises(CircuitOpenError):
            session.get(api_server.url("/x"))
    tripping, refused = watcher.calls
    (turn,) = tripping.events
    assert turn.name == "circuit"
    assert turn.attributes["browseros_api.circuit.state"] == "open"
    assert refused.attributes["error.type"] == "CircuitOpenError"
    assert len(watcher.requests) == 1
    lights = {
        one.attributes["browseros_api.circuit.state"]: one.value
        for one in watcher.metrics()["browseros_api.circuit.state"]
    }
    assert lights == {"closed": 0, "half_open": 0, "open": 1}


def test_methods_that_nobody_knows_are_no_labels(
    watcher: Watcher, session: Session, api_server: ApiServer
) -> None:
    watcher.watch(session)
    session.request("BREW", api_server.url("/pot"))
    (sent,) = watcher.requests
    assert sent.name == "HTTP /pot"
    assert sent.attributes["http.request.method"] == "_OTHER"
    assert sent.attributes["http.request.method_original"] == "BREW"
    for points in watcher.metrics().values():
        assert all("http.request.method_original" not in one.attributes for one in points)


def test_a_trace_knows_its_span(
    watcher: Watcher, client: EnhancedAPIClient, api_server: ApiServer
) -> None:
    client.get("/x")
    assert client.last_trace is not None
    assert client.last_trace.span is None
    watcher.watch(client)
    for endpoint in ("/x", "/y"):
        client.get(endpoint)
        assert client.last_trace.span == parent_of(watcher.calls[-1])


def test_names_of_the_users_that_fail_leave_the_span_without_one(
    watcher: Watcher, api_server: ApiServer
) -> None:
    def unnamed(*_: Any) -> str:
        raise ZeroDivisionError

    settings: Any = {"endpoint_key": unnamed, "enable_circuit_breaker": False}
    with Session(**settings) as session:
        watcher.watch(session)
        assert session.get(api_server.url("/x")).ok
    assert [one.name for one in watcher.spans()] == ["GET", "call GET"]


@pytest.mark.parametrize("url", ["http://[", "no-scheme", "http://127.0.0.1:99999/x"])
def test_a_url_that_is_none_is_refused_as_ever(
    url: str, watcher: Watcher, session: Session
) -> None:
    watcher.watch(session)
    with pytest.raises((ValueError, requests.RequestException)):
        session.get(url)
    assert not watcher.requests
    assert len(watcher.calls) == 1
    assert watcher.calls[0].status.status_code is StatusCode.ERROR


def test_every_call_and_every_request_has_one_span(watcher: Watcher, api_server: ApiServer) -> None:
    api_server.route("/slow", Reply(json=1, delay=0.01))
    api_server.script("/flaky", *[Reply(503), Reply(json=1)] * 100)
    api_server.route("/missing", Reply(404))
    api_server.route("/moved", Reply(302, headers={"Location": "/there"}))
    endpoints = ["/slow", "/flaky", "/missing", "/moved", "/a", "/b"] * 8
    gate = threading.Barrier(4)

    def ask(client: EnhancedAPIClient, number: int) -> None:
        gate.wait(10)
        mixed = endpoints[number:] + endpoints[:number]
        fresh = {"use_cache": bool(number % 2)}
        assert len([*client.get_many(mixed, on_error="return", **fresh)]) == len(endpoints)

    options: Any = {"sleep": lambda _: None, "enable_circuit_breaker": False}
    with EnhancedAPIClient(api_server.base_url, **options) as client:
        watcher.watch(client)
        with ThreadPoolExecutor(4) as threads:
            for one in [threads.submit(ask, client, number) for number in range(4)]:
                one.result(60)
        stats = client.get_stats()
    assert len(watcher.calls) == stats["total_requests"] == 4 * len(endpoints)
    assert len(watcher.requests) == len(api_server.requests) == stats["attempts"]
    roles = [one.attributes["browseros_api.dedup"] for one in watcher.calls]
    assert roles.count("follower") == stats["deduplicated_requests"]
    kept = [one.attributes["browseros_api.cache"] for one in watcher.calls]
    assert kept.count("hit") == stats["cached_responses"]
    assert {parent_of(one) for one in watcher.requests} == {*map(carried, api_server.requests)}
    known = {one.context.span_id for one in watcher.calls}
    assert all(one.parent.span_id in known for one in watcher.requests)
    (*points,) = watcher.metrics()["browseros_api.call.duration"]
    assert sum(one.count for one in points) == stats["total_requests"]


# -- metrics -------------------------------------------------------------------------------------


def test_requests_and_calls_are_measured_by_endpoint(
    watcher: Watcher, client: EnhancedAPIClient, api_server: ApiServer
) -> None:
    api_server.script("/users/7", Reply(503), Reply(json=1))
    watcher.watch(client, name="users")
    for _ in range(3):
        client.get("/users/7", params={"q": "needle"})
    metrics = watcher.metrics()
    port = int(api_server.base_url.rpartition(":")[2])
    at = {
        "http.request.method": "GET", "url.template": "/users/{id}",
        "browseros_api.client": "users",
    }  # fmt: skip
    sent = {
        **at, "server.address": "127.0.0.1", "server.port": port,
        "network.protocol.version": "1.1",
    }  # fmt: skip
    first, second = metrics["http.client.request.duration"]
    assert dict(first.attributes) == {
        **sent, "http.response.status_code": 503, "error.type": "503",
    }  # fmt: skip
    assert dict(second.attributes) == {**sent, "http.response.status_code": 200}
    assert (first.count, second.count) == (1, 1)
    assert 0 < second.sum < 60
    assert [*first.explicit_bounds][:3] == [0.005, 0.01, 0.025]
    counts = {
        one.attributes["browseros_api.cache"]: (one.count, dict(one.attributes))
        for one in metrics["browseros_api.call.duration"]
    }
    assert {name: count for name, (count, _) in counts.items()} == {"miss": 1, "hit": 2}
    assert counts["hit"][1] == {
        **at, "http.response.status_code": 200, "browseros_api.cache": "hit",
        "browseros_api.followed": False,
    }  # fmt: skip
    (retries,) = metrics["browseros_api.retries"]
    assert (retries.value, dict(retries.attributes)) == (1, at)
    assert "needle" not in repr(metrics)
    assert "/users/7" not in repr(metrics)


def test_of_other_servers_the_metrics_name_the_server(
    watcher: Watcher, session: Session, api_server: ApiServer
) -> None:
    watcher.watch(session)
    session.get(api_server.url("/users/7"))
    (calls,) = watcher.metrics()["browseros_api.call.duration"]
    assert calls.attributes["url.template"] == "/users/{id}"
    assert calls.attributes["server.address"] == "127.0.0.1"


def test_two_clients_share_the_instruments_and_are_told_apart(
    watcher: Watcher, client: EnhancedAPIClient, caplog: pytest.LogCaptureFixture
) -> None:
    with EnhancedAPIClient(client.base_url) as other:
        watcher.watch(client, name="one")
        watcher.watch(other, name="other")
        for each in (client, other):
            each.get("/x")
    for metric in ("http.client.request.duration", "browseros_api.call.duration"):
        points = watcher.metrics()[metric]
        assert {one.attributes["browseros_api.client"] for one in points} == {"one", "other"}
    assert not caplog.records


def test_endpoints_are_bounded(watcher: Watcher, client: EnhancedAPIClient) -> None:
    watcher.watch(client, max_endpoints=2)
    for name in "abcd":
        client.get(f"/{name}")
    for metric in ("http.client.request.duration", "browseros_api.call.duration"):
        found = {one.attributes["url.template"]: one.count for one in watcher.metrics()[metric]}
        assert found == {"/a": 1, "/b": 1, "(others)": 2}


# -- what goes with it over the wire -------------------------------------------------------------


def test_nothing_is_carried_unless_wished(
    watcher: Watcher, client: EnhancedAPIClient, api_server: ApiServer
) -> None:
    watcher.watch(client, propagate=False)
    client.get("/x")
    assert "traceparent" not in api_server.requests[0].headers
    assert len(watcher.requests) == 1


def test_baggage_goes_along(
    watcher: Watcher, client: EnhancedAPIClient, api_server: ApiServer
) -> None:
    watcher.watch(client)
    token = context.attach(baggage.set_baggage("shop", "12"))
    try:
        client.get("/x")
    finally:
        context.detach(token)
    assert api_server.requests[0].headers["baggage"] == "shop=12"


# -- it hurts nobody -----------------------------------------------------------------------------


class Bad:
    """Fails at whatever it is asked to do."""

    def __getattr__(self, name: str) -> Any:
        def fail(*_: Any, **__: Any) -> None:
            raise ZeroDivisionError(name)

        return fail


@pytest.mark.parametrize("part", ["on_start", "on_end", "sampler", "propagator", "header"])
def test_what_fails_in_it_is_said_once_and_hurts_no_call(
    part: str,
    client: EnhancedAPIClient,
    api_server: ApiServer,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watcher = Watcher(**({"sampler": Bad()} if part == "sampler" else {}))
    if part in ("on_start", "on_end"):

        class Processor(sdk_trace.SpanProcessor):  # type: ignore[misc,name-defined]
            pass

        setattr(Processor, part, lambda *_, **__: 1 / 0)
        watcher.provider.add_span_processor(Processor())
    if part == "propagator":
        monkeypatch.setattr(propagate, "inject", Bad().inject)
    if part == "header":
        broken = {"traceparent": "two\r\nlines"}
        monkeypatch.setattr(propagate, "inject", lambda carrier, **_: carrier.update(broken))
    watcher.watch(client)
    api_server.script("/x", Reply(503), Reply(json=1), Reply(404))
    with caplog.at_level(logging.ERROR, logger="browseros_api"):
        assert client.get("/x") == 1
        assert client.get("/x") == 1
        with pytest.raises(requests.HTTPError):
            client.get("/x", use_cache=False)
    said = [record.getMessage() for record in caplog.records]
    assert said == ["OpenTelemetry failed; said only once"]
    assert api_server.hits("/x") == 3
    assert trace.get_current_span() is trace.INVALID_SPAN
    if part in ("propagator", "header"):
        assert len(watcher.requests) == 3
        assert "traceparent" not in api_server.requests[0].headers


def test_what_is_sampled_out_carries_so(client: EnhancedAPIClient, api_server: ApiServer) -> None:
    watcher = Watcher(sampler=ALWAYS_OFF)
    watcher.watch(client)
    client.get("/x")
    assert int(carried(api_server.requests[0])[-2:], 16) & 1 == 0
    assert not watcher.spans()
    assert watcher.metrics()["http.client.request.duration"][0].count == 1


def test_without_providers_nothing_happens(
    client: EnhancedAPIClient, api_server: ApiServer
) -> None:
    otel.Telemetry(client)
    client.get("/x")
    client.get("/x")
    assert "traceparent" not in api_server.requests[0].headers


def test_where_exporters_are_at_work_nobody_looks(
    watcher: Watcher, client: EnhancedAPIClient, api_server: ApiServer
) -> None:
    watcher.watch(client)
    key = context._SUPPRESS_INSTRUMENTATION_KEY
    token = context.attach(context.set_value(key, True))
    try:
        client.get("/x")
    finally:
        context.detach(token)
    assert not watcher.spans()
    assert not watcher.metrics()
    assert "traceparent" not in api_server.requests[0].headers


def test_other_instrumentations_are_told_that_it_is_done(
    watcher: Watcher, session: Session, api_server: ApiServer
) -> None:
    seen = []

    def auth(request: Any) -> Any:
        seen.append(context.get_value(context._SUPPRESS_HTTP_INSTRUMENTATION_KEY))
        seen.append(trace.get_current_span().get_span_context().span_id)
        return request

    watcher.watch(session)
    session.get(api_server.url("/x"), auth=auth)
    assert seen == [True, watcher.calls[0].context.span_id]
    assert context.get_value(context._SUPPRESS_HTTP_INSTRUMENTATION_KEY) is None


def test_closed_it_tells_no_more_and_costs_no_more(
    watcher: Watcher, client: EnhancedAPIClient, api_server: ApiServer
) -> None:
    engine = client.session.engine
    before = len(engine.call_steps()), len(engine.exchange_steps())
    telemetry = watcher.watch(client)
    assert len(engine.call_steps()) == before[0] + 1
    client.get("/x")
    telemetry.close()
    telemetry.close()
    client.get("/y")
    assert len(watcher.calls) == len(watcher.requests) == 1
    assert (len(engine.call_steps()), len(engine.exchange_steps())) == before
    assert not engine.listeners.hear_calls
    assert "traceparent" not in api_server.requests[-1].headers


def test_a_call_that_is_under_way_when_it_is_closed_ends_its_span(
    watcher: Watcher, client: EnhancedAPIClient, api_server: ApiServer
) -> None:
    go = threading.Event()
    api_server.route("/x", Reply(json=1, hold=go))
    telemetry = watcher.watch(client)
    asked = client.submit("GET", "/x")
    wait_until(lambda: api_server.active_requests == 1)
    telemetry.close()
    go.set()
    assert asked.result(10) == 1
    assert len(watcher.calls) == len(watcher.requests) == 1


def test_a_second_one_is_refused(watcher: Watcher, client: EnhancedAPIClient) -> None:
    first = watcher.watch(client)
    with pytest.raises(ValueError, match=r"source: .* has a Telemetry already"):
        watcher.watch(client.session)
    first.close()
    watcher.watch(client.session).close()


def test_a_session_that_is_pickled_is_not_told_of(watcher: Watcher, api_server: ApiServer) -> None:
    with Session() as session:
        watcher.watch(session)
        with pickle.loads(pickle.dumps(session)) as another:
            another.get(api_server.url("/x"))
        assert not watcher.spans()
        session.get(api_server.url("/x"))
    assert len(watcher.calls) == 1


def test_a_session_that_is_told_of_can_be_dropped(watcher: Watcher) -> None:
    session = Session()
    watcher.watch(session)
    gone = weakref.ref(session)
    del session
    gc.collect()
    assert gone() is None
