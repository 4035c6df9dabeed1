"""No more connections than allowed: in total, to one host, in use or idle."""

from __future__ import annotations

import itertools
import threading
import time
from typing import Any

import pytest
import requests

from browseros_api.errors import PoolTimeout
from browseros_api.testing import ApiServer, Reply, wait_until
from browseros_api.transport.watch import Watch


def together(crew: Any, work: Any, count: int) -> None:
    barrier = threading.Barrier(count)

    def run(number: int) -> None:
        barrier.wait(20)
        work(number)

    for number in range(count):
        crew.start(run, number)
    crew.join()


def full_house(count: int) -> Any:
    """A handler whose first requests are answered when so many of them are there at once."""
    barrier, numbers = threading.Barrier(count), itertools.count()

    def handle(request: Any) -> Reply:
        if next(numbers) < count:
            barrier.wait(20)
        return Reply(body=request.path)

    return handle


def test_two_hundred_threads_share_a_few_connections(
    api_server: ApiServer, open_client: Any, crew: Any
) -> None:
    client = open_client(max_connections=6, pool_timeout=None)
    api_server.route("*", full_house(6))

    def work(number: int) -> None:
        for turn in range(3):
            assert client.get(api_server.url(f"/{number}/{turn}"), timeout=20).ok

    together(crew, work, 200)
    assert api_server.hits() == 600
    assert api_server.peak_requests == 6
    assert api_server.peak_connections == 6 == api_server.connections
    assert client.now["connections_opened"] == 6 == client.now["connections_idle"]
    assert client.now["connections_in_use"] == client.now["waiting"] == 0


def test_each_host_has_its_own_limit_within_the_total(open_client: Any, crew: Any) -> None:
    client = open_client(max_connections=5, max_connections_per_host=3, pool_timeout=None)
    with ApiServer() as one, ApiServer(host="127.0.0.2") as other:
        for server in (one, other):
            server.route("*", full_house(3))

        def work(number: int) -> None:
            for turn in range(3):
                server = (one, other)[(number + turn) % 2]
                assert client.get(server.url("/x"), timeout=20).ok

        together(crew, work, 100)
        assert one.hits() + other.hits() == 300
        for server in (one, other):
            assert server.peak_requests == 3
            assert server.peak_connections == 3
        assert client.now["connections_open"] <= 5


def test_idle_connections_count_so_that_the_total_is_never_exceeded(
    api_server: ApiServer, open_client: Any, crew: Any, names: Any
) -> None:
    # Many names for one server, which sees every connection of the adapter and counts exactly.
    hosts = [f"h{number}" for number in range(12)]
    for host in hosts:
        names.lead(host, api_server)
    client = open_client(max_connections=4, max_connections_per_host=2, pool_timeout=None)

    def work(number: int) -> None:
        for turn in range(6):
            host = hosts[(number * 5 + turn * 7) % len(hosts)]
            assert client.get(f"http://{host}:{api_server.port}/x", timeout=20).ok

    together(crew, work, 50)
    assert api_server.hits() == 300
    assert api_server.peak_requests <= 4
    assert api_server.peak_connections == 4
    assert client.now["connections_open"] <= 4


def test_the_longest_idle_connection_makes_room(
    api_server: ApiServer, open_client: Any, names: Any
) -> None:
    for host in ("a", "b", "c"):
        names.lead(host, api_server)
    client = open_client(max_connections=2)

    def get(host: str) -> int:
        client.get(f"http://{host}:{api_server.port}/x", timeout=20)
        return api_server.requests[-1].connection

    assert [get("a"), get("b"), get("a")] == [1, 2, 1]
    assert get("c") == 3  # b's has been idle for longest
    assert get("a") == 1
    assert get("b") == 4
    assert get("a") == 1
    assert api_server.peak_connections == 2


def test_connections_taken_by_others_are_not_closed_for_nothing(
    api_server: ApiServer, open_client: Any, names: Any
) -> None:
    for host in ("a", "b"):
        names.lead(host, api_server)
    client = open_client(max_connections=2)
    for _ in range(5):
        for host in ("a", "b"):
            client.get(f"http://{host}:{api_server.port}/x", timeout=20)
    assert api_server.connections == 2


def test_a_call_that_gets_no_connection_in_time_has_sent_nothing(
    api_server: ApiServer, open_client: Any
) -> None:
    client = open_client(max_connections=1, pool_timeout=0.1)
    with client.get(api_server.url("/x"), stream=True):
        began = time.monotonic()
        with pytest.raises(PoolTimeout, match=r"1 of 1 \(max_connections\) are in use") as caught:
            client.get(api_server.url("/y"), timeout=20)
        assert 0.09 < time.monotonic() - began < 5
    assert isinstance(caught.value, (requests.ConnectTimeout, TimeoutError))
    assert caught.value.request.url == api_server.url("/y")
    assert api_server.hits("/y") == 0
    assert client.get(api_server.url("/y"), timeout=20).ok


def test_without_a_pool_timeout_a_call_waits_as_long_as_it_takes(
    api_server: ApiServer, open_client: Any, crew: Any
) -> None:
    client = open_client(max_connections=1, pool_timeout=None)
    with client.get(api_server.url("/x"), stream=True):
        crew.start(client.get, api_server.url("/y"))
        wait_until(lambda: client.now["waiting"] == 1)
        assert api_server.hits("/y") == 0
    crew.join()
    assert api_server.hits("/y") == 1


def test_the_watch_bounds_the_wait_for_a_connection(
    api_server: ApiServer, open_client: Any
) -> None:
    client = open_client(max_connections=1, pool_timeout=None)
    with client.get(api_server.url("/x"), stream=True):
        began = time.monotonic()
        with Watch(began + 0.1) as watch, pytest.raises(PoolTimeout):
            client.get(api_server.url("/y"))
        assert watch.expired
        assert 0.09 < time.monotonic() - began < 5


def test_ports_schemes_and_spellings_of_a_host(api_server: ApiServer, open_client: Any) -> None:
    client = open_client(max_connections_per_host=1, pool_timeout=0.01)
    with (
        client.get(api_server.url("/x"), stream=True),
        pytest.raises(PoolTimeout, match=f"http://127.0.0.1:{api_server.port} "),
    ):
        client.get(f"HTTP://user:password@127.0.0.1:{api_server.port}?q")
    with client.get(api_server.url("/x"), stream=True), ApiServer() as other:
        assert client.get(other.url("/x")).ok


def test_a_blocking_pool_is_a_limit_per_host(api_server: ApiServer, open_client: Any) -> None:
    adapter = type(open_client().adapter)(pool_maxsize=1, pool_block=True)
    client = open_client()
    client.mount("http://", adapter)
    with client.get(api_server.url("/x"), stream=True):
        assert adapter._fleet.limiter.per_host == 1
    adapter.close()


def test_answers_that_close_the_connection_are_counted_until_they_are_closed(
    api_server: ApiServer, open_client: Any, crew: Any, names: Any
) -> None:
    api_server.route("/closing", Reply(body=b"x" * 1000, close=True))
    for host in ("a", "b", "c"):
        names.lead(host, api_server)
    client = open_client(max_connections=3, pool_timeout=None)

    def work(number: int) -> None:
        host = "abc"[number % 3]
        for turn in range(4):
            path = "/closing" if (number + turn) % 2 else "/kept"
            response = client.get(
                f"http://{host}:{api_server.port}{path}", stream=turn % 2 == 1, timeout=20
            )
            assert response.content

    together(crew, work, 30)
    assert api_server.hits() == 120
    assert api_server.peak_connections == 3
    assert client.now["connections_in_use"] == 0
