"""Every way in which a reply can be bad, seen from a bare socket."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from browseros_api.testing import ApiServer, Reply, wait_until

if TYPE_CHECKING:
    from .conftest import Wire


def split(answer: bytes) -> tuple[bytes, bytes]:
    head, _, body = answer.partition(b"\r\n\r\n")
    return head, body


def test_a_truncated_body_promises_more_and_ends_with_a_fin(server: ApiServer, wire: Wire) -> None:
    server.route("/a", Reply(body=b"x" * 100, truncate=50))
    wire.get("/a")
    head, body = split(wire.rest())
    assert b"Content-Length: 100" in head
    assert body == b"x" * 50


def test_a_truncated_chunked_body_lacks_its_end(server: ApiServer, wire: Wire) -> None:
    server.route("/a", Reply(body=b"abcdef", truncate=4, chunked=True, chunk_size=3))
    wire.get("/a")
    assert split(wire.rest())[1] == b"3\r\nabc\r\n1\r\nd\r\n"


def test_a_reset_before_sends_nothing(server: ApiServer, wire: Wire) -> None:
    server.route("/a", Reply(reset="before"))
    wire.get("/a")
    assert wire.until_reset() == b""


def test_a_reset_in_the_head_leaves_half_of_it(server: ApiServer, wire: Wire) -> None:
    server.route("/a", Reply(reset="head", headers={"X-Long": "y" * 100}))
    wire.get("/a")
    got = wire.until_reset()
    assert got.startswith(b"HTTP/1.1 200 OK\r\nX-Long: y")
    assert b"\r\n\r\n" not in got


@pytest.mark.parametrize("sent", [0, 50])
def test_a_reset_in_the_body_comes_after_so_many_bytes(
    server: ApiServer, wire: Wire, sent: int
) -> None:
    server.route("/a", Reply(body=b"x" * 100, reset=sent))
    wire.get("/a")
    head, body = split(wire.until_reset())
    assert b"Content-Length: 100" in head
    assert body == b"x" * sent


def test_a_close_is_announced_and_done(server: ApiServer, wire: Wire) -> None:
    server.route("/a", Reply(body=b"bye", close=True))
    wire.get("/a")
    head, body = split(wire.rest())
    assert b"Connection: close" in head
    assert body == b"bye"


def test_a_silent_close_is_not_announced(server: ApiServer, wire: Wire) -> None:
    server.route("/a", Reply(body=b"bye", close_silently=True))
    wire.get("/a")
    head, body = split(wire.rest())
    assert b"connection" not in head.lower()
    assert body == b"bye"


def test_a_close_may_be_a_lie(server: ApiServer, wire: Wire) -> None:
    server.route("/a", Reply(headers={"Connection": "close"}))
    for _ in range(2):
        wire.get("/a")
        assert b"Connection: close\r\n" in wire.answer()[0]


def test_raw_bytes_are_sent_as_they_are_and_end_the_connection(
    server: ApiServer, wire: Wire
) -> None:
    server.route("/a", Reply(raw=b"\x00\xff nonsense"))
    wire.get("/a", method="HEAD")
    assert wire.rest() == b"\x00\xff nonsense"


def test_no_raw_bytes_are_a_fin_without_a_word(server: ApiServer, wire: Wire) -> None:
    server.route("/a", Reply(raw=b""))
    wire.get("/a")
    assert wire.rest() == b""


def test_raw_bytes_can_keep_the_connection(server: ApiServer, wire: Wire) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1"
    server.route("/a", Reply(raw=answer, keep=True))
    for _ in range(2):
        wire.get("/a")
        assert wire.exactly(len(answer)) == answer


def test_a_silent_reply_never_comes_and_ends_with_the_client(server: ApiServer, wire: Wire) -> None:
    server.route("/a", Reply(silent=True))
    wire.get("/a")
    wait_until(lambda: server.active_requests == 1)
    wire.sock.settimeout(0.1)
    with pytest.raises(TimeoutError):
        wire.sock.recv(1)
    wire.sock.close()
    wait_until(lambda: server.active_requests == 0)


def test_a_bad_reply_can_follow_a_good_one_on_the_same_connection(
    server: ApiServer, wire: Wire
) -> None:
    server.script("/a", Reply(body=b"good"), Reply(reset="before"))
    wire.get("/a")
    assert wire.answer()[1] == b"good"
    wire.get("/a")
    assert wire.until_reset() == b""
    assert {request.connection for request in server.requests} == {1}


def test_dropped_connections_end_with_a_fin_and_new_ones_are_welcome(
    server: ApiServer, connect: Callable[[ApiServer], Wire]
) -> None:
    wires = [connect(server) for _ in range(3)]
    wait_until(lambda: server.open_connections == 3)
    server.drop_connections()
    assert [wire.rest() for wire in wires] == [b""] * 3
    assert server.open_connections == 0
    again = connect(server)
    again.get("/a")
    assert again.answer()[0].startswith(b"HTTP/1.1 200 OK\r\n")


def test_what_a_handler_raises_is_a_500_and_is_remembered() -> None:
    def fails(_: object) -> Reply:
        raise LookupError("no such user")

    server = ApiServer().start()
    try:
        server.route("/a", fails)
        server.route("/b", lambda _: "a string")  # type: ignore[arg-type, return-value]
        client = http.client.HTTPConnection(server.host, server.port, timeout=5)
        for path in ("/a", "/b"):
            client.request("GET", path)
            response = client.getresponse()
            assert response.status == 500
            response.read()
        client.close()
    finally:
        server.close()
    assert [type(error) for error in server.errors] == [LookupError, TypeError]


def test_a_failed_handler_fails_the_with_block() -> None:
    with pytest.raises(AssertionError, match="1 handlers failed") as caught, ApiServer() as server:
        server.errors.append(KeyError("x"))
    assert isinstance(caught.value.__cause__, KeyError)


def test_a_failing_with_block_keeps_its_own_error() -> None:
    def fails_twice() -> None:
        with ApiServer() as server:
            server.errors.append(KeyError("x"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails_twice()
