"""Streams that nobody closes: dropping them gives everything back at once, whatever came before."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from browseros_api import CircuitOpenError, Session
from browseros_api.testing import ApiServer, Reply, wait_until

GOOD = Reply(body=b"x" * 100_000)
BEFORE: dict[str, list[Reply]] = {
    "nothing": [],
    "an answer that is asked again": [Reply(503)],
    "a reset": [Reply(reset="before")],
    "a head cut short": [Reply(reset="head")],
    "no HTTP": [Reply(raw=b"what?\r\n\r\n")],
    "silence": [Reply(silent=True)],
    "three failures": [Reply(reset="before"), Reply(503), Reply(raw=b"")],
    "a redirect": [Reply(302, headers={"Location": "/k"})],
}


@pytest.fixture
def _without_collector() -> Iterator[None]:
    """Only counting references frees anything."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def connections(session: Session) -> tuple[int, int]:
    now = session.get_stats()["connections"]
    return now["connections_in_use"], now["connections_open"]


@pytest.mark.usefixtures("_without_collector")
@pytest.mark.parametrize("before", BEFORE.values(), ids=BEFORE.keys())
def test_a_dropped_stream_gives_its_connection_back(
    before: list[Reply], api_server: ApiServer
) -> None:
    api_server.script("/k", *before, GOOD)
    with Session(retry_base_delay=0.001, timeout=(5, 0.3)) as session:
        answer = session.get(api_server.url("/k"), stream=True)
        assert len(answer.raw.read(3)) == 3
        assert connections(session)[0] == 1
        del answer
        assert connections(session)[0] == 0
        wait_until(lambda: api_server.open_connections == connections(session)[1] == 0)


@pytest.mark.usefixtures("_without_collector")
def test_so_does_one_for_which_a_stale_connection_was_replaced(api_server: ApiServer) -> None:
    api_server.script(
        "/k", Reply(json={}, headers={"Keep-Alive": "x"}), Reply(reset="before"), GOOD
    )
    with Session(max_retries=0) as session:
        session.get(api_server.url("/k"))
        answer = session.get(api_server.url("/k"), stream=True)
        assert session.get_stats()["connections"]["stale_replaced"] == 1
        assert connections(session)[0] == 1
        del answer
        assert connections(session) == (0, 0)


# The collector frees a stream that is part of a circle in any order: that of requests is no other.
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_open_circuit_holds_nothing_of_those_who_opened_it(api_server: ApiServer) -> None:
    api_server.route("/k", GOOD)
    api_server.route("/down", Reply(reset="before"))

    def call() -> None:
        answer = session.get(api_server.url("/k"), stream=True)
        with pytest.raises(requests.ConnectionError):
            session.get(api_server.url("/down"))
        assert connections(session)[0] == 1
        del answer  # but the frames of the error know it, too

    def hold() -> None:
        held: Any = session.get(api_server.url("/k"), stream=True)
        with contextlib.suppress(requests.ConnectionError):
            session.get(api_server.url("/down"))
        assert held.ok  # until this function ends

    for work in (call, hold):
        with Session(max_retries=0, failure_threshold=1) as session:
            work()
            gc.collect()
            assert connections(session)[0] == 0
            with pytest.raises(CircuitOpenError) as caught:
                session.get(api_server.url("/down"))
            assert type(caught.value.last_error) is requests.ConnectionError
            assert "Connection aborted" in str(caught.value.last_error)


def test_an_error_that_is_told_keeps_its_traceback(api_server: ApiServer) -> None:
    api_server.route("/down", Reply(reset="before"))
    told: list[requests.RequestException] = []

    def note(attempt: int, delay: float, error: Any) -> None:
        told.append(error)

    with (
        Session(max_retries=1, retry_base_delay=0.001, on_retry=note) as session,
        pytest.raises(requests.ConnectionError) as caught,
    ):
        session.get(api_server.url("/down"))
    assert caught.value is not told[0]
    for error in (caught.value, told[0]):
        names = []
        place = error.__traceback__
        while place is not None:
            names.append(place.tb_frame.f_code.co_name)
            place = place.tb_next
        assert names[-1] == "send"  # requests' adapter
