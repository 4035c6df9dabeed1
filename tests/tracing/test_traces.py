"""Laws of traces: each call tells what happened to it, whoever fetched its answer."""

from __future__ import annotations

import asyncio
import copy
import gc
import json
import pickle
import ssl
import threading
import weakref
from collections.abc import Iterator

import pytest
import requests
import trustme
from requests.adapters import HTTPAdapter

from browseros_api import CircuitOpenError, EnhancedAPIClient, Session, aio
from browseros_api.spent import Spent
from browseros_api.testing import ApiServer, FakeClock, Reply, wait_until
from browseros_api.tracing.trace import Trace

FRESH = {"Cache-Control": "max-age=60"}


@pytest.fixture
def session() -> Iterator[Session]:
    with Session(sleep=lambda _: None) as session:
        yield session


def trace_of(told: requests.Response | BaseException) -> Trace:
    trace = told.trace  # type: ignore[union-attr]
    assert isinstance(trace, Trace)
    return trace


def phases(trace: Trace) -> set[str]:
    return {span.phase for span in trace.phases}


# -- what was asked ------------------------------------------------------------------------------


def test_a_call_that_is_made_tells_where_its_time_went(
    session: Session, api_server: ApiServer
) -> None:
    api_server.route("/slow", Reply(json=[1, 2], delay=0.05))
    trace = trace_of(session.get(api_server.url("/slow")))
    assert (trace.method, trace.status, trace.error) == ("GET", 200, None)
    assert (trace.cache, trace.dedup, trace.breaker) == ("miss", "none", "closed")
    assert {"connect", "send", "server", "body"} <= phases(trace)
    assert "queue" not in phases(trace), "there was a connection to be had at once"
    waited = sum(span.seconds for span in trace.phases if span.phase == "server")
    assert 0.05 <= waited <= trace.seconds
    assert sum(span.seconds for span in trace.phases) == pytest.approx(trace.seconds)
    assert trace.bytes_received == len(b"[1, 2]")


def test_nothing_is_sent_before_there_is_a_connection(
    session: Session, api_server: ApiServer
) -> None:
    for _ in ("new", "reused"):
        order = [span.phase for span in trace_of(session.get(api_server.url("/x"))).phases]
        assert order.count("send") == 1
        assert "connect" not in order[order.index("send") :]


def test_a_name_is_looked_up_once(session: Session, api_server: ApiServer) -> None:
    url = api_server.url("/x").replace("127.0.0.1", "localhost")
    first = trace_of(session.get(url))
    again = trace_of(session.get(url))
    assert "lookup" in phases(first)
    assert not phases(again) & {"lookup", "connect"}
    connections = [one["connection"] for t in (first, again) for one in t.to_dict()["attempts"]]
    assert connections == ["new", "reused"]


def test_tls_has_a_phase_of_its_own() -> None:
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with (
        ApiServer(tls=context) as server,
        Session() as session,
        authority.cert_pem.tempfile() as path,
    ):
        trace = trace_of(session.get(server.url("/x"), verify=path))
    assert "tls" in phases(trace)


def test_each_attempt_says_why_there_was_another(session: Session, api_server: ApiServer) -> None:
    api_server.script("/x", Reply(reset="before"), Reply(503), Reply(json=1))
    trace = trace_of(session.get(api_server.url("/x")))
    first, second, third = trace.attempts
    assert [one.number for one in trace.attempts] == [1, 2, 3]
    assert (first.status, first.error) == (None, "ConnectionError")
    assert (second.status, second.error) == (503, None)
    assert (third.status, third.decision) == (200, "")
    assert first.decision.startswith("again in ")
    assert first.delay > 0
    assert first.began <= (first.ended or 0) <= second.began


def test_a_call_that_fails_tells_it_by_its_error(session: Session) -> None:
    with ApiServer() as server:
        url = server.url("/x")
    with pytest.raises(requests.ConnectionError) as caught:
        session.get(url)
    trace = trace_of(caught.value)
    assert (trace.status, trace.error) == (None, "ConnectionError")
    assert len(trace.attempts) == 4
    assert trace.attempts[-1].decision == "no retries left"
    assert not trace.attempts[-1].is_sent
    assert pickle.loads(pickle.dumps(caught.value)).trace.to_dict() == trace.to_dict()
    assert trace.bytes_sent == 0


