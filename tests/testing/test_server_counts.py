"""What the server counts, and that it counts right."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from browseros_api.testing import ApiServer, Reply, wait_until

if TYPE_CHECKING:
    from .conftest import Wire

THREADS = 50


def in_threads(count: int, work: Callable[[int], None]) -> None:
    failures: list[BaseException] = []

    def run(number: int) -> None:
        try:
            work(number)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert not failures


def test_every_request_of_fifty_threads_is_counted_once(server: ApiServer) -> None:
    server.route("/even", Reply(204))
    ready = threading.Barrier(THREADS, timeout=10)

    def work(number: int) -> None:
        client = http.client.HTTPConnection(server.host, server.port, timeout=10)
        ready.wait()
        for _ in range(20):
            client.request("GET", "/odd" if number % 2 else "/even")
            client.getresponse().read()
        client.close()

    in_threads(THREADS, work)
    assert server.hits() == len(server.requests) == THREADS * 20
    assert server.hits("/odd") == server.hits("/even") == THREADS * 10
    assert server.connections == THREADS
    assert {request.connection for request in server.requests} == set(range(1, THREADS + 1))
    assert 1 <= server.peak_requests <= THREADS
    assert 1 <= server.peak_connections <= THREADS
    wait_until(lambda: server.active_requests == server.open_connections == 0)


def test_the_peak_is_of_what_was_there_at_once(server: ApiServer) -> None:
    hold = threading.Event()
    server.route("/held", Reply(hold=hold))

    def ask(_: int) -> None:
        client = http.client.HTTPConnection(server.host, server.port, timeout=10)
        client.request("GET", "/held")
        client.getresponse().read()
        client.close()

    asking = threading.Thread(target=in_threads, args=(THREADS, ask))
    asking.start()
    wait_until(lambda: server.active_requests == THREADS, message="all are being handled")
    assert server.open_connections == THREADS
    hold.set()
    asking.join(10)
    assert (server.peak_requests, server.peak_connections) == (THREADS, THREADS)
    assert server.active_requests == 0


def test_one_after_the_other_is_never_two_at_once(
    server: ApiServer, connect: Callable[[ApiServer], Wire]
) -> None:
    server.route("/a", Reply(body=b"x"))
    for _ in range(200):
        wire = connect(server)
        for _ in range(2):
            wire.get("/a")
            wire.answer()
        wire.sock.close()
    assert server.connections == 200
    assert server.peak_requests == 1
    assert server.peak_connections == 1
    assert server.open_connections == 0


@pytest.mark.usefixtures("restless")
def test_a_scripted_reply_is_given_once_however_many_ask(server: ApiServer) -> None:
    server.script("/a", Reply(503, repeat=25), Reply(200))
    statuses: list[int] = []
    ready = threading.Barrier(THREADS, timeout=10)

    def ask(_: int) -> None:
        client = http.client.HTTPConnection(server.host, server.port, timeout=10)
        ready.wait()
        client.request("GET", "/a")
        statuses.append(client.getresponse().status)
        client.close()

    in_threads(THREADS, ask)
    assert sorted(statuses) == [200] * 25 + [503] * 25


class NobodyTells:
    """A system that does not say who has hung up."""

    def watch(self, sock: socket.socket) -> None:
        pass

    def forget(self, sock: socket.socket) -> None:
        pass

    def count(self) -> int:
        return 0


def test_connections_are_counted_where_the_system_does_not_say_who_hung_up(
    monkeypatch: pytest.MonkeyPatch, connect: Callable[[ApiServer], Wire]
) -> None:
    monkeypatch.setattr("browseros_api.testing.ledger._Hangups", NobodyTells)
    with ApiServer() as server:
        wires = [connect(server) for _ in range(3)]
        wait_until(lambda: server.open_connections == 3)
        for wire in wires:
            wire.sock.close()
        wait_until(lambda: server.open_connections == 0)
        assert (server.connections, server.peak_connections) == (3, 3)


def test_a_request_counts_before_it_is_answered(server: ApiServer, wire: Wire) -> None:
    server.route("/a", Reply(silent=True))
    wire.get("/a")
    wait_until(lambda: server.hits("/a") == 1)
    assert server.active_requests == 1


def test_counting_can_start_anew(server: ApiServer, wire: Wire) -> None:
    server.route("/a", Reply(201))
    wire.get("/a")
    wire.answer()
    server.reset_counts()
    assert (server.hits(), server.requests, server.connections) == (0, [], 0)
    assert (server.open_connections, server.peak_connections, server.peak_requests) == (1, 1, 0)
    wire.get("/a")
    assert wire.answer()[0].startswith(b"HTTP/1.1 201")
    assert server.hits("/a") == 1


def test_only_the_latest_requests_are_remembered_but_all_are_counted(
    connect: Callable[[ApiServer], Wire],
) -> None:
    with ApiServer(remember=2) as server:
        wire = connect(server)
        for number in range(5):
            wire.get(f"/{number}")
            wire.answer()
        assert [request.path for request in server.requests] == ["/3", "/4"]
        assert server.hits() == 5


def test_its_repr_tells_its_state(server: ApiServer, wire: Wire) -> None:
    wire.get("/")
    wire.answer()
    assert repr(server) == (
        f"<ApiServer http://127.0.0.1:{server.port} "
        "[Connections: 1 open, 1 accepted | Requests: 0 active, 1 received]>"
    )
