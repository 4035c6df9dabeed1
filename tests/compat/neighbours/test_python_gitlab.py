"""python-gitlab: a client that takes a session."""

from __future__ import annotations

from collections.abc import Iterator

import gitlab
import pytest

from browseros_api import Session
from browseros_api.testing import ApiServer, Received, Reply


def who(request: Received) -> Reply:
    name = request.headers["PRIVATE-TOKEN"]
    kept = {"Cache-Control": "private, max-age=60"}
    return Reply(json={"id": len(name), "username": name}, headers=kept)


@pytest.fixture
def server(api_server: ApiServer) -> ApiServer:
    api_server.route("/api/v4/user", who)
    return api_server


@pytest.fixture
def client(server: ApiServer, session: Session) -> Iterator[gitlab.Gitlab]:
    with gitlab.Gitlab(server.base_url, private_token="alice", session=session) as client:
        yield client


def test_a_failure_is_asked_again(
    client: gitlab.Gitlab, session: Session, server: ApiServer
) -> None:
    server.script("/api/v4/version", Reply(503), Reply(json={"version": "17.0", "revision": "x"}))
    assert client.version() == ("17.0", "x")
    assert session.get_stats()["retries"] == 1


def test_pages_are_followed(client: gitlab.Gitlab, server: ApiServer) -> None:
    def page(request: Received) -> Reply:
        number = int(request.query.get("page", ["1"])[0])
        url = server.url(f"/api/v4/projects?page={number + 1}&per_page=2")
        links = {"Link": f'<{url}>; rel="next"'} if number < 3 else {}
        return Reply(json=[{"id": 2 * number}, {"id": 2 * number + 1}], headers=links)

    server.route("/api/v4/projects", page)
    found = [project.id for project in client.projects.list(iterator=True, per_page=2)]
    assert found == [2, 3, 4, 5, 6, 7]


def test_two_tokens_on_one_session_are_two_people(
    client: gitlab.Gitlab, session: Session, server: ApiServer
) -> None:
    client.auth()
    other = gitlab.Gitlab(server.base_url, private_token="bob", session=session)
    other.auth()
    assert client.user is not None
    assert other.user is not None
    assert (client.user.username, other.user.username) == ("alice", "bob")


def test_something_is_made_and_an_error_is_theirs(client: gitlab.Gitlab, server: ApiServer) -> None:
    server.route("/api/v4/projects", Reply(201, json={"id": 7}), method="POST")
    assert client.projects.create({"name": "one"}).id == 7
    server.route("/api/v4/projects/9", Reply(404, json={"message": "404 Project Not Found"}))
    with pytest.raises(gitlab.exceptions.GitlabGetError, match="404 Project Not Found"):
        client.projects.get(9)