def test_what_is_refused_is_told_with_its_circuit(api_server: ApiServer) -> None:
    api_server.route("/x", Reply(500))
    with Session(failure_threshold=2, max_retries=0) as session:
        first, second = (trace_of(session.get(api_server.url("/x"))) for _ in range(2))
        assert not first.attempts[0].opened
        assert second.attempts[0].opened
        with pytest.raises(CircuitOpenError) as caught:
            session.get(api_server.url("/x"))
        with pytest.raises(CircuitOpenError) as late:
            session.post(api_server.url("/x"), data=iter([b"x"]))
    for error in (caught.value, late.value):
        assert (trace_of(error).breaker, trace_of(error).error) == ("open", "CircuitOpenError")
        assert not any(one.is_sent for one in trace_of(error).attempts)


def test_a_trial_call_is_told_as_one(api_server: ApiServer, fake_clock: FakeClock) -> None:
    api_server.script("/x", Reply(500), Reply(json=1))
    with Session(failure_threshold=1, max_retries=0, clock=fake_clock) as session:
        session.get(api_server.url("/x"))
        fake_clock.tick(61)
        assert trace_of(session.get(api_server.url("/x"))).breaker == "half_open"


def test_each_hop_of_a_redirect_is_an_attempt(session: Session, api_server: ApiServer) -> None:
    api_server.route("/old", Reply(302, headers={"Location": "/new"}))
    api_server.route("/new", Reply(json=1))
    trace = trace_of(session.get(api_server.url("/old")))
    assert [(one.status, one.number) for one in trace.attempts] == [(302, 1), (200, 1)]
    assert trace.url.endswith("/old")
    assert trace.attempts[1].url.endswith("/new")


def test_what_is_sent_by_hand_has_a_trace(session: Session, api_server: ApiServer) -> None:
    request = session.prepare_request(requests.Request("POST", api_server.url("/x"), data="äb"))
    trace = trace_of(session.send(request))
    assert (trace.method, trace.cache, trace.bytes_sent) == ("POST", "bypass", 3)


def test_an_adapter_of_somebody_else_is_traced_as_far_as_it_shows(
    session: Session, api_server: ApiServer
) -> None:
    session.mount("http://", HTTPAdapter())
    trace = trace_of(session.get(api_server.url("/x")))
    assert "server" in phases(trace)
    assert trace.to_dict()["attempts"][0]["connection"] is None


def test_a_stream_is_traced_up_to_its_body(session: Session, api_server: ApiServer) -> None:
    api_server.route("/x", Reply(body=b"x" * 10_000))
    with session.get(api_server.url("/x"), stream=True, deadline=20) as response:
        trace = trace_of(response)
        before = trace.to_dict()
        assert trace.bytes_received is None
        assert sum(len(part) for part in response.iter_content(8)) == 10_000
        assert trace.to_dict() == before


# -- what was known ------------------------------------------------------------------------------


def test_a_hit_has_a_trace_of_its_own(session: Session, api_server: ApiServer) -> None:
    api_server.route("/x", Reply(json=1, headers=FRESH))
    asked = session.get(api_server.url("/x"), params={"token": "s3cret"})
    known = session.get(api_server.url("/x"), params={"token": "s3cret"})
    assert "trace" not in vars(known)  # until it is looked at
    trace = trace_of(known)
    assert trace is trace_of(known)
    assert trace is not trace_of(asked)
    assert (trace.cache, trace.status, trace.attempts, trace.phases) == ("hit", 200, [], [])
    assert trace.cache_reason.startswith("a hit: it is fresh for another ")
    assert trace.url == trace_of(asked).url
    assert "***" in trace.url
    assert dict(trace.to_dict()["headers"])["Cache-Control"] == "max-age=60"
    assert trace_of(asked).cache_reason == "a miss: nothing is kept for it"


def test_why_the_cache_was_passed_by_is_said(api_server: ApiServer) -> None:
    url = api_server.url("/x")
    with Session() as session:
        said = [
            trace_of(session.get(url, use_cache=False)),
            trace_of(session.post(url)),
            trace_of(session.get(url, stream=True)),
        ]
    with Session(enable_cache=False) as session:
        said.append(trace_of(session.get(url)))
    assert [one.cache for one in said] == ["bypass", "bypass", "bypass", "off"]
    reasons = [one.cache_reason for one in said]
    words = ["use_cache=False", "POST is never", "shared with nobody", "enable_cache=False"]
    assert all(word in reason for word, reason in zip(words, reasons, strict=True))


