"""pook: a mock below urllib3, where nothing of requests is replaced."""

from __future__ import annotations

import pook
import pytest
import requests
from pook.exceptions import PookNoMatches

from browseros_api import Session
from browseros_api.testing import ApiServer, Reply


def test_what_it_is_told_to_answer_is_answered(either: requests.Session, nowhere: str) -> None:
    with pook.use():
        mock = pook.post(
            f"{nowhere}/users", json={"name": "Ada"}, reply=201, response_json={"id": 7}
        )
        assert either.post(f"{nowhere}/users", json={"name": "Ada"}).json() == {"id": 7}
        assert mock.calls == 1


def test_a_503_is_asked_again(session: Session, nowhere: str) -> None:
    with pook.use():
        pook.get(f"{nowhere}/flaky", reply=503, times=1)
        pook.get(f"{nowhere}/flaky", reply=200, response_json={"ok": True}, times=1)
        assert session.get(f"{nowhere}/flaky").json() == {"ok": True}
    assert session.get_stats()["retries"] == 1


def test_what_is_not_mocked_says_so_and_is_not_sent(
    either: requests.Session, api_server: ApiServer
) -> None:
    with pook.use(), pytest.raises(PookNoMatches):
        either.get(api_server.url("/x"))
    assert api_server.requests == []


def test_afterwards_everything_is_as_before(session: Session, api_server: ApiServer) -> None:
    api_server.route("/x", Reply(json="real"))
    with pook.use():
        pook.get(api_server.url("/x"), reply=200, response_json={"by": "pook"})
        assert session.get(api_server.url("/x")).json() == {"by": "pook"}
    assert session.get(api_server.url("/x")).json() == "real"
    assert session.get_stats()["connections"]["connections_in_use"] == 0
