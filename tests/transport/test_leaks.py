"""Whatever goes wrong, the lease comes back, and no socket is left open."""

from __future__ import annotations

import gc
import io
import socket
import time
import weakref
from typing import Any

import pytest
import requests
from requests import exceptions

from browseros_api.testing import ApiServer, Reply
from browseros_api.transport.watch import Watch

FAILURES: dict[str, tuple[Reply, type[Exception]]] = {
    "reset before": (Reply(reset="before"), exceptions.ConnectionError),
    "closed before": (Reply(raw=b""), exceptions.ConnectionError),
    "reset in the head": (Reply(reset="head"), exceptions.ConnectionError),
    "closed in the status": (Reply(raw=b"HTTP/1.1 2"), exceptions.ConnectionError),
    "closed in the head": (Reply(raw=b"HTTP/1.1 200 OK\r\nA: b\r\n"), exceptions.ConnectionError),
    "not HTTP": (Reply(raw=b"\x00\x01\x02\r\n\r\n"), exceptions.ConnectionError),
    "reset in the body": (Reply(body=b"x" * 99, reset=50), exceptions.ChunkedEncodingError),
    "body cut": (Reply(body=b"x" * 99, truncate=50), exceptions.ChunkedEncodingError),
    "chunks cut": (
        Reply(body=b"x" * 99, chunked=True, truncate=50),
        exceptions.ChunkedEncodingError,
    ),
    "not gzip": (
        Reply(body=b"x" * 99, headers={"Content-Encoding": "gzip"}),
        exceptions.ContentDecodingError,
    ),
    "two lengths": (
        Reply(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{} "),
        exceptions.InvalidHeader,
    ),
    "silence": (Reply(silent=True), exceptions.ReadTimeout),
    "silence in the body": (
        Reply(body=b"x" * 99, drip=(50, 20.0)),
        exceptions.ConnectionError,
    ),
}


def assert_clean(client: Any, *, idle: int = 0) -> None:
    now = client.now
    assert now["connections_in_use"] == 0
    assert now["waiting"] == 0
    assert now["connections_open"] == now["connections_idle"] == idle
    assert client.adapter._fleet.limiter.connected == 0


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("reused", [False, True])
def test_after_a_failing_server(
    failure: str, stream: bool, reused: bool, api_server: ApiServer, client: Any
) -> None:
    reply, kind = FAILURES[failure]
    if reused:
        client.post(api_server.url("/before"), timeout=20)
    api_server.route("/x", reply)
    with pytest.raises(exceptions.RequestException) as caught:
        client.post(api_server.url("/x"), timeout=(20, 0.2), stream=stream).content  # noqa: B018
    assert caught.type is kind
    assert api_server.hits("/x") == 1
    del caught
    gc.collect()
    was_read_to_its_end = failure == "not gzip"
    assert_clean(client, idle=was_read_to_its_end)


def test_after_a_refused_connection(refusing: tuple[str, int], client: Any) -> None:
    with pytest.raises(requests.ConnectionError, match="refused"):
        client.get("http://{}:{}/".format(*refusing), timeout=20)
    assert_clean(client)


def test_after_a_connect_timeout(swallowing: tuple[str, int], client: Any) -> None:
    with pytest.raises(requests.ConnectTimeout):
        client.get("http://{}:{}/".format(*swallowing), timeout=0.1)
    assert_clean(client)


@pytest.mark.usefixtures("names")
def test_after_a_name_that_nobody_knows(client: Any) -> None:
    with pytest.raises(requests.ConnectionError, match="Name or service not known"):
        client.get("http://nowhere.test/", timeout=20)
    assert_clean(client)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, RuntimeError])
def test_after_an_interruption_while_sending(
    kind: type[BaseException], stream: bool, api_server: ApiServer, client: Any
) -> None:
    def body() -> Any:
        yield b"x"
        raise kind

    with pytest.raises(kind):
        client.post(api_server.url("/x"), data=body(), stream=stream, timeout=20)
    assert_clean(client)


