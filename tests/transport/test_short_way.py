"""The short way leads where the ordinary one leads, whatever a server does and whoever listens."""

from __future__ import annotations

import http.client
import logging
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.util.wait import select_wait_for_socket

from browseros_api.testing import ApiServer, Reply
from browseros_api.transport import PoolingAdapter, short_way
from browseros_api.transport.watch import Watch
from tests.flying import Caller
from tests.transport.telling import ordinary_only, outcome

Paths = list[str]


@pytest.fixture
def used(api_server: ApiServer, client: Any) -> Any:
    """A client that knows where ``api_server`` is, with an idle connection to it."""
    client.get(api_server.url("/before"), timeout=20)
    return client


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("body", [None, b"abc", "abc", {"a": "b"}])
@pytest.mark.parametrize("timeout", [None, 20, 20.0, (20, None), (20, 20.0)])
def test_an_ordinary_request_goes_the_short_way(
    method: str, body: Any, timeout: Any, used: Any, api_server: ApiServer, taken: Paths
) -> None:
    answer = used.request(method, api_server.url("/x?y=z"), data=body, timeout=timeout)
    assert answer.status_code == 200
    assert taken == ["/x?y=z"]
    assert api_server.connections == 1


class Hooked(PoolingAdapter):
    def add_headers(self, request: Any, **options: Any) -> None:
        request.headers["Added"] = "yes"


def test_hooks_of_an_adapter_are_called(
    api_server: ApiServer, open_client: Callable[..., Any], taken: Paths
) -> None:
    client = open_client()
    client.mount("http://", Hooked())
    for _ in range(2):
        answer = client.get(api_server.url("/x"), timeout=20)
        assert answer.json()["headers"]["Added"] == "yes"
    client.get_adapter("http://").close()
    assert taken == []