def test_what_is_kept_for_others_is_no_reason_to_be_silent(
    session: Session, api_server: ApiServer
) -> None:
    api_server.route("/x", Reply(json=1, headers={**FRESH, "Vary": "Accept-Language"}))
    for language in ("de", "en"):
        answer = session.get(api_server.url("/x"), headers={"Accept-Language": language})
    assert "varies on accept-language" in trace_of(answer).cache_reason


def test_an_answer_that_is_confirmed_says_so(api_server: ApiServer, fake_clock: FakeClock) -> None:
    headers = {**FRESH, "ETag": '"1"'}
    api_server.script("/x", Reply(json=1, headers=headers), Reply(304, headers=headers))
    with Session(clock=fake_clock) as session:
        session.get(api_server.url("/x"))
        fake_clock.tick(61)
        trace = trace_of(session.get(api_server.url("/x")))
    assert (trace.cache, trace.status) == ("revalidated", 200)
    assert [one.status for one in trace.attempts] == [304]


def test_an_answer_in_need_tells_what_has_failed(
    api_server: ApiServer, fake_clock: FakeClock
) -> None:
    api_server.script("/x", Reply(json=1, headers=FRESH), Reply(500))
    with Session(clock=fake_clock, stale_if_error=600, max_retries=0) as session:
        session.get(api_server.url("/x"))
        fake_clock.tick(61)
        answer = session.get(api_server.url("/x"))
    trace = trace_of(answer)
    assert (answer.status_code, trace.cache) == (200, "stale")
    assert [one.status for one in trace.attempts] == [500]
    assert trace.age == pytest.approx(61)


def test_a_stale_answer_that_is_taken_says_how_stale(
    api_server: ApiServer, fake_clock: FakeClock
) -> None:
    api_server.route("/x", Reply(json=1, headers=FRESH))
    with Session(clock=fake_clock) as session:
        session.get(api_server.url("/x"))
        fake_clock.tick(65)
        demand = {"Cache-Control": "max-stale=60"}
        trace = trace_of(session.get(api_server.url("/x"), headers=demand))
    assert (trace.cache, trace.cache_reason) == ("stale", "a hit: it is stale for 5 s")


# -- in the air ----------------------------------------------------------------------------------


def test_leader_and_followers_know_who_they_are(session: Session, api_server: ApiServer) -> None:
    landing = threading.Event()
    api_server.route("/x", lambda _: (landing.wait(20) and Reply(json=1)) or Reply(500))
    traces: list[Trace] = []

    def ask() -> None:
        traces.append(trace_of(session.get(api_server.url("/x"))))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    wait_until(lambda: "2 followers" in repr(session.engine.flights))
    landing.set()
    for thread in threads:
        thread.join(20)
    followers = [one for one in traces if one.dedup == "follower"]
    (leader,) = [one for one in traces if one.dedup == "leader"]
    assert (len(followers), leader.followers) == (2, 2)
    assert all(one.attempts == [] and "following" in phases(one) for one in followers)
    assert followers[0] is not followers[1]


def test_a_follower_of_a_failure_has_its_own_trace(session: Session, api_server: ApiServer) -> None:
    landing = threading.Event()
    api_server.route("/x", lambda _: (landing.wait(20) and Reply(reset="before")) or Reply(500))
    traces: list[Trace] = []

    def ask() -> None:
        with pytest.raises(requests.ConnectionError) as caught:
            session.get(api_server.url("/x"))
        traces.append(trace_of(caught.value))

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    wait_until(lambda: "1 followers" in repr(session.engine.flights))
    landing.set()
    for thread in threads:
        thread.join(20)
    assert sorted(one.dedup for one in traces) == ["follower", "leader"]


# -- the JSON clients ----------------------------------------------------------------------------


def test_a_client_remembers_the_trace_of_each_thread(api_server: ApiServer) -> None:
    api_server.route("/bad", Reply(404))
    with EnhancedAPIClient(api_server.base_url) as client:
        assert client.last_trace is None
        client.get("/x")
        asked = client.last_trace
        client.get("/x")
        known = client.last_trace
        with pytest.raises(requests.HTTPError) as caught:
            client.get("/bad")
        assert asked is not None
        assert known is not None
        assert (asked.cache, known.cache) == ("miss", "hit")
        assert client.last_trace is trace_of(caught.value)
        others: list[Trace | None] = []
        thread = threading.Thread(target=lambda: others.append(client.last_trace))
        thread.start()
        thread.join(20)
        assert others == [None]


