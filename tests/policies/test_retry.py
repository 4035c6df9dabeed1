"""Laws of asking again, over scripted outcomes, with time and chance in the test's hands."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pybreaker
import pytest
import requests
from requests import exceptions
from urllib3 import HTTPResponse

from browseros_api.errors import (
    BodyTimeout,
    CircuitOpenError,
    ClientClosed,
    ConnectTimeout,
    DeadlineExceeded,
    PoolTimeout,
    ReadTimeout,
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
        never_sent: Callable[[BaseException], bool] = lambda error: False,
        random: Callable[[], float] = lambda: 0.5,  # no jitter
        sleep: Callable[[float], object] | None = None,
        debug: bool = False,
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
            never_sent=never_sent,
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
    rig = Rig(*[answer(503)] * before, error, never_sent=lambda error: True)
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


def test_delays_double_up_to_the_cap() -> None:
    """R8"""
    rig = Rig(*[answer(503) for _ in range(8)], max_retries=7, retry_max_delay=20.0)
    rig.ask()
    assert rig.clock.slept == [1.0, 2.0, 4.0, 8.0, 16.0, 20.0, 20.0]


def test_two_clients_do_not_wait_in_step() -> None:
    """R10"""
    chances = iter([0.0, 1.0, 0.5])
    rig = Rig(*[answer(503) for _ in range(4)], random=lambda: next(chances))
    rig.ask()
    assert rig.clock.slept == pytest.approx([0.9, 2.2, 4.0])


def test_full_jitter_is_chosen_by_a_setting() -> None:
    """R10"""
    rig = Rig(*[answer(503) for _ in range(4)], random=lambda: 0.25, jitter="full")
    rig.ask()
    assert rig.clock.slept == [0.25, 0.5, 1.0]


def test_nothing_is_slept_after_the_last_attempt() -> None:
    """R11"""
    order: list[str] = []
    rig = Rig(answer(503), answer(503), max_retries=1, sleep=lambda s: order.append("sleep"))

    def proceed(exchange: Exchange) -> requests.Response:
        order.append("attempt")
        return rig.proceed(exchange)

    rig.retry.attempt(exchange_of(), proceed)
    assert order == ["attempt", "sleep", "attempt"]


@pytest.mark.parametrize("status", [429, 503, 413])
@pytest.mark.parametrize(
    ("value", "seconds"),
    [("7", 7.0), ("0", 0.0), ("Tue, 14 Nov 2023 22:13:29 GMT", 9.0)],
    ids=["seconds", "no wait", "date"],
)
def test_the_wait_that_a_server_asks_for_is_waited(status: int, value: str, seconds: float) -> None:
    """R12"""
    good = answer(200)
    rig = Rig(answer(status, value), good)
    assert rig.ask() is good
    assert rig.clock.slept == [seconds]


@pytest.mark.parametrize("status", [500, 502, 504])
def test_other_answers_do_not_choose_the_wait(status: int) -> None:
    """R12"""
    rig = Rig(answer(status, "7"), answer(200))
    rig.ask()
    assert rig.clock.slept == [1.0]


@pytest.mark.parametrize("value", ["33", "31536000", "Fri, 01 Jan 2100 00:00:00 GMT", "9" * 999])
def test_a_wait_beyond_the_bound_ends_it_at_once(value: str) -> None:
    """R13"""
    bad = answer(503, value)
    rig = Rig(bad, retry_max_delay=32.0)
    assert rig.ask() is bad
    assert rig.clock.slept == []


def test_a_wait_just_within_the_bound_is_obeyed() -> None:
    """R13"""
    rig = Rig(answer(503, "32"), answer(200), retry_max_delay=32.0)
    assert rig.ask().status_code == 200
    assert rig.clock.slept == [32.0]


@pytest.mark.parametrize("value", ["soon", "-5", "", "1e3", "Sun, 99 Nov 1994 08:49:37 GMT"])
def test_junk_in_retry_after_is_ignored(value: str) -> None:
    """R13"""
    rig = Rig(answer(503, value), answer(200))
    rig.ask()
    assert rig.clock.slept == [1.0]


def test_a_date_in_the_past_means_no_wait() -> None:
    """R13"""
    rig = Rig(answer(503, "Sun, 06 Nov 1994 08:49:37 GMT"), answer(200))
    rig.ask()
    assert rig.clock.slept == [0.0]


MAYBE_DONE = [answer(500), answer(503, "1"), answer(413, "1"), *TRANSIENT]


@pytest.mark.parametrize("outcome", MAYBE_DONE, ids=repr)
@pytest.mark.parametrize("method", ["POST", "PATCH", "PURGE"])
def test_what_the_server_may_have_done_is_not_asked_for_twice(
    method: str, outcome: requests.Response | requests.RequestException
) -> None:
    """R14"""
    rig = Rig(outcome)
    assert rig.end(exchange_of(method)) is outcome
    assert (rig.calls, rig.clock.slept) == (1, [])


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "get"])
def test_idempotent_methods_are_asked_again(method: str) -> None:
    """R14"""
    exchange = exchange_of(method)
    exchange.request.method = method  # preparing made it upper case
    assert Rig(requests.ReadTimeout("silence"), answer(200)).ask(exchange).status_code == 200


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_an_idempotency_key_makes_any_method_repeatable(method: str) -> None:
    """R14"""
    keyed = exchange_of(method, headers={"idempotency-key": "abc"})
    assert Rig(answer(500), answer(200)).ask(keyed).status_code == 200
    unnamed = exchange_of(method, headers={"Idempotency-Key": ""})
    assert Rig(answer(500)).ask(unnamed).status_code == 500


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH"])
def test_what_never_reached_a_server_is_asked_again_by_any_method(method: str) -> None:
    """R15"""
    refused, asked = requests.ConnectionError("refused"), []

    def never_sent(error: BaseException) -> bool:
        asked.append(error)
        return True

    rig = Rig(refused, answer(200), never_sent=never_sent)
    assert rig.ask(exchange_of(method, data="x")).status_code == 200
    assert set(asked) <= {refused}


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH"])
def test_too_many_requests_are_asked_again_by_any_method(method: str) -> None:
    """R15"""
    rig = Rig(answer(429), answer(429, "3"), answer(200))
    assert rig.ask(exchange_of(method)).status_code == 200
    assert rig.clock.slept == [1.0, 3.0]


@pytest.mark.parametrize("status", [100, 200, 204, 302, 304, 400, 401, 403, 404, 408, 413, 999])
def test_no_other_answer_is_asked_for_again(status: int) -> None:
    """R16"""
    response = answer(status)
    rig = Rig(response)
    assert rig.ask() is response


def test_too_large_is_final_unless_the_server_says_when_to_come_back() -> None:
    """R16"""
    assert Rig(answer(413, "soon")).ask().status_code == 413
    assert Rig(answer(413, "5"), answer(200)).ask().status_code == 200


class Unseekable(io.BytesIO):
    """A file that tells where it is and cannot go back."""

    def seek(self, *place: int) -> int:
        raise io.UnsupportedOperation("one way only")


def generated() -> Iterator[bytes]:
    yield b"abc"


class Deaf(io.BytesIO):
    """A file that does not tell where it is."""

    def tell(self) -> int:
        raise OSError("a pipe")


@pytest.mark.parametrize("body", [generated, lambda: iter([b"a"]), lambda: Deaf(b"abc")])
@pytest.mark.parametrize("status", [None, 503, 429])
def test_a_body_that_is_gone_is_not_sent_again(body: Any, status: int | None) -> None:
    """R18"""
    outcome = requests.ConnectionError("refused") if status is None else answer(status)
    rig = Rig(outcome, never_sent=lambda error: True)
    assert rig.end(exchange_of("PUT", data=body())) is outcome
    assert rig.calls == 1


@pytest.mark.parametrize("body", [None, "text", b"bytes", b""])
def test_a_body_in_memory_is_sent_again(body: str | bytes | None) -> None:
    """R17"""
    assert Rig(answer(503), answer(200)).ask(exchange_of("PUT", data=body)).status_code == 200


def test_a_file_goes_back_to_where_it_began_before_each_attempt() -> None:
    """R17"""
    file, read = io.BytesIO(b"xxhello"), []
    file.seek(2)
    rig = Rig(answer(503), requests.ReadTimeout("silence"), answer(200))

    def proceed(exchange: Exchange) -> requests.Response:
        read.append(file.read())
        return rig.proceed(exchange)

    rig.retry.attempt(exchange_of("PUT", data=file), proceed)
    assert read == [b"hello"] * 3


def test_a_rewind_that_fails_ends_it_with_the_original_error() -> None:
    """R18"""
    error, below = requests.ConnectionError("reset"), OSError("below")
    error.__context__ = below
    for file in (Unseekable(b"abc"), io.BytesIO(b"abc")):
        exchange, rig = exchange_of("PUT", data=file), Rig(error)
        file.close()
        with pytest.raises(requests.ConnectionError) as caught:
            rig.ask(exchange)
        assert caught.value is error
        chain = _contexts(error)
        assert below in chain
        assert any(isinstance(e, (exceptions.UnrewindableBodyError, ValueError)) for e in chain)
        assert (rig.calls, rig.clock.slept) == (1, [])


def test_a_rewind_that_fails_ends_it_with_the_original_answer() -> None:
    """R18, R20"""
    bad = answer(503)
    assert Rig(bad).ask(exchange_of("PUT", data=Unseekable(b"abc"))) is bad
    assert not bad.raw.closed


def _contexts(error: BaseException) -> list[BaseException]:
    chain = []
    while error.__context__ is not None and len(chain) < 20:
        error = error.__context__
        chain.append(error)
    return chain


def test_discarded_answers_are_closed_before_the_delay() -> None:
    """R19"""
    bad, closed = [answer(503), answer(429), answer(500)], []
    rig = Rig(*bad, answer(200), sleep=lambda s: closed.append([b.raw.closed for b in bad]))
    rig.ask()
    assert closed == [[True, False, False], [True, True, False], [True, True, True]]


def test_an_answer_without_a_socket_can_be_discarded_too() -> None:
    """R19"""
    bad = requests.Response()
    bad.status_code = 503
    assert Rig(bad, answer(200)).ask().status_code == 200


@pytest.mark.parametrize("status", [200, 404, 503])
def test_the_answer_handed_out_is_neither_read_nor_closed(status: int) -> None:
    """R20"""
    last = answer(status, body=b"unread")
    assert Rig(answer(503), last, max_retries=1).ask() is last
    assert not last.raw.closed
    assert last.raw.read() == b"unread"


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_interrupted_attempt_is_the_last(stop: type[BaseException]) -> None:
    """R22"""
    for before in ([], [answer(503)]):
        rig = Rig(*before, stop())
        with pytest.raises(stop):
            rig.ask()
        assert rig.calls == len(before) + 1


@pytest.mark.parametrize("stop", [ClientClosed("closed"), KeyboardInterrupt()], ids=repr)
@pytest.mark.parametrize("outcome", [answer(503), requests.ConnectionError("reset")], ids=repr)
def test_an_interrupted_delay_means_no_further_attempt(stop: BaseException, outcome: Any) -> None:
    """R22"""

    def sleep(seconds: float) -> None:
        raise stop

    rig = Rig(outcome, sleep=sleep)
    with pytest.raises(type(stop)) as caught:
        rig.ask()
    assert caught.value is stop
    assert (rig.calls, rig.retry.retries) == (1, 0)


def test_each_exchange_has_all_retries_and_begins_with_the_shortest_delay() -> None:
    """R23"""
    rig = Rig(*[answer(503) for _ in range(6)], max_retries=2)
    hops = [exchange_of(), exchange_of()]
    for hop in hops:
        rig.ask(hop)
    assert rig.clock.slept == [1.0, 2.0, 1.0, 2.0]
    assert [hop.attempt for hop in hops] == [3, 3]


def test_threads_do_not_share_what_belongs_to_a_call() -> None:
    """R24"""
    count = 8
    barrier, slept = threading.Barrier(count, timeout=10), threading.local()
    seen: dict[int, list[float]] = {}

    def sleep(seconds: float) -> None:
        slept.delays.append(seconds)
        barrier.wait()  # every thread is between the same two attempts

    rig = Rig(sleep=sleep, max_retries=3)

    def run(number: int) -> None:
        slept.delays = []
        exchange = exchange_of()
        rig.retry.attempt(exchange, lambda hop: answer(503))
        seen[number] = [exchange.attempt, *slept.delays]

    threads = [threading.Thread(target=run, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert seen == {number: [4, 1.0, 2.0, 4.0] for number in range(count)}
    assert rig.retry.retries == 3 * count


def test_each_delay_is_announced_with_attempt_delay_and_outcome() -> None:
    """R25"""
    told: list[Any] = []
    bad, error = answer(503), requests.ReadTimeout("silence")

    def on_retry(attempt: int, delay: float, outcome: Any) -> None:
        readable = isinstance(outcome, requests.Response) and not outcome.raw.closed
        told.append((attempt, delay, outcome, readable))

    rig = Rig(bad, error, answer(200), on_retry=on_retry, sleep=told.append)
    rig.ask()
    assert told == [(1, 1.0, bad, True), 1.0, (2, 2.0, error, False), 2.0]


def test_what_the_announcement_raises_comes_out_and_nothing_leaks() -> None:
    """R25"""
    bad = answer(503)

    def on_retry(attempt: int, delay: float, outcome: Any) -> None:
        raise KeyError("a bug in the callback")

    rig = Rig(bad, on_retry=on_retry)
    with pytest.raises(KeyError, match="a bug in the callback"):
        rig.ask()
    assert (rig.calls, rig.clock.slept) == (1, [])
    assert bad.raw.closed


def test_the_announcement_may_use_the_session_itself() -> None:
    """R24, R25"""
    rig = Rig(answer(503), answer(503), max_retries=2)
    depth: list[int] = []

    def on_retry(attempt: int, delay: float, outcome: Any) -> None:
        if len(depth) == 0:
            depth.append(attempt)
            rig.outcomes[:0] = [answer(500), answer(201)]  # a call within the call
            assert rig.ask().status_code == 201

    rig.retry._settings.__dict__["on_retry"] = on_retry
    rig.outcomes.append(answer(200))
    assert rig.ask().status_code == 200
    assert rig.clock.slept == [1.0, 1.0, 2.0]


@pytest.mark.parametrize("status", [200, 302, 404])
def test_success_after_a_retry_is_counted_apart(status: int) -> None:
    """R26"""
    rig = Rig(answer(200), answer(503), answer(503), answer(status))
    rig.ask()
    assert (rig.retry.retries, rig.retry.rescued) == (0, 0)
    rig.ask()
    assert (rig.retry.retries, rig.retry.rescued) == (2, 1)
    assert repr(rig.retry) == "<Retry [up to 3, after 1 to 32 s | 2 made, 1 rescued]>"


@pytest.mark.parametrize("last", [answer(503), requests.ReadTimeout("silence")], ids=repr)
def test_failure_after_all_retries_rescues_nobody(last: Any) -> None:
    """R26"""
    rig = Rig(answer(503), last, max_retries=1)
    assert rig.end() is last
    assert (rig.retry.retries, rig.retry.rescued) == (1, 0)


@pytest.mark.parametrize("outcome", [answer(503), requests.ReadTimeout("silence")], ids=repr)
def test_a_delay_that_would_pass_the_deadline_is_not_slept(outcome: Any) -> None:
    """R27"""
    rig = Rig(answer(500), outcome, max_retries=9)
    exchange = exchange_of(deadline=rig.clock() + 3.0)  # after 1 s and before 1 + 2 s
    assert rig.end(exchange) is outcome
    assert (rig.calls, rig.clock.slept) == (2, [1.0])


def test_a_deadline_that_leaves_room_does_not_matter() -> None:
    """R27"""
    rig = Rig(answer(500), answer(500), answer(200))
    assert rig.ask(exchange_of(deadline=rig.clock() + 3.001)).status_code == 200


def test_a_wait_that_the_server_asks_for_is_bounded_by_the_deadline_too() -> None:
    """R27"""
    rig = Rig(answer(429, "5"))
    assert rig.ask(exchange_of(deadline=rig.clock() + 5)).status_code == 429
    assert rig.clock.slept == []


@pytest.mark.parametrize("name", ["max_retries", "retry_base_delay", "retry_max_delay"])
def test_negative_retries_and_delays_are_refused(name: str) -> None:
    """R28"""
    with pytest.raises(ValueError, match=name):
        Rig(**{name: -1})


def test_an_open_circuit_is_not_waited_for() -> None:
    """R29"""
    told: list[Any] = []
    rig = Rig(CircuitOpenError("open"), on_retry=lambda *values: told.append(values))
    with pytest.raises(pybreaker.CircuitBreakerError):
        rig.ask()
    assert (rig.calls, rig.clock.slept, told) == (1, [], [])
