"""Bodies whose length is told wrongly, twice, strangely or not at all."""

from __future__ import annotations

from requests.exceptions import ChunkedEncodingError, InvalidHeader

from tests.faults.case import Case, says
from tests.faults.talk import OK, Act

__all__ = ["CASES"]


def chunks(body: bytes, *lines: str) -> Act:
    return says("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", *lines, body=body)


CASES = (
    Case(
        "bad-content-length", "a Content-Length that is no number, and a FIN after the body",
        says("HTTP/1.1 200 OK", "Content-Length: abc", body=b"{}"), body=b"{}",
    ),
    Case(
        "negative-content-length", "a Content-Length below zero, and a FIN after the body",
        says("HTTP/1.1 200 OK", "Content-Length: -5", body=b"{}"), body=b"{}",
    ),
    Case(
        "two-content-lengths", "two Content-Length headers that contradict each other",
        says("HTTP/1.1 200 OK", "Content-Length: 2", "Content-Length: 12", body=OK),
        ends=InvalidHeader,
    ),
    Case(
        "length-and-chunked", "a Content-Length and chunks",
        chunks(b"c\r\n" + OK + b"\r\n0\r\n\r\n", "Content-Length: 5"),
    ),
    Case(
        "huge-content-length", "a petabyte is announced; a few bytes come, and a FIN",
        says("HTTP/1.1 200 OK", f"Content-Length: {10**15}", body=b"abc"),
        ends=ChunkedEncodingError, gets=3,
    ),
    Case(
        "chunk-truncated", "a FIN in the middle of a chunk",
        chunks(b"64\r\n" + b"x" * 50), ends=ChunkedEncodingError, gets=3,
    ),
    Case(
        "chunk-no-end", "whole chunks, and a FIN instead of the last one",
        chunks(b"c\r\n" + OK + b"\r\n"), ends=ChunkedEncodingError, gets=3,
    ),
    Case(
        "chunk-bad-size", "a chunk whose size is no number",
        chunks(b"ZZ\r\nabc\r\n0\r\n\r\n"), ends=ChunkedEncodingError, gets=3,
    ),
    Case(
        "chunk-huge-size", "a chunk of more bytes than there are; a few come, and a FIN",
        chunks(b"FFFFFFFFFFFFFFF\r\nabc"), ends=ChunkedEncodingError, gets=3,
    ),
    Case(
        "chunk-trailers", "allowed: a chunk extension, and headers after the last chunk",
        says(
            "HTTP/1.1 200 OK", "Transfer-Encoding: chunked", "Trailer: X-Sum", keep=True,
            body=b"c;a=b\r\n" + OK + b"\r\n0\r\nX-Sum: 1\r\n\r\n",
        ),
        kept=True,
    ),
    Case(
        "close-delimited", "allowed: no length at all, the body ends with the FIN",
        says("HTTP/1.1 200 OK", "Content-Type: application/json", body=OK), kept=True,
    ),
)  # fmt: skip
