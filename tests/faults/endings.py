"""Connections that end too early, too late, or not at all."""

from __future__ import annotations

from requests import ConnectionError as BrokenConnection
from requests import ReadTimeout
from requests.exceptions import ChunkedEncodingError

from browseros_api import DeadlineExceeded
from tests.faults.case import Case, says
from tests.faults.talk import OK, Talk

__all__ = ["CASES"]

HALF = b"x" * 50  # of a body of a hundred bytes
HUNDRED = ("HTTP/1.1 200 OK", "Content-Type: text/plain", "Content-Length: 100")


def cut_the_status_line(talk: Talk) -> None:
    talk.say(b"HTTP/1.1 20")
    talk.hang_up()


def cut_the_head(talk: Talk) -> None:
    talk.say(talk.head("HTTP/1.1 200 OK", "Content-Type: application/json")[:-2])
    talk.hang_up()


def tear_the_head(talk: Talk) -> None:
    talk.say(talk.head("HTTP/1.1 200 OK", "Content-Type: application/json")[:-2])
    talk.reset()


def tear_the_body(talk: Talk) -> None:
    talk.say(talk.head(*HUNDRED), HALF)
    talk.pause(0.05)
    talk.reset()


def say_nothing(talk: Talk) -> None:
    talk.pause(20)
    talk.hang_up()


def think_first(talk: Talk) -> None:
    talk.pause(2)
    talk.answer()


def fall_silent(talk: Talk) -> None:
    talk.say(talk.head(*HUNDRED), HALF)
    say_nothing(talk)


def drip_the_head(talk: Talk) -> None:
    talk.drip(talk.head("HTTP/1.1 200 OK", "X-Slow: " + "z" * 1000, "Content-Length: 0"), 0.1)
    talk.hang_up()


def drip_the_body(talk: Talk) -> None:
    talk.say(talk.head("HTTP/1.1 200 OK", "Content-Length: 1000"))
    talk.drip(b"x" * 1000, 0.1)
    talk.hang_up()


def never_end_the_body(talk: Talk) -> None:
    talk.say(talk.head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked"))
    talk.flood(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
    talk.hang_up()


def close_at_once(talk: Talk) -> None:
    talk.answer()
    talk.hang_up()


def tear_at_the_next(talk: Talk) -> None:
    talk.answer()
    talk.hear_next()
    talk.reset()


def lie_about_closing(talk: Talk) -> None:
    talk.answer(OK, "Connection: close")
    talk.pause(10)
    talk.hang_up()


def answer_early(talk: Talk) -> None:
    if talk.asked.headers.get("content-length", "0") != "0":
        talk.wire.exactly(1024)
    talk.answer(b'{"e": "too large"}', "Connection: close", status="413 Content Too Large")
    talk.hang_up()  # what it has not read makes an RST of that


CASES = (
    Case(
        "reset-before", "an RST right after the request, before any byte of an answer",
        Talk.reset, ends=BrokenConnection, gets=3,
    ),
    Case(
        "close-before", "a FIN right after the request, before any byte of an answer",
        Talk.hang_up, ends=BrokenConnection, gets=3,
    ),
    Case(
        "close-mid-status", "a FIN within the status line",
        cut_the_status_line, ends=BrokenConnection, gets=3,
    ),
    Case(
        "close-mid-headers", "a FIN after the first headers, without the empty line",
        cut_the_head, ends=BrokenConnection, gets=3,
        differs="half a head is not an answer; requests makes an empty 200 of it",
    ),
    Case(
        "reset-mid-headers", "an RST after the first headers",
        tear_the_head, ends=BrokenConnection, gets=3,
    ),
    Case(
        "reset-mid-body", "an RST after half of the body",
        tear_the_body, ends=ChunkedEncodingError, gets=3,
    ),
    Case(
        "never", "the request is read, and nothing is ever said",
        say_nothing, ends=ReadTimeout, gets=3, waits=True,
    ),
    Case(
        "slow-first-byte", "a good answer, long after the caller's patience has ended",
        think_first, ends=ReadTimeout, gets=3, waits=True,
    ),
    Case(
        "stall-mid-body", "half of the body, then silence",
        fall_silent, ends=BrokenConnection, gets=3, waits=True,
    ),
    Case(
        "drip-headers", "one byte of the head at a time, each just soon enough",
        drip_the_head, ends=DeadlineExceeded, hangs=True,
    ),
    Case(
        "drip-body", "one byte of the body at a time, each just soon enough",
        drip_the_body, ends=DeadlineExceeded, hangs=True,
    ),
    Case(
        "endless-body", "chunk after chunk at full speed, then a FIN without the last one",
        never_end_the_body, ends=ChunkedEncodingError, gets=3,
    ),
    Case(
        "keepalive-close-now", "a good answer that promises to stay, and a FIN",
        close_at_once, kept=True,
    ),
    Case(
        "keepalive-race", "a good answer; the next request on the connection is met by an RST",
        tear_at_the_next, kept=True, then_hits=2,
        differs="a GET on a connection that had died is sent again; requests gives up",
    ),
    Case(
        "keepalive-race-post", "the same, where the next request is a POST",
        tear_at_the_next, kept=True, then="POST", then_ends=BrokenConnection,
    ),
    Case(
        "connection-close-lie", "Connection: close is announced, and the socket left open",
        lie_about_closing, kept=True,
    ),
    Case(
        "early-response", "a 413 after the first KiB of a large upload, and an RST",
        answer_early, ends=413, body=b'{"e": "too large"}', sends=5_000_000, early=True,
        kept=True,
    ),
    Case(
        "short-body", "half of the body that was announced, then a FIN",
        says(*HUNDRED, body=HALF), ends=ChunkedEncodingError, gets=3,
    ),
    Case(
        "long-body", "more of a body than was announced, on a connection that stays",
        says("HTTP/1.1 200 OK", "Content-Length: 4", body=b"true and then some!!", keep=True),
        body=b"true", kept=True,
    ),
    Case(
        "smuggled-response", "a second answer right behind the first one",
        says(
            "HTTP/1.1 200 OK", "Content-Type: application/json", "Content-Length: 12", keep=True,
            body=OK + b'HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n{"poisoned": true}',
        ),
        kept=True,
    ),
)  # fmt: skip
