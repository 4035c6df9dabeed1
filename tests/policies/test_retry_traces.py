"""Laws of what asking again leaves behind: tracebacks, journal lines, garbage, pickles, imports."""

from __future__ import annotations

import contextlib
import gc
import logging
import pickle
import random
import subprocess
import sys
import time
import traceback
import weakref
from typing import Any

import pytest
import requests
import tenacity

from browseros_api.errors import (
    MAYBE_PROCESSED,
    CircuitOpenError,
    ClientClosed,
    DeadlineExceeded,
    ReadTimeout,
    RequestState,
)
from browseros_api.journal import Journal
from browseros_api.pipeline import Exchange
from browseros_api.policies.retry import Retry
from browseros_api.settings import Settings
from tests.policies.test_retry import Rig, answer, exchange_of


def raise_as_requests_does() -> None:
    """An error with a context of its own, as urllib3's is of requests' errors."""
    try:
        raise OSError("below")
    except OSError:
        raise requests.ConnectionError("above")  # noqa: B904  (requests says nothing either)


def always_failing(exchange: Exchange) -> requests.Response:
    raise_as_requests_does()
    raise AssertionError


def test_nothing_of_tenacity_comes_out_with_an_error() -> None:
    """R4"""
    rig = Rig(max_retries=5)
    with pytest.raises(requests.ConnectionError) as caught:
        rig.retry.attempt(exchange_of(), always_failing)
    files = [frame.filename for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert not [file for file in files if "tenacity" in file]
    assert [type(e) for e in _chain(caught.value)] == [OSError]


@pytest.mark.parametrize("retries", [0, 1, 30])
def test_the_traceback_does_not_grow_with_the_attempts(retries: int) -> None:
    """R4"""
    rig = Rig(max_retries=retries)
    with pytest.raises(requests.ConnectionError) as caught:
        rig.retry.attempt(exchange_of(), always_failing)
    names = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert names[1:] == ["attempt", "_ask", "always_failing", "raise_as_requests_does"]


@pytest.mark.parametrize("retries", [0, 2])
def test_the_context_of_an_error_survives_a_caller_that_is_handling_another(retries: int) -> None:
    """R4"""
    rig = Rig(max_retries=retries)
    own = KeyError("the caller's own")
    with contextlib.suppress(KeyError):
        try:
            raise own
        finally:
            with pytest.raises(requests.ConnectionError) as caught:
                rig.retry.attempt(exchange_of(), always_failing)
    below, first = _chain(caught.value)
    assert isinstance(below, OSError)
    assert first is own  # as without retries: it was there all the time


def _chain(error: BaseException) -> list[BaseException]:
    chain = []
    while error.__context__ is not None and len(chain) < 20:
        error = error.__context__
        chain.append(error)
    return chain


@pytest.mark.parametrize("fails", [True, False])
def test_nothing_of_a_call_waits_for_the_garbage_collector(fails: bool) -> None:
    """R4"""

    def proceed(exchange: Exchange) -> requests.Response:
        if exchange.attempt == 2:
            return answer(503)
        if exchange.attempt < 5 or fails:
            raise_as_requests_does()
        return answer(200)

    def run() -> weakref.ref[requests.PreparedRequest]:
        exchange = exchange_of()
        with contextlib.suppress(requests.ConnectionError):
            Rig(max_retries=4).retry.attempt(exchange, proceed)
        assert exchange.attempt == 5
        return weakref.ref(exchange.request)

    run()  # imports what is imported late
    gc.collect()
    gc.disable()
    try:
        assert run()() is None
    finally:
        gc.enable()


def test_tenacity_is_imported_only_when_a_retry_is_due() -> None:
    code = """
import sys
from tests.policies.test_retry import Rig, answer, exchange_of
from browseros_api.policies.retry import Retry
Rig(answer(200)).ask()
Rig(answer(503), max_retries=0).ask()
Rig(answer(500)).ask(exchange_of("POST"))
assert "tenacity" not in sys.modules, "too early"
Rig(answer(503), answer(200)).ask()
assert "tenacity" in sys.modules, "not at all"
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == 0, done.stderr


def test_an_error_of_tenacity_itself_is_somebody_elses() -> None:
    """R6"""
    rig = Rig(tenacity.TryAgain())
    with pytest.raises(tenacity.TryAgain):
        rig.ask()
    assert rig.calls == 1


def test_one_line_tells_of_each_attempt_and_what_follows(caplog: pytest.LogCaptureFixture) -> None:
    """R25"""
    error = requests.ConnectionError(OSError("http://u:secret@host/?api_key=secret"))
    exchange = exchange_of(
        "PUT",
        url="http://user:secret@127.0.0.1/a?b=c&api_key=secret",
        data="secret",
        headers={"Authorization": "secret"},
    )
    with caplog.at_level(logging.DEBUG, "browseros_api"):
        Rig(answer(503), error, answer(200, body=b"secret"), debug=True).ask(exchange)
    url = "PUT http://***@127.0.0.1/a?b=c&api_key=***"
    assert caplog.messages == [
        f"{url} attempt 1: 503; again in 1.00 s",
        f"{url} attempt 2: ConnectionError (OSError); again in 2.00 s",
        f"{url} attempt 3: 200",
    ]


@pytest.mark.parametrize(
    ("outcome", "asked", "settings", "reason"),
    [
        (answer(503), {}, {"max_retries": 0}, "503; no retries left"),
        (answer(404), {}, {}, "404"),
        (answer(500), {"method": "POST"}, {}, "500; not retried: the server may have acted on it"),
        (answer(500), {"method": "PUT", "data": iter([b"a"])}, {}, "its body cannot be sent again"),
        (answer(429, "3600"), {}, {}, "asks for a longer wait than retry_max_delay"),
        (answer(503), {"deadline": 0.0}, {}, "the deadline comes before the next attempt"),
        (
            requests.exceptions.SSLError("no"),
            {},
            {},
            "SSLError; not retried: asking again would not help",
        ),
    ],
)
def test_the_journal_says_why_there_is_no_further_attempt(
    caplog: pytest.LogCaptureFixture,
    outcome: Any,
    asked: dict[str, Any],
    settings: dict[str, Any],
    reason: str,
) -> None:
    """R25"""
    with caplog.at_level(logging.DEBUG, "browseros_api"):
        Rig(outcome, debug=True, **settings).end(exchange_of(**asked))
    (line,) = caplog.messages
    assert line.endswith(reason)


def test_a_silent_journal_stays_silent(caplog: pytest.LogCaptureFixture) -> None:
    """R25"""
    with caplog.at_level(logging.DEBUG, "browseros_api"):
        Rig(answer(503), answer(200)).ask()
    assert caplog.messages == []


def state_of(error: requests.RequestException) -> RequestState:
    return MAYBE_PROCESSED


def test_the_policy_can_be_pickled_with_its_counts() -> None:
    """R30"""
    retry = Retry(
        Settings(max_retries=1, retry_base_delay=0),
        clock=time.monotonic,
        sleep=time.sleep,
        random=random.random,
        journal=Journal(enabled=False),
        state_of=state_of,
    )
    outcomes = [answer(503), answer(200), answer(503), answer(200)]
    retry.attempt(exchange_of(), lambda exchange: outcomes.pop(0))
    copy = pickle.loads(pickle.dumps(retry))
    assert copy.attempt(exchange_of(), lambda exchange: outcomes.pop(0)).status_code == 200
    assert (retry.retries, retry.rescued) == (1, 1)
    assert (copy.retries, copy.rescued) == (2, 2)


@pytest.mark.parametrize(
    "error",
    [
        requests.ReadTimeout("silence"),
        requests.exceptions.ChunkedEncodingError("cut"),
        ReadTimeout("ours"),
        DeadlineExceeded("late"),
        CircuitOpenError("open", endpoint="/things", retry_after=3.0),
        ClientClosed("closed"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_comes_out_can_be_pickled(error: Exception) -> None:
    """R30"""
    rig = Rig(answer(503), error, error, max_retries=2)
    with pytest.raises(type(error)) as caught:
        rig.ask()
    copy = pickle.loads(pickle.dumps(caught.value))
    assert type(copy) is type(error)
    assert str(copy) == str(error)


def test_a_child_process_is_not_kept_by_its_parents_lock() -> None:
    """R24"""
    rig = Rig(answer(503), answer(200))
    rig.retry._counting.acquire()  # by a thread that the fork did not take along
    rig.retry.reset_lock()
    assert rig.ask().status_code == 200
    assert rig.retry.rescued == 1
