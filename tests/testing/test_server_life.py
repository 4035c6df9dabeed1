"""How a server begins and ends."""

from __future__ import annotations

import gc
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
import requests

from browseros_api.testing import ApiServer, Reply, wait_until

if TYPE_CHECKING:
    from .conftest import Wire


FORKS = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
FORKS_WITH_THREADS = pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")


@pytest.fixture(autouse=True)
def _leaves_no_thread_behind() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


def test_its_urls_lead_to_it() -> None:
    with ApiServer() as server:
        assert server.base_url == f"http://127.0.0.1:{server.port}"
        assert server.url("/users") == server.base_url + "/users"
        assert server.url() == server.base_url + "/"
        assert requests.get(server.url("/users"), timeout=5).json()["path"] == "/users"


@pytest.mark.parametrize("host", ["127.0.0.2", "::1"])
def test_it_listens_on_any_loopback_address(host: str) -> None:
    if host == "::1" and not has_ipv6():
        pytest.skip("this machine has no IPv6 loopback")
    with ApiServer(host=host) as server:
        assert requests.get(server.url("/x"), timeout=5).status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "localhost"])
def test_it_listens_on_nothing_else(host: str) -> None:
    with pytest.raises(ValueError, match=r"loopback|IPv4"):
        ApiServer(host=host)


def test_a_port_can_be_asked_for() -> None:
    with ApiServer() as first:
        port = first.port
    with ApiServer(port=port) as second:
        assert second.port == port


def test_closing_is_quick_whatever_is_going_on(connect: Callable[[ApiServer], Wire]) -> None:
    with ApiServer() as server:
        server.route("/delay", Reply(delay=60))
        server.route("/hold", Reply(hold=threading.Event()))
        server.route("/drip", Reply(body=b"xx", drip=(1, 60.0)))
        server.route("/silent", Reply(silent=True))
        server.route("/huge", Reply(body=b"x" * 50_000_000))  # more than the buffers take
        wires = [connect(server) for _ in range(7)]
        for number, path in enumerate(("/delay", "/hold", "/drip", "/silent", "/huge")):
            wires[number].get(path)
        wires[-1].send("POST /half HTTP/1.1\r\n")
        wait_until(lambda: server.hits() == 5 and server.connections == 7)
        began = time.monotonic()
    assert time.monotonic() - began < 4.0  # its patience would have been 5 seconds
    for wire in wires:
        wire.rest()


def test_it_refuses_connections_once_closed() -> None:
    with ApiServer() as server:
        pass
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((server.host, server.port), timeout=5)


def test_closing_twice_is_closing_once() -> None:
    server = ApiServer().start()
    server.close()
    server.close()
    ApiServer().close()  # never started


def test_it_is_started_once() -> None:
    with ApiServer() as server, pytest.raises(RuntimeError, match="started once"):
        server.start()
    with pytest.raises(RuntimeError, match="started once"):
        server.start()


def test_it_stays_small_however_many_connections_come_and_go() -> None:
    def threads() -> int:
        gc.collect()
        return sum(isinstance(thing, threading.Thread) for thing in gc.get_objects())

    before = threads()  # other tests may have left some
    with ApiServer() as server:
        for _ in range(300):
            requests.get(server.url("/x"), timeout=5)
        assert server.connections == 300
        wait_until(lambda: server.open_connections == 0)
        assert threads() - before < 100


def test_hundreds_of_clients_may_knock_at_once() -> None:
    with ApiServer() as server:
        clients = [socket.create_connection((server.host, server.port), 5) for _ in range(300)]
        wait_until(lambda: server.open_connections == 300)
        for client in clients:
            client.close()
        wait_until(lambda: server.open_connections == 0)
        assert server.peak_connections == 300


def test_a_handler_that_does_not_end_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("browseros_api.testing.listener._PATIENCE", 0.1)
    release = threading.Event()
    server = ApiServer().start()

    def blocks(_: object) -> Reply:
        release.wait(10)
        return Reply()

    server.route("/a", blocks)
    with socket.create_connection((server.host, server.port), 5) as client:
        client.sendall(b"GET /a HTTP/1.1\r\n\r\n")
        wait_until(lambda: server.active_requests == 1)
        with pytest.raises(RuntimeError, match=r"still running after 0\.1 s: api-server-1"):
            server.close()
        release.set()
        wait_until(lambda: not [t for t in threading.enumerate() if t.name == "api-server-1"])


def test_a_hold_that_nobody_releases_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("browseros_api.testing.connection._LONGEST_HOLD", 0.1)
    with ApiServer() as server:
        server.route("/a", Reply(202, hold=threading.Event()))
        assert requests.get(server.url("/a"), timeout=5).status_code == 202
        (error,) = server.errors
        assert isinstance(error, TimeoutError)
        server.errors.clear()


@contextmanager
def a_forked_child() -> Iterator[None]:
    """A process with a copy of every socket, which it does nothing with."""
    hears, speaks = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(speaks)
        os.read(hears, 1)  # until the parent closes its end
        os._exit(0)
    os.close(hears)
    try:
        yield
    finally:
        os.close(speaks)
        os.waitpid(child, 0)


@FORKS
@FORKS_WITH_THREADS
def test_a_forked_child_cannot_keep_anything_from_ending(
    connect: Callable[[ApiServer], Wire],
) -> None:
    server = ApiServer().start()
    try:
        server.route("/last", Reply(close=True))
        idle, closed = connect(server), connect(server)
        wait_until(lambda: server.open_connections == 2)
        with a_forked_child():
            closed.get("/last")
            assert closed.rest().endswith(b"Connection: close\r\n\r\n")
            server.close()
            assert idle.rest() == b""
    finally:
        server.close()


@FORKS
@FORKS_WITH_THREADS
def test_a_forked_child_may_leave_the_block_without_harm(
    connect: Callable[[ApiServer], Wire],
) -> None:
    with ApiServer() as server:
        wire = connect(server)
        wire.get("/a")
        wire.answer()
        child = os.fork()
        if child == 0:
            try:
                server.close()
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        wire.get("/b")
        assert wire.answer()[0].startswith(b"HTTP/1.1 200 OK\r\n")
