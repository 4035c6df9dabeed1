"""Nobody waits for ever who has not asked for it: timeouts where none was given."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

import browseros_api
from browseros_api import EnhancedAPIClient, ResilienceMixin, Session
from browseros_api.testing import ApiServer, Reply

USUAL = (10.0, 30.0)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The timeouts that reach requests' adapter, and so the sockets."""
    told: list[Any] = []
    send = HTTPAdapter.send

    def noting(self: HTTPAdapter, request: Any, *args: Any, **options: Any) -> requests.Response:
        told.append(options["timeout"])
        return send(self, request, *args, **options)

    monkeypatch.setattr(HTTPAdapter, "send", noting)
    return told


@pytest.fixture(params=["session", "mixin", "get", "installed", "installed session"])
def ask(request: pytest.FixtureRequest) -> Iterator[Callable[..., requests.Response]]:
    mixed = type("Mixed", (ResilienceMixin, requests.Session), {})
    with browseros_api.install(), Session() as session, mixed() as mixed_session:
        yield {
            "session": session.get,
            "mixin": mixed_session.get,
            "get": browseros_api.get,
            "installed": requests.get,
            "installed session": requests.Session().get,
        }[request.param]


def test_ten_seconds_to_connect_and_thirty_for_a_read(
    ask: Callable[..., requests.Response], api_server: ApiServer, told: list[Any]
) -> None:
    api_server.route("/go", Reply(302, headers={"Location": "/x"}))
    ask(api_server.url("/go"))
    assert told == [USUAL, USUAL]


@pytest.mark.parametrize("timeout", [None, 3, 0.5, (1, 2), (None, 5)])
def test_what_is_given_counts_and_none_is_none(
    ask: Callable[..., requests.Response], api_server: ApiServer, told: list[Any], timeout: Any
) -> None:
    ask(api_server.url("/x"), timeout=timeout)
    assert told == [timeout]


def test_a_session_may_have_another(api_server: ApiServer, told: list[Any]) -> None:
    for timeout in (None, 3, (1, 2)):
        with Session(timeout=timeout) as session:
            session.get(api_server.url("/x"))
            session.send(requests.Request("GET", api_server.url("/x")).prepare())
        assert told == [timeout, timeout]
        told.clear()


def test_what_is_sent_by_hand_has_it_too(api_server: ApiServer, told: list[Any]) -> None:
    prepared = requests.Request("GET", api_server.url("/x")).prepare()
    with Session() as session:
        session.send(prepared)
        session.send(prepared, timeout=None)
        session.send(prepared, timeout=4)
    assert told == [USUAL, None, 4]


def test_a_client_bounds_each_attempt_as_a_whole(api_server: ApiServer) -> None:
    api_server.route("/drip", Reply(body=b"x" * 1000, drip=(1, 0.05)))
    with EnhancedAPIClient(api_server.base_url) as client:
        assert client.session.settings.attempt_timeout == 30.0
    with (
        EnhancedAPIClient(api_server.base_url, timeout=0.3, max_retries=0) as client,
        pytest.raises(requests.Timeout),
    ):
        client.get("/drip")


def test_none_waits_for_as_long_as_it_takes(api_server: ApiServer) -> None:
    go = threading.Event()
    api_server.route("/held", Reply(json=[], hold=go))
    answers: list[requests.Response] = []
    with Session(timeout=0.1, max_retries=0) as session:
        with pytest.raises(requests.ReadTimeout):
            session.get(api_server.url("/held"))
        thread = threading.Thread(
            target=lambda: answers.append(session.get(api_server.url("/held"), timeout=None))
        )
        thread.start()
        thread.join(0.5)
        assert thread.is_alive()  # five times as long as the session's own would have let it
        go.set()
        thread.join(30)
    assert answers[0].ok


def test_a_server_that_accepts_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as deaf:
        callers = [socket.socket() for _ in range(4)]
        for caller in callers:
            caller.setblocking(False)
            caller.connect_ex(deaf.getsockname())
        began = time.monotonic()
        with (
            Session(timeout=(0.2, None), max_retries=0) as session,
            pytest.raises(requests.ConnectTimeout),
        ):
            session.get(f"http://127.0.0.1:{deaf.getsockname()[1]}/")
        assert 0.2 <= time.monotonic() - began < 20
        for caller in callers:
            caller.close()
