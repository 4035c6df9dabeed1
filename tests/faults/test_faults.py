"""However a server misbehaves: a call ends as it has to, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import time

import pytest
import requests
from requests.exceptions import ChunkedEncodingError, InvalidSchema

from browseros_api import DeadlineExceeded, Session
from browseros_api.testing import wait_until
from tests.faults.case import Case
from tests.faults.hostile import HostileServer
from tests.faults.table import CASES
from tests.faults.witness import (
    LONGEST,
    Outcome,
    ask,
    ask_next,
    assert_as_in_requests,
    assert_clean,
    ours,
    stock,
)

each_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
FAILURES = (requests.ConnectionError, requests.Timeout, ChunkedEncodingError)


def test_there_are_a_hundred_and_seven_ways_without_tls() -> None:
    assert len(CASES) == len({case.what for case in CASES.values()}) == 107


@each_case
def test_a_call_ends_as_it_has_to_and_the_next_one_has_its_own_answer(
    case: Case, hostile: HostileServer
) -> None:
    with ours(case) as session:
        mine = ask(session, hostile, case)
        assert_ended(mine, case, case.method)
        assert_clean(session, calls=1, hits=mine.hits)
        assert_following(session, hostile, case, mine)
    assert_gone(session, hostile)
    if not (case.hangs or case.differs):
        with stock() as theirs:
            assert_as_in_requests(mine, ask(theirs, hostile, case))


@each_case
def test_a_post_is_not_repeated(case: Case, hostile: HostileServer) -> None:
    with ours(case) as session:
        mine = ask(session, hostile, case, method="POST")
        assert_ended(mine, case, "POST")
        assert_following(session, hostile, case, mine)
    if not (case.hangs or (case.differs and case.post_ends is None)):
        with stock() as theirs:
            assert_as_in_requests(mine, ask(theirs, hostile, case, method="POST"))


@each_case
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_on_a_connection_that_has_served_before_it_ends_likewise(
    case: Case, method: str, hostile: HostileServer
) -> None:
    with ours(case) as session:
        first = ask_next(session, hostile)
        mine = ask(session, hostile, case, method=method)
        replaced = session.get_stats()["connections"]["stale_replaced"]
        assert replaced == 0 or method == "GET"
        assert mine.is_a(case.ends_as(method)), mine
        assert mine.hits <= case.hits(method) + replaced
        assert_clean(session, calls=2, hits=first.hits + mine.hits)


@each_case
def test_what_is_kept_is_whole_however_long_its_head_says(
    case: Case, hostile: HostileServer
) -> None:
    with ours(case, enable_circuit_breaker=False) as session:
        url = hostile.url(case.name, hostile.token(), "keep")
        if isinstance(case.ends, int):
            first = session.request(case.method, url)
            assert session.get_stats()["cache_size"] == int(case.kept)
            second = session.request(case.method, url)
            assert second.__dict__["from_cache"] == case.kept
            assert second.content == first.content
        else:
            with pytest.raises(case.ends):
                session.request(case.method, url)
        assert session.get_stats()["cache_size"] == int(case.kept)


@each_case
def test_a_stream_gives_its_connection_back(case: Case, hostile: HostileServer) -> None:
    with ours(case) as session:
        url, began = hostile.url(case.name, hostile.token()), time.monotonic()
        with (
            contextlib.suppress(requests.RequestException, ValueError),
            session.get(url, stream=True) as response,
        ):
            next(response.iter_content(1 if case.hangs else 65536), b"")
        assert time.monotonic() - began < LONGEST / 2
        assert_clean(session, calls=1)
        assert ask_next(session, hostile).is_a(200)
    assert_gone(session, hostile)


@each_case
def test_a_trial_call_of_an_open_circuit_gives_its_place_back(
    case: Case, hostile: HostileServer
) -> None:
    with ours(case, max_retries=0, half_open_max_calls=1) as session:
        breakers, token = session.engine.breakers, hostile.token()
        url = hostile.url(case.name, token)
        breaker = breakers.of(breakers.endpoint_of(case.method, url))
        breaker.half_open()
        outcome = ask(session, hostile, case, token=token)
        assert breaker.state == told_to_the_breaker(case, outcome)
        assert not breaker._trials
        if breaker.state == "half_open":
            assert breaker.retry_after == 0


def told_to_the_breaker(case: Case, outcome: Outcome) -> str:
    if isinstance(outcome.error, DeadlineExceeded):
        return "half_open"  # it tells nothing about the server
    if case.redirects:
        return "closed"  # each hop is an answer
    if outcome.response is not None:
        return "open" if outcome.response.status_code >= 500 else "closed"
    return "open" if isinstance(outcome.error, FAILURES) else "half_open"


def assert_ended(outcome: Outcome, case: Case, method: str) -> None:
    ending = case.ends_as(method)
    assert outcome.is_a(ending), outcome
    assert outcome.has(case.hits(method))
    assert outcome.seconds < LONGEST
    if isinstance(outcome.error, requests.RequestException) and ending is not InvalidSchema:
        assert outcome.error.request is not None
    if outcome.response is not None and ending == case.ends and case.body is not None:
        assert outcome.response.content == case.body


def assert_following(session: Session, hostile: HostileServer, case: Case, before: Outcome) -> None:
    following = ask_next(session, hostile, case.then)
    assert following.is_a(case.then_ends), following
    assert following.has(case.then_hits)
    assert_clean(session, calls=2, hits=before.hits + following.hits)
    assert session.get_stats()["cache_size"] == 0


def assert_gone(session: Session, hostile: HostileServer) -> None:
    assert session.get_stats()["connections"]["connections_open"] == 0
    wait_until(lambda: hostile.open == 0, message="every connection is closed")
