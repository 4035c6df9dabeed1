"""Beside niquests, whose fork of urllib3 lies where urllib3 was: what holds, and what does not."""

from __future__ import annotations

import os
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any

import niquests
import pytest
import requests
import trustme
import urllib3

from browseros_api import (
    EnhancedAPIClient,
    PoolTimeout,
    ReadTimeout,
    ResponseTooLarge,
    Session,
)
from browseros_api.errors import DeadlineExceeded
from browseros_api.testing import ApiServer, Received, Reply, wait_until
from browseros_api.transport.foreign import IS_FOREIGN
from tests.compat.laws import Laws, Stage
from tests.compat.server_stage import Served
from tests.flying import PATIENCE, Caller

BOUND = 0.3  # seconds
DRIPPING = {
    "silence": Reply(silent=True),
    "head": Reply(body=b"x" * 9, drip_head=(1, 0.02)),
    "body": Reply(body=b"x" * 1000, drip=(1, 0.02)),
    "chunks": Reply(body=b"x" * 1000, chunked=True, drip=(1, 0.02)),
    "body without length": Reply(raw=b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 9999, drip=(30, 0.02)),
    "redirect": Reply(302, headers={"Location": "/x"}, body=b"x" * 1000, drip=(1, 0.02)),
}


def test_this_is_the_environment_that_it_says_it_is() -> None:
    assert IS_FOREIGN
    assert urllib3.__version__ == version("urllib3-future")


@pytest.fixture
def stage(api_server: ApiServer) -> Stage:
    return Served(api_server)


class TestPolicies(Laws):
    pass


# -- what holds ----------------------------------------------------------------------------------


def test_both_work_in_one_process(session: Session, api_server: ApiServer) -> None:
    api_server.route("/x", Reply(json="here"))
    with niquests.Session() as other:
        for ask in (other.get, session.get, other.get, session.get):
            assert ask(api_server.url("/x")).json() == "here"
    assert session.get_stats()["connections"]["connections_opened"] == 1


def test_every_verb_sends_its_body_and_the_connection_is_used_again(
    session: Session, api_server: ApiServer
) -> None:
    for verb in ("post", "put", "patch", "delete"):
        assert getattr(session, verb)(api_server.url("/x"), json={"name": "Ada"}).ok
    assert [sent.json() for sent in api_server.requests] == [{"name": "Ada"}] * 4
    assert session.post(api_server.url("/x"), files={"one": b"x" * 100_000}).ok
    assert session.post(api_server.url("/x"), data=iter([b"a", b"b"])).ok
    assert api_server.requests[-1].body == b"ab"
    assert session.head(api_server.url("/x")).content == b""
    assert api_server.connections == 1


def test_a_post_is_not_repeated_on_a_server_error(session: Session, api_server: ApiServer) -> None:
    api_server.route("/charge", Reply(500))
    assert session.post(api_server.url("/charge")).status_code == 500
    assert api_server.hits("/charge") == 1


def test_redirects_are_followed_and_secrets_stay_at_home(
    session: Session, api_server: ApiServer
) -> None:
    with ApiServer() as stranger:
        found = {"Location": stranger.url("/new"), "Set-Cookie": "seen=1; Path=/"}
        api_server.route("/old", Reply(302, headers=found))
        answer = session.get(
            api_server.url("/old"), headers={"X-API-Key": "s3cret", "Authorization": "s3cret"}
        )
        assert [hop.status_code for hop in (answer, *answer.history)] == [200, 302]
        assert session.cookies["seen"] == "1"
        assert "s3cret" in str([*api_server.requests[0].headers.values()])
        assert "s3cret" not in str([*stranger.requests[0].headers.values()])


def test_an_answer_that_breaks_off_is_asked_for_again(
    session: Session, api_server: ApiServer
) -> None:
    broken = (Reply(body=b"x" * 1000, truncate=10), Reply(reset="before"), Reply(raw=b""))
    api_server.script("/flaky", *broken, Reply(json="whole"))
    assert session.get(api_server.url("/flaky")).json() == "whole"
    assert session.get_stats()["retries"] == 3


