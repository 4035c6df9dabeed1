"""What else is to be seen of some of the cases."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from requests.exceptions import UnrewindableBodyError

from tests.faults.case import Case
from tests.faults.hostile import HostileServer
from tests.faults.table import CASES
from tests.faults.talk import Act, Talk
from tests.faults.witness import (
    LONGEST,
    ask,
    ask_next,
    assert_as_in_requests,
    assert_clean,
    ours,
    stock,
)


@pytest.mark.parametrize(
    ("name", "naps"),
    [
        ("429-retry-after", [(1, 1)]),
        ("503-retry-after-date", [(0, 2)]),
        ("503-retry-after-year", []),
        ("503-retry-after-junk", [(0.45, 0.55), (0.9, 1.1)]),
        ("flaky", [(0.45, 0.55), (0.9, 1.1)]),
        ("401-for-ever", []),
    ],
)
def test_it_waits_as_long_as_the_server_asks_and_no_longer_than_it_may(
    name: str, naps: list[tuple[float, float]], hostile: HostileServer
) -> None:
    slept: list[float] = []
    with ours(CASES[name], retry_base_delay=0.5, sleep=slept.append) as session:
        ask(session, hostile, CASES[name])
    assert len(slept) == len(naps)
    assert all(least <= nap <= most for nap, (least, most) in zip(slept, naps, strict=True))


def test_only_good_cookies_are_kept(hostile: HostileServer) -> None:
    kept = []
    for session in (ours(), stock()):
        with session:
            ask(session, hostile, CASES["cookie-malformed"])
            kept.append({cookie.name: cookie.domain for cookie in session.cookies})
            token = hostile.token()
            session.get(hostile.url("echo", token), timeout=5).close()
            assert "good=1" in hostile.last(token).asked.headers["cookie"]
            assert "stolen" not in hostile.last(token).asked.headers["cookie"]
    assert kept[0] == kept[1]
    assert "good" in kept[0]
    assert not {"stolen", "expired"} & kept[0].keys()


def test_no_secret_travels_to_another_host(hostile: HostileServer) -> None:
    secrets = {"Authorization": "Bearer s", "Cookie": "sid=s", "X-API-Key": "s", "X-Other": "o"}
    with ours() as session:
        token = hostile.token()
        session.get(hostile.url("redirect-other-host", token), headers=secrets)
        last = hostile.last(token).asked
    assert (last.name, hostile.hits(token)) == ("echo", 2)
    assert last.headers["host"].startswith("localhost")
    assert not {"authorization", "cookie", "x-api-key"} & last.headers.keys()
    assert last.headers["x-other"] == "o"


def test_a_body_that_can_be_read_once_is_sent_once(hostile: HostileServer) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"half a "
        yield b"secret"

    with ours() as session:
        outcome = ask(session, hostile, CASES["redirect-307-stream"], method="POST", data=pieces())
        if outcome.error is None:  # as in requests, which sends an empty one
            assert outcome.response is not None
            assert outcome.response.json()["body"] == ""
        else:
            assert outcome.is_a(UnrewindableBodyError)
        assert_clean(session, calls=1, hits=outcome.hits)
    for name in ("reset-before", "always-500", "short-body", "429-retry-after"):
        with ours() as session:
            outcome = ask(session, hostile, CASES[name], method="PUT", data=pieces())
            assert outcome.has(1), name
            assert_clean(session, calls=1, hits=1)


def cut_off(talk: Talk) -> None:
    head = talk.head("HTTP/1.1 302 Found", f"Location: {talk.echo}", "Content-Length: 100")
    talk.say(head, b"x" * 50)
    talk.hang_up()


def undecodable(talk: Talk) -> None:
    where = f"Location: {talk.echo}"
    talk.answer(b"no gzip", "Content-Encoding: gzip", where, status="302 Found")


@pytest.mark.parametrize("act", [cut_off, undecodable])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("follow", [False, True])
def test_a_redirect_with_a_broken_body_ends_as_in_requests(
    act: Act, stream: bool, follow: bool
) -> None:
    case = Case("broken", "a redirect whose body is broken", act)
    with HostileServer([case]) as hostile, ours() as session, stock() as theirs:
        options: dict[str, Any] = {"allow_redirects": follow, "stream": stream}
        mine = ask(session, hostile, case, **options)
        assert_clean(session, calls=1, hits=mine.hits)
        assert_as_in_requests(mine, ask(theirs, hostile, case, **options))


@pytest.mark.parametrize("name", ["redirect-loop", "redirect-pingpong"])
def test_a_circle_of_redirects_is_no_failure_of_the_server(
    name: str, hostile: HostileServer
) -> None:
    with ours() as session:
        assert ask(session, hostile, CASES[name]).is_a(requests.TooManyRedirects)
        states = session.get_circuit_breaker_status().values()
        assert [(state["state"], state["failure_count"]) for state in states] == [("closed", 0)]


def test_a_second_answer_that_comes_late_is_nobodys() -> None:
    is_read, is_sent = threading.Event(), threading.Event()

    def answer_twice(talk: Talk) -> None:
        talk.answer()
        assert is_read.wait(LONGEST)
        talk.say(b'HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n{"poisoned": true}')
        is_sent.set()

    case = Case("late", "a second answer, after the first one was read", answer_twice)
    with HostileServer([case]) as hostile, ours() as session:
        assert ask(session, hostile, case).is_a(200)
        is_read.set()
        assert is_sent.wait(LONGEST)
        assert ask_next(session, hostile).is_a(200)
        assert_clean(session, calls=2, hits=2)
        assert hostile.accepted == 2
