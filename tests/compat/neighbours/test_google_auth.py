"""google-auth: a session whose credentials are refreshed while it asks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from google.auth.credentials import Credentials
from google.auth.transport.requests import AuthorizedSession, Request

from browseros_api import ResilienceMixin, Session
from browseros_api.testing import ApiServer, Received, Reply

PRIVATE = {"Cache-Control": "private, max-age=60"}


class Google(ResilienceMixin, AuthorizedSession):
    pass


class Tokens(Credentials):
    """One token after the other, each valid until it is refreshed."""

    def __init__(self, *names: str) -> None:
        super().__init__()
        self.names = [*names]

    def refresh(self, request: Any) -> None:
        self.token = self.names.pop(0)


def who(request: Received) -> Reply:
    return Reply(json=request.headers.get("Authorization"), headers=PRIVATE)


@pytest.fixture
def google(api_server: ApiServer) -> Iterator[Google]:
    api_server.route("/me", who)
    with Google(Tokens("alice", "bob"), retry_base_delay=0.01) as google:
        yield google


def test_a_call_carries_the_token_and_is_asked_again(google: Google, api_server: ApiServer) -> None:
    api_server.script("/flaky", Reply(503), who)
    assert google.get(api_server.url("/flaky")).json() == "Bearer alice"
    assert google.get_stats()["retries"] == 1


def test_a_401_leads_to_another_token(google: Google, api_server: ApiServer) -> None:
    api_server.script("/strict", Reply(401), who)
    assert google.get(api_server.url("/strict")).json() == "Bearer bob"
    assert [sent.headers["Authorization"] for sent in api_server.requests] == [
        "Bearer alice",
        "Bearer bob",
    ]


def test_answers_are_not_shared_between_tokens(google: Google, api_server: ApiServer) -> None:
    assert google.get(api_server.url("/me")).json() == "Bearer alice"
    google.credentials.refresh(None)
    assert google.get(api_server.url("/me")).json() == "Bearer bob"


def test_its_transport_takes_our_session(session: Session, api_server: ApiServer) -> None:
    api_server.script("/token", Reply(503), Reply(json={"access_token": "x"}))
    answer = Request(session)(api_server.url("/token"), method="GET")
    assert answer.status == 200
    assert b"access_token" in answer.data
    assert api_server.hits("/token") == 2


def test_all_the_time_that_is_allowed_bounds_the_call(
    google: Google, api_server: ApiServer
) -> None:
    assert google.get(api_server.url("/me"), max_allowed_time=30, timeout=20).ok
