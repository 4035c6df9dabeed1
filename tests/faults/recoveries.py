"""Servers that are down for a while, busy, or cross."""

from __future__ import annotations

import time
from email.utils import formatdate

from requests import ConnectionError as BrokenConnection
from requests.exceptions import ChunkedEncodingError

from tests.faults.case import Case, every, says
from tests.faults.talk import Act, Talk

__all__ = ["CASES"]

cut = says("HTTP/1.1 200 OK", "Content-Length: 100", body=b"x" * 50)


def fails(status: str, *lines: str) -> Act:
    return lambda talk: talk.answer(b'{"e": 1}', *lines, status=status)


def ask_for_a_second(talk: Talk) -> None:
    date = formatdate(time.time() + 1, usegmt=True)
    talk.answer(b"{}", f"Retry-After: {date}", status="503 Service Unavailable")


DOWN = "503 Service Unavailable"
OVER = "who asks again finds the server well"

CASES = (
    Case(
        "flaky", "twice a 503, then the answer",
        every(fails(DOWN), fails(DOWN), Talk.answer),
        gets=3, post_ends=503, kept=True, differs=OVER,
    ),
    Case(
        "flaky-reset", "twice an RST, then the answer",
        every(Talk.reset, Talk.reset, Talk.answer),
        gets=3, post_ends=BrokenConnection, kept=True, differs=OVER,
    ),
    Case(
        "flaky-short", "twice half a body, then the answer",
        every(cut, cut, Talk.answer),
        gets=3, post_ends=ChunkedEncodingError, kept=True, differs=OVER,
    ),
    Case(
        "always-500", "a 500 each time", fails("500 Internal Server Error"),
        ends=500, body=b'{"e": 1}', gets=3, kept=True,
    ),
    Case(
        "429-retry-after", "a 429 that asks to wait for a second, then the answer",
        every(fails("429 Too Many Requests", "Retry-After: 1"), Talk.answer),
        gets=2, posts=2, kept=True, differs=OVER,
    ),
    Case(
        "503-retry-after-date", "a 503 that names an instant, then the answer",
        every(ask_for_a_second, Talk.answer), gets=2, post_ends=503, kept=True, differs=OVER,
    ),
    Case(
        "503-retry-after-year", "a 503 that asks to wait for a year",
        fails(DOWN, "Retry-After: 31536000"), ends=503, body=b'{"e": 1}', kept=True,
    ),
    Case(
        "503-retry-after-junk", "503s whose Retry-After is no time",
        every(fails(DOWN, "Retry-After: soon"), fails(DOWN, "Retry-After: -5")),
        ends=503, body=b'{"e": 1}', gets=3, kept=True,
    ),
    Case(
        "401-for-ever", "a 401 whatever is sent", fails("401 Unauthorized"),
        ends=401, body=b'{"e": 1}', kept=True,
    ),
    Case(
        "auth-bad-challenge", "a 401 whose challenge cannot be read",
        fails("401 Unauthorized", 'WWW-Authenticate: Digest realm="r, qop=,,="'),
        ends=401, body=b'{"e": 1}', kept=True,
    ),
)  # fmt: skip
