"""Idle connections are used again while they are young, and go by themselves."""

from __future__ import annotations

import gc
import time
import weakref
from typing import Any

import pytest
import requests

from browseros_api.settings import Settings
from browseros_api.testing import ApiServer, FakeClock, Reply, wait_until
from browseros_api.transport import PoolingAdapter


def test_a_connection_is_used_again(api_server: ApiServer, client: Any) -> None:
    for _ in range(10):
        assert client.get(api_server.url("/x"), timeout=20).ok
    assert api_server.connections == 1
    assert client.now["connections_opened"] == client.now["connections_idle"] == 1


def test_the_server_sees_idle_connections_go_while_nobody_calls(
    api_server: ApiServer, open_client: Any
) -> None:
    client = open_client(keepalive_timeout=0.1)
    with client.get(api_server.url("/x"), stream=True, timeout=20):
        client.get(api_server.url("/x"), timeout=20)
    client.get(api_server.url("/x"), timeout=20)
    assert api_server.connections == 2
    wait_until(lambda: api_server.open_connections == 0)
    wait_until(lambda: client.now["connections_idle"] == client.now["connections_open"] == 0)
    assert client.get(api_server.url("/x"), timeout=20).ok
    wait_until(lambda: api_server.open_connections == 0)


def test_a_connection_in_use_does_not_go(api_server: ApiServer, open_client: Any) -> None:
    client = open_client(keepalive_timeout=0.05)
    api_server.route("/x", Reply(delay=0.3))
    client.get(api_server.url("/y"), timeout=20)
    assert client.get(api_server.url("/x"), timeout=20).ok


def test_one_that_is_too_old_is_not_used(
    api_server: ApiServer, open_client: Any, fake_clock: FakeClock
) -> None:
    client = open_client(keepalive_timeout=30.0, clock=fake_clock)
    client.get(api_server.url("/x"), timeout=20)
    fake_clock.tick(29.9)
    client.get(api_server.url("/x"), timeout=20)
    assert api_server.connections == 1
    fake_clock.tick(30.0)
    client.post(api_server.url("/x"), timeout=20)
    assert api_server.connections == 2
    wait_until(lambda: api_server.open_connections == 1)


def test_only_those_go_whose_time_is_over(
    api_server: ApiServer, open_client: Any, fake_clock: FakeClock, names: Any
) -> None:
    client = open_client(keepalive_timeout=30.0, clock=fake_clock)
    idle = client.adapter._fleet.idle
    for host in ("a", "b"):
        names.lead(host, api_server)
        client.get(f"http://{host}:{api_server.port}/x", timeout=20)
        fake_clock.tick(20.0)
    idle.reap()
    assert client.now["connections_idle"] == 1
    wait_until(lambda: api_server.open_connections == 1)
    fake_clock.tick(10.0)
    idle.reap()
    assert client.now["connections_idle"] == 0


def test_nobody_is_closed_in_somebodys_hands(
    api_server: ApiServer, open_client: Any, crew: Any
) -> None:
    client = open_client(keepalive_timeout=0.001, max_connections=6)
    idle = client.adapter._fleet.idle
    done: list[int] = []

    def work(number: int) -> None:
        for _ in range(60):
            assert client.post(api_server.url("/x"), data=b"1", timeout=20).ok
        done.append(number)

    def reap() -> None:
        while len(done) < 12:
            idle.reap()
            time.sleep(0.0005)

    for number in range(12):
        crew.start(work, number)
    crew.start(reap)
    crew.join()
    assert api_server.hits() == 720
    assert api_server.peak_connections <= 6
    wait_until(lambda: client.now["connections_open"] == 0)


def test_no_more_are_kept_than_asked_for(api_server: ApiServer, open_client: Any) -> None:
    client = open_client()
    adapter = PoolingAdapter(Settings(), pool_maxsize=1)
    client.mount("http://", adapter)
    with client.get(api_server.url("/x"), stream=True, timeout=20) as first:
        client.get(api_server.url("/x"), timeout=20)
        assert first.content
    assert adapter.statistics()["connections_idle"] == 1
    assert adapter.statistics()["connections_open"] == 1
    adapter.close()


def test_an_adapter_that_is_dropped_goes_at_once_with_its_connections(
    api_server: ApiServer,
) -> None:
    gc.collect()
    gc.disable()
    try:
        adapter = PoolingAdapter()
        session = requests.Session()
        session.mount("http://", adapter)
        assert session.get(api_server.url("/x"), timeout=20).ok
        gone, fleet = weakref.ref(adapter), weakref.ref(adapter._fleet)
        del adapter, session
        wait_until(lambda: api_server.open_connections == 0)
        assert gone() is None
        assert fleet() is None
    finally:
        gc.enable()


def test_a_closed_adapter_has_no_connections_and_can_be_used_again(
    api_server: ApiServer, client: Any
) -> None:
    for _ in range(3):
        assert client.get(api_server.url("/x"), timeout=20).ok
        client.close()
        assert client.now["connections_idle"] == client.now["connections_open"] == 0
        wait_until(lambda: api_server.open_connections == 0)


def test_closing_does_not_disturb_a_call(api_server: ApiServer, client: Any, crew: Any) -> None:
    api_server.route("/x", Reply(delay=0.1, body=b"fine"))
    crew.start(lambda: client.get(api_server.url("/x"), timeout=20).raise_for_status())
    wait_until(lambda: api_server.active_requests == 1)
    client.close()
    crew.join()
    wait_until(lambda: client.now["connections_open"] == client.now["connections_idle"])


@pytest.mark.parametrize("used", [False, True])
def test_it_tells_its_state(used: bool, api_server: ApiServer, client: Any) -> None:
    if used:
        client.get(api_server.url("/x"), timeout=20)
        with client.get(api_server.url("/x"), stream=True, timeout=20):
            assert repr(client.adapter) == (
                "<PoolingAdapter [Requests: 1 active, 0 waiting | Connections: 1 open, 0 idle]>"
            )
    assert repr(client.adapter) == (
        "<PoolingAdapter [Requests: 0 active, 0 waiting | Connections: 0 open, 0 idle]>"
    )
