"""What is made inside of a deadline inherits it, and can only shorten it."""

from __future__ import annotations

import asyncio
import contextvars
import pickle
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from browseros.api import EnhancedAPIClient as AwaitedClient
from browseros_api import DeadlineExceeded, EnhancedAPIClient, Session
from browseros_api.deadlines import Deadline
from browseros_api.errors import clone
from browseros_api.spent import Spent
from browseros_api.testing import ApiServer, FakeClock, Reply
from tests.awaiting import run
from tests.flying import PATIENCE, Caller

URL = "http://a.test/x"


@pytest.fixture
def session(fake_clock: FakeClock) -> Session:
    return Session(clock=fake_clock, sleep=fake_clock.sleep)


def left_of(session: Session, deadline: float | None = None) -> float | None:
    """Seconds that a call made now would have."""
    call = session.plan({"method": "GET", "url": URL}, deadline=deadline)
    return None if call.deadline is None else call.deadline - session.engine.clock()


def test_a_call_inside_has_what_is_left(session: Session, fake_clock: FakeClock) -> None:
    assert left_of(session) is None
    with session.deadline(10) as deadline:
        assert left_of(session) == deadline.remaining() == 10.0
        fake_clock.tick(4.0)
        assert left_of(session) == deadline.remaining() == 6.0
        fake_clock.tick(7.0)
        assert left_of(session) == -1.0
        assert deadline.remaining() == 0.0
    assert left_of(session) is None


def test_it_begins_with_its_block(session: Session, fake_clock: FakeClock) -> None:
    deadline = session.deadline(10)
    fake_clock.tick(100.0)
    with deadline:
        assert left_of(session) == 10.0
    with deadline:
        assert left_of(session) == 10.0


@pytest.mark.parametrize(("own", "left"), [(3.0, 3.0), (30.0, 10.0), (None, 10.0)])
def test_a_calls_own_deadline_can_only_shorten_it(
    own: float | None, left: float, session: Session
) -> None:
    with session.deadline(10):
        assert left_of(session, own) == left


@pytest.mark.parametrize(("setting", "left"), [(3.0, 3.0), (30.0, 10.0)])
def test_so_can_the_sessions(setting: float, left: float, fake_clock: FakeClock) -> None:
    session = Session(clock=fake_clock, deadline=setting)
    with session.deadline(10):
        assert left_of(session) == left


@pytest.mark.parametrize(("inner", "left"), [(3.0, 3.0), (30.0, 10.0)])
def test_nested_ones_can_only_shorten_it(inner: float, left: float, session: Session) -> None:
    with session.deadline(10):
        with session.deadline(inner) as deadline:
            assert left_of(session) == deadline.remaining() == left
        assert left_of(session) == 10.0


def test_another_session_inside_has_no_more_time(session: Session, fake_clock: FakeClock) -> None:
    """Whoever bounds a piece of work means all of it; each clock counts the same seconds."""
    other = Session(clock=FakeClock(start=5.0))
    with session.deadline(10):
        fake_clock.tick(4.0)
        assert left_of(other) == 6.0


def test_an_error_inside_ends_it(session: Session) -> None:
    with pytest.raises(KeyError), session.deadline(10):
        raise KeyError
    assert left_of(session) is None


def test_a_deadline_is_for_one_block_at_a_time(session: Session) -> None:
    deadline = session.deadline(10)
    with pytest.raises(RuntimeError, match="with block"):
        deadline.remaining()
    with deadline, pytest.raises(RuntimeError, match="make another one"):
        deadline.__enter__()
    assert repr(deadline) == "<Deadline [10 s]>"


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), "5", None, True])
def test_what_is_no_time_is_refused_at_once(seconds: Any, session: Session) -> None:
    with pytest.raises((TypeError, ValueError), match=r"^deadline must be "):
        session.deadline(seconds)


# -- threads and tasks ----------------------------------------------------------------------------


def test_threads_inherit_it_with_their_context(session: Session) -> None:
    with session.deadline(10), ThreadPoolExecutor(1) as pool:
        copied = contextvars.copy_context()
        assert pool.submit(copied.run, left_of, session).result(PATIENCE) == 10.0
        assert pool.submit(left_of, session).result(PATIENCE) is None


@pytest.fixture
def slow(api_server: ApiServer) -> ApiServer:
    api_server.route("*", Reply(silent=True))
    return api_server


def late(act: Callable[[], Any]) -> DeadlineExceeded:
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded) as caught:
        act()
    assert time.monotonic() - began < PATIENCE
    return caught.value


def test_every_door_of_the_client_inherits_it(slow: ApiServer) -> None:
    with EnhancedAPIClient(slow.base_url) as client:
        with client.deadline(0.2):
            late(lambda: client.get("/x"))
            late(lambda: client.get("/y"))  # at once
        with client.deadline(0.2):
            late(client.submit("POST", "/x").result)
        with client.deadline(0.2):
            errors = list(client.get_many(["/a", "/b"], on_error="return"))
        assert [type(error) for error in errors] == [DeadlineExceeded] * 2
        with client.deadline(0.2):
            request = requests.Request("GET", slow.url("/x")).prepare()
            late(lambda: client.session.send(request, timeout=60.0))
    assert slow.hits("/y") == 0


