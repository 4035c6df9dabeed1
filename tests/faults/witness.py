"""What comes of a call that meets a case, and whether the session is clean afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import requests

from browseros_api import Session
from browseros_api.testing import wait_until
from tests.faults.case import Case, Ending
from tests.faults.hostile import HostileServer

__all__ = [
    "DEADLINE",
    "LONGEST",
    "RETRIES",
    "Outcome",
    "SomebodyElsesAnswer",
    "ask",
    "ask_next",
    "assert_as_in_requests",
    "assert_clean",
    "assert_failed_cleanly",
    "call",
    "ours",
    "stock",
]

RETRIES = 2
PATIENCE = 5.0  # seconds that an ordinary answer may take
IMPATIENCE = 0.15  # the same, of calls that have to time out
DEADLINE = 0.3  # of calls that would not end otherwise
LONGEST = 10.0  # that any call may take, on however busy a machine


class SomebodyElsesAnswer(Exception):
    """An answer came that is not that to the question."""


@dataclass(frozen=True)
class Outcome:
    """What came of a call: an answer or an error, after so many seconds."""

    response: requests.Response | None
    error: Exception | None
    seconds: float
    count: Callable[[], int] = lambda: 0

    @property
    def ending(self) -> Ending:
        """The status, or the class of the error."""
        return type(self.error) if self.response is None else self.response.status_code  # type: ignore[return-value]

    @property
    def hits(self) -> int:
        """Requests that the server has seen of it up to now."""
        return self.count()

    def has(self, hits: int) -> bool:
        """Whether the server sees just so many, at the latest when it gets round to it."""
        wait_until(lambda: self.hits >= hits, message=f"{hits} requests")
        return self.hits == hits

    @property
    def told(self) -> str:
        """What ``json()`` makes of the body."""
        assert self.response is not None
        try:
            return repr(self.response.json())
        except (ValueError, RecursionError) as error:
            return type(error).__name__

    def is_a(self, ending: Ending) -> bool:
        """Whether it ended like that, or with a subclass of that error."""
        if isinstance(ending, int):
            return self.ending == ending
        return isinstance(self.error, ending)

    def __str__(self) -> str:
        if self.response is None:
            return type(self.error).__name__
        return f"{self.response.status_code}, {len(self.response.content)} bytes"


def ours(case: Case | None = None, **settings: Any) -> Session:
    """A session of ours that sleeps for no time at all between its attempts."""
    usual = {
        "timeout": _timeout(case),
        "max_retries": RETRIES,
        "retry_base_delay": 0.01,
        "sleep": lambda seconds: None,
        "deadline": DEADLINE if case is not None and case.hangs else None,
    }
    session = Session(**{**usual, **settings})
    session.trust_env = False
    return session


def stock() -> requests.Session:
    """A session of requests."""
    session = requests.Session()
    session.trust_env = False
    return session


def _timeout(case: Case | None) -> tuple[float, float]:
    return PATIENCE, IMPATIENCE if case is not None and case.waits else PATIENCE


def ask(
    session: requests.Session,
    server: HostileServer,
    case: Case,
    *,
    method: str = "",
    token: str = "",
    **options: Any,
) -> Outcome:
    """Meet the case, once."""
    token, method = token or server.token(), method or case.method
    if not isinstance(session, Session):
        options.setdefault("timeout", _timeout(case))
    if method == "POST":
        options.setdefault("data", b"x" * case.sends)
    outcome = call(session, method, server.url(case.name, token), **options)
    return Outcome(outcome.response, outcome.error, outcome.seconds, lambda: server.hits(token))


def call(session: requests.Session, method: str, url: str, **options: Any) -> Outcome:
    """Make a call, and see what comes of it."""
    began = time.monotonic()
    response: requests.Response | None = None
    error: Exception | None = None
    if not isinstance(session, Session):
        options.setdefault("stream", True)  # or requests leaves a broken answer unclosed
    try:
        response = session.request(method, url, **options)
        response.content  # noqa: B018  (the property reads it)
    except Exception as failure:
        error, broken, response = failure, response, None
        if broken is not None:
            broken.close()
        _forget_frames(failure)
    return Outcome(response, error, time.monotonic() - began)


def _forget_frames(error: BaseException | None) -> None:
    # They hold the pool of a closed session of requests, and its sockets stay open so long.
    while error is not None:
        error.__traceback__ = None
        error = error.__context__


def ask_next(session: requests.Session, server: HostileServer, method: str = "GET") -> Outcome:
    """Ask for something ordinary; an answer must be that to this very question."""
    token = server.token()
    bound = {"deadline": 2 * PATIENCE} if isinstance(session, Session) else {}
    outcome = call(session, method, server.url("echo", token), timeout=PATIENCE, **bound)
    response, error = outcome.response, outcome.error
    if response is not None:
        wanted = f'{{"method": "{method}", "path": "/echo/{token}", '
        if not response.text.startswith(wanted):
            error = SomebodyElsesAnswer(response.text)
            response = None
    return Outcome(response, error, outcome.seconds, lambda: server.hits(token))


def assert_clean(session: Session, *, calls: int, hits: int | None = None) -> None:
    """Nothing is held, nothing is on its way, and the figures add up."""
    figures = session.get_stats()
    connections = figures["connections"]
    assert connections["connections_in_use"] == 0
    assert connections["waiting"] == 0
    assert connections["connections_open"] == connections["connections_idle"]
    assert figures["in_flight_requests"] == 0
    assert figures["total_requests"] == calls
    assert figures["successful_requests"] + figures["failed_requests"] == calls
    assert figures["success_rate"] == figures["successful_requests"] / calls
    if hits is not None:  # a request on a connection that had died already was read by nobody
        attempts = figures["attempts"]
        assert attempts <= hits <= attempts + connections["stale_replaced"]
    assert len(session.engine.flights) == 0
    for name in session.get_circuit_breaker_status():
        assert not session.engine.breakers.of(name)._trials


def assert_as_in_requests(mine: Outcome, theirs: Outcome) -> None:
    """It ended as in requests: the same answer, or an error of the same class or a subclass."""
    if theirs.error is not None:
        assert mine.is_a(type(theirs.error)), (mine, theirs)
        return
    assert mine.response is not None, mine
    assert theirs.response is not None
    assert mine.ending == theirs.ending
    assert len(mine.response.history) == len(theirs.response.history)
    assert mine.response.headers.keys() == theirs.response.headers.keys()
    if "/echo/" not in str(theirs.response.url):  # which tells each caller something else
        assert mine.response.content == theirs.response.content
        assert mine.told == theirs.told


def assert_failed_cleanly(session: Session, mine: Outcome, theirs: Outcome) -> None:
    """A first call ended as in requests, counts as failed with the breaker, and held nothing."""
    assert_as_in_requests(mine, theirs)
    assert mine.seconds < LONGEST
    assert_clean(session, calls=1)
    assert session.get_stats()["connections"]["connections_open"] == 0
    (state,) = session.get_circuit_breaker_status().values()
    assert state["failure_count"] == session.get_stats()["attempts"]
