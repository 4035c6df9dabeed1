"""Each error tells how far the request came, and so what a repetition would risk."""

from __future__ import annotations

import os
import pickle
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from browseros_api import CircuitOpenError, EnhancedAPIClient, PoolTimeout, Session
from browseros_api.errors import clone
from browseros_api.testing import ApiServer, Reply, wait_until
from tests.flying import Caller

NEVER, MAYBE, PROCESSED = "never-sent", "maybe-processed", "processed"


def ours(**settings: Any) -> Session:
    session = Session(**{"sleep": lambda _: None, "max_retries": 0, **settings})
    session.trust_env = False
    return session


def state_after(act: Callable[..., Any], *args: Any, **kwargs: Any) -> str:
    with pytest.raises(requests.RequestException) as caught:
        act(*args, **kwargs)
    error = caught.value
    state: str = error.request_state  # type: ignore[attr-defined]
    assert clone(error).__dict__["request_state"] == state
    return state


@pytest.fixture
def nowhere() -> Iterator[str]:
    """A URL where nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield "http://{}:{}/".format(*sock.getsockname())


@pytest.mark.parametrize("verb", ["get", "post"])
@pytest.mark.parametrize(
    "url", ["http://", "nonsense", "ftp://127.0.0.1/", "http://[::1/", "http://127.0.0.1:99999/"]
)
def test_what_is_no_url_was_never_sent(url: str, verb: str) -> None:
    with ours() as session:
        assert state_after(getattr(session, verb), url) == NEVER


@pytest.mark.parametrize("verb", ["get", "post"])
def test_what_found_no_server_was_never_sent(verb: str, nowhere: str) -> None:
    with ours(max_retries=1) as session:
        assert state_after(getattr(session, verb), nowhere) == NEVER
        assert state_after(getattr(session, verb), "http://no.such.name.invalid/") == NEVER
        assert state_after(session.send, requests.Request(verb, nowhere).prepare()) == NEVER


def test_what_found_no_connection_was_never_sent(api_server: ApiServer) -> None:
    gate = threading.Event()
    api_server.route("/held", Reply(hold=gate))
    with ours(max_connections=1, pool_timeout=0.01) as session:
        first = Caller(session.get, api_server.url("/held"))
        wait_until(lambda: api_server.hits("/held") == 1)
        with pytest.raises(PoolTimeout):
            session.post(api_server.url("/x"))
        assert state_after(session.post, api_server.url("/x")) == NEVER
        gate.set()
        assert first.value.ok


def test_what_an_open_circuit_refused_was_never_sent(api_server: ApiServer) -> None:
    api_server.route("/down", Reply(503))
    with ours(failure_threshold=1) as session:
        session.get(api_server.url("/down"))
        with pytest.raises(CircuitOpenError):
            session.post(api_server.url("/down"))
        assert state_after(session.post, api_server.url("/down")) == NEVER


@pytest.mark.parametrize("reply", [Reply(reset="before"), Reply(raw=b""), Reply(reset="head")])
def test_what_was_sent_and_not_answered_may_have_been_done(
    reply: Reply, api_server: ApiServer
) -> None:
    api_server.route("/x", reply)
    with ours() as session:
        assert state_after(session.post, api_server.url("/x")) == MAYBE


def test_what_was_not_answered_in_time_may_have_been_done(api_server: ApiServer) -> None:
    api_server.route("/x", Reply(silent=True))
    with ours() as session:
        assert state_after(session.post, api_server.url("/x"), timeout=(20.0, 0.05)) == MAYBE
        assert state_after(session.post, api_server.url("/x"), deadline=1.0) == MAYBE


@pytest.mark.parametrize(
    "reply",
    [
        Reply(body="1234", truncate=2),
        Reply(body="1234", reset=2),
        Reply(body="1234", chunked=True, truncate=2),
        Reply(body="no gzip", headers={"Content-Encoding": "gzip"}),
        Reply(body="1234", drip=(1, 10.0)),
        Reply(302, headers={"Location": "/x"}),
        Reply(body="x" * 101),
    ],
    ids=repr,
)
def test_what_was_answered_was_processed_whatever_became_of_the_answer(
    reply: Reply, api_server: ApiServer
) -> None:
    api_server.route("/x", reply)
    seconds = 1.0 if reply.drip else 20.0
    with ours(max_response_bytes=100) as session:
        assert state_after(session.post, api_server.url("/x"), timeout=seconds) == PROCESSED
    with ours(max_response_bytes=100, attempt_timeout=seconds) as session:
        assert state_after(session.post, api_server.url("/x")) == PROCESSED


def test_the_clients_errors_for_answers_say_processed(api_server: ApiServer) -> None:
    api_server.route("/no", Reply(404))
    api_server.route("/odd", Reply(body="{", content_type="application/json"))
    with EnhancedAPIClient(api_server.base_url, max_retries=0) as client:
        assert state_after(client.post, "/no") == PROCESSED
        assert state_after(client.post, "/odd") == PROCESSED
        assert state_after(client.submit("POST", "/no").result) == PROCESSED


@pytest.mark.parametrize(
    ("before", "state"),
    [(Reply(429, close=True), PROCESSED), (Reply(reset="before"), MAYBE)],
    ids=["answered", "broken"],
)
def test_an_attempt_that_was_never_sent_does_not_undo_the_one_before(
    before: Reply, state: str
) -> None:
    with ApiServer() as server:
        server.route("/x", before)

        def wait(seconds: float) -> None:
            if server.hits():
                server.close()

        with ours(sleep=wait, max_retries=2, idempotency_keys=True) as session:
            assert state_after(session.post, server.url("/x")) == state
            assert session.get_stats()["attempts"] == 3


def test_where_a_redirect_leads_nowhere_the_first_hop_was_processed(
    api_server: ApiServer, nowhere: str
) -> None:
    for place in (nowhere, "http://", "gopher://x/"):
        api_server.route("/x", Reply(303, headers={"Location": place}))
        with ours() as session:
            assert state_after(session.post, api_server.url("/x")) == PROCESSED


def test_who_follows_is_told_what_the_leader_was(api_server: ApiServer) -> None:
    gate = threading.Event()
    api_server.route("/x", Reply(hold=gate, reset="head"))
    with ours() as session:
        callers = [Caller(session.get, api_server.url("/x")) for _ in range(3)]
        wait_until(lambda: "2 followers" in repr(session.engine.flights))
        gate.set()
        assert {one.error.__dict__["request_state"] for one in callers} == {MAYBE}
        assert api_server.hits("/x") == 1


def test_who_gives_up_following_cannot_know(api_server: ApiServer) -> None:
    gate = threading.Event()
    api_server.route("/x", Reply(hold=gate))
    with ours() as session:
        leader = Caller(session.get, api_server.url("/x"))
        wait_until(lambda: api_server.hits("/x") == 1)
        assert state_after(session.get, api_server.url("/x"), deadline=0.01) == MAYBE
        gate.set()
        assert leader.value.ok


def test_the_state_travels_with_the_error(nowhere: str) -> None:
    with ours() as session, pytest.raises(requests.ConnectionError) as caught:
        session.post(nowhere)
    error = caught.value
    error.args = ("what it wraps cannot be pickled",)
    assert pickle.loads(pickle.dumps(error)).request_state == NEVER


def test_a_mock_that_raises_a_timeout_may_have_been_asked() -> None:
    import responses  # noqa: PLC0415

    with responses.RequestsMock() as mock, ours() as session:
        mock.post("http://a.test/", body=requests.ReadTimeout("silence"))
        assert state_after(session.post, "http://a.test/") == MAYBE
        mock.post("http://b.test/", body=requests.ConnectTimeout("tar pit"))
        assert state_after(session.post, "http://b.test/") == NEVER


# -- idempotency keys -----------------------------------------------------------------------------


def keys_of(server: ApiServer) -> list[str]:
    return [request.headers["Idempotency-Key"] for request in server.requests]


def test_a_key_is_kept_over_the_attempts_and_belongs_to_one_call(api_server: ApiServer) -> None:
    api_server.script("/x", Reply(503), Reply(reset="before"), Reply(200), method="POST")
    with EnhancedAPIClient(api_server.base_url, sleep=lambda _: None) as client:
        client.post("/x")
        client.post("/x")
        client.patch("/x")
    first, *others = keys_of(api_server)
    assert others[:2] == [first, first]
    assert len({first, *others[2:]}) == 3


def test_threads_never_make_the_same_key(api_server: ApiServer) -> None:
    with EnhancedAPIClient(api_server.base_url) as client:
        futures = [client.submit("POST", "/x") for _ in range(50)]
        for future in futures:
            future.result(20)
    assert len(set(keys_of(api_server))) == 50


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_forked_children_never_make_the_same_key(api_server: ApiServer) -> None:
    """Each of them, and the parent, goes on from the same memory."""
    with EnhancedAPIClient(api_server.base_url) as client:
        client.post("/x")
        children = []
        for _ in range(3):
            child = os.fork()
            if child == 0:
                try:
                    client.post("/x")
                    client.post("/x")
                    os._exit(0)
                except BaseException:
                    os._exit(1)
            children.append(child)
        for child in children:
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        client.post("/x")
    assert len(set(keys_of(api_server))) == 8
