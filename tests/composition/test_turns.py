"""Laws of sessions on one store that ask for the same at once: each could be a process."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
import requests

from browseros_api import DeadlineExceeded, Session
from browseros_api.testing import ApiServer, FakeClock, Reply, wait_until
from tests.composition.conftest import Made
from tests.flying import PATIENCE, Caller, Panic
from tests.redis_server import started

FRESH = {"Cache-Control": "max-age=600"}
NEVER = {"Cache-Control": "no-store"}


class Gate:
    """An origin whose first answer is held back, and sessions that are seen to wait."""

    def __init__(self, server: ApiServer, made: Made, *replies: Reply, **options: Any) -> None:
        self.server, self._made, self._options = server, made, options
        self.sessions: list[Session] = []
        self.hold = threading.Event()
        first, *rest = replies or (Reply(json={"n": 1}, headers=FRESH),)
        held = Reply(first.status, headers=first.headers, body=b"{}", hold=self.hold)
        server.script("/x", held, *(rest or [first]))
        self.url = server.url("/x")

    def session(self, waits: threading.Event | None = None, **options: Any) -> Session:
        def paused(seconds: float) -> None:
            if waits is not None:
                waits.set()
            time.sleep(seconds)

        options = {"sleep": paused, "max_retries": 0, **self._options, **options}
        self.sessions.append(self._made(**options))
        return self.sessions[-1]

    def leader(self, session: Session | None = None, **arguments: Any) -> Caller[Any]:
        """Somebody whose request has come to the origin."""
        caller = Caller((session or self.session()).get, self.url, **arguments)
        wait_until(lambda: self.hits == 1, timeout=PATIENCE)
        return caller

    def waiter(self, **arguments: Any) -> Caller[Any]:
        """Somebody who waits for the leader."""
        waits = threading.Event()
        caller = Caller(self.session(waits).get, self.url, **arguments)
        assert waits.wait(PATIENCE), "it does not wait"
        return caller

    @property
    def hits(self) -> int:
        return self.server.hits("/x")


def test_of_many_sessions_one_asks(made: Made, api_server: ApiServer) -> None:
    gate = Gate(api_server, made)
    leader, waiters = gate.leader(), [gate.waiter() for _ in range(6)]
    assert gate.hits == 1
    gate.hold.set()
    assert leader.value.from_cache is False
    assert [waiter.value.from_cache for waiter in waiters] == [True] * 6
    assert {waiter.value.content for waiter in waiters} == {leader.value.content}
    assert gate.hits == 1
    assert [session.get_stats()["shared_responses"] for session in gate.sessions] == [0] + [1] * 6


def test_what_is_not_kept_is_asked_for_by_each_and_nobody_waits_again(
    made: Made, api_server: ApiServer
) -> None:
    held = threading.Event()
    gate = Gate(
        api_server, made, *(Reply(headers=NEVER),) * 2, Reply(headers=NEVER, hold=held),
        Reply(json=4, headers=NEVER),
    )  # fmt: skip
    leader, waiter = gate.leader(), gate.waiter()
    gate.hold.set()
    assert (leader.value.from_cache, waiter.value.from_cache) == (False, False)
    slow = Caller(gate.session().get, gate.url)
    wait_until(lambda: gate.hits == 3, timeout=PATIENCE)
    assert gate.session().get(gate.url).json() == 4, "it was in vain before"
    held.set()
    assert slow.value.ok


@pytest.mark.parametrize("ending", ["status", "connection"])
def test_when_the_leader_fails_the_others_ask_for_themselves(
    ending: str, made: Made, api_server: ApiServer
) -> None:
    gate = Gate(api_server, made, Reply(503), Reply(json={"n": 2}, headers=FRESH))
    if ending == "connection":
        reset = Reply(reset="before", hold=gate.hold)
        api_server.script("/x", reset, Reply(json={"n": 2}, headers=FRESH))
    leader, waiters = gate.leader(), [gate.waiter(), gate.waiter()]
    gate.hold.set()
    if ending == "status":
        assert leader.value.status_code == 503
    else:
        assert isinstance(leader.error, requests.ConnectionError)
    assert [waiter.value.json() for waiter in waiters] == [{"n": 2}] * 2


def test_a_leader_that_was_interrupted_hands_over_to_one(made: Made, api_server: ApiServer) -> None:
    gate = Gate(api_server, made)
    api_server.script("/x", Reply(503), Reply(json={"n": 1}, headers=FRESH))

    def interrupted(_: float) -> None:
        assert gate.hold.wait(PATIENCE)
        raise Panic

    leader = gate.leader(gate.session(max_retries=1, sleep=interrupted))
    waiters = [gate.waiter(), gate.waiter()]
    gate.hold.set()
    assert isinstance(leader.error, Panic)
    assert sorted(waiter.value.from_cache for waiter in waiters) == [False, True]
    assert gate.hits == 2


def test_who_waits_obeys_a_deadline(made: Made, api_server: ApiServer) -> None:
    gate = Gate(api_server, made)
    leader, waiter = gate.leader(), gate.waiter(deadline=2.0)
    error = waiter.error
    assert isinstance(error, DeadlineExceeded)
    assert "waiting for another process" in str(error)
    assert error.spent["following"] > 0
    gate.hold.set()
    assert leader.value.ok
    assert gate.hits == 1


def test_a_leader_whose_time_is_over_hands_over_at_once(made: Made, api_server: ApiServer) -> None:
    gate = Gate(api_server, made)
    session = gate.session()
    turns: Any = session.engine.turns
    turns._lease = 600.0  # nobody waits for its end
    leader = gate.leader(session, deadline=1.0)
    waiter = gate.waiter()
    assert isinstance(leader.error, DeadlineExceeded)
    assert waiter.value.ok
    assert gate.hits == 2
    gate.hold.set()


def test_who_has_waited_for_as_long_as_for_the_origin_asks(
    made: Made, api_server: ApiServer
) -> None:
    gate = Gate(api_server, made)
    leader, waiter = gate.leader(timeout=30), gate.waiter(timeout=2.0)
    assert waiter.value.from_cache is False
    assert gate.hits == 2
    gate.hold.set()
    assert leader.value.ok


def test_who_may_not_have_the_answer_waits_for_nobody(made: Made, api_server: ApiServer) -> None:
    gate = Gate(api_server, made, Reply(headers=FRESH), Reply(headers=NEVER))
    leader, others = gate.leader(), gate.session()
    alone: list[dict[str, Any]] = [
        {"headers": {"Authorization": "Bearer somebody-else"}},
        {"headers": {"Accept-Language": "de"}},
        {"headers": {"Cache-Control": "no-cache"}},
        {"headers": {"Range": "bytes=0-0"}},
        {"use_cache": False},
        {"stream": True},
    ]
    for arguments in alone:
        assert others.get(gate.url, **arguments).ok
    assert others.head(gate.url).ok
    assert others.post(gate.url).ok
    assert gate.hits == 1 + len(alone) + 2
    gate.hold.set()
    assert leader.value.ok


def test_nobody_waits_for_himself(made: Made, api_server: ApiServer) -> None:
    api_server.script("/x", Reply(503), Reply(json={}, headers=FRESH))
    url, other = api_server.url("/x"), made()

    def asking(_: float) -> None:
        assert other.get(url).ok

    assert made(sleep=asking).get(url, timeout=PATIENCE).ok
    assert api_server.hits("/x") == 3


def test_a_stale_answer_is_renewed_once_for_all(made: Made, api_server: ApiServer) -> None:
    clock = FakeClock()
    swift = {"Cache-Control": "max-age=10, stale-while-revalidate=600"}
    hold = threading.Event()
    api_server.script(
        "/x", Reply(json=1, headers=swift), Reply(json=2, headers=swift, hold=hold), Reply(json=3)
    )
    url, waiting = api_server.url("/x"), set()

    def paused(seconds: float) -> None:
        waiting.add(threading.get_ident())
        time.sleep(seconds)

    sessions = [made(clock=clock, sleep=paused) for _ in range(3)]
    assert [session.get(url).json() for session in sessions] == [1] * 3
    clock.tick(20.0)
    assert [session.get(url).json() for session in sessions] == [1] * 3
    wait_until(lambda: api_server.hits("/x") == 2, timeout=PATIENCE)
    wait_until(lambda: len(waiting) == 2, timeout=PATIENCE)
    hold.set()
    wait_until(lambda: sum(s.engine.turns.shared for s in sessions) == 2, timeout=PATIENCE)
    clock.tick(2.0)  # what is in front of a server is older than that
    assert [session.get(url).json() for session in sessions] == [2] * 3
    assert api_server.hits("/x") == 2


def test_when_the_store_dies_whoever_waits_asks(tmp_path: Path, api_server: ApiServer) -> None:
    with started(tmp_path) as redis:
        sessions: list[Session] = []

        def made(**options: Any) -> Session:
            sessions.append(Session(store=redis.url, store_timeout=10.0, **options))
            return sessions[-1]

        gate = Gate(api_server, made)
        leader, waiter = gate.leader(), gate.waiter()
        redis.kill()
        assert waiter.value.ok
        assert gate.hits == 2
        gate.hold.set()
        assert leader.value.ok
        for session in sessions:
            session.close()


def test_what_is_off_is_not_in_the_sentence(made: Made) -> None:
    for session, is_on in (
        (made(), True),
        (made(enable_deduplication=False), False),
        (made(enable_cache=False), False),
        (Session(), False),
    ):
        engine = session.engine
        assert (engine.turns.take in engine.call_steps()) is is_on