@pytest.mark.parametrize(
    "name",
    [
        "add_headers",
        pytest.param(
            "build_connection_pool_key_attributes",
            marks=pytest.mark.skipif(
                not hasattr(HTTPAdapter, "build_connection_pool_key_attributes"),
                reason="it came with requests 2.32.3",
            ),
        ),
        "get_connection_with_tls_context",
        "request_url",
    ],
)
@pytest.mark.parametrize("whose", ["class", "instance"])
def test_hooks_that_are_put_in_place_later_are_called(
    name: str, whose: str, used: Any, api_server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual, called = getattr(HTTPAdapter, name), []

    def hook(*arguments: Any, **options: Any) -> Any:
        called.append(name)
        return usual(*(arguments if whose == "class" else (used.adapter, *arguments)), **options)

    with monkeypatch.context() as patch:
        patch.setattr(HTTPAdapter if whose == "class" else used.adapter, name, hook)
        used.get(api_server.url("/x"), timeout=20)
    assert called == [name]
    used.get(api_server.url("/x"), timeout=20)
    assert called == [name]


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (HTTPAdapter, "send"),
        (HTTPAdapter, "build_response"),
        (HTTPConnectionPool, "urlopen"),
        (HTTPConnectionPool, "_make_request"),
        (urllib3.connection.HTTPConnection, "request"),
        (urllib3.connection.HTTPConnection, "getresponse"),
        (urllib3.connection.HTTPConnection, "putrequest"),
        (urllib3.connection.HTTPConnection, "putheader"),
        (http.client.HTTPConnection, "putrequest"),
        (http.client.HTTPConnection, "putheader"),
        (http.client.HTTPConnection, "endheaders"),
        (http.client.HTTPConnection, "send"),
        (http.client.HTTPConnection, "getresponse"),
        (http.client.HTTPResponse, "begin"),
        (http.client, "parse_headers"),
        (urllib3.HTTPResponse, "stream"),
        (requests.Response, "iter_content"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_whoever_takes_the_place_of_a_library_s_function_is_asked(
    owner: Any, name: str, used: Any, api_server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual, called = getattr(owner, name), []

    def instead(*arguments: Any, **options: Any) -> Any:
        called.append(name)
        return usual(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, instead)
        assert used.get(api_server.url("/x"), timeout=20).ok
    assert name in called
    called.clear()
    assert used.get(api_server.url("/x"), timeout=20).ok
    assert called == []


@pytest.mark.parametrize(
    "timeout",
    [urllib3.Timeout(20), (urllib3.Timeout.DEFAULT_TIMEOUT, 20)],
    ids=["object", "default"],
)
def test_what_urllib3_means_by_a_timeout_it_says_itself(
    timeout: Any, used: Any, api_server: ApiServer, taken: Paths
) -> None:
    assert used.get(api_server.url("/x"), timeout=timeout).ok
    assert taken == []


@pytest.mark.parametrize("timeout", [0, -1, True, "x", (1, 2, 3), (0, 1), (1, -1), float("nan")])
def test_a_timeout_that_makes_no_sense_is_refused_as_always(
    timeout: Any, used: Any, api_server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes = [outcome(used, "GET", api_server.url("/x"), timeout=timeout)]
    ordinary_only(monkeypatch)
    outcomes.append(outcome(used, "GET", api_server.url("/x"), timeout=timeout))
    assert repr(outcomes[0][0]) == repr(outcomes[1][0])


def test_who_listens_to_urllib3_hears_of_each_request(
    used: Any, api_server: ApiServer, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "urllib3.connectionpool"):
        used.get(api_server.url("/x"), timeout=20)
    assert "GET /x HTTP/1.1" in caplog.text


def test_who_wants_to_see_the_wire_sees_it(
    used: Any, api_server: ApiServer, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 1)
    used.get(api_server.url("/x"), timeout=20)
    assert "send: b'GET /x HTTP/1.1" in capsys.readouterr().out


def test_auditors_hear_what_is_sent(
    used: Any, api_server: ApiServer, taken: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[Any] = []
    monkeypatch.setattr(sys, "audit", lambda *event: heard.append(event))
    used.get(api_server.url("/x"), timeout=20)
    ((event, connection, data),) = heard
    assert event == "http.client.send"
    assert data.startswith(b"GET /x HTTP/1.1\r\n")
    assert connection.port == api_server.port
    assert taken


@pytest.mark.parametrize("when", ["sending", "receiving"])
@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_an_interruption_leaves_nothing_behind(
    when: str, kind: type[BaseException], used: Any, api_server: ApiServer, monkeypatch: Any
) -> None:
    (connection,) = used.adapter._fleet.idle._entries
    wire = connection.sock

    class Interrupted:
        def sendall(self, data: bytes) -> None:
            if when == "sending":
                raise kind
            wire.sendall(data)

        def recv(self, size: int) -> bytes:
            raise kind

        def __getattr__(self, name: str) -> Any:
            return getattr(wire, name)

    connection.sock = Interrupted()
    with pytest.raises(kind):
        used.get(api_server.url("/x"), timeout=20)
    now = used.now
    assert now["connections_in_use"] == now["connections_open"] == now["connections_idle"] == 0
    assert used.get(api_server.url("/y"), timeout=20).json()["path"] == "/y"


def test_half_an_answer_is_not_given_back(used: Any, api_server: ApiServer, taken: Paths) -> None:
    api_server.route("/x", Reply(body=b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad"))
    answer = used.get(api_server.url("/x"), stream=True, timeout=20)
    assert answer.raw.read(5) == b"HTTP/"
    answer.raw.release_conn()
    assert used.get(api_server.url("/y"), timeout=20).json()["path"] == "/y"
    assert taken == ["/x"]
    assert api_server.connections == 2


def test_what_is_overdue_is_cut_on_the_short_way_too(
    used: Any, api_server: ApiServer, taken: Paths
) -> None:
    api_server.route("/silent", Reply(silent=True))
    api_server.route("/drip", Reply(body=b"x" * 99, drip=(70, 20.0)))
    for path in ("/silent", "/drip"):
        used.get(api_server.url("/before"), timeout=20)
        with (
            pytest.raises(requests.ReadTimeout, match="in total"),
            Watch(time.monotonic() + 0.1),
        ):
            used.get(api_server.url(path), timeout=20)
        assert used.now["connections_in_use"] == used.now["connections_open"] == 0
    assert taken[-1] == "/drip"


def test_sending_takes_no_longer_than_connecting_may(client: Any, taken: Paths) -> None:
    """To a server that has answered, and reads no more; nobody waits to send a small request."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/x"
        answering = Caller(lambda: client.get(url, timeout=20))
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(answer)
            assert answering.value.text == "ok"
            asking = Caller(lambda: client.get(url, timeout=(20, 20)))
            connection.recv(65536)
            connection.sendall(answer)
            assert asking.value.text == "ok"
            began = time.monotonic()
            with pytest.raises(requests.RequestException, match="timed out"):
                client.post(url, data=b"x" * 20_000_000, timeout=(0.2, 30))
            assert time.monotonic() - began < 15
    assert taken == ["/x", "/x"]


def test_a_small_body_goes_with_its_head(
    used: Any, api_server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[bytes] = []
    monkeypatch.setattr(sys, "audit", lambda event, connection, data: heard.append(data))
    for size in (10, 100_000):
        assert used.post(api_server.url("/x"), data=b"x" * size, timeout=20).ok
    assert [len(piece) > 99_999 for piece in heard] == [False, False, True]


def test_pools_of_somebody_else_go_their_own_way(
    used: Any, api_server: ApiServer, taken: Paths
) -> None:
    manager = used.adapter.poolmanager
    manager.pool_classes_by_scheme = {"http": HTTPConnectionPool}
    manager.clear()
    for _ in range(2):
        assert used.get(api_server.url("/x"), timeout=20).ok
    assert taken == []


def test_a_connection_that_the_ordinary_way_does_not_come_to_is_closed(
    used: Any, api_server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    api_server.route("/x", Reply(raw=b"HTTP/1.0 200 OK\r\n\r\nfine", keep=True))

    def refuse(*arguments: Any, **options: Any) -> Any:
        raise OSError("gone")

    monkeypatch.setattr(short_way, "_PASSED_BY", True)
    monkeypatch.setattr(HTTPAdapter, "send", refuse)
    with pytest.raises(OSError, match="gone"):
        used.get(api_server.url("/x"), timeout=20)
    now = used.now
    assert now["connections_in_use"] == now["connections_open"] == now["connections_idle"] == 0


def test_where_there_is_no_poll_there_is_something_else(
    client: Any, api_server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr("select.poll")
    monkeypatch.setattr("urllib3.util.wait.wait_for_socket", select_wait_for_socket)
    for _ in range(3):
        assert client.get(api_server.url("/x"), timeout=20).ok
    assert api_server.connections == 1
    (connection,) = client.adapter._fleet.idle._entries
    assert connection.is_connected
    connection.close()
    assert not connection.is_connected
