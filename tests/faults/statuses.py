"""Answers before the answer, and bodies where there must be none."""

from __future__ import annotations

from tests.faults.case import Case, says
from tests.faults.talk import Act, Talk

__all__ = ["CASES"]

JUNK = b"HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n" + b'{"poisoned": true}'


def after(interim: bytes) -> Act:
    def act(talk: Talk) -> None:
        talk.say(interim)
        talk.answer()

    return act


def answer_head_with_a_body(talk: Talk) -> None:
    length = f"Content-Length: {len(JUNK)}"
    talk.say(talk.head("HTTP/1.1 200 OK", "Content-Type: text/plain", length), JUNK)


CASES = (
    Case(
        "100-continue", "a 100 that nobody has waited for, then the answer",
        after(b"HTTP/1.1 100 Continue\r\n\r\n"), kept=True,
    ),
    Case(
        "102-processing", "a 102, then the answer",
        after(b"HTTP/1.1 102 Processing\r\nX-Note: patience\r\n\r\n"), kept=True,
        differs="what comes before the answer is not the answer; requests takes it for that",
    ),
    Case(
        "103-early-hints", "a 103, then the answer",
        after(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n"), kept=True,
        differs="what comes before the answer is not the answer; requests takes it for that",
    ),
    Case(
        "101-unasked", "a switch to another protocol that nobody has asked for",
        says("HTTP/1.1 101 Switching Protocols", "Upgrade: chat", "Connection: Upgrade"),
        ends=101, body=b"",
    ),
    Case(
        "many-1xx", "two thousand times 100, then the answer",
        after(b"HTTP/1.1 100 Continue\r\n\r\n" * 2000), kept=True,
    ),
    Case(
        "204-with-body", "a 204 with a body that looks like an answer",
        says("HTTP/1.1 204 No Content", f"Content-Length: {len(JUNK)}", body=JUNK, keep=True),
        ends=204, body=b"", kept=True,
    ),
    Case(
        "304-with-body", "a 304 with a body that looks like an answer",
        says("HTTP/1.1 304 Not Modified", f"Content-Length: {len(JUNK)}", body=JUNK, keep=True),
        ends=304, body=b"",
    ),
    Case(
        "head-with-body", "the answer to a HEAD has a body that looks like an answer",
        answer_head_with_a_body, body=None, method="HEAD",
    ),
    Case(
        "206-unasked", "part of an answer, where nobody has asked for a part",
        says(
            "HTTP/1.1 206 Partial Content", "Content-Range: bytes 5-8/100", "Content-Length: 4",
            body=b"part", keep=True,
        ),
        ends=206, body=b"part",
    ),
)  # fmt: skip
