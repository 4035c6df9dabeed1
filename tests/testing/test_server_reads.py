"""What the server understands, byte by byte."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from browseros_api.testing import ApiServer, Headers, Reply

if TYPE_CHECKING:
    from .conftest import Wire


def test_a_request_is_kept_as_it_was_sent(server: ApiServer, wire: Wire) -> None:
    wire.send("POST /a%20b?x=1&x=2 HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nx-a: 2\r\n")
    wire.send("Content-Length: 4\r\n\r\nbody")
    wire.answer()
    (request,) = server.requests
    assert (request.method, request.target) == ("POST", "/a%20b?x=1&x=2")
    assert (request.path, request.query) == ("/a%20b", {"x": ["1", "2"]})
    assert (request.body, request.text, request.connection) == (b"body", "body", 1)
    assert request.headers["X-a"] == "1, 2"
    assert request.headers.get_all("x-A") == ["1", "2"]


def test_a_chunked_body_is_put_together(server: ApiServer, wire: Wire) -> None:
    wire.send("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
    wire.send("4;ext=1\r\nwiki\r\n5\r\npedia\r\nA\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n")
    wire.answer()
    wire.get("/next")
    wire.answer()
    assert [request.body for request in server.requests] == [b"wikipedia0123456789", b""]


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"POST /a?b=c HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
        b"POST /a?b=c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ],
)
def test_a_request_may_come_byte_by_byte(
    server: ApiServer, wire: Wire, request_bytes: bytes
) -> None:
    for number in range(len(request_bytes)):
        wire.send(request_bytes[number : number + 1])
    wire.answer()
    assert [(r.path, r.body) for r in server.requests] == [("/a", b"hello")]


def test_requests_may_come_before_their_turn(server: ApiServer, wire: Wire) -> None:
    one = "PUT /{} HTTP/1.1\r\nContent-Length: 1\r\n\r\n{}"
    wire.send("".join(one.format(number, number) for number in range(5)))
    for number in range(5):
        assert f'"path": "/{number}"'.encode() in wire.answer()[1]
    assert [request.body for request in server.requests] == [b"0", b"1", b"2", b"3", b"4"]


def test_a_large_body_arrives_whole(server: ApiServer, wire: Wire) -> None:
    body = bytes(range(256)) * 20_000
    server.route("/a", Reply(204))
    wire.send(b"POST /a HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
    wire.head()
    assert server.requests[0].body == body


def test_a_client_that_asks_first_is_told_to_continue(server: ApiServer, wire: Wire) -> None:
    wire.send("POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    assert wire.head() == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert server.hits() == 0
    wire.send("ok")
    assert wire.head().startswith(b"HTTP/1.1 200 OK\r\n")
    assert server.hits() == 1


def test_a_client_that_does_not_wait_for_it_is_not_told(server: ApiServer, wire: Wire) -> None:
    wire.send("POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nok")
    assert wire.head().startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize(
    "last",
    ["GET / HTTP/1.1\r\nConnection: close\r\n\r\n", "GET / HTTP/1.0\r\n\r\n"],
)
def test_a_client_that_says_goodbye_gets_it(server: ApiServer, wire: Wire, last: str) -> None:
    wire.send(last)
    assert b"\r\nConnection: close\r\n" in wire.rest()


def test_an_old_client_may_stay(server: ApiServer, wire: Wire) -> None:
    for _ in range(2):
        wire.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        wire.answer()


def test_a_proxy_s_absolute_target_has_a_path(server: ApiServer, wire: Wire) -> None:
    wire.get("http://elsewhere.test/a?b=c")
    wire.answer()
    wire.get("other.test:443", method="CONNECT")
    wire.answer()
    seen = [(request.path, request.query) for request in server.requests]
    assert seen == [("/a", {"b": ["c"]}), ("other.test:443", {})]


@pytest.mark.parametrize(
    ("nonsense", "status"),
    [
        ("nonsense\r\n\r\n", 400),
        ("GET /\r\n\r\n", 400),
        ("GET /a b HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/2\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nA: 1\r\n folded\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
        ("GET / HTTP/1.1\r\nX: " + "y" * 1_100_000, 431),
    ],
)
def test_what_is_not_a_request_is_refused_and_not_counted(
    server: ApiServer, wire: Wire, nonsense: str, status: int
) -> None:
    wire.send(nonsense)
    answer = wire.rest()
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"Connection: close" in answer
    assert server.hits() == 0


def test_half_a_request_is_not_counted(server: ApiServer, wire: Wire) -> None:
    wire.send("POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\nhalf")
    wire.sock.shutdown(socket.SHUT_WR)
    assert wire.rest() == b""
    assert server.hits() == 0


def test_headers_are_a_mapping_that_does_not_care_for_case() -> None:
    headers = Headers([("Accept", "a"), ("X-B", "1"), ("accept", "b")])
    assert dict(headers) == {"Accept": "a, b", "X-B": "1"}
    assert len(headers) == 2
    assert "ACCEPT" in headers
    assert "c" not in headers
    assert headers.get("c") is None
    assert headers.get_all("c") == []
    assert headers.pairs == (("Accept", "a"), ("X-B", "1"), ("accept", "b"))
