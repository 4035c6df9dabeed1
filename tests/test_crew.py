"""A job that waits for a thread does not wait beyond its deadline."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future
from concurrent.futures import wait as wait_for
from contextvars import ContextVar
from typing import Any

import pytest

from browseros_api import ClientClosed, DeadlineExceeded, EnhancedAPIClient
from browseros_api.crew import Crew
from browseros_api.testing import ApiServer, Reply, wait_until
from tests.flying import PATIENCE

FAR = 1000.0  # seconds


class Busy:
    """A crew of one thread, which is busy until it is told to go on."""

    def __init__(self) -> None:
        self.crew = Crew(1)
        self.go_on = threading.Event()
        begun = threading.Event()
        self.first: Future[Any] = self.crew.submit(lambda: (begun.set(), self.go_on.wait(PATIENCE)))
        assert begun.wait(PATIENCE)


@pytest.fixture
def busy() -> Iterator[Busy]:
    busy = Busy()
    yield busy
    busy.go_on.set()
    busy.crew.dismiss()


def test_a_job_is_done_when_its_turn_comes(busy: Busy) -> None:
    done: list[str] = []
    future = busy.crew.submit_within(FAR, lambda: done.append(threading.current_thread().name))
    assert not future.running()
    assert not future.done()
    busy.go_on.set()
    assert future.result(PATIENCE) is None
    assert len(done) == 1
    assert "spare" not in done[0]


def test_a_job_is_begun_in_time_on_a_spare_thread_and_only_once(busy: Busy) -> None:
    done: list[str] = []
    future = busy.crew.submit_within(0.02, lambda: done.append(threading.current_thread().name))
    assert future.result(PATIENCE) is None
    assert not busy.first.done()
    busy.go_on.set()
    assert busy.crew.submit(lambda: "after it").result(PATIENCE) == "after it"
    assert len(done) == 1
    assert "spare" in done[0]


def test_many_that_are_late_at_once_need_one_spare_thread(busy: Busy) -> None:
    names = [
        busy.crew.submit_within(0.0, lambda: threading.current_thread().name) for _ in range(50)
    ]
    assert len({name.result(PATIENCE) for name in names}) == 1


def test_what_a_job_raises_is_in_its_future(busy: Busy) -> None:
    def fail() -> None:
        raise KeyError("x")

    future = busy.crew.submit_within(0.0, fail)
    error = future.exception(PATIENCE)
    assert isinstance(error, KeyError)
    watched = weakref.ref(future)
    gc.disable()
    try:
        del future, error
        busy.go_on.set()  # its place in the line is given up when its turn has come
        wait_until(lambda: watched() is None, message="an error is held by its own frames")
    finally:
        gc.enable()


def test_it_sees_the_context_of_its_caller(busy: Busy) -> None:
    user: ContextVar[str] = ContextVar("user")
    user.set("ada")
    assert busy.crew.submit_within(0.0, user.get).result(PATIENCE) == "ada"


def test_a_job_that_was_cancelled_is_never_done(busy: Busy) -> None:
    done: list[int] = []
    future = busy.crew.submit_within(FAR, lambda: done.append(1))
    assert future.cancel()
    busy.go_on.set()
    assert busy.crew.submit(lambda: 2).result(PATIENCE) == 2
    with pytest.raises(CancelledError):
        future.result(PATIENCE)
    assert done == []


def test_a_dismissed_crew_cancels_what_waits(busy: Busy) -> None:
    futures = [busy.crew.submit_within(FAR, lambda: 1) for _ in range(3)]
    busy.crew.dismiss()
    assert len(wait_for(futures, PATIENCE).done) == 3
    assert all(future.cancelled() for future in futures)
    with pytest.raises(ClientClosed):
        busy.crew.submit_within(FAR, lambda: 1)
    busy.crew._take_now(None)  # type: ignore[arg-type]  # an appointment that came too late


def test_a_submitted_call_is_late_while_every_thread_is_busy(api_server: ApiServer) -> None:
    gate = threading.Event()
    api_server.route("/held", Reply(json=1, hold=gate))
    with EnhancedAPIClient(api_server.base_url, max_connections=1) as client:
        first = client.submit("GET", "/held")
        wait_until(lambda: api_server.hits("/held") == 1)
        late = client.submit("POST", "/x", deadline=0.1)
        error = late.exception(PATIENCE)
        assert isinstance(error, DeadlineExceeded)
        assert error.spent["queue"] > 0.09
        assert error.__dict__["request_state"] == "never-sent"
        assert not first.done()
        assert client.get_stats()["failed_requests"] == 1
        gate.set()
        assert first.result(PATIENCE) == 1
        assert client.submit("GET", "/y", deadline=60.0).result(PATIENCE)["path"] == "/y"
    assert api_server.hits("/x") == 0
