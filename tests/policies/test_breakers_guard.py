"""Laws of the breakers of many endpoints, and of the step that asks them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import pybreaker
import pytest
import requests
from requests import exceptions

from browseros_api import Session
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
from browseros_api.policies.breakers import Breakers, CircuitBreaker
from browseros_api.settings import Settings
from browseros_api.testing import ApiServer, FakeClock, Reply
from tests.policies.breaking import Boom, Diary, Panic

BASE = "https://api.example.com"
SILENT = Journal(enabled=False)

FAILURES = [
    requests.ConnectionError("reset"),
    requests.ConnectTimeout("tar pit"),
    requests.ReadTimeout("silence"),
    requests.Timeout("of some kind"),
    exceptions.ChunkedEncodingError("cut"),
    exceptions.SSLError("self-signed"),
    exceptions.ProxyError("refused"),
    ConnectTimeout("ours"),
    ReadTimeout("ours"),
    BodyTimeout("ours"),
]
NEUTRAL = [
    PoolTimeout("all in use"),
    DeadlineExceeded("late"),
    CircuitOpenError("another's", endpoint="/inner"),
    ClientClosed("closed"),
    exceptions.ContentDecodingError("bad gzip"),
    exceptions.InvalidURL("bad"),
    exceptions.InvalidHeader("bad"),
    exceptions.InvalidSchema("bad"),
    exceptions.TooManyRedirects("31"),
    requests.RequestException("of no kind"),
    ValueError("bad timeout"),
    UnicodeEncodeError("latin-1", "ł", 0, 1, "bad header"),
    OSError("no such file"),
    Boom("from a user's hook"),
    KeyboardInterrupt(),
    SystemExit(1),
    GeneratorExit(),
    Panic(),
]


def exchange(url: str = f"{BASE}/users/1", method: str = "GET") -> Exchange:
    return Exchange(requests.Request(method, url).prepare(), {}, Call(method, url))


def answer(status: int) -> Callable[[Exchange], requests.Response]:
    def proceed(_: Exchange) -> requests.Response:
        response = requests.Response()
        response.status_code, response.reason = status, "Because"
        return response

    return proceed


def raises(error: BaseException) -> Callable[[Exchange], requests.Response]:
    def proceed(_: Exchange) -> requests.Response:
        raise error

    return proceed


def never(_: Exchange) -> requests.Response:
    raise AssertionError("something was sent")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def made(clock: FakeClock) -> Callable[..., Breakers]:
    def make(
        *, template: CircuitBreaker | None = None, journal: Journal = SILENT, **options: Any
    ) -> Breakers:
        settings = Settings(**{"base_url": BASE, "failure_threshold": 2, **options})
        return Breakers(settings, clock=clock, journal=journal, template=template)

    return make


def fail(breakers: Breakers, url: str = f"{BASE}/users/1") -> None:
    with pytest.raises(requests.ConnectionError, match="reset"):
        breakers.guard(exchange(url), raises(requests.ConnectionError("reset")))


# -- the step --------------------------------------------------------------------------------------


def test_a_good_answer_passes_through_unchanged(made: Callable[..., Breakers]) -> None:
    response = requests.Response()
    response.status_code = 200
    one = exchange()
    assert made().guard(one, lambda seen: response if seen is one else never(seen)) is response
    assert one.endpoint == "/users/{id}"


@pytest.mark.parametrize("error", FAILURES, ids=lambda error: type(error).__name__)
def test_what_the_network_does_is_a_failure(
    error: requests.RequestException, made: Callable[..., Breakers]
) -> None:
    breakers = made()
    for state in ("closed", "open"):
        with pytest.raises(type(error)) as caught:
            breakers.guard(exchange(), raises(error))
        assert caught.value is error
        assert breakers.of("/users/{id}").state == state


@pytest.mark.parametrize("error", NEUTRAL, ids=lambda error: type(error).__name__)
def test_what_the_endpoint_cannot_help_counts_for_nothing(
    error: BaseException, made: Callable[..., Breakers]
) -> None:
    """B18, B19"""
    breakers = made(half_open_max_calls=1)
    breaker = breakers.of("/users/{id}")
    fail(breakers)
    for state in ("closed", "half_open"):
        before = breaker.status()
        with pytest.raises(type(error)) as caught:
            breakers.guard(exchange(), raises(error))
        assert caught.value is error
        assert breaker.status() == before
        assert breaker.state == state
        breaker.half_open()


@pytest.mark.parametrize("status", [500, 501, 502, 503, 504, 599, 999])
def test_5xx_answers_are_failures_and_are_returned(
    status: int, made: Callable[..., Breakers]
) -> None:
    """B21"""
    breakers = made()
    for _ in range(2):
        assert breakers.guard(exchange(), answer(status)).status_code == status
    with pytest.raises(CircuitOpenError) as caught:
        breakers.guard(exchange(), never)
    assert isinstance(caught.value.last_error, requests.HTTPError)
    assert str(caught.value.last_error) == f"{status} Because"
    assert caught.value.last_error.response is None


@pytest.mark.parametrize("status", [None, 102, 200, 204, 301, 304, 400, 401, 404, 408, 429, 499])
def test_any_other_answer_is_a_success_of_the_endpoint(
    status: Any, made: Callable[..., Breakers]
) -> None:
    """B21"""
    breakers = made()
    for _ in range(3):
        fail(breakers)
        assert breakers.guard(exchange(), answer(status)).status_code == status
        assert breakers.status()["/users/{id}"]["failure_count"] == 0


def test_an_open_endpoint_is_asked_nothing_and_says_so(
    made: Callable[..., Breakers], clock: FakeClock
) -> None:
    """B6, B9"""
    breakers = made()
    fail(breakers)
    fail(breakers)
    clock.tick(20)
    one = exchange()
    with pytest.raises(CircuitOpenError) as caught:
        breakers.guard(one, never)
    refusal = caught.value
    assert (refusal.endpoint, refusal.retry_after) == ("/users/{id}", 40.0)
    assert refusal.request is one.request
    assert isinstance(refusal.__cause__, requests.ConnectionError)
    assert breakers.rejected == 1
    assert breakers.guard(exchange(f"{BASE}/orders"), answer(200)).ok


def test_an_endpoint_recovers_through_its_trials(
    made: Callable[..., Breakers], clock: FakeClock
) -> None:
    breakers = made(half_open_max_calls=2)
    fail(breakers)
    fail(breakers)
    clock.tick(60)
    breakers.guard(exchange(), answer(200))
    assert breakers.status()["/users/{id}"]["state"] == "half_open"
    breakers.guard(exchange(), answer(404))
    assert breakers.status()["/users/{id}"]["state"] == "closed"


def test_no_lock_is_held_while_an_exchange_proceeds(made: Callable[..., Breakers]) -> None:
    """B27: each waits within for all the others; status and reset do not wait."""
    breakers, inside = made(), threading.Barrier(4)
    outcomes = []

    def proceed(one: Exchange) -> requests.Response:
        inside.wait(10)
        breakers.status()
        breakers.reset()
        return answer(200)(one)

    def run(path: str) -> None:
        outcomes.append(breakers.guard(exchange(f"{BASE}{path}"), proceed).status_code)

    threads = [threading.Thread(target=run, args=[path]) for path in ("/a", "/a", "/a", "/b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert outcomes == [200] * 4


def test_a_judge_that_raises_is_heard_and_gives_the_permit_back(
    made: Callable[..., Breakers],
) -> None:
    def judge(_: object) -> bool:
        raise ZeroDivisionError

    breakers = made(template=CircuitBreaker(1, 60.0, 1, is_failure=judge))
    breaker = breakers.of("/users/{id}")
    breaker.half_open()
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            breakers.guard(exchange(), answer(200))
    assert (breaker.state, breaker.retry_after) == ("half_open", 0.0)


def test_a_bad_endpoint_key_is_heard_before_anything_is_sent(
    made: Callable[..., Breakers],
) -> None:
    breakers = made(endpoint_key=lambda method, url: None)
    with pytest.raises(TypeError, match="endpoint_key must return a string, not None"):
        breakers.guard(exchange(), never)
    assert breakers.status() == {}


def test_an_endpoint_key_may_tell_methods_apart(made: Callable[..., Breakers]) -> None:
    breakers = made(endpoint_key=lambda method, url: f"{method} it")
    breakers.guard(exchange(method="POST"), answer(200))
    breakers.guard(exchange(), answer(200))
    assert list(breakers.status()) == ["POST it", "GET it"]


@pytest.mark.parametrize("debug", [True, False])
def test_each_change_is_one_line_in_the_journal_without_secrets(
    debug: bool,
    made: Callable[..., Breakers],
    clock: FakeClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.DEBUG, logger="browseros_api"):
        breakers = made(journal=Journal(enabled=debug), half_open_max_calls=1)
        secret = f"{BASE}/users/1?token=s3cret"
        for _ in range(2):
            with pytest.raises(requests.ConnectionError):
                breakers.guard(exchange(secret), raises(requests.ConnectionError(secret)))
        clock.tick(60)
        breakers.guard(exchange(secret), answer(503))
        clock.tick(60)
        breakers.guard(exchange(secret), answer(200))
    lines = [record.getMessage() for record in caplog.records]
    said = [
        "breaker /users/{id}: closed -> open, after ConnectionError",
        "breaker /users/{id}: open -> half_open, after ConnectionError",
        "breaker /users/{id}: half_open -> open, after 503 Because",
        "breaker /users/{id}: open -> half_open, after 503 Because",
        "breaker /users/{id}: half_open -> closed",
    ]
    assert lines == (said if debug else [])


def test_a_session_without_breakers_sends_everything_and_counts_nothing(
    api_server: ApiServer,
) -> None:
    """B34"""
    api_server.route("/ill", Reply(503))
    with Session(enable_circuit_breaker=False, max_retries=0, failure_threshold=1) as session:
        for _ in range(5):
            assert session.get(api_server.url("/ill")).status_code == 503
        assert session.get_circuit_breaker_status() == {}
    assert api_server.hits("/ill") == 5


# -- the breakers ----------------------------------------------------------------------------------


def test_the_status_shows_each_endpoint_by_itself(
    made: Callable[..., Breakers], clock: FakeClock
) -> None:
    """B28, B36"""
    breakers = made()
    began = time.time()
    fail(breakers, f"{BASE}/a")
    fail(breakers, f"{BASE}/a")
    fail(breakers, f"{BASE}/b")
    breakers.guard(exchange(f"{BASE}/c"), answer(200))
    status = breakers.status()
    first = ["state", "failure_count", "last_failure_time"]
    assert list(status) == ["/a", "/b", "/c"]
    assert [list(one)[:3] for one in status.values()] == [first] * 3
    shown = {name: (one["state"], one["failure_count"]) for name, one in status.items()}
    assert shown == {"/a": ("open", 2), "/b": ("closed", 1), "/c": ("closed", 0)}
    assert abs(status["/a"]["last_failure_time"] - began) < 3600
    assert status["/c"]["last_failure_time"] is None
    clock.tick(60)
    assert breakers.status()["/a"]["state"] == "half_open"


def test_reset_closes_all_and_forgets(made: Callable[..., Breakers]) -> None:
    """B30"""
    breakers = made(failure_threshold=1)
    fail(breakers)
    with pytest.raises(CircuitOpenError):
        breakers.guard(exchange(), never)
    breakers.reset()
    assert breakers.rejected == 0
    assert breakers.status() == {"/users/{id}": CircuitBreaker().status()}
    assert breakers.guard(exchange(), answer(200)).ok


def test_settings_make_the_breakers(made: Callable[..., Breakers]) -> None:
    breakers = made(failure_threshold=7, recovery_timeout=8.0, half_open_max_calls=9)
    one = breakers.of("/users")
    assert (one.failure_threshold, one.recovery_timeout, one.half_open_max_calls) == (7, 8.0, 9)
    assert one.name == "/users"


def test_a_template_makes_the_breakers_and_is_none_of_them(
    made: Callable[..., Breakers], clock: FakeClock
) -> None:
    class Theirs(CircuitBreaker):
        pass

    diary = Diary()
    template = Theirs(1, 8.0, 9, exclude=[requests.ReadTimeout], listeners=[diary])
    breakers = made(template=template)
    one, other = breakers.of("/users/{id}"), breakers.of("/other")
    assert type(one) is Theirs
    assert (one.recovery_timeout, one.half_open_max_calls, one.name) == (8.0, 9, "/users/{id}")
    with pytest.raises(requests.ReadTimeout):
        breakers.guard(exchange(), raises(requests.ReadTimeout()))
    assert one.state == "closed"
    breakers.guard(exchange(), answer(500))
    assert (one.state, other.state, template.state) == ("open", "closed", "closed")
    clock.tick(8)
    assert one.state == "half_open"
    assert diary.changes == [("closed", "open"), ("open", "half-open")]
    assert (template.name, template.is_failure) == ("", None)


def test_a_template_may_judge_answers_and_bring_a_clock(made: Callable[..., Breakers]) -> None:
    theirs = FakeClock()
    template = CircuitBreaker(1, is_failure=lambda r: r.status_code == 418, clock=theirs)
    breakers = made(template=template)
    breakers.guard(exchange(), answer(500))
    breaker = breakers.of("/users/{id}")
    assert breaker.state == "closed"
    breakers.guard(exchange(), answer(418))
    assert breaker.state == "open"
    theirs.tick(60)
    assert breaker.state == "half_open"


def test_one_endpoint_has_one_breaker_also_under_races(made: Callable[..., Breakers]) -> None:
    """B29"""
    breakers, start = made(max_endpoints=8), threading.Barrier(8)
    found: list[list[CircuitBreaker]] = []

    def run() -> None:
        start.wait(10)
        found.append([breakers.of(f"/{number}") for number in range(8)])

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(found) == 8
    assert all(mine == found[0] for mine in found)
    assert [one.name for one in found[0]] == [f"/{number}" for number in range(8)]


def test_two_that_make_a_breaker_at_once_get_the_same(made: Callable[..., Breakers]) -> None:
    """B29: each is made before either is known."""
    both, found = threading.Barrier(2), []

    class Made(CircuitBreaker):
        def __setstate__(self, inherited: dict[str, Any]) -> None:
            super().__setstate__(inherited)
            if threading.current_thread() in threads:
                both.wait(10)

    threads: list[threading.Thread] = []
    breakers = made(template=Made())
    threads += [
        threading.Thread(target=lambda: found.append(breakers.of("/users"))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert found == [breakers.of("/users")] * 2


def test_there_are_never_more_breakers_than_allowed(made: Callable[..., Breakers]) -> None:
    """B29: also under races."""
    breakers, start = made(max_endpoints=10), threading.Barrier(4)

    def run(thread: int) -> None:
        start.wait(10)
        for number in range(100):
            breakers.of(f"/{thread}/{number}")

    threads = [threading.Thread(target=run, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(breakers.status()) == 10


def test_the_endpoint_that_was_used_longest_ago_is_forgotten_first(
    made: Callable[..., Breakers],
) -> None:
    """B29"""
    breakers = made(max_endpoints=3)
    for name in ("/a", "/b", "/c", "/a", "/d"):
        breakers.of(name)
    assert list(breakers.status()) == ["/c", "/a", "/d"]


def test_what_is_known_of_endpoints_that_are_down_is_kept_longer(
    made: Callable[..., Breakers], clock: FakeClock
) -> None:
    """B29: as long as it keeps calls away."""
    breakers = made(max_endpoints=3)
    breakers.of("/down").open()
    for name in ("/a", "/b", "/c"):
        breakers.of(name)
    assert list(breakers.status()) == ["/down", "/b", "/c"]
    clock.tick(60)
    breakers.of("/d")
    assert list(breakers.status()) == ["/b", "/c", "/d"]


@pytest.mark.parametrize("most", [1, 2])
def test_where_all_are_down_the_latest_is_kept(most: int, made: Callable[..., Breakers]) -> None:
    """B29"""
    breakers = made(max_endpoints=most)
    names = [f"/{number}" for number in range(5)]
    for name in names:
        breakers.of(name).open()
    assert list(breakers.status()) == names[-most:]


def test_a_call_that_outlives_its_breaker_ends_in_peace(made: Callable[..., Breakers]) -> None:
    breakers = made(max_endpoints=1)

    def proceed(one: Exchange) -> requests.Response:
        breakers.of("/another")
        return answer(500)(one)

    assert breakers.guard(exchange(), proceed).status_code == 500
    assert list(breakers.status()) == ["/another"]
    assert breakers.status()["/another"]["failure_count"] == 0


def test_after_a_fork_the_breakers_are_still_known(made: Callable[..., Breakers]) -> None:
    breakers = made()
    breakers.of("/down").open()
    with breakers._lock, breakers._endpoints._lock, breakers._hosts._lock:
        breakers.reset_after_fork()
        assert breakers.status()["/down"]["state"] == "open"


def test_what_is_excluded_is_not_repeated_against_an_open_circuit(
    made: Callable[..., Breakers],
) -> None:
    breakers = made(template=CircuitBreaker(1, exclude=[requests.ReadTimeout]))

    def proceed(_: Exchange) -> requests.Response:
        breakers.of("/users/{id}").open()  # another call did
        raise requests.ReadTimeout

    one = exchange()
    with pytest.raises(requests.ReadTimeout):
        breakers.guard(one, proceed)
    assert one.refused_for > 0


def test_a_refusal_is_pybreakers_too(made: Callable[..., Breakers]) -> None:
    breakers = made()
    breakers.of("/users/{id}").open()
    with pytest.raises(pybreaker.CircuitBreakerError):
        breakers.guard(exchange(), never)
