"""Laws of asking again, over real sockets: a stock session whose adapter asks through the step."""

from __future__ import annotations

import contextlib
import io
import ssl
import threading
from typing import Any

import pytest
import requests
import trustme
from requests.adapters import HTTPAdapter
from urllib3.exceptions import NewConnectionError

from browseros_api.errors import MAYBE_PROCESSED, NEVER_SENT, RequestState
from browseros_api.journal import Journal
from browseros_api.pipeline import Call, Exchange
from browseros_api.policies.retry import Retry
from browseros_api.settings import Settings
from browseros_api.testing import ApiServer, FakeClock, Reply


def state_of(error: requests.RequestException) -> RequestState:
    refused = isinstance(getattr(error.args[0], "reason", None), NewConnectionError)
    return NEVER_SENT if refused else MAYBE_PROCESSED


class AskingAdapter(HTTPAdapter):
    """requests' own adapter, with the retry step around each hop and the body read inside."""

    def __init__(self, retry: Retry, **pool: Any) -> None:
        super().__init__(**pool)
        self.retry = retry
        self.attempts: list[int] = []

    def send(self, request: Any, stream: bool = False, **options: Any) -> requests.Response:  # type: ignore[override]
        call = Call(request.method, request.url)
        try:
            exchange = Exchange(request, {"stream": stream, **options}, call)
            return self.retry.attempt(exchange, self._transmit)
        finally:
            self.attempts.append(call.attempts)

    def _transmit(self, exchange: Exchange) -> requests.Response:
        response = super().send(exchange.request, **exchange.options)
        if not exchange.streams:
            response.content  # noqa: B018  (reads it)
        return response


class Client(requests.Session):
    """A session that sleeps on a clock of its own."""

    def __init__(self, *, pool: dict[str, Any] | None = None, **settings: Any) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.retry = Retry(
            Settings(**{"max_retries": 2, **settings}),
            clock=self.clock,
            sleep=self.clock.sleep,
            random=lambda: 0.5,
            journal=Journal(enabled=False),
            state_of=state_of,
        )
        self.adapter = AskingAdapter(self.retry, **(pool or {}))
        self.mount("http://", self.adapter)
        self.mount("https://", self.adapter)


MISHAPS = {
    "500": Reply(500),
    "503": Reply(503, headers={"Retry-After": "1"}),
    "silence": Reply(silent=True),
    "reset": Reply(reset="before"),
    "reset in the head": Reply(reset="head"),
    "closed without a word": Reply(raw=b""),
    "cut body": Reply(body=b"x" * 100, truncate=50),
    "reset body": Reply(body=b"x" * 100, reset=50),
    "cut chunks": Reply(body=b"x" * 100, chunked=True, truncate=50),
}
mishaps = pytest.mark.parametrize("mishap", MISHAPS.values(), ids=list(MISHAPS))
TIMEOUT = (10, 1.0)  # only the silent server makes anybody wait


@mishaps
def test_a_get_survives_what_servers_do(api_server: ApiServer, mishap: Reply) -> None:
    """R1, R2"""
    api_server.script("/x", mishap, mishap, Reply(json={"ok": True}))
    with Client() as client:
        timeout = TIMEOUT if mishap.silent else 10
        assert client.get(api_server.url("/x"), timeout=timeout).json() == {"ok": True}
    assert client.adapter.attempts == [3]
    assert client.retry.rescued == 1


@mishaps
def test_a_post_is_sent_once_whatever_servers_do(api_server: ApiServer, mishap: Reply) -> None:
    """R14"""
    api_server.route("/x", mishap)
    with Client() as client:
        timeout = TIMEOUT if mishap.silent else 10
        with contextlib.suppress(requests.RequestException):
            assert client.post(api_server.url("/x"), data="x", timeout=timeout).status_code >= 500
    assert client.adapter.attempts == [1]
    assert api_server.hits("/x") <= 1


def test_a_post_with_an_idempotency_key_is_sent_again_with_the_same_key(
    api_server: ApiServer,
) -> None:
    """R14"""
    api_server.script("/x", Reply(reset="before"), Reply(500), Reply(201))
    with Client() as client:
        answer = client.post(api_server.url("/x"), data="x", headers={"Idempotency-Key": "k1"})
    assert answer.status_code == 201
    keys = [seen.headers["Idempotency-Key"] for seen in api_server.requests]
    assert keys == ["k1"] * len(keys)
    assert client.adapter.attempts == [3]


def test_a_refused_connection_is_tried_again_by_any_method(api_server: ApiServer) -> None:
    """R15"""
    url = api_server.url("/x")
    api_server.close()
    with Client() as client, pytest.raises(requests.ConnectionError, match="refused"):
        client.post(url, data="x")
    assert client.adapter.attempts == [3]
    assert client.clock.slept == [1.0, 2.0]


