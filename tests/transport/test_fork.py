"""After a fork the parent's connections are the parent's."""

from __future__ import annotations

import os
import pickle
import threading
from typing import Any

import pytest
from requests.cookies import RequestsCookieJar

from browseros_api.testing import ApiServer, Reply, wait_until
from browseros_api.transport import PoolingAdapter
from tests.composition.forking import assert_fine, in_child

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")


def test_parent_and_child_use_connections_of_their_own(api_server: ApiServer, client: Any) -> None:
    client.get(api_server.url("/parent"), timeout=20)

    def child() -> None:
        assert client.now["connections_opened"] == client.now["connections_idle"] == 0
        for _ in range(3):
            assert client.get(api_server.url("/child"), timeout=20).ok
        assert client.now["connections_opened"] == 1

    pid = in_child(child)
    assert client.get(api_server.url("/parent"), timeout=20).ok
    assert_fine(pid)
    assert client.get(api_server.url("/parent"), timeout=20).ok
    by = {request.path: set() for request in api_server.requests}  # type: ignore[var-annotated]
    for request in api_server.requests:
        by[request.path].add(request.connection)
    assert by["/parent"] == {1}
    assert by["/child"] == {2}


def test_a_child_holds_none_of_the_parents_connections_open(
    api_server: ApiServer, client: Any
) -> None:
    client.get(api_server.url("/x"), timeout=20)
    asked, told = os.pipe()

    pid = in_child(lambda: os.read(asked, 1))
    client.close()
    wait_until(lambda: api_server.open_connections == 0)  # though the child is alive
    os.write(told, b"x")
    assert_fine(pid)
    os.close(asked)
    os.close(told)


def test_not_even_those_of_a_pool_that_somebody_still_needs(
    api_server: ApiServer, client: Any
) -> None:
    asked, told = os.pipe()
    with client.get(api_server.url("/x"), stream=True, timeout=20):
        client.get(api_server.url("/x"), timeout=20)
        pid = in_child(lambda: os.read(asked, 1))
        client.close()
        wait_until(lambda: api_server.open_connections == 1)  # that of the stream
        os.write(told, b"x")
        assert_fine(pid)
    os.close(asked)
    os.close(told)


def test_locks_that_others_hold_do_not_matter(api_server: ApiServer, client: Any) -> None:
    client.get(api_server.url("/x"), timeout=20)
    fleet = client.adapter._fleet
    locks = [fleet.limiter.lock, fleet.dns._lock, fleet.census._lock, client.adapter._lock]
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        for lock in locks:
            lock.acquire()
        held.set()
        assert release.wait(20)
        for lock in locks:
            lock.release()

    holder = threading.Thread(target=hold, daemon=True)
    holder.start()
    assert held.wait(20)
    pid = in_child(lambda: client.get(api_server.url("/child"), timeout=20).raise_for_status())
    assert_fine(pid)
    release.set()
    holder.join(20)
    assert client.get(api_server.url("/x"), timeout=20).ok


def test_leases_of_the_parent_are_not_missing_in_the_child(
    api_server: ApiServer, open_client: Any
) -> None:
    client = open_client(max_connections=1, pool_timeout=0.5)
    with client.get(api_server.url("/x"), stream=True, timeout=20) as answer:
        pid = in_child(lambda: client.get(api_server.url("/child"), timeout=20).raise_for_status())
        assert_fine(pid)
        assert answer.content


def test_a_fork_while_many_threads_call(
    api_server: ApiServer, open_client: Any, crew: Any, names: Any
) -> None:
    names.lead("h", api_server)
    client = open_client(max_connections=4, keepalive_timeout=0.01)
    over = threading.Event()
    url = f"http://h:{api_server.port}/x"

    def work() -> None:
        while not over.is_set():
            assert client.get(url, timeout=20).ok

    def child() -> None:
        client.cookies = RequestsCookieJar()  # the lock of a stock session's may be held for ever
        for _ in range(3):
            client.get(url, timeout=20).raise_for_status()

    for _ in range(4):
        crew.start(work)
    for pid in [in_child(child) for _ in range(5)]:
        assert_fine(pid)
    over.set()
    crew.join()


def test_the_child_has_a_reaper_too(api_server: ApiServer, open_client: Any) -> None:
    client = open_client(keepalive_timeout=0.05)
    client.get(api_server.url("/x"), timeout=20)

    def child() -> None:
        assert client.get(api_server.url("/x"), timeout=20).ok
        wait_until(lambda: client.now["connections_open"] == 0)

    assert_fine(in_child(child))


def test_it_can_be_pickled(api_server: ApiServer, open_client: Any) -> None:
    client = open_client(max_connections=7, pool_timeout=3.0)
    client.get(api_server.url("/x"), timeout=20)
    client.adapter.max_retries = 2
    twin = pickle.loads(pickle.dumps(client.adapter))
    assert isinstance(twin, PoolingAdapter)
    assert twin.settings == client.adapter.settings
    assert twin._fleet.limiter.total == 7
    assert twin.max_retries == 2
    assert twin.statistics()["connections_opened"] == 0
    api_server.route("/y", Reply(body=b"fine"))
    client.mount("http://", twin)
    assert client.get(api_server.url("/y"), timeout=20).content == b"fine"
    assert client.now["connections_opened"] == 1
    twin.close()


def test_a_reset_by_hand_starts_anew(api_server: ApiServer, client: Any) -> None:
    client.get(api_server.url("/x"), timeout=20)
    client.adapter.reset_after_fork()
    assert client.now["connections_opened"] == 0
    assert client.get(api_server.url("/x"), timeout=20).ok
    assert client.now["connections_opened"] == 1
    wait_until(lambda: api_server.open_connections == 1)
