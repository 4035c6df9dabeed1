"""What a well-behaved reply looks like on the wire."""

from __future__ import annotations

import http.client
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from browseros_api.testing import ApiServer, Reply, wait_until

if TYPE_CHECKING:
    from .conftest import Wire


def test_head_and_body_come_exactly_as_written(server: ApiServer, wire: Wire) -> None:
    pairs = [("X-Two", "1"), ("X-Two", "2")]
    server.route("/a", Reply(299, reason="Well", headers=pairs, body="é", content_type="a/b"))
    wire.get("/a")
    assert wire.answer() == (
        b"HTTP/1.1 299 Well\r\nX-Two: 1\r\nX-Two: 2\r\nContent-Type: a/b\r\n"
        b"Content-Length: 2\r\n\r\n",
        "é".encode(),
    )


@pytest.mark.parametrize(
    ("reply", "line"),
    [
        (Reply(404), b"HTTP/1.1 404 Not Found\r\n"),
        (Reply(999), b"HTTP/1.1 999 Unknown\r\n"),
        (Reply(2000, reason=""), b"HTTP/1.1 2000 \r\n"),
    ],
)
def test_any_status_can_be_sent(server: ApiServer, wire: Wire, reply: Reply, line: bytes) -> None:
    server.route("/a", reply)
    wire.get("/a")
    assert wire.head().startswith(line)


@pytest.mark.parametrize(
    ("reply", "content_type"),
    [
        (Reply(json=None), "application/json"),
        (Reply(body="text"), "text/plain; charset=utf-8"),
        (Reply(body=b"bytes"), "application/octet-stream"),
        (Reply(json=1, headers={"content-type": "x/y"}), "x/y"),
        (Reply(), None),
    ],
)
def test_the_content_type_follows_from_the_body(
    server: ApiServer, wire: Wire, reply: Reply, content_type: str | None
) -> None:
    server.route("/a", reply)
    wire.get("/a")
    lines = wire.head().decode().lower().split("\r\n")
    said = [line.partition(": ")[2] for line in lines if line.startswith("content-type:")]
    assert said == ([] if content_type is None else [content_type])


def test_a_header_given_wins_over_the_truth(server: ApiServer, wire: Wire) -> None:
    server.route("/a", Reply(body=b"1234", headers={"content-length": "2"}))
    wire.get("/a")
    assert wire.answer()[1] == b"12"
    assert wire.exactly(2) == b"34"


def test_head_gets_the_head_alone(server: ApiServer, wire: Wire) -> None:
    server.route("/a", Reply(json={"ok": True}))
    wire.get("/a", method="HEAD")
    assert b"Content-Length: 12\r\n" in wire.head()
    wire.get("/a")  # had there been a body, it would come now
    assert wire.answer()[1] == b'{"ok": true}'


@pytest.mark.parametrize("status", [204, 304])
def test_no_content_means_no_body(server: ApiServer, wire: Wire, status: int) -> None:
    server.route("/a", Reply(status, body=b"junk"))
    wire.get("/a")
    assert b"Content-Length" not in wire.head()
    wire.get("/")
    assert wire.head().startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_chunked_body_comes_in_chunks(server: ApiServer, wire: Wire) -> None:
    server.route("/a", Reply(body=b"abcdefg", chunked=True, chunk_size=3))
    wire.get("/a")
    head = wire.head()
    assert b"Transfer-Encoding: chunked\r\n" in head
    assert b"Content-Length" not in head
    chunks = b"3\r\nabc\r\n3\r\ndef\r\n1\r\ng\r\n0\r\n\r\n"
    assert wire.exactly(len(chunks)) == chunks


def test_a_chunked_body_is_understood(server: ApiServer) -> None:
    server.route("/a", Reply(body=b"abcdefg" * 10_000, chunked=True))
    client = http.client.HTTPConnection(server.host, server.port, timeout=5)
    client.request("GET", "/a")
    assert client.getresponse().read() == b"abcdefg" * 10_000
    client.close()


def test_a_delay_comes_before_the_first_byte(server: ApiServer, wire: Wire) -> None:
    server.route("/a", Reply(delay=0.2))
    began = time.monotonic()
    wire.get("/a")
    wire.exactly(1)
    assert time.monotonic() - began >= 0.2


def test_a_held_reply_waits_for_its_event(server: ApiServer, wire: Wire) -> None:
    hold = threading.Event()
    server.route("/a", Reply(hold=hold))
    wire.get("/a")
    wait_until(lambda: server.active_requests == 1)
    wire.sock.setblocking(False)
    with pytest.raises(BlockingIOError):
        wire.sock.recv(1)
    wire.sock.settimeout(5)
    hold.set()
    assert wire.head().startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize("chunked", [False, True])
def test_a_dripping_body_comes_piece_by_piece(server: ApiServer, wire: Wire, chunked: bool) -> None:
    server.route("/a", Reply(body=b"abcdef", drip=(2, 0.05), chunked=chunked))
    began = time.monotonic()
    wire.get("/a")
    wire.head()
    expected = b"2\r\nab\r\n2\r\ncd\r\n2\r\nef\r\n0\r\n\r\n" if chunked else b"abcdef"
    assert wire.exactly(len(expected)) == expected
    assert time.monotonic() - began >= 0.1  # two pauses between three pieces


def test_a_body_that_stalls_has_sent_its_beginning(server: ApiServer, wire: Wire) -> None:
    server.route("/a", Reply(body=b"abcdef", drip=(4, 30.0)))
    wire.get("/a")
    wire.head()
    assert wire.exactly(4) == b"abcd"


def test_a_dripping_head_comes_piece_by_piece(server: ApiServer, wire: Wire) -> None:
    server.route("/a", Reply(body=b"ok", drip_head=(20, 0.02)))
    began = time.monotonic()
    wire.get("/a")
    head, body = wire.answer()
    assert body == b"ok"
    assert time.monotonic() - began >= 0.02 * ((len(head) - 1) // 20)


@pytest.mark.parametrize("reply", [Reply(body=b"x" * 4000), Reply(json=[]), Reply(204)])
def test_head_and_body_come_in_one_packet(reply: Reply) -> None:
    assert len(reply.answer().pieces) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"body": b"a", "json": 1},
        {"json": 1, "raw": b""},
        {"delay": -1},
        {"delay": float("nan")},
        {"drip": (0, 1.0)},
        {"drip_head": (1, -1.0)},
        {"reset": "after"},
        {"chunk_size": 0},
        {"repeat": 0},
    ],
)
def test_a_reply_that_makes_no_sense_is_refused_where_it_is_made(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must be|give one of"):
        Reply(**wrong)
