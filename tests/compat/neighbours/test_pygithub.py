"""PyGithub: it makes its sessions itself, and can be told of another class or given ours."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests
from github import Auth, Github
from github.Requester import (
    HTTPRequestsConnectionClass,
    HTTPSRequestsConnectionClass,
    Requester,
)

from browseros_api import Session
from browseros_api.testing import ApiServer, Received, Reply


class Resilient(HTTPRequestsConnectionClass):
    """As it makes its connections, with our session in the place of its own."""

    sessions: list[Session] = []  # noqa: RUF012

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, **options)  # type: ignore[arg-type]
        made = Session(retry_base_delay=0.01)
        made.auth = self.session.auth
        self.session.close()
        self.session = made
        self.sessions.append(made)


@pytest.fixture
def injected() -> Iterator[list[Session]]:
    Resilient.sessions.clear()
    Requester.injectConnectionClasses(Resilient, HTTPSRequestsConnectionClass)
    yield Resilient.sessions
    Requester.resetConnectionClasses()
    for session in Resilient.sessions:
        session.close()


def github(server: ApiServer, token: str = "alice") -> Github:
    # Patience between calls, and repetitions, are left to the session.
    return Github(
        auth=Auth.Token(token), base_url=server.base_url, retry=None, seconds_between_requests=None
    )


def test_a_connection_class_of_ones_own_has_our_session(
    injected: list[Session], api_server: ApiServer
) -> None:
    api_server.script("/user", Reply(503), Reply(json={"login": "ada", "id": 1}))
    with github(api_server) as client:
        assert client.get_user().login == "ada"
    assert injected[0].get_stats()["retries"] == 1


def test_two_tokens_are_two_people(injected: list[Session], api_server: ApiServer) -> None:
    def who(request: Received) -> Reply:
        kept = {"Cache-Control": "private, max-age=60"}
        return Reply(json={"login": request.headers["Authorization"], "id": 1}, headers=kept)

    api_server.route("/user", who)
    with github(api_server) as alice, github(api_server, "bob") as bob:
        found = [client.get_user().login for client in (alice, bob)]
    assert found == ["token alice", "token bob"]
    assert injected


def test_where_requests_sessions_are_ours_so_are_its_own(
    api_server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Session] = []

    class Kept(Session):
        def __init__(self) -> None:
            super().__init__(retry_base_delay=0.01)
            made.append(self)

    monkeypatch.setattr(requests, "Session", Kept)
    api_server.script("/user", Reply(503), Reply(json={"login": "ada", "id": 1}))
    with github(api_server) as client:
        assert client.get_user().login == "ada"
    assert made[0].get_stats()["retries"] == 1