@pytest.mark.parametrize("when", ["head", "body"])
def test_after_an_interruption_while_receiving(
    when: str, api_server: ApiServer, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    api_server.route("/x", Reply(body=b"x" * 300_000))
    usual = socket.SocketIO.readinto
    reads = []

    def readinto(self: Any, buffer: Any) -> Any:
        reads.append(1)
        if len(reads) == (1 if when == "head" else 3):
            raise KeyboardInterrupt
        return usual(self, memoryview(buffer)[:8192])

    with monkeypatch.context() as patch:
        patch.setattr(socket.SocketIO, "readinto", readinto)
        with pytest.raises(KeyboardInterrupt):
            client.adapter.send(
                client.prepare_request(requests.Request("GET", api_server.url("/x"))), timeout=20
            )
    assert_clean(client)


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        ({"timeout": 0}, ValueError),
        ({"timeout": -1}, ValueError),
        ({"timeout": (1, 2, 3)}, ValueError),
        ({"verify": "/nowhere"}, OSError),
        ({"cert": "/nowhere"}, OSError),
        ({"headers": {"a": "b\r\nc: d"}}, exceptions.InvalidHeader),
        ({"headers": {"a": "\u20ac"}}, UnicodeEncodeError),
    ],
)
def test_after_a_mistake_of_the_caller(
    arguments: Any, kind: Any, api_server: ApiServer, client: Any
) -> None:
    scheme = "https" if {"verify", "cert"} & set(arguments) else "http"
    with pytest.raises(kind):
        client.get(f"{scheme}://127.0.0.1:{api_server.port}/", **arguments)
    assert_clean(client)


def test_after_a_body_that_cannot_be_read(api_server: ApiServer, client: Any) -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError("the disk is gone")

    with pytest.raises(requests.ConnectionError, match="the disk is gone"):
        client.post(api_server.url("/x"), data=Broken(b"12345"), timeout=20)
    assert_clean(client)


@pytest.mark.parametrize(
    ("path", "seconds"),
    [("/silent", None), ("/reset", None), ("/cut", None), ("/silent", 0.05), ("/drip", 0.05)],
)
def test_no_error_is_held_by_its_own_frames(
    path: str, seconds: float | None, api_server: ApiServer, client: Any
) -> None:
    # What it holds, such as a socket, would stay until the collector comes.
    api_server.route("/silent", Reply(silent=True))
    api_server.route("/reset", Reply(reset="before"))
    api_server.route("/cut", Reply(body=b"x" * 99, truncate=9))
    api_server.route("/drip", Reply(raw=b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 999, drip=(9, 0.02)))

    def fail() -> weakref.ref[BaseException]:
        try:
            with Watch(seconds and time.monotonic() + seconds):
                client.get(api_server.url(path), timeout=0.2)
        except exceptions.RequestException as error:
            return weakref.ref(error)
        raise AssertionError("it did not fail")

    gc.disable()
    try:
        assert fail()() is None
    finally:
        gc.enable()


def test_after_a_thousand_failures_all_of_it_is_still_there(
    api_server: ApiServer, open_client: Any, crew: Any
) -> None:
    client = open_client(max_connections=3, pool_timeout=20)
    replies = [reply for name, (reply, _) in FAILURES.items() if "silence" not in name]
    for number, reply in enumerate(replies):
        api_server.route(f"/{number}", reply)

    def work(number: int) -> None:
        for turn in range(50):
            path = f"/{(number + turn) % len(replies)}"
            with pytest.raises(exceptions.RequestException):
                client.get(api_server.url(path), stream=turn % 3 == 0, timeout=20).content  # noqa: B018

    for number in range(10):
        crew.start(work, number)
    crew.join()
    assert api_server.peak_requests <= 3
    gc.collect()
    assert client.now["connections_in_use"] == client.now["waiting"] == 0
    assert client.now["connections_open"] == client.now["connections_idle"] <= 3
