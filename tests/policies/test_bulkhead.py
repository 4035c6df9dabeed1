"""Laws of bulkheads, on real servers: so many at once, and every permit comes back."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from browseros_api import (
    AdaptiveLimit,
    Bulkhead,
    BulkheadFull,
    ClientClosed,
    DeadlineExceeded,
    EnhancedAPIClient,
    Session,
)
from browseros_api.testing import ApiServer, Received, Reply, wait_until
from tests.flying import Caller


class Gate:
    """A handler that answers when it is opened."""

    def __init__(self) -> None:
        self.opened = threading.Event()

    def __call__(self, request: Received) -> Reply:
        assert self.opened.wait(20)
        return Reply(json=request.path)


@pytest.fixture
def gate(api_server: ApiServer) -> Iterator[Gate]:
    gate = Gate()
    api_server.route("/slow/*", gate)
    yield gate
    gate.opened.set()


Made = Callable[..., Session]


@pytest.fixture
def made() -> Iterator[Made]:
    sessions: list[Session] = []

    def make(bulkhead: Any, **settings: Any) -> Session:
        given = {"enable_cache": False, "enable_deduplication": False, "max_retries": 0, **settings}
        sessions.append(Session(bulkhead=bulkhead, **given))
        return sessions[-1]

    yield make
    for session in sessions:
        session.close()


def in_use(session: Session) -> int:
    bulkheads: Any = session.engine.limits.bulkheads
    return sum(slots.in_use for _, slots in bulkheads._slots.items())


def test_no_more_are_under_way_at_once_and_all_get_there(
    api_server: ApiServer, gate: Gate, made: Made
) -> None:
    session = made(3)
    callers = [Caller(session.get, api_server.url(f"/slow/{n}")) for n in range(10)]
    wait_until(lambda: api_server.active_requests == 3)
    bulkheads: Any = session.engine.limits.bulkheads
    ((_, slots),) = bulkheads._slots.items()
    wait_until(lambda: len(slots.line) == 7)
    gate.opened.set()
    assert all(caller.value.ok for caller in callers)
    assert (api_server.peak_requests, in_use(session)) == (3, 0)
    assert session.get_stats()["limits"]["bulkhead_waits"] == 7


def test_endpoints_do_not_wait_for_each_other(
    api_server: ApiServer, gate: Gate, made: Made
) -> None:
    session = made(1)
    slow = Caller(session.get, api_server.url("/slow/1"))
    wait_until(lambda: api_server.active_requests == 1)
    assert session.get(api_server.url("/other")).ok
    gate.opened.set()
    assert slow.value.ok


def test_without_waiting_it_is_refused_and_nothing_is_sent(
    api_server: ApiServer, gate: Gate, made: Made
) -> None:
    session = made(Bulkhead(1, wait=False), max_retries=3, failure_threshold=1)
    slow = Caller(session.get, api_server.url("/slow/1"))
    wait_until(lambda: api_server.active_requests == 1)
    with pytest.raises(BulkheadFull) as caught:
        session.post(api_server.url("/slow/2?token=hunter2"))
    error: Any = caught.value
    assert error.place == f"{api_server.base_url}/slow/{{id}}"
    assert (error.retry_after, error.request_state) == (None, "never-sent")
    assert "hunter2" not in f"{error} {error!r}"
    assert str(error) == f"1 requests to {error.place} are under way, as many as may be at once"
    gate.opened.set()
    assert slow.value.ok
    assert session.get(api_server.url("/slow/3")).ok
    assert (api_server.hits(), session.get_stats()["limits"]["bulkhead_refusals"]) == (2, 1)


@pytest.mark.parametrize(
    ("bulkhead", "settings", "call"),
    [
        (Bulkhead(1, wait=0.05), {}, {}),
        (1, {"pool_timeout": 0.05}, {}),
        (1, {"pool_timeout": 0.05}, {"deadline": 20.0}),
    ],
    ids=["terms", "pool_timeout", "before the deadline"],
)
def test_a_wait_ends_in_time(
    api_server: ApiServer, gate: Gate, made: Made, bulkhead: Any, settings: Any, call: Any
) -> None:
    session = made(bulkhead, **settings)
    slow = Caller(session.get, api_server.url("/slow/1"))
    wait_until(lambda: api_server.active_requests == 1)
    with pytest.raises(BulkheadFull):
        session.get(api_server.url("/slow/2"), **call)
    gate.opened.set()
    assert slow.value.ok
    figures = session.get_stats()["limits"]
    assert (figures["bulkhead_waits"], figures["bulkhead_refusals"]) == (1, 1)
    assert in_use(session) == 0


@pytest.mark.parametrize(
    ("bulkhead", "adaptive"), [(1, False), (None, AdaptiveLimit(initial=1))], ids=["", "adaptive"]
)
def test_a_deadline_that_passes_in_the_line_tells_so(
    api_server: ApiServer, gate: Gate, made: Made, bulkhead: Any, adaptive: Any
) -> None:
    session = made(bulkhead, adaptive_limit=adaptive)
    slow = Caller(session.get, api_server.url("/slow/1"))
    wait_until(lambda: api_server.active_requests == 1)
    with pytest.raises(DeadlineExceeded, match=r"in attempt 1, waiting in line \(queue ") as told:
        session.get(api_server.url("/slow/2"), deadline=0.2)
    assert next(iter(told.value.spent)) == "queue"
    assert told.value.__dict__["request_state"] == "never-sent"
    gate.opened.set()
    assert slow.value.ok
    assert api_server.hits() == 1


@pytest.mark.parametrize(
    "reply",
    [Reply(200), Reply(503), Reply(302, headers={"Location": "/"})],
    ids=["200", "503", "302"],
)
def test_a_permit_comes_back_whatever_the_answer(
    api_server: ApiServer, made: Made, reply: Reply
) -> None:
    api_server.route("/x", reply)
    session = made(1, max_retries=2, retry_base_delay=0, enable_circuit_breaker=False)
    for _ in range(3):
        session.get(api_server.url("/x"))
        assert in_use(session) == 0


def test_a_permit_comes_back_whatever_goes_wrong(made: Made) -> None:
    session = made(1)
    for url in ("http://127.0.0.1:1/", "http://127.0.0.1:0/"):
        with pytest.raises(requests.RequestException):
            session.get(url)
        assert in_use(session) == 0


def test_a_permit_comes_back_when_an_interrupt_ends_the_call(
    api_server: ApiServer, made: Made
) -> None:
    session = made(1)

    class Interrupted(requests.adapters.HTTPAdapter):
        def send(self, *_: Any, **__: Any) -> requests.Response:
            raise KeyboardInterrupt

    session.mount(api_server.base_url, Interrupted())
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            session.get(api_server.url("/x"))
        assert in_use(session) == 0


def test_a_stream_has_gone_through_when_its_head_is_there(
    api_server: ApiServer, made: Made
) -> None:
    session = made(Bulkhead(1, wait=False))
    with session.get(api_server.url("/bytes/100000"), stream=True) as first:
        assert in_use(session) == 0
        with session.get(api_server.url("/bytes/100000"), stream=True) as second:
            assert len(first.content) == len(second.content) == 100_000


def test_closing_wakes_those_who_wait(api_server: ApiServer, gate: Gate) -> None:
    client = EnhancedAPIClient(
        api_server.base_url, bulkhead=1, enable_deduplication=False, enable_cache=False
    )
    slow = Caller(client.get, "/slow/1")
    wait_until(lambda: api_server.active_requests == 1)
    waiting = Caller(client.get, "/slow/2")
    bulkheads: Any = client.session.engine.limits.bulkheads
    ((_, slots),) = bulkheads._slots.items()
    wait_until(lambda: len(slots.line) == 1)
    client.close()
    assert isinstance(waiting.error, ClientClosed)
    gate.opened.set()
    slow.join(20)
    assert slots.in_use == 0


def test_an_endpoint_that_is_busy_is_never_forgotten(
    api_server: ApiServer, gate: Gate, made: Made
) -> None:
    session = made(1)
    slow = Caller(session.get, api_server.url("/slow/1"))
    wait_until(lambda: api_server.active_requests == 1)
    bulkheads: Any = session.engine.limits.bulkheads
    ((name, slots),) = bulkheads._slots.items()
    for number in range(3000):
        bulkheads._slots.of(str(number))
    assert len(bulkheads._slots.items()) == 1024
    assert bulkheads._slots.of(name) is slots
    gate.opened.set()
    assert slow.value.ok


def test_a_session_that_is_dropped_leaves_nothing(api_server: ApiServer, made: Made) -> None:
    session = Session(bulkhead=1, adaptive_limit=True, heed_limits=True, rate_limit="9/second")
    session.get(api_server.url("/x"))
    hall: Any = session.engine.limits._hall
    assert len(hall._lines) == 4
    session.close()
    del session
    gc.collect()
    assert len(hall._lines) == 0


@pytest.mark.parametrize("terms", [{"at_once": 0}, {"at_once": 1.5}, {"at_once": 1, "wait": -1}])
def test_terms_that_make_no_sense_are_refused(terms: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=r"^(at_once|wait) must be "):
        Bulkhead(**terms)
