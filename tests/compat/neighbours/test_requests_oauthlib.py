"""requests-oauthlib: requests that are signed, and tokens that change."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from oauthlib.oauth2 import BackendApplicationClient
from requests_oauthlib import OAuth1, OAuth1Session, OAuth2Session

from browseros_api import ResilienceMixin, Session
from browseros_api.testing import ApiServer, Received, Reply, wait_until
from tests.flying import PATIENCE, Caller, shows

PRIVATE = {"Cache-Control": "private, max-age=60"}


class Signed(ResilienceMixin, OAuth1Session):
    pass


class Authorized(ResilienceMixin, OAuth2Session):
    pass


@pytest.fixture(autouse=True)
def _plain_text_on_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")


def who(request: Received) -> Reply:
    """Tells the caller who they are, and allows to keep it."""
    return Reply(json=request.headers.get("Authorization", "nobody"), headers=PRIVATE)


def token(name: str, **more: Any) -> dict[str, Any]:
    return {"access_token": name, "token_type": "Bearer", **more}


@pytest.fixture(params=["its own auth", "no auth"])
def authorized(request: pytest.FixtureRequest, api_server: ApiServer) -> Iterator[Authorized]:
    """With its ``auth``, which nobody can name, and without, so that only its class tells."""
    api_server.route("/me", who)
    with Authorized(client_id="app", token=token("alice"), retry_base_delay=0.01) as session:
        if request.param == "no auth":
            session.auth = None
        yield session


# -- OAuth 1 -------------------------------------------------------------------------------------


def test_a_request_is_signed(either: requests.Session, api_server: ApiServer) -> None:
    auth = OAuth1("key", "s3cret", "token", "tokens3cret")
    either.get(api_server.url("/x"), params={"b": "2 3", "a": "1"}, auth=auth)
    sent = api_server.requests[0]
    assert sent.headers["Authorization"].startswith("OAuth oauth_nonce=")
    assert "oauth_signature=" in sent.headers["Authorization"]
    assert sent.target == "/x?b=2+3&a=1"


def test_each_call_is_signed_anew_and_a_repetition_is_not(api_server: ApiServer) -> None:
    api_server.script("/x", Reply(503), Reply(json=1, headers=PRIVATE), Reply(json=2))
    with Signed("key", "s3cret", retry_base_delay=0.01) as session:
        assert [session.get(api_server.url("/x")).json() for _ in range(2)] == [1, 2]
    first, again, second = (sent.headers["Authorization"] for sent in api_server.requests)
    assert first == again != second


# -- OAuth 2: whose answer it is -----------------------------------------------------------------


def test_a_token_that_changes_changes_the_answer(
    authorized: Authorized, api_server: ApiServer
) -> None:
    answers = []
    for name in ("alice", "bob", "alice"):
        authorized.token = token(name)
        answers.append(authorized.get(api_server.url("/me")).json())
    assert answers == ["Bearer alice", "Bearer bob", "Bearer alice"]


def test_nobody_waits_for_the_answer_of_another_identity(
    authorized: Authorized, api_server: ApiServer
) -> None:
    go = threading.Event()

    def held(request: Received) -> Reply:
        return Reply(json=request.headers["Authorization"], headers=PRIVATE, hold=go)

    api_server.route("/held", held)
    try:
        alice = Caller(authorized.get, api_server.url("/held"))
        wait_until(lambda: api_server.hits("/held") == 1, timeout=PATIENCE)
        authorized.token = token("bob")
        bob = Caller(authorized.get, api_server.url("/held"))
        wait_until(lambda: api_server.hits("/held") == 2, timeout=PATIENCE)
        shows(authorized.engine.flights, "0 in the air")
    finally:
        go.set()
    assert (alice.value.json(), bob.value.json()) == ("Bearer alice", "Bearer bob")


# -- OAuth 2: the token's life -------------------------------------------------------------------


def test_a_token_is_fetched(api_server: ApiServer) -> None:
    api_server.route("/token", Reply(json=token("fresh", expires_in=3600)), method="POST")
    api_server.route("/me", who)
    client = BackendApplicationClient(client_id="app")
    with Authorized(client=client, retry_base_delay=0.01) as session:
        session.fetch_token(api_server.url("/token"), client_secret="s3cret")
        assert session.get(api_server.url("/me")).json() == "Bearer fresh"
    assert b"grant_type=client_credentials" in api_server.requests[0].body


def test_an_expired_token_is_refreshed_on_the_way(api_server: ApiServer) -> None:
    api_server.route("/token", Reply(json=token("fresh", expires_in=3600)), method="POST")
    api_server.script("/me", Reply(503), who)
    kept: list[Any] = []
    old = token("old", refresh_token="again", expires_at=time.time() - 60)
    with Authorized(
        client_id="app",
        token=old,
        auto_refresh_url=api_server.url("/token"),
        token_updater=kept.append,
        retry_base_delay=0.01,
    ) as session:
        assert session.get(api_server.url("/me")).json() == "Bearer fresh"
        assert session.get_stats()["retries"] == 1
    assert [request.path for request in api_server.requests] == ["/token", "/me", "/me"]
    assert kept[0]["access_token"] == "fresh"
    assert b"refresh_token=again" in api_server.requests[0].body


def test_our_session_takes_their_auth_as_any(session: Session, api_server: ApiServer) -> None:
    api_server.route("/me", who)
    answers = [
        session.get(api_server.url("/me"), auth=OAuth1(f"key{number}", "s3cret"))
        for number in range(2)
    ]
    assert answers[0].json() != answers[1].json()
