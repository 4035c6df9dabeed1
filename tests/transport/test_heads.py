"""Heads that are read in one go say what the standard library reads in them; others are its own."""

from __future__ import annotations

import http.client
import io
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from urllib3 import HTTPHeaderDict

from browseros_api.transport import answer
from browseros_api.transport.answer import Answer
from browseros_api.transport.heads import plain_head

ORDINARY = (
    b"HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Wed, 25 Nov 2026 22:06:59 GMT\r\n"
    b"Content-Type: application/json\r\nContent-Length: 4\r\nConnection: keep-alive\r\n"
    b"Set-Cookie: a=1; Path=/\r\nset-cookie: b=2\r\n\r\n"
)


class Wire:
    """What ``http.client`` needs of a socket: bytes that have come, and then the end."""

    def __init__(self, received: bytes) -> None:
        self.file = io.BufferedReader(io.BytesIO(received))  # type: ignore[arg-type]

    def makefile(self, mode: str) -> io.BufferedReader:
        return self.file


def told(message: Any) -> list[Any]:
    """All that can be asked of a head's fields."""
    names = [*message.keys(), "Set-Cookie", "Content-Length", "nothing"]
    return [
        message.items(),
        [(message.get_all(name), message.get(name.swapcase())) for name in names],
        [type(defect) for defect in message.defects],
        message.get_payload(),
        message.get_content_type(),
        message.is_multipart(),
        message.get_unixfrom(),
        str(message),
    ]


def read(kind: Any, received: bytes, method: str) -> object:
    """What comes of an answer's head and of the bytes behind it."""
    response = kind(Wire(received), method=method)
    try:
        response.begin()
    except (http.client.HTTPException, OSError, ValueError) as error:
        return type(error), str(error)
    decisions = (response.length, response.chunked, response.chunk_left, response.will_close)
    head = (response.version, response.status, response.code, response.reason)
    fields = told(response.msg)
    try:
        return head, decisions, fields, response.headers is response.msg, response.read()
    except http.client.IncompleteRead as error:
        return head, decisions, fields, error.partial, error.expected


def closely(wire: Any, *, method: str) -> Answer:
    """An ``Answer`` that leaves each head to the standard library, which prints nothing."""
    return Answer(wire, debuglevel=-1, method=method)


NAMES = st.sampled_from(
    (
        *("Content-Length", "Transfer-Encoding", "Connection", "Content-Type", "Keep-Alive", "X"),
        *("Set-Cookie", "proxy-connection", "From ", "", " A", "A ", "A B", "\xe9", "A\x00", "Ü"),
    )
)
VALUES = st.one_of(
    st.sampled_from(
        (
            *("4", "0", "-1", " 4 ", "4, 4", "+4", "4_0", "9" * 5000, "", " ", "\t4", "4\t"),
            *("chunked", "CHUNKED", "gzip, chunked", "chunked ", "close", "Keep-Alive", "close, x"),
            *("multipart/mixed", "multipart/mixed; boundary=x", "message/rfc822", "\xa0message/x"),
            *("text/html; charset=utf-8", "a\rb", "a\nb", "a\r\n b", "a\x00", "a\x0bb", "a\x85b"),
        )
    ),
    st.text(st.characters(max_codepoint=255), max_size=12),
)
LINES = st.builds("{}{}{}".format, NAMES, st.sampled_from([":", ": ", ":\t", "", " : "]), VALUES)
STARTS = st.one_of(
    st.builds(
        "{} {}{}".format,
        st.sampled_from(["HTTP/1.1", "HTTP/1.0", "HTTP/0.9", "HTTP/1.2", "HTTP/2", "http/1.1", ""]),
        st.sampled_from(
            ["200", "204", "304", "404", "999", "099", "1000", "2x0", "\u0662\u0660\u0660"]
        ),
        st.sampled_from([" OK", "", " ", "  Two  Words ", " \xe9", " a\x1cb", "\tOK", " a\x0b"]),
    ),
    st.text(st.characters(max_codepoint=255), max_size=12),
)
ENDS = st.sampled_from(["\r\n", "\r\n", "\r\n", "\n", "\r", "\r\r\n", ""])


@st.composite
def heads(draw: Any) -> bytes:
    lines = [draw(STARTS), *draw(st.lists(LINES, max_size=5)), ""]
    text = "".join(line + draw(ENDS) for line in lines)
    return text.encode("latin-1", "replace") + draw(st.sampled_from([b"", b"fine", b"\r\n\r\n"]))


METHODS = st.sampled_from(["GET", "HEAD", "POST"])


