"""Heads that are not what a head has to be."""

from __future__ import annotations

from requests import ConnectionError as BrokenConnection

from tests.faults.case import Case, blurts, says
from tests.faults.talk import OK, Talk

__all__ = ["CASES"]

LENGTH = f"Content-Length: {len(OK)}"


def end_lines_with_lf(talk: Talk) -> None:
    head = talk.head("HTTP/1.1 200 OK", "Content-Type: application/json", LENGTH)
    talk.say(head.replace(b"\r\n", b"\n"), OK)
    talk.hang_up()


def never_end_the_head(talk: Talk) -> None:
    talk.say(b"HTTP/1.1 200 OK\r\n")
    talk.flood(b"X-More: " + b"y" * 100 + b"\r\n")
    talk.hang_up()


def answered(*lines: str | bytes, first: str = "HTTP/1.1 200 OK") -> object:
    return says(first, *lines, LENGTH, body=OK)


CASES = (
    Case(
        "bare-lf", "lines that end with LF alone", end_lines_with_lf, kept=True,
    ),
    Case(
        "http09", "a body without status line or headers",
        blurts(OK + b"\r\n"), ends=BrokenConnection, gets=3,
    ),
    Case(
        "bad-status-line", "a status that is no number",
        says("HTTP/1.1 abc OK", LENGTH, body=OK), ends=BrokenConnection, gets=3,
    ),
    Case(
        "status-999", "a status that no standard knows",
        says("HTTP/1.1 999 What", "Content-Length: 2", body=b"{}", keep=True),
        ends=999, body=b"{}", gets=1, kept=True,
    ),
    Case(
        "status-4-digits", "a status of four digits",
        says("HTTP/1.1 2000 OK", LENGTH, body=OK), ends=BrokenConnection, gets=3,
    ),
    Case(
        "status-no-reason", "allowed: no phrase after the status",
        says("HTTP/1.1 200", LENGTH, body=OK, keep=True), kept=True,
    ),
    Case(
        "weird-version", "a version of HTTP that does not exist",
        says("HTTP/3.7 200 OK", "Content-Length: 2", body=b"{}"), ends=BrokenConnection, gets=3,
    ),
    Case(
        "garbage", "noise instead of HTTP",
        blurts(bytes(range(128, 256)) * 4 + b"\r\n\r\n"), ends=BrokenConnection, gets=3,
    ),
    Case(
        "many-headers", "two hundred and fifty headers",
        says("HTTP/1.1 200 OK", *(f"X-{n}: {n}" for n in range(250)), LENGTH, body=OK),
        ends=BrokenConnection, gets=3,
    ),
    Case(
        "huge-header", "a header of a hundred kilobytes",
        says("HTTP/1.1 200 OK", "X-Huge: " + "h" * 100_000, LENGTH, body=OK),
        ends=BrokenConnection, gets=3,
    ),
    Case(
        "endless-headers", "header after header at full speed",
        never_end_the_head, ends=BrokenConnection, gets=3,
    ),
    Case(
        "header-no-colon", "a header line without a colon",
        says("HTTP/1.1 200 OK", LENGTH, "this is no header", body=OK), kept=True,
    ),
    Case(
        "header-folded", "a header that goes on in the next line",
        says("HTTP/1.1 200 OK", "X-Folded: one", "  two", LENGTH, body=OK, keep=True), kept=True,
    ),
    Case(
        "header-bytes", "a header of UTF-8 and of bytes that are no text",
        says("HTTP/1.1 200 OK", b"X-Raw: caf\xc3\xa9 \x80\xff", LENGTH, body=OK, keep=True),
        kept=True,
    ),
    Case(
        "header-nul", "a NUL within a header",
        says("HTTP/1.1 200 OK", b"X-Nul: a\x00b", LENGTH, body=OK, keep=True), kept=True,
    ),
    Case(
        "dup-content-type", "two Content-Type headers",
        says(
            "HTTP/1.1 200 OK", "Content-Type: application/json", "Content-Type: text/html",
            LENGTH, body=OK, keep=True,
        ),
        kept=True,
    ),
    Case(
        "cookie-malformed", "cookies: good, malformed, of another domain, and huge",
        says(
            "HTTP/1.1 200 OK", "Set-Cookie: good=1; Path=/", "Set-Cookie: =;;=; nonsense",
            "Set-Cookie: stolen=1; Domain=example.com; Path=/",
            "Set-Cookie: expired=1; Max-Age=0", "Set-Cookie: huge=" + "c" * 10_000,
            LENGTH, body=OK, keep=True,
        ),
    ),
)  # fmt: skip
