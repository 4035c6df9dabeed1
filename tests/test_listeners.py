"""Laws of listeners: they hear what happens, in its thread, and cannot break it."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from browseros_api import CircuitOpenError, EnhancedAPIClient, Session, aio
from browseros_api.events import (
    EVENTS,
    AttemptEvent,
    BreakerEvent,
    CacheEvent,
    CallEvent,
    RetryEvent,
)
from browseros_api.testing import ApiServer, FakeClock, Reply

FRESH = {"Cache-Control": "max-age=60"}


@pytest.fixture
def session() -> Iterator[Session]:
    with Session(sleep=lambda _: None) as session:
        yield session


def heard(session: Any, *events: str) -> list[Any]:
    things: list[Any] = []
    for event in events:
        session.on(event, things.append)
    return things


def test_each_event_brings_its_own_kind(session: Session, api_server: ApiServer) -> None:
    api_server.script("/users/7", Reply(503), Reply(json=1))
    things = heard(session, *EVENTS)
    session.get(api_server.url("/users/7"), params={"token": "s3cret"})
    kinds = [type(thing) for thing in things]
    assert kinds == [AttemptEvent, RetryEvent, AttemptEvent, CacheEvent, CallEvent]
    first, retry, second, cache, call = things
    assert (first.number, first.status, second.number, second.status) == (1, 503, 2, 200)
    assert (retry.attempt, retry.status, retry.error) == (1, 503, None)
    assert retry.delay > 0
    assert (cache.outcome, call.status, call.attempts) == ("miss", 200, 2)
    assert {thing.endpoint for thing in things} == {api_server.url("/users/{id}")}
    assert "s3cret" not in repr(things)
    assert call.trace.attempts[0].decision.startswith("again")


def test_hits_are_heard(session: Session, api_server: ApiServer) -> None:
    api_server.route("/x", Reply(json=1, headers=FRESH))
    session.get(api_server.url("/x"))
    things = heard(session, "cache", "call")
    session.get(api_server.url("/x"))
    cache, call = things
    assert (cache.outcome, call.from_cache, call.attempts) == ("hit", True, 0)
    assert call.trace.cache == "hit"


def test_what_fails_is_heard(session: Session) -> None:
    with ApiServer() as server:
        url = server.url("/x")
    things = heard(session, "call", "retry", "attempt")
    with pytest.raises(requests.ConnectionError):
        session.get(url)
    call = things[-1]
    assert (call.status, call.error) == (None, "ConnectionError")
    assert [type(thing) for thing in things[:2]] == [AttemptEvent, RetryEvent]
    assert (things[0].state, things[1].error) == ("never-sent", "ConnectionError")


def test_circuits_are_heard_as_they_turn(api_server: ApiServer, fake_clock: FakeClock) -> None:
    api_server.script("/x", Reply(500), Reply(json=1))
    options: Any = {"failure_threshold": 1, "max_retries": 0, "clock": fake_clock}
    with Session(**options, half_open_max_calls=1) as session:
        session.get(api_server.url("/y"))  # a circuit that is there already is heard as well
        things = heard(session, "breaker", "attempt")
        session.get(api_server.url("/x"))
        with pytest.raises(CircuitOpenError):
            session.post(api_server.url("/x"), data=iter([b"x"]))
        fake_clock.tick(61)
        session.get(api_server.url("/x"))
    turns = [(one.before, one.now, one.error) for one in things if isinstance(one, BreakerEvent)]
    assert turns == [
        ("closed", "open", "HTTPError"),
        ("open", "half_open", "HTTPError"),
        ("half_open", "closed", None),
    ]
    attempts = [one for one in things if isinstance(one, AttemptEvent)]
    assert [one.breaker for one in attempts] == ["closed", "open", "half_open"]


def test_whoever_is_removed_hears_no_more_and_costs_no_more(
    session: Session, api_server: ApiServer
) -> None:
    session.get(api_server.url("/x"))
    first: list[Any] = []
    second: list[Any] = []
    engine = session.engine
    for event in EVENTS:
        remove = session.on(event, first.append)
        remove_other = session.on(event, second.append)
        remove()
        remove()  # a second time changes nothing
        session.get(api_server.url("/x"), use_cache=False)
        remove_other()
    assert first == []
    assert {type(one) for one in second} == {CallEvent, CacheEvent, AttemptEvent}
    listeners = engine.listeners
    assert not any([listeners.hear_calls, listeners.hear_attempts, listeners.hear_retries])
    assert not any(engine.breakers.of(name).listeners for name in engine.breakers.status())


def test_a_callback_that_fails_is_logged_once_and_breaks_nothing(
    session: Session, api_server: ApiServer, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: Any) -> None:
        raise ZeroDivisionError("mine")

    for event in EVENTS:
        session.on(event, fail)
    things = heard(session, "call")
    api_server.script("/x", Reply(503), Reply(json=1))
    with caplog.at_level(logging.ERROR, logger="browseros_api"):
        for _ in range(3):
            assert session.get(api_server.url("/x")).ok
    assert len(things) == 3
    said = [record.getMessage() for record in caplog.records]
    assert sorted(said) == sorted(
        f"a listener of {event!r} failed; said only once"
        for event in ("attempt", "cache", "call", "retry")
    )


def test_a_callback_may_call_the_session_and_listen(
    session: Session, api_server: ApiServer
) -> None:
    seen: list[str] = []

    def again(event: Any) -> None:
        seen.append(event.url)
        if event.url.endswith("/x"):
            session.on("attempt", lambda _: None)
            session.get(api_server.url("/y"))

    for event in ("call", "attempt"):
        session.on(event, again)
    session.get(api_server.url("/x"))
    assert len(seen) == 6
    assert session.get_stats()["total_requests"] == 3


def test_it_is_told_in_the_thread_of_the_call(session: Session, api_server: ApiServer) -> None:
    threads: list[str] = []
    session.on("call", lambda _: threads.append(threading.current_thread().name))
    session.on("attempt", lambda _: threads.append(threading.current_thread().name))
    url = api_server.url("/x")
    thread = threading.Thread(target=session.get, args=(url,), name="mine")
    thread.start()
    thread.join(20)
    assert threads == ["mine", "mine"]


def test_an_event_that_is_none_is_refused(session: Session) -> None:
    with pytest.raises(ValueError, match=r"event must be one of 'call', 'cache', .* not 'calls'"):
        session.on("calls", print)
    with pytest.raises(TypeError, match="callback must be callable, not 3"):
        session.on("call", 3)  # type: ignore[arg-type]


def test_both_clients_listen(api_server: ApiServer) -> None:
    async def main() -> list[Any]:
        async with aio.EnhancedAPIClient(api_server.base_url) as client:
            things = heard(client, "call", "cache")
            await client.get("/users/1")
            await client.get("/users/1")
            return things

    with EnhancedAPIClient(api_server.base_url) as client:
        things = heard(client, "call", "cache")
        client.get("/users/1")
        client.get("/users/1")
    for told in (things, asyncio.run(main())):
        assert [one.outcome for one in told if isinstance(one, CacheEvent)] == ["miss", "hit"]
        assert {one.endpoint for one in told} == {"/users/{id}"}


def test_an_awaited_call_that_is_given_up_is_heard(api_server: ApiServer) -> None:
    landing = threading.Event()
    api_server.route("/x", lambda _: Reply(json=landing.wait(20)))

    async def main() -> list[Any]:
        async with aio.EnhancedAPIClient(api_server.base_url) as client:
            things = heard(client, "call")
            leader = asyncio.create_task(client.get("/x"))
            while not client.session.engine.flights:
                await asyncio.sleep(0.001)
            follower = asyncio.create_task(client.get("/x"))
            while "1 followers" not in repr(client.session.engine.flights):
                await asyncio.sleep(0.001)
            follower.cancel()
            with pytest.raises(asyncio.CancelledError):
                await follower
            landing.set()
            await leader
            return things

    given_up, made = asyncio.run(main())
    assert (given_up.error, given_up.status, given_up.attempts) == ("CancelledError", None, 0)
    assert (made.error, made.status) == (None, 200)


def test_an_endpoint_key_that_fails_names_nothing_and_breaks_nothing(
    api_server: ApiServer,
) -> None:
    def name(method: str, url: str) -> str:
        raise ZeroDivisionError

    with Session(endpoint_key=name, enable_circuit_breaker=False) as session:
        things = heard(session, "call", "attempt")
        assert session.get(api_server.url("/x")).ok
    assert [one.endpoint for one in things] == ["", ""]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
def test_in_a_child_nobody_waits_for_the_lock_of_a_parent(session: Session) -> None:
    listeners = session.engine.listeners
    with listeners._lock:
        session.engine.reset_after_fork()
        session.on("call", print)()