@given(heads(), METHODS)
@example(ORDINARY + b"fine", "GET")
@example(ORDINARY.replace(b"\r\n", b"\n") + b"fine", "GET")
@example(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nA: b\r\n c\r\n\r\n", "GET")
@example(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nA\r\nB: c\r\n\r\n", "GET")
def test_no_head_says_anything_else_than_to_the_standard_library(raw: bytes, method: str) -> None:
    head = plain_head(raw, method)
    if head is None:
        return
    stock = http.client.HTTPResponse(Wire(raw), method=method)  # type: ignore[arg-type]
    stock.begin()
    assert (11, head.status, head.reason) == (stock.version, stock.status, stock.reason)
    assert (head.length, head.length is None) == (stock.length, stock.chunked)
    assert stock.will_close is False
    assert told(head.message()) == told(stock.msg)
    assert HTTPHeaderDict(stock.msg.items())._container == head.fields
    assert raw[head.size :] == stock.fp.read()


@given(heads(), METHODS)
@example(ORDINARY + b"fine", "GET")
def test_no_answer_turns_out_otherwise_than_read_closely(raw: bytes, method: str) -> None:
    assert read(Answer, raw, method) == read(closely, raw, method)


CLEAN = st.builds(
    "{}: {}".format,
    st.sampled_from(["Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive", "X"]),
    st.one_of(
        st.sampled_from(["4", "chunked", "close", "keep-alive", "-1", "x", "", "gzip, chunked"]),
        st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=8),
    ),
)


@given(
    st.sampled_from(["1.1", "1.0"]),
    st.sampled_from([200, 204, 304, 206, 500]),
    st.lists(CLEAN, max_size=6),
    METHODS,
    st.binary(max_size=8),
)
def test_the_same_body_belongs_to_a_head(
    version: str, status: int, lines: list[str], method: str, body: bytes
) -> None:
    text = "\r\n".join([f"HTTP/{version} {status} Fine", *lines, "", ""])
    raw = text.encode("latin-1") + body
    assert read(Answer, raw, method) == read(http.client.HTTPResponse, raw, method)


@pytest.mark.parametrize(
    "lines",
    [
        [b"A: b"] * 100,
        [b"A: b"] * 99,
        [b"A: " + b"b" * 65_531],
        [b"A: " + b"b" * 65_532],
        [b"A: " + b"b" * 20_000] * 3,
    ],
    ids=["hundred lines", "ninety-nine", "longest line", "longer line", "large"],
)
def test_the_measures_are_those_of_the_standard_library(lines: list[bytes]) -> None:
    raw = b"\r\n".join([b"HTTP/1.1 200 OK", *lines, b"", b""])
    assert read(Answer, raw, "GET") == read(http.client.HTTPResponse, raw, "GET")


@pytest.mark.parametrize(
    "lines",
    [
        b"A: b",
        b"Content-Length: 4\r\nContent-Length: 4",
        b"Content-Length: 4\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: gzip, chunked",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        b"Content-Length: 4\r\nConnection: Close",
        b"Content-Length: 4\r\nContent-Type: message/rfc822",
        b"Content-Length: 4\r\nContent-Type: \xa0multipart/mixed",
        b"Content-Length: 4\r\nA: b\r\n c",
        b"Content-Length: 4\r\nA : b",
        b"Content-Length: 4\r\nA: \x00",
        b"Content-Length: 4\nA: b",
        *(b"Content-Length: %b" % text for text in (b"+4", b"4_0", b"-4", b"4 ", b"", b"4, 4")),
    ],
)
def test_a_head_that_may_mean_two_things_is_the_standard_library_s_affair(lines: bytes) -> None:
    assert plain_head(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", "GET") is not None
    assert plain_head(b"HTTP/1.1 200 OK\r\n%b\r\n\r\n" % lines, "GET") is None


@pytest.mark.parametrize("cut", range(0, len(ORDINARY), 7))
def test_of_half_a_head_nothing_is_read_in_one_go(cut: int) -> None:
    assert plain_head(ORDINARY[:cut], "GET") is None


def test_whoever_stands_in_the_place_of_the_library_s_parser_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []
    usual = http.client.parse_headers
    monkeypatch.setattr(http.client, "parse_headers", lambda fp: asked.append(fp) or usual(fp))
    assert read(Answer, ORDINARY + b"fine", "GET") == read(
        http.client.HTTPResponse, ORDINARY + b"fine", "GET"
    )
    assert len(asked) == 2


def test_an_ordinary_head_does_not_need_the_library_s_parser(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    usual = http.client.HTTPResponse(Wire(ORDINARY), method="HEAD")  # type: ignore[arg-type]
    usual.begin()
    monkeypatch.setattr(answer, "_PASSED_BY", True)
    monkeypatch.setattr(http.client, "parse_headers", None)
    ours = Answer(Wire(ORDINARY), method="HEAD")  # type: ignore[arg-type]
    ours.begin()
    assert ours.msg.items() == usual.msg.items()


def test_what_the_library_writes_about_a_head_is_written(
    capsys: pytest.CaptureFixture[str],
) -> None:
    answer = Answer(Wire(ORDINARY), debuglevel=1)  # type: ignore[arg-type]
    answer.begin()
    assert "header: Server: nginx" in capsys.readouterr().out
