"""requests-futures: calls in threads, through a session that it is given."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import as_completed
from typing import Any

import pytest
from requests_futures.sessions import FuturesSession

from browseros_api import Session
from browseros_api.testing import ApiServer, Reply, wait_until
from tests.flying import PATIENCE, shows


@pytest.fixture
def futures(session: Session) -> Iterator[Any]:
    with FuturesSession(session=session, max_workers=4) as futures:
        yield futures


def test_calls_in_its_threads_are_retried(
    futures: Any, session: Session, api_server: ApiServer
) -> None:
    for number in range(6):
        api_server.script(f"/{number}", Reply(503), Reply(json=number))
    asked = [futures.get(api_server.url(f"/{number}")) for number in range(6)]
    found = {future.result().json() for future in as_completed(asked, timeout=PATIENCE)}
    assert found == {0, 1, 2, 3, 4, 5}
    assert session.get_stats()["retries"] == 6


def test_identical_calls_at_once_become_one(
    futures: Any, session: Session, api_server: ApiServer
) -> None:
    go = threading.Event()
    api_server.route("/held", Reply(json=1, hold=go))
    asked = [futures.get(api_server.url("/held")) for _ in range(4)]
    try:
        shows(session.engine.flights, "1 in the air, 3 followers")
    finally:
        go.set()
    assert [future.result(PATIENCE).json() for future in asked] == [1] * 4
    assert api_server.hits("/held") == 1


def test_a_hook_of_a_call_is_heard_in_its_thread(futures: Any, api_server: ApiServer) -> None:
    def decode(response: Any, *_: Any, **__: Any) -> None:
        response.data = response.json()

    api_server.route("/x", Reply(json={"ok": True}))
    asked = futures.get(api_server.url("/x"), hooks={"response": decode})
    assert asked.result(PATIENCE).data == {"ok": True}


def test_many_workers_have_a_connection_each(session: Session, api_server: ApiServer) -> None:
    go = threading.Event()
    api_server.route("/held/*", Reply(json=1, hold=go))
    with FuturesSession(session=session, max_workers=20) as futures:  # makes our pools anew
        asked = [futures.get(api_server.url(f"/held/{number}")) for number in range(20)]
        try:
            wait_until(lambda: api_server.active_requests == 20, timeout=PATIENCE)
        finally:
            go.set()
        assert [future.result(PATIENCE).json() for future in asked] == [1] * 20
    assert session.get_stats()["connections"]["connections_opened"] == 20
