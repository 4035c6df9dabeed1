"""Sessions do not wait, and think that they have."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from browseros_api import ClientClosed, EnhancedAPIClient, Session
from browseros_api.testing import ApiServer, FakeClock, Reply, Sleeps, no_sleep


def test_no_session_waits_whenever_it_was_made(api_server: ApiServer) -> None:
    api_server.route("/down", Reply(503))
    with Session(random=lambda: 0.5) as before, no_sleep() as sleeps:
        with EnhancedAPIClient(api_server.base_url, random=lambda: 0.5) as inside:
            with pytest.raises(requests.HTTPError):
                inside.get("/down")
            assert sleeps.slept == [1.0, 2.0, 4.0]
        assert before.get(api_server.url("/down")).status_code == 503
        assert sleeps.slept == [1.0, 2.0, 4.0] * 2
    assert api_server.hits("/down") == 8


def test_the_time_has_passed_for_them(api_server: ApiServer, no_sleep: Sleeps) -> None:
    api_server.route("/down", Reply(503))
    with Session(random=lambda: 0.5, max_retries=9) as session:
        answer = session.get(api_server.url("/down"), deadline=10.0)  # 1, 2, 4, and 8 is too much
        assert answer.status_code == 503
        assert no_sleep.slept == [1.0, 2.0, 4.0]


def test_a_circuit_recovers_while_others_sleep(api_server: ApiServer, no_sleep: Sleeps) -> None:
    api_server.script("/x", Reply(503), Reply(json=1))
    api_server.script("/y", Reply(503), Reply(json=1))
    with Session(failure_threshold=1, recovery_timeout=60, retry_max_delay=90) as session:
        assert session.get(api_server.url("/x")).status_code == 503
        with pytest.raises(requests.ConnectionError, match="circuit"):
            session.get(api_server.url("/x"))
        with Session(retry_base_delay=80, retry_max_delay=90, random=lambda: 0.5) as other:
            assert other.get(api_server.url("/y")).ok
        assert no_sleep.slept == [80.0]
        assert session.get(api_server.url("/x")).ok


def test_who_has_a_clock_or_a_sleep_of_its_own_goes_by_these(
    api_server: ApiServer, fake_clock: FakeClock, no_sleep: Sleeps
) -> None:
    api_server.script("/x", Reply(503), Reply(json=1))
    with Session(clock=fake_clock, sleep=fake_clock.sleep, random=lambda: 0.5) as session:
        assert session.get(api_server.url("/x")).ok
    assert fake_clock.slept == [1.0]
    assert no_sleep.slept == []


def test_a_rate_is_kept_to_and_not_waited_for(api_server: ApiServer, no_sleep: Sleeps) -> None:
    pytest.importorskip("limits")
    with Session(rate_limit="2/minute") as session:
        for n in range(5):
            assert session.get(api_server.url("/x"), params={"n": n}).ok
    assert 60 < sum(no_sleep.slept) <= 120


def test_what_a_server_announces_is_kept_to_and_not_waited_for(
    api_server: ApiServer, no_sleep: Sleeps
) -> None:
    told = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "30"}
    api_server.script("/x", Reply(json=1, headers=told), Reply(json=2))
    with Session(heed_limits=True) as session:
        assert session.get(api_server.url("/x?n=1")).json() == 1
        assert session.get(api_server.url("/x?n=2")).json() == 2
    (slept,) = no_sleep.slept
    assert 29 < slept <= 30


def test_a_clock_of_ones_own_does_not_stand_still_for_a_rate(
    api_server: ApiServer, no_sleep: Sleeps
) -> None:
    pytest.importorskip("limits")
    with Session(rate_limit="1/second", clock=time.monotonic) as session:
        for n in range(2):
            assert session.get(api_server.url("/x"), params={"n": n}).ok
    assert no_sleep.slept == []


def test_they_nest_and_end() -> None:
    with no_sleep() as outer:
        with no_sleep() as inner:
            inner(1.0)
        assert repr(inner) == "<Sleeps [1.0]>"
        assert outer.slept == []


def test_afterwards_sessions_wait_again_and_time_goes_on(api_server: ApiServer) -> None:
    api_server.script("/x", Reply(503), Reply(json=1))
    waits = threading.Event()
    with Session(retry_base_delay=3600, retry_max_delay=3600) as session:
        before = session.engine.clock()
        with no_sleep():
            assert session.get(api_server.url("/x")).ok
        assert session.engine.clock() - before > 3000
    api_server.script("/y", Reply(503), Reply(json=1))
    client = EnhancedAPIClient(
        api_server.base_url, retry_base_delay=3600, retry_max_delay=3600,
        on_retry=lambda *_: waits.set(),
    )  # fmt: skip
    with ThreadPoolExecutor(1) as thread:
        call = thread.submit(client.get, "/y")
        assert waits.wait(10)
        client.close()
        with pytest.raises(ClientClosed):
            call.result(10)


def test_a_closed_client_does_not_go_on_without_sleep(
    api_server: ApiServer, no_sleep: Sleeps
) -> None:
    api_server.route("/x", Reply(503))
    client = EnhancedAPIClient(api_server.base_url, on_retry=lambda *_: client.close())
    with pytest.raises(ClientClosed):
        client.get("/x")
    assert len(no_sleep.slept) == 1