def test_a_body_is_never_larger_than_allowed(api_server: ApiServer) -> None:
    with Session(max_response_bytes=1000) as session, pytest.raises(ResponseTooLarge):
        session.get(api_server.url("/bytes/100000"))


def test_no_more_calls_than_allowed_are_on_their_way(api_server: ApiServer) -> None:
    ready, go = threading.Semaphore(0), threading.Event()

    def held(request: Received) -> Reply:
        ready.release()
        return Reply(json=request.path, hold=go)

    api_server.route("*", held)
    with Session(max_connections=2, pool_timeout=None, enable_circuit_breaker=False) as session:
        callers = [Caller(session.get, api_server.url(f"/{number}")) for number in range(8)]
        for _ in range(2):
            assert ready.acquire(timeout=PATIENCE)
        wait_until(lambda: session.get_stats()["connections"]["waiting"] == 6)
        go.set()
        assert sorted(caller.value.json() for caller in callers) == [f"/{n}" for n in range(8)]
        assert session.get_stats()["connections"]["connections_in_use"] == 0
    assert api_server.peak_requests == 2


def test_who_waits_too_long_for_a_connection_has_sent_nothing(api_server: ApiServer) -> None:
    with Session(max_connections=1, pool_timeout=0.05, max_retries=0) as session:
        with session.get(api_server.url("/bytes/100000"), stream=True) as stream:
            with pytest.raises(PoolTimeout):
                session.get(api_server.url("/late"))
            assert len(b"".join(stream.iter_content(1000))) == 100_000
        assert session.get(api_server.url("/x")).ok
    assert api_server.hits("/late") == 0


def test_a_stream_gives_its_place_back_however_it_ends(api_server: ApiServer) -> None:
    url = api_server.url("/bytes/300000")
    with Session(max_connections=1, pool_timeout=1) as session:
        assert len(session.get(url, stream=True).content) == 300_000
        with session.get(url, stream=True) as stream:
            next(stream.iter_content(10))
        stream = session.get(url, stream=True)
        assert next(stream.iter_content(10))
        stream.raw.close()
        assert session.get_stats()["connections"]["connections_in_use"] == 0
        assert session.get(url).ok


# -- time ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("slow", DRIPPING)
def test_a_deadline_bounds_the_whole_call(
    slow: str, session: Session, api_server: ApiServer
) -> None:
    api_server.route("/x", DRIPPING[slow])
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        session.get(api_server.url("/x"), deadline=BOUND)
    assert BOUND <= time.monotonic() - began < PATIENCE
    assert session.get_stats()["connections"]["connections_in_use"] == 0
    assert session.get(api_server.url("/y")).ok


def test_the_clients_timeout_bounds_each_attempt(api_server: ApiServer) -> None:
    api_server.script("/x", DRIPPING["body"], Reply(json="quick"))
    with EnhancedAPIClient(api_server.base_url, timeout=BOUND, retry_base_delay=0.01) as client:
        assert client.get("/x") == "quick"
        api_server.route("/y", DRIPPING["silence"])
        with pytest.raises(ReadTimeout):
            client.post("/y", data={})


def test_reads_are_bounded_as_in_requests(session: Session, api_server: ApiServer) -> None:
    api_server.route("/x", DRIPPING["silence"])
    with pytest.raises(requests.ReadTimeout) as caught:
        session.post(api_server.url("/x"), timeout=(5, 0.05))
    assert isinstance(caught.value, TimeoutError)


@pytest.fixture
def swallowing() -> Iterator[str]:
    """An address that answers no connection: its queue is full."""
    with ExitStack() as stack:
        full = stack.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(8):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        yield f"http://127.0.0.1:{full.getsockname()[1]}/"


def test_connecting_is_bounded_by_the_deadline(session: Session, swallowing: str) -> None:
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        session.get(swallowing, deadline=BOUND)
    assert time.monotonic() - began < 5


# -- TLS -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def secure(authority: trustme.CA) -> Iterator[ApiServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with ApiServer(tls=context) as server:
        yield server


