"""Laws of asking again, over scripted outcomes, with time and chance in the test's hands."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pybreaker
import pytest
import requests
from requests import exceptions
from urllib3 import HTTPResponse

from browseros_api.errors import (
    MAYBE_PROCESSED,
    NEVER_SENT,
    BodyTimeout,
    CircuitOpenError,
    ClientClosed,
    ConnectTimeout,
    DeadlineExceeded,
    PoolTimeout,
    ReadTimeout,
    RequestState,
)
from browseros_api.journal import Journal
from browseros_api.pipeline import Call, Exchange
from browseros_api.policies.retry import Retry
from browseros_api.settings import Settings
from browseros_api.testing import FakeClock

URL = "http://127.0.0.1:1/things"
NOON = 1_700_000_000.0  # some instant of the wall clock

TRANSIENT = [
    requests.ConnectionError("reset"),
    exceptions.ProxyError("proxy refused"),
    requests.Timeout("somewhere"),
    requests.ConnectTimeout("tar pit"),
    requests.ReadTimeout("silence"),
    exceptions.ChunkedEncodingError("cut"),
    ConnectTimeout("ours"),
    ReadTimeout("ours"),
    BodyTimeout("ours"),
]
PERMANENT = [
    exceptions.SSLError("self-signed"),
    exceptions.InvalidURL("bad"),
    exceptions.InvalidProxyURL("bad"),
    exceptions.InvalidHeader("bad"),
    exceptions.MissingSchema("bad"),
    exceptions.InvalidSchema("bad"),
    exceptions.InvalidJSONError("bad"),
    exceptions.ContentDecodingError("bad"),
    exceptions.TooManyRedirects("31"),
    exceptions.RetryError("urllib3 had enough"),
    exceptions.UnrewindableBodyError("gone"),
    requests.RequestException("of no kind"),
    CircuitOpenError("open", endpoint="/things"),
    PoolTimeout("all in use"),
    DeadlineExceeded("late"),
]
FOREIGN = [ClientClosed("closed"), KeyError("the caller's own"), OSError("no such file")]


def answer(status: int, retry_after: str | None = None, body: bytes = b"{}") -> requests.Response:
    """A real response whose body has not been read."""
    response = requests.Response()
    response.status_code = status
    response.raw = HTTPResponse(body=io.BytesIO(body), status=status, preload_content=False)
    if retry_after is not None:
        response.headers["Retry-After"] = retry_after
    return response


def exchange_of(
    method: str = "GET", *, deadline: float | None = None, url: str = URL, **request: Any
) -> Exchange:
    prepared = requests.Request(method, url, **request).prepare()
    return Exchange(prepared, {"stream": False}, Call(method, url, deadline=deadline))


class Rig:
    """A retry step over outcomes that come in the order given; too few are a failed test."""

    def __init__(
        self,
        *outcomes: requests.Response | BaseException,
        state_of: Callable[[requests.RequestException], RequestState] = lambda error: (
            MAYBE_PROCESSED
        ),
        random: Callable[[], float] = lambda: 0.5,  # no jitter
        sleep: Callable[[float], object] | None = None,
        debug: bool = False,
        budget: Any = None,
        **settings: Any,
    ) -> None:
        self.outcomes = list(outcomes)
        self.calls = 0
        self.clock = FakeClock()
        self.retry = Retry(
            Settings(**settings),
            clock=self.clock,
            sleep=sleep or self.clock.sleep,
            random=random,
            journal=Journal(enabled=debug),
            state_of=state_of,
            budget=budget,
            wall=lambda: NOON,
        )

    def proceed(self, exchange: Exchange) -> requests.Response:
        self.calls += 1
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def ask(self, exchange: Exchange | None = None) -> requests.Response:
        return self.retry.attempt(exchange or exchange_of(), self.proceed)

    def end(self, exchange: Exchange | None = None) -> requests.Response | Exception:
        """What comes out, be it returned or raised."""
        try:
            return self.ask(exchange)
        except requests.RequestException as error:
            return error


def test_success_at_the_first_attempt_is_one_call_and_no_sleep() -> None:
    """R1"""
    good = answer(200)
    rig = Rig(good)
    exchange = exchange_of()
    assert rig.ask(exchange) is good
    assert (rig.calls, rig.clock.slept, rig.retry.retries) == (1, [], 0)
    assert (exchange.attempt, exchange.call.attempts) == (1, 1)


@pytest.mark.parametrize("retries", [1, 2, 11])
def test_n_retries_are_at_most_n_more_calls(retries: int) -> None:
    """R2"""
    rig = Rig(*[answer(503) for _ in range(retries + 1)], max_retries=retries)
    exchange = exchange_of()
    rig.ask(exchange)
    assert rig.calls == exchange.attempt == exchange.call.attempts == retries + 1
    assert rig.retry.retries == retries


def test_without_retries_the_original_outcome_comes_out_at_once() -> None:
    """R3"""
    bad, error = answer(503), requests.ConnectionError("reset")
    rig = Rig(bad, error, max_retries=0)
    assert rig.end() is bad
    assert rig.end() is error
    assert (rig.calls, rig.clock.slept, rig.retry.retries) == (2, [], 0)


@pytest.mark.parametrize("error", TRANSIENT, ids=lambda error: type(error).__name__)
def test_a_passing_failure_is_survived(error: requests.RequestException) -> None:
    """R1, R2"""
    good = answer(200)
    rig = Rig(error, good)
    assert rig.ask() is good
    assert rig.clock.slept == [1.0]


@pytest.mark.parametrize("status", [500, 502, 503, 504, 599, 429])
def test_a_passing_bad_answer_is_survived(status: int) -> None:
    """R1, R2"""
    good = answer(200)
    assert Rig(answer(status), good).ask() is good


@pytest.mark.parametrize("last", TRANSIENT, ids=lambda error: type(error).__name__)
def test_the_last_error_is_raised_as_it_was(last: requests.RequestException) -> None:
    """R4"""
    rig = Rig(answer(503), requests.ConnectionError("an earlier one"), last, max_retries=2)
    with pytest.raises(type(last)) as caught:
        rig.ask()
    assert caught.value is last
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert not caught.value.__suppress_context__


def test_the_last_answer_is_returned_not_raised() -> None:
    """R5"""
    last = answer(503)
    rig = Rig(answer(500), requests.ConnectionError("reset"), last, max_retries=2)
    assert rig.ask() is last


@pytest.mark.parametrize("error", [*PERMANENT, *FOREIGN], ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("before", [0, 1], ids=["at once", "after a retry"])
def test_what_asking_again_cannot_mend_ends_it(error: Exception, before: int) -> None:
    """R6, R16, R21"""
    rig = Rig(*[answer(503)] * before, error, state_of=lambda error: NEVER_SENT)
    with pytest.raises(type(error)) as caught:
        rig.ask()
    assert caught.value is error
    assert rig.calls == before + 1
    assert rig.clock.slept == [1.0] * before


@pytest.mark.parametrize("no", [exceptions.SSLError, exceptions.InvalidURL, PoolTimeout])
def test_never_wins_where_an_error_is_of_both_kinds(no: type[Exception]) -> None:
    """R7"""

    class Both(requests.ReadTimeout, no):  # type: ignore[misc,valid-type]
        """Retried for its first base, and never for its second."""

    rig = Rig(Both("both"))
    with pytest.raises(Both):
        rig.ask()
    assert rig.calls == 1


def test_an_open_circuit_is_not_waited_for() -> None:
    """R29"""
    told: list[Any] = []
    rig = Rig(CircuitOpenError("open"), on_retry=lambda *values: told.append(values))
    with pytest.raises(pybreaker.CircuitBreakerError):
        rig.ask()
    assert (rig.calls, rig.clock.slept, told) == (1, [], [])
