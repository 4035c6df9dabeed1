"""Whatever does not end by itself is ended: by the clock, or by its size."""

from __future__ import annotations

import threading
import tracemalloc
from collections.abc import Iterator
from importlib.metadata import version

import pytest
import requests
from requests.exceptions import ChunkedEncodingError

from browseros_api import DeadlineExceeded, EnhancedAPIClient, ReadTimeout, ResponseTooLarge
from browseros_api.testing import wait_until
from tests.faults.case import Case, every
from tests.faults.codings import BOMB
from tests.faults.hostile import HostileServer
from tests.faults.table import CASES
from tests.faults.talk import Talk
from tests.faults.witness import (
    DEADLINE,
    LONGEST,
    ask,
    ask_next,
    assert_clean,
    call,
    ours,
    stock,
)

URLLIB3 = tuple(map(int, version("urllib3").split(".")[:2]))
ENDS = (requests.ConnectionError, ChunkedEncodingError, DeadlineExceeded)
MEGABYTE = 1 << 20
HANGING = [case for case in CASES.values() if case.hangs]
WAITING = [case for case in CASES.values() if case.waits]


def name_of(case: Case) -> str:
    return case.name


@pytest.mark.parametrize("case", HANGING, ids=name_of)
def test_requests_alone_would_still_be_waiting(case: Case, hostile: HostileServer) -> None:
    def wait_with_requests() -> None:
        with stock() as theirs:
            call(theirs, "GET", url, timeout=5.0)

    url = hostile.url(case.name, token := hostile.token())
    waiting = threading.Thread(target=wait_with_requests, daemon=True)
    waiting.start()
    wait_until(lambda: hostile.hits(token) == 1)
    with ours() as session:
        mine = ask(session, hostile, case, deadline=DEADLINE)
        assert mine.is_a(DeadlineExceeded)
        assert mine.is_a(TimeoutError)
        assert mine.has(1)
        assert mine.seconds < LONGEST / 2
        assert waiting.is_alive()
        assert_clean(session, calls=1, hits=1)
    hostile.close()
    waiting.join(LONGEST)
    assert not waiting.is_alive()


@pytest.fixture
def client(hostile: HostileServer) -> Iterator[EnhancedAPIClient]:
    with EnhancedAPIClient(
        f"http://127.0.0.1:{hostile.port}", timeout=0.2, max_retries=1, sleep=lambda _: None
    ) as client:
        client.session.trust_env = False
        yield client


@pytest.mark.parametrize("case", [*HANGING, *WAITING], ids=name_of)
def test_the_clients_timeout_ends_each_attempt(
    case: Case, client: EnhancedAPIClient, hostile: HostileServer
) -> None:
    token = hostile.token()
    with pytest.raises(requests.RequestException) as caught:
        client.get(f"/{case.name}/{token}")
    assert isinstance(caught.value, TimeoutError)
    assert isinstance(caught.value, (requests.Timeout, requests.ConnectionError))
    wait_until(lambda: hostile.hits(token) == 2)
    assert_clean(client.session, calls=1, hits=2)
    assert client.get_stats()["average_latency_ms"] < LONGEST / 2 * 1000
    (state,) = client.get_circuit_breaker_status().values()
    assert state["failure_count"] == 2


@pytest.mark.parametrize(
    "case", [*HANGING, CASES["stall-mid-body"], CASES["slow-first-byte"]], ids=name_of
)
def test_an_attempt_may_be_bounded_without_a_deadline(case: Case, hostile: HostileServer) -> None:
    with ours(attempt_timeout=0.2, max_retries=0) as session:
        mine = ask(session, hostile, case)
        assert mine.is_a(ReadTimeout), mine
        assert mine.seconds < LONGEST / 2
        assert_clean(session, calls=1, hits=1)


def flooding(*lines: str) -> Case:
    def act(talk: Talk) -> None:
        there = [f"Location: {talk.echo}"] if "302" in lines[0] else []
        talk.say(talk.head(*lines, *there, "Transfer-Encoding: chunked"))
        talk.flood(b"10000\r\n" + b"x" * 0x10000 + b"\r\n", most=64 * MEGABYTE)
        talk.hang_up()

    return Case("flood", "as much as can be had", act)


@pytest.mark.parametrize("stream", [False, True])
def test_a_body_without_an_end_is_left_when_it_is_too_large(stream: bool) -> None:
    case = flooding("HTTP/1.1 200 OK")
    with HostileServer([case]) as hostile, ours(max_response_bytes=300_000) as session:
        url = hostile.url(case.name, token := hostile.token())
        if stream:  # its size is the caller's affair, who stops when he likes
            with session.get(url, stream=True) as response:
                assert next(response.iter_content(1000))
        else:
            with pytest.raises(ResponseTooLarge):
                session.get(url)
        assert_clean(session, calls=1, hits=1)
        wait_until(lambda: hostile.open == 0)
        assert hostile.hits(token) == 1
        assert hostile.flooded < 20 * MEGABYTE  # which fit into the system's buffers
        assert ask_next(session, hostile).is_a(200)


