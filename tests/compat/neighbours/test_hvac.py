"""hvac: a client of Vault that takes a session."""

from __future__ import annotations

import hvac
import pytest

from browseros_api import Session
from browseros_api.testing import ApiServer, Received, Reply

PATH = "/v1/secret/data/app"


@pytest.fixture
def vault(session: Session, api_server: ApiServer) -> hvac.Client:
    return hvac.Client(url=api_server.base_url, token="alice", session=session)


def test_a_secret_is_read_after_a_failure(
    vault: hvac.Client, session: Session, api_server: ApiServer
) -> None:
    api_server.script(PATH, Reply(503), Reply(json={"data": {"data": {"password": "x"}}}))
    read = vault.secrets.kv.v2.read_secret_version("app", raise_on_deleted_version=True)
    assert read["data"]["data"] == {"password": "x"}
    assert session.get_stats()["retries"] == 1


def test_a_secret_is_written(vault: hvac.Client, api_server: ApiServer) -> None:
    api_server.route(PATH, Reply(json={"data": {"version": 1}}), method="POST")
    vault.secrets.kv.v2.create_or_update_secret("app", secret={"password": "y"})
    sent = api_server.requests[0]
    assert sent.json() == {"options": {}, "data": {"password": "y"}}
    assert sent.headers["X-Vault-Token"] == "alice"


def test_one_session_and_two_tokens_are_two_people(
    vault: hvac.Client, session: Session, api_server: ApiServer
) -> None:
    def who(request: Received) -> Reply:
        name = request.headers["X-Vault-Token"]
        kept = {"Cache-Control": "private, max-age=60"}
        return Reply(json={"data": {"display_name": name}}, headers=kept)

    api_server.route("/v1/auth/token/lookup-self", who)
    found = []
    for vault.token in ("alice", "bob", "alice"):
        found.append(vault.auth.token.lookup_self()["data"]["display_name"])
    assert found == ["alice", "bob", "alice"]
    other = hvac.Client(url=api_server.base_url, token="carol", session=session)
    assert other.auth.token.lookup_self()["data"]["display_name"] == "carol"


def test_an_error_is_theirs(vault: hvac.Client, api_server: ApiServer) -> None:
    api_server.route(PATH, Reply(403, json={"errors": ["permission denied"]}))
    with pytest.raises(hvac.exceptions.Forbidden, match="permission denied"):
        vault.secrets.kv.v2.read_secret_version("app", raise_on_deleted_version=True)
    assert api_server.hits(PATH) == 1