def test_a_client_remembers_what_failed() -> None:
    with ApiServer() as server:
        url = server.base_url
    with EnhancedAPIClient(url, max_retries=0) as client:
        with pytest.raises(requests.ConnectionError) as caught:
            client.get("/x")
        assert client.last_trace is trace_of(caught.value)


def test_the_awaited_client_tells_of_its_threads_and_its_followers(api_server: ApiServer) -> None:
    landing = threading.Event()
    api_server.route("/x", lambda _: (landing.wait(20) and Reply(json=1)) or Reply(500))

    async def main() -> list[Trace | None]:
        async with aio.EnhancedAPIClient(api_server.base_url) as client:
            traces: list[Trace | None] = []

            async def ask() -> None:
                await client.get("/x")
                traces.append(client.last_trace)

            tasks = [asyncio.create_task(ask()) for _ in range(2)]
            while "1 followers" not in repr(client.session.engine.flights):
                await asyncio.sleep(0.001)
            landing.set()
            await asyncio.gather(*tasks)
            await ask()
            return traces

    traces = asyncio.run(main())
    told = [(one.cache, one.dedup) for one in traces if one is not None]
    assert sorted(told[:2]) == [("miss", "follower"), ("miss", "leader")]
    assert told[2] == ("hit", "none")


def test_an_awaited_call_that_fails_is_remembered() -> None:
    with ApiServer() as server:
        url = server.base_url

    async def main() -> tuple[Trace | None, BaseException]:
        async with aio.EnhancedAPIClient(url, max_retries=0) as client:
            with pytest.raises(requests.ConnectionError) as caught:
                await client.get("/x")
            return client.last_trace, caught.value

    last, error = asyncio.run(main())
    assert last is trace_of(error)


# -- what is kept of it --------------------------------------------------------------------------


def test_a_trace_holds_no_body_and_no_session(api_server: ApiServer) -> None:
    class Body(bytes):
        pass

    session = Session()
    body = Body(b"x" * 100)
    alive, kept = weakref.ref(session), weakref.ref(session.engine)
    response = session.post(api_server.url("/x"), data=body)
    trace = trace_of(response)
    session.close()
    del response, session
    gc.collect()
    assert (alive(), kept()) == (None, None)
    assert body not in gc.get_referents(*gc.get_referents(trace))
    assert trace.bytes_sent == 100


def test_secrets_are_masked_wherever_a_trace_is_shown(
    session: Session, api_server: ApiServer
) -> None:
    api_server.route(
        "/x", Reply(302, headers={"Location": "/y?sig=s3cret", "Set-Cookie": "a=s3cret"})
    )
    secrets = {"Authorization": "Bearer s3cret", "X-Api-Key": "s3cret", "Cookie": "a=s3cret"}
    url = api_server.url("/x?token=s3cret").replace("//", "//me:s3cret@")
    trace = trace_of(session.get(url, headers=secrets))
    shown = [
        str(trace), repr(trace), repr(trace.attempts), trace._repr_html_(),
        json.dumps(trace.to_dict()), json.dumps(trace.to_har()), repr(pickle.dumps(trace)),
    ]  # fmt: skip
    assert [text for text in shown if "s3cret" in text] == []
    assert dict(trace.attempts[0].request_headers)["X-Api-Key"] == "***"


def test_a_trace_travels_and_a_response_travels_without_it(
    session: Session, api_server: ApiServer
) -> None:
    api_server.route("/x", Reply(json=1, headers=FRESH))
    for response in (session.get(api_server.url("/x")), session.get(api_server.url("/x"))):
        trace = trace_of(response)
        twin = pickle.loads(pickle.dumps(trace))
        assert {**twin.to_dict(), "headers": []} == {**trace.to_dict(), "headers": []}
        assert str(twin) == str(trace)
        for other in (pickle.loads(pickle.dumps(response)), copy.copy(response)):
            assert not hasattr(other, "trace")
            assert other.json() == 1


def test_many_short_turns_are_kept_as_what_they_come_to(fake_clock: FakeClock) -> None:
    spent = Spent(fake_clock)
    for _ in range(2000):
        spent.turn("body")
        fake_clock.tick(1)
        spent.turn("sleep")
        fake_clock.tick(2)
        spent.fold()
    spent.turn("rest")
    assert len(spent.marks) < 600
    assert spent.read() == {"sleep": 4000.0, "body": 2000.0}
    assert pickle.loads(pickle.dumps(spent)).read() == spent.read()