@pytest.mark.parametrize("stream", [False, True])
def test_a_redirect_without_an_end_is_left_before_it_fills_the_memory(stream: bool) -> None:
    case = flooding("HTTP/1.1 302 Found")
    with HostileServer([case]) as hostile, ours() as session:
        url = hostile.url(case.name, token := hostile.token())
        mine = call(session, "GET", url, stream=stream)
        assert mine.is_a(200) or mine.is_a(ResponseTooLarge), mine
        assert_clean(session, calls=1)
        wait_until(lambda: hostile.open == session.get_stats()["connections"]["connections_open"])
        assert hostile.hits(token) == (2 if mine.is_a(200) else 1)
    assert hostile.flooded < 40 * MEGABYTE


@pytest.mark.skipif(URLLIB3 < (2, 6), reason="it inflates whatever has come at once")
def test_a_bomb_is_never_inflated_beyond_what_is_allowed(hostile: HostileServer) -> None:
    case, allowed = CASES["gzip-bomb"], 1_000_000
    with ours(max_response_bytes=allowed) as session:
        ask_next(session, hostile)
        with stock() as theirs:
            assert ask(theirs, hostile, case).is_a(200)  # and the server has its bomb ready
        tracemalloc.start()
        try:
            mine = ask(session, hostile, case)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert mine.is_a(ResponseTooLarge), mine
        assert mine.has(1)
        assert peak < 6 * allowed < BOMB
        assert_clean(session, calls=2, hits=2)
        (state,) = [s for n, s in session.get_circuit_breaker_status().items() if "bomb" in n]
        assert state["failure_count"] == 0


def test_what_is_just_small_enough_is_not_too_large(hostile: HostileServer) -> None:
    size = len(CASES["gzip-ok"].body or b"")
    with ours(max_response_bytes=size) as session:
        assert ask(session, hostile, CASES["gzip-ok"]).is_a(200)
    with ours(max_response_bytes=size - 1) as session:
        assert ask(session, hostile, CASES["gzip-ok"]).is_a(ResponseTooLarge)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("follow", [False, True])
def test_a_deadline_holds_for_a_redirect_followed_or_not(
    follow: bool, stream: bool, hostile: HostileServer
) -> None:
    url = hostile.url("redirect-endless-body", hostile.token())
    with ours() as session:
        mine = call(session, "GET", url, deadline=DEADLINE, allow_redirects=follow, stream=stream)
        assert mine.seconds < LONGEST / 2
        assert mine.is_a(DeadlineExceeded) or (stream and not follow and mine.is_a(302)), mine
        assert_clean(session, calls=1)


def test_a_redirect_without_an_end_is_left_when_it_is_too_large(hostile: HostileServer) -> None:
    with ours(max_response_bytes=4096) as session:
        mine = ask(session, hostile, CASES["redirect-endless-body"])
        assert mine.is_a(ResponseTooLarge) or mine.is_a(200), mine
        assert mine.seconds < LONGEST / 2
        assert_clean(session, calls=1, hits=mine.hits)


def test_one_deadline_is_for_all_attempts() -> None:
    drip = CASES["drip-body"].act
    case = Case("worse", "a 500, then a drip", every(CASES["always-500"].act, drip))
    with HostileServer([case]) as hostile, ours(deadline=DEADLINE) as session:
        mine = ask(session, hostile, case)
        assert mine.is_a(DeadlineExceeded), mine
        assert mine.has(2)
        assert mine.seconds < LONGEST / 2
        assert_clean(session, calls=1, hits=2)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("what", "head", "piece"),
    [
        ("interim answers", b"", b"HTTP/1.1 102 Processing\r\n\r\n" * 100),
        ("empty lines", b"", b"\r\n" * 1000),
        ("a chunk's size", CHUNKED, b"1" * 0x10000),
        ("trailers", CHUNKED + b"0\r\n", b"X-More: more\r\n" * 1000),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_goes_on_and_on_beside_the_body_is_left_too(
    what: str, head: bytes, piece: bytes
) -> None:
    def go_on(talk: Talk) -> None:
        talk.say(head)
        talk.flood(piece, most=64 * MEGABYTE)

    case = Case("on-and-on", what, go_on)
    with HostileServer([case]) as hostile, ours(deadline=DEADLINE) as session:
        mine = ask(session, hostile, case)
        assert isinstance(mine.error, ENDS), mine
        assert mine.seconds < LONGEST / 2
        assert_clean(session, calls=1)
        assert session.get_stats()["connections"]["connections_open"] == 0
        assert ask_next(session, hostile).is_a(200)