@pytest.mark.parametrize("replies", [[Reply(503)], [Reply(reset="before")], [Reply(429)]])
@pytest.mark.parametrize("start", [0, 3])
def test_the_server_sees_the_whole_file_each_time(
    api_server: ApiServer, replies: list[Reply], start: int
) -> None:
    """R17"""
    api_server.script("/x", *replies, *replies, Reply(200))
    file = io.BytesIO(b"---" + b"payload" * 1000)
    file.seek(start)
    with Client() as client:
        assert client.put(api_server.url("/x"), data=file).status_code == 200
    whole = (b"---" + b"payload" * 1000)[start:]
    assert [seen.body for seen in api_server.requests] == [whole] * 3


def test_a_generator_is_sent_once_and_never_empty(api_server: ApiServer) -> None:
    """R18"""
    api_server.route("/x", Reply(503))
    with Client() as client:
        assert client.put(api_server.url("/x"), data=iter([b"a", b"b"])).status_code == 503
    assert [seen.body for seen in api_server.requests] == [b"ab"]


@pytest.mark.parametrize("stream", [True, False])
def test_a_pool_of_one_connection_survives_many_retries(
    api_server: ApiServer, stream: bool
) -> None:
    """R19"""
    bad = Reply(503, body=b"x" * 100_000)
    api_server.script("/x", *[bad] * 6, Reply(body=b"good"))
    statuses: list[int] = []

    def run() -> None:
        # A connection that is not given back would block this thread for ever.
        with Client(pool={"pool_maxsize": 1, "pool_block": True}, max_retries=6) as client:
            with client.get(api_server.url("/x"), stream=stream) as answer:
                statuses.append(answer.status_code)
                assert answer.content == b"good"
            statuses.append(client.get(api_server.url("/x")).status_code)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(timeout=20)
    assert statuses == [200, 200]


def test_the_answer_handed_out_can_still_be_read(api_server: ApiServer) -> None:
    """R20"""
    api_server.script("/x", Reply(503), Reply(503, body=b"the last one"))
    with Client(max_retries=1) as client, client.get(api_server.url("/x"), stream=True) as answer:
        assert not answer.raw.closed
        assert b"".join(answer.iter_content(3)) == b"the last one"


@pytest.mark.parametrize(
    ("host", "trusted"),
    [("127.0.0.1", False), ("elsewhere.example", True)],
    ids=["untrusted", "name"],
)
def test_a_bad_certificate_is_an_error_at_once(host: str, trusted: bool, tmp_path: Any) -> None:
    """R21"""
    authority, bundle = trustme.CA(), tmp_path / "bundle.pem"
    (authority if trusted else trustme.CA()).cert_pem.write_to_path(bundle)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host).configure_cert(context)
    with ApiServer(tls=context) as server, Client() as client:
        with pytest.raises(requests.exceptions.SSLError):
            client.get(server.url("/x"), verify=str(bundle))
        assert client.adapter.attempts == [1]
        assert client.clock.slept == []
        assert server.hits() == 0


@pytest.mark.parametrize(
    ("url", "headers", "error"),
    [
        ("http://", {}, requests.exceptions.InvalidURL),
        ("nothing", {}, requests.exceptions.MissingSchema),
        ("foo://host", {}, requests.exceptions.InvalidSchema),
        ("http://127.0.0.1/", {"a": "b\r\nc: d"}, requests.exceptions.InvalidHeader),
    ],
)
def test_what_cannot_be_asked_is_not_asked(
    url: str, headers: dict[str, str], error: type[Exception]
) -> None:
    """R21"""
    with Client() as client, pytest.raises(error):
        client.get(url, headers=headers)
    assert client.clock.slept == []


def test_two_lengths_in_one_answer_are_not_asked_for_again(api_server: ApiServer) -> None:
    """R21"""
    lengths = [("Content-Length", "2"), ("Content-Length", "12")]
    api_server.route("/x", Reply(headers=lengths, body=b"{}"))
    with Client() as client, pytest.raises(requests.exceptions.InvalidHeader):
        client.get(api_server.url("/x"))
    assert client.adapter.attempts == [1]


def test_each_hop_of_a_redirect_chain_has_all_retries(api_server: ApiServer) -> None:
    """R23"""
    moved = Reply(302, headers={"Location": "/b"})
    api_server.script("/a", Reply(503), Reply(503), moved)
    api_server.script("/b", Reply(503), Reply(503), Reply(200))
    with Client() as client:
        assert client.get(api_server.url("/a")).status_code == 200
    assert client.adapter.attempts == [3, 3]
    assert client.clock.slept == [1.0, 2.0, 1.0, 2.0]


def test_an_undecodable_answer_is_not_asked_for_again(api_server: ApiServer) -> None:
    """R6"""
    api_server.route("/x", Reply(headers={"Content-Encoding": "gzip"}, body=b"not gzip"))
    with Client() as client, pytest.raises(requests.exceptions.ContentDecodingError):
        client.get(api_server.url("/x"))
    assert client.adapter.attempts == [1]
