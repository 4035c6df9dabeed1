"""requests-aws4auth: signatures of a request."""

from __future__ import annotations

import pytest
import requests
from requests_aws4auth import AWS4Auth

from browseros_api import Session
from browseros_api.testing import ApiServer, Reply


def auth(key: str = "AKID") -> AWS4Auth:
    return AWS4Auth(key, "s3cret", "eu-west-1", "es")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_request_is_signed(either: requests.Session, api_server: ApiServer, method: str) -> None:
    either.auth = auth()
    body = {"a": 1} if method == "POST" else None
    either.request(method, api_server.url("/index/_search"), params={"q": "x y"}, json=body)
    sent = api_server.requests[0]
    assert sent.headers["Authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKID/")
    assert "Signature=" in sent.headers["Authorization"]
    assert sent.headers["x-amz-date"]
    assert len(sent.headers["x-amz-content-sha256"]) == 64


def test_a_repetition_carries_the_same_signature(session: Session, api_server: ApiServer) -> None:
    api_server.script("/x", Reply(503), Reply(json=1))
    assert session.get(api_server.url("/x"), auth=auth()).json() == 1
    first, second = (sent.headers["Authorization"] for sent in api_server.requests)
    assert first == second


def test_signed_answers_are_not_shared(session: Session, api_server: ApiServer) -> None:
    kept = {"Cache-Control": "max-age=60"}
    api_server.script("/x", Reply(json="alice", headers=kept), Reply(json="bob", headers=kept))
    answers = [session.get(api_server.url("/x"), auth=auth(key)).json() for key in ("A", "B")]
    assert answers == ["alice", "bob"]