def test_certificates_are_checked(
    session: Session, secure: ApiServer, authority: trustme.CA, tmp_path: Path
) -> None:
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    secure.script("/x", Reply(503), Reply(json="safe"))
    with pytest.raises(requests.exceptions.SSLError):
        session.get(secure.url("/x"))
    assert secure.hits() == 0
    assert session.get(secure.url("/x"), verify=str(bundle)).json() == "safe"
    assert session.get_stats()["retries"] == 1


def test_a_deadline_holds_over_tls_and_in_its_handshake(
    session: Session, secure: ApiServer, authority: trustme.CA, tmp_path: Path
) -> None:
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    session.verify = str(bundle)
    secure.route("/x", DRIPPING["body"])
    with pytest.raises(DeadlineExceeded):
        session.get(secure.url("/x"), deadline=BOUND)
    with socket.create_server(("127.0.0.1", 0)) as mute, pytest.raises(DeadlineExceeded):
        session.get(f"https://127.0.0.1:{mute.getsockname()[1]}/", deadline=BOUND)


# -- lives ---------------------------------------------------------------------------------------


def test_a_closed_session_may_be_used_again(api_server: ApiServer) -> None:
    session = Session()
    for _ in range(2):
        assert session.get(api_server.url("/x")).ok
        session.close()
        session.close()
    wait_until(lambda: api_server.open_connections == 0)


def test_a_child_process_opens_connections_of_its_own(
    session: Session, api_server: ApiServer
) -> None:
    assert session.get(api_server.url("/parent")).ok
    child = os.fork()
    if not child:
        ended = 1
        try:
            ended = 0 if session.get(api_server.url("/child"), timeout=PATIENCE).ok else 1
        finally:
            os._exit(ended)
    assert os.waitpid(child, 0)[1] == 0
    assert session.get(api_server.url("/parent")).ok
    assert [sent.connection for sent in api_server.requests] == [1, 2, 1]


# -- what does not hold, as docs/compatibility.md says -------------------------------------------


def test_names_are_looked_up_for_each_connection(
    session: Session, api_server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual, asked = socket.getaddrinfo, []

    def getaddrinfo(host: Any, *options: Any, **named: Any) -> Any:
        if host == "localhost":
            asked.append(host)
            host = "127.0.0.1"
        return usual(host, *options, **named)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    for _ in range(2):
        url = f"http://localhost:{api_server.port}/x"
        assert session.get(url, headers={"Connection": "close"}).ok
    assert len(asked) == 2
    assert session.get_stats()["connections"]["dns_lookups"] == 0


def test_idle_connections_are_neither_counted_nor_closed(api_server: ApiServer) -> None:
    with ApiServer() as other, Session(max_connections=1, keepalive_timeout=0.01) as session:
        for server in (api_server, other, api_server, other):
            assert session.get(server.url("/x")).ok
        now = session.get_stats()["connections"]
        assert (now["connections_open"], now["connections_idle"]) == (2, 0)
        assert api_server.open_connections == other.open_connections == 1


def test_a_dead_idle_connection_costs_a_retry(session: Session, api_server: ApiServer) -> None:
    assert session.get(api_server.url("/before")).ok
    api_server.script("/x", Reply(raw=b""), Reply(json="fine"))
    assert session.get(api_server.url("/x")).json() == "fine"
    assert session.get_stats()["connections"]["stale_replaced"] == 0
    assert session.get_stats()["retries"] == 1


def test_names_of_headers_are_spelt_in_the_forks_way(
    session: Session, api_server: ApiServer
) -> None:
    assert session.get(api_server.url("/x"), headers={"X-API-Key": "k"}).ok
    assert "X-Api-Key" in list(api_server.requests[0].headers)


def test_closing_breaks_off_what_waits_for_an_answer(api_server: ApiServer) -> None:
    go = threading.Event()
    api_server.route("/x", Reply(json=1, hold=go))
    session = Session(max_retries=0)
    caller = Caller(session.get, api_server.url("/x"))
    wait_until(lambda: api_server.hits("/x") == 1)
    session.close()
    try:
        assert isinstance(caller.error, requests.RequestException)
    finally:
        go.set()
