"""Mocks that people put in the place of the network are not passed by."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import requests
import responses

from browseros_api.testing import ApiServer


@pytest.mark.parametrize("stream", [False, True])
def test_responses_answers_instead_of_the_network(stream: bool, client: Any) -> None:
    with responses.RequestsMock() as mock:
        mock.get("http://svc.test/x", json={"ok": True})
        answer = client.get("http://svc.test/x", stream=stream, timeout=20)
        assert answer.json() == {"ok": True}
    assert client.now["connections_in_use"] == client.now["connections_opened"] == 0


def test_what_responses_does_not_know_does_not_reach_the_network(
    api_server: ApiServer, client: Any
) -> None:
    with (
        responses.RequestsMock(assert_all_requests_are_fired=False),
        pytest.raises(requests.ConnectionError),
    ):
        client.get(api_server.url("/x"), timeout=20)
    assert api_server.connections == client.now["connections_in_use"] == 0


def test_errors_of_responses_come_through(client: Any) -> None:
    with responses.RequestsMock() as mock:
        mock.get("http://svc.test/x", body=requests.ReadTimeout("late"))
        with pytest.raises(requests.ReadTimeout, match="late"):
            client.get("http://svc.test/x", timeout=20)
    assert client.now["connections_in_use"] == 0


def test_afterwards_the_network_is_back(api_server: ApiServer, client: Any) -> None:
    with responses.RequestsMock() as mock:
        mock.get(api_server.url("/x"), body=b"mocked")
        assert client.get(api_server.url("/x"), timeout=20).content == b"mocked"
    assert client.get(api_server.url("/x"), timeout=20).json()["path"] == "/x"


def test_vcr_records_replays_and_goes(api_server: ApiServer, client: Any, tmp_path: Path) -> None:
    vcr = pytest.importorskip("vcr")
    assert client.get(api_server.url("/x"), timeout=20).ok  # an idle connection is not used
    tape = str(tmp_path / "tape.yaml")
    for _ in range(2):
        with vcr.use_cassette(tape) as cassette:
            for stream in (False, True):
                answer = client.get(api_server.url("/taped"), stream=stream, timeout=20)
                assert answer.json()["path"] == "/taped"
        assert client.now["connections_in_use"] == 0
    assert cassette.play_count == 2
    assert api_server.hits("/taped") == 2
    assert client.get(api_server.url("/x"), timeout=20).ok
    assert client.now["connections_in_use"] == 0
