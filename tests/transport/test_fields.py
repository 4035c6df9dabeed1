"""The bytes of a request are those that urllib3 would send, if in fewer pieces."""

from __future__ import annotations

import http.client
import socket
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from requests.structures import CaseInsensitiveDict
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util import SKIP_HEADER

from browseros_api.transport.connections import PlainConnection, TlsConnection
from browseros_api.transport.fields import plain_fields

KINDS = [(HTTPConnection, PlainConnection), (HTTPSConnection, TlsConnection)]


class Noting(socket.socket):
    """A socket whose other end nobody reads before it is closed; ``pieces`` are what it sent."""

    def __init__(self) -> None:
        here, self.other_end = socket.socketpair()
        super().__init__(fileno=here.detach())
        self.pieces: list[bytes] = []

    def sendall(self, data: Any, *flags: int) -> None:
        self.pieces.append(bytes(data))
        super().sendall(data, *flags)

    def arrived(self) -> bytes:
        self.close()
        with self.other_end as end:
            return b"".join(iter(lambda: end.recv(65536), b""))


def sent(kind: Any, where: tuple[str, int | None], *request: Any, **options: Any) -> object:
    """What goes over the wire, or why nothing does."""
    wire = Noting()
    try:
        connection = kind(*where)
        connection.sock = wire
        connection.request(*request, **options)
    except Exception as error:
        return type(error), str(error), wire.arrived()
    return wire.arrived(), connection._method, connection._HTTPConnection__state


PLACES = st.tuples(
    st.sampled_from(["svc.test", "127.0.0.1", "::1", "fe80::1%25eth0", "b\xfccher.test", "a."]),
    st.sampled_from([None, 80, 443, 8080]),
)
METHODS = st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "get", "A B", "A\r\n"])
TARGETS = st.sampled_from(["/", "", "/a?b=c", "/a b", "/\xe9", "/\r\nX: y", "http://other.test/a"])
NAMES = st.one_of(
    st.sampled_from(
        (
            *("Host", "User-Agent", "Accept-Encoding", "Content-Length", "Transfer-Encoding"),
            *("Expect", "X", "x-y", "", ":", "A:", " A", "A ", "A\r\n", "A: b\r\nC", "A\nB"),
            *("\xe9", "\u20ac"),
        )
    ),
    st.text(max_size=5),
)
VALUES = st.one_of(
    st.sampled_from(
        (
            *("3", "chunked", "", " ", "a\r\nb: c", "a\nb", "a\rb", "a\r\n b", "a\r", "\x00"),
            *("\x7f", "\xe9", "\u20ac", b"bytes", b"a\r\nb", 7, SKIP_HEADER, "100-continue", None),
        )
    ),
    st.text(max_size=8),
)
BODIES = st.sampled_from([None, b"", "", b"abc", "abc", "\xe9", b"x" * 70_000, bytearray(b"abc")])


@given(
    st.sampled_from(KINDS),
    PLACES,
    METHODS,
    TARGETS,
    st.dictionaries(NAMES, VALUES, max_size=5),
    BODIES,
    st.booleans(),
)
@example(KINDS[0], ("svc.test", 80), "POST", "/", {"Content-Length": "3", "X": "y"}, b"abc", False)
@example(KINDS[0], ("svc.test", 80), "POST", "/", {"Content-Length": "3"}, "abc", True)
@example(KINDS[0], ("svc.test", 80), "GET", "/", {"X": "a\r\nInjected: b"}, None, False)
@example(KINDS[0], ("svc.test", 80), "GET", "/", {"X: a\r\nInjected": "b"}, None, False)
def test_the_same_bytes_are_sent_for_the_same_reasons(
    kinds: Any,
    place: Any,
    method: str,
    target: str,
    headers: dict[Any, Any],
    body: Any,
    chunked: bool,
) -> None:
    stock, ours = (
        sent(kind, place, method, target, body, CaseInsensitiveDict(headers), chunked=chunked)
        for kind in kinds
    )
    assert ours == stock


@pytest.mark.parametrize("body", [iter([b"a", b"", b"b"]), [b"a", "b"]], ids=["iterator", "list"])
def test_bodies_of_pieces_are_sent_in_pieces(body: Any) -> None:
    pieces = list(body)
    stock, ours = (
        sent(kind, ("svc.test", 80), "POST", "/", iter(pieces), CaseInsensitiveDict({"A": "b"}))
        for kind in KINDS[0]
    )
    assert ours == stock


@pytest.mark.parametrize(
    ("headers", "body", "pieces"),
    [
        ({"A": "b"}, None, 1),
        ({"A": "b", "Content-Length": "3"}, b"abc", 1),
        ({"A": "b", "Content-Length": "3"}, "abc", 1),
        ({"A": "b", "Content-Length": "3", "Expect": "100-continue"}, b"abc", 2),
        ({"A": "b", "Content-Length": "70000"}, b"x" * 70_000, 2),
        ({"A": "b"}, b"abc", 2),
    ],
)
def test_a_small_body_goes_with_its_head(headers: Any, body: Any, pieces: int) -> None:
    connection = PlainConnection("svc.test")
    connection.sock = first = Noting()
    connection.request("POST", "/", body, CaseInsensitiveDict(headers))
    assert len(first.pieces) == pieces
    first.arrived()
    connection.close()
    connection.sock = second = Noting()
    connection.request("GET", "/", None, CaseInsensitiveDict({"A": "b"}))
    assert len(second.pieces) == 1
    assert second.arrived().endswith(b"\r\nA: b\r\n\r\n")
    connection.close()


def test_whoever_puts_headers_in_the_library_s_place_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    usual = http.client.HTTPConnection.putheader

    def putheader(self: Any, name: Any, *values: Any) -> None:
        usual(self, name, *(value.upper() for value in values))

    monkeypatch.setattr(http.client.HTTPConnection, "putheader", putheader)
    wire, *_ = sent(  # type: ignore[misc]
        PlainConnection, ("svc.test", 80), "GET", "/", None, CaseInsensitiveDict({"A": "b"})
    )
    assert b"\r\nA: B\r\n" in wire


@pytest.mark.parametrize("headers", [{}, {"A": "b"}, [("A", "b")], None])
def test_headers_of_another_kind_are_looked_at_one_by_one(headers: Any) -> None:
    assert plain_fields(headers) is None


def test_what_the_library_writes_about_a_request_is_written(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 1)
    headers = CaseInsensitiveDict({"Content-Length": "3"})
    stock, ours = (
        (sent(kind, ("svc.test", 80), "POST", "/", b"abc", headers), capsys.readouterr().out)
        for kind in KINDS[0]
    )
    assert ours == stock
    assert ours[1].count("send:") == 2