def test_the_awaited_client_inherits_it_task_by_task(slow: ApiServer) -> None:
    slow.route("/quick", Reply(json=1))

    async def bounded(client: AwaitedClient) -> None:
        with client.deadline(0.2):
            await client.get("/x")

    async def main() -> list[Any]:
        async with AwaitedClient(slow.base_url) as client:
            tasks = [bounded(client), client.get("/quick", deadline=60.0), bounded(client)]
            first = await asyncio.gather(*tasks, return_exceptions=True)
            async with client.deadline(0.2):
                second = [error async for error in client.get_many(["/a"], on_error="return")]
            return [*first, *second, await client.get("/quick", use_cache=False)]

    *told, last = run(main())
    kinds = [1 if one == 1 else type(one) for one in told]
    assert kinds == [DeadlineExceeded, 1, DeadlineExceeded, DeadlineExceeded]
    assert last == 1


def test_it_survives_a_generator_that_ends_elsewhere(session: Session) -> None:
    def held() -> Iterator[float | None]:
        with session.deadline(10):
            yield left_of(session)

    generator = held()
    assert contextvars.copy_context().run(next, generator) == 10.0
    generator.close()  # in another context than that in which it began
    assert left_of(session) is None


# -- calls inside a call --------------------------------------------------------------------------


def test_what_a_call_asks_for_meanwhile_has_no_longer(api_server: ApiServer) -> None:
    """A token that is fetched by an auth, say, by a session of its own."""
    left: list[float | None] = []
    clock = FakeClock()
    with Session(clock=clock) as session, Session(clock=clock) as other:

        class Token(requests.auth.AuthBase):
            def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
                left.extend([left_of(other), left_of(session, 1000.0), left_of(session, 1.0)])
                return request

        assert session.get(api_server.url("/x"), auth=Token(), deadline=100.0).ok
        assert session.get(api_server.url("/x"), auth=Token()).ok
    assert left == [100.0, 100.0, 1.0, None, 1000.0, 1.0]


def test_a_call_whose_time_is_over_sends_nothing(api_server: ApiServer) -> None:
    clock = FakeClock()
    with Session(clock=clock) as session, session.deadline(5):
        clock.tick(6.0)
        error = late(lambda: session.post(api_server.url("/x")))
    assert error.__dict__["request_state"] == "never-sent"
    assert "deadline passed in attempt 1" in str(error)
    assert api_server.hits() == 0


def test_what_is_kept_costs_no_time(api_server: ApiServer) -> None:
    clock = FakeClock()
    with EnhancedAPIClient(api_server.base_url, clock=clock) as client:
        client.get("/x")
        with client.deadline(5):
            clock.tick(6.0)
            assert client.get("/x")["path"] == "/x"
            late(lambda: client.get("/y"))


# -- where the time went --------------------------------------------------------------------------


def test_time_is_spent_in_one_phase_at_a_time(fake_clock: FakeClock) -> None:
    spent = Spent(fake_clock)
    fake_clock.tick(1.0)
    spent.turn("queue")
    fake_clock.tick(2.0)
    spent.turn("server")
    fake_clock.tick(4.0)
    spent.turn("queue")
    assert spent.read() == {"server": 4.0, "queue": 2.0, "rest": 1.0}
    fake_clock.tick(0.5)
    assert list(spent.read()) == ["server", "queue", "rest"]
    assert spent.read()["queue"] == 2.5
    assert Spent.told(spent.read()) == "server 4 s, queue 2.5 s, rest 1 s"
    assert Spent.told({"body": 0.01, "tls": 0.0009}) == "body 0.01 s"
    assert Spent.told({"server": 10.0, "body": 0.2, "connect": 0.09}) == "server 10 s, body 0.2 s"


def test_an_error_tells_it_to_whoever_gets_it(api_server: ApiServer) -> None:
    clock = FakeClock()
    api_server.route("/x", Reply(503))

    def answered(*_: Any, **__: Any) -> None:
        clock.tick(4.5)

    with Session(clock=clock, sleep=clock.sleep, random=lambda: 0.5, on_retry=answered) as session:
        error = late(lambda: session.get(api_server.url("/x"), deadline=5.0))
    assert error.spent == {"rest": 4.5, "sleep": 1.0}
    assert str(error).endswith("deadline passed in attempt 2 (rest 4.5 s, sleep 1 s)")
    for copy in (clone(error), pickle.loads(pickle.dumps(error))):
        assert (copy.spent, copy.attempts) == (error.spent, error.attempts)


def test_an_error_that_somebody_else_makes_has_spent_nothing() -> None:
    error = DeadlineExceeded("late")
    assert (error.spent, error.attempts, str(error)) == ({}, 0, "late")


def test_no_deadline_is_left_behind(api_server: ApiServer) -> None:
    with Session() as session:
        assert session.get(api_server.url("/x"), deadline=20.0).ok
        assert left_of(session) is None
        caller = Caller(left_of, session)
        assert caller.value is None
    assert isinstance(session.deadline(1), Deadline)
    assert threading.current_thread() is threading.main_thread()
