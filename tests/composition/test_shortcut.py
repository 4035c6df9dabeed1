"""The short way through requests ends where anything follows from an answer."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from browseros_api import Session
from browseros_api.testing import ApiServer, Reply


def told(response: requests.Response) -> Any:
    """What a caller can see of an answer, and of those before it."""
    hops = [
        (hop.status_code, hop.url, hop.cookies.get_dict(), hop.is_redirect, hop.request.url)
        for hop in (*response.history, response)
    ]
    return hops, response.content, response.next and response.next.url


@pytest.fixture
def places(api_server: ApiServer) -> ApiServer:
    api_server.route("/plain", Reply(json={"a": 1}))
    api_server.route("/login", Reply(json={}, headers={"Set-Cookie": "who=ada; Path=/"}))
    api_server.route("/old", Reply(302, headers={"Location": "/plain", "Set-Cookie": "seen=1"}))
    api_server.route("/made", Reply(201, json={}, headers={"Location": "/plain"}))
    api_server.route("/loop", Reply(302, headers={"Location": "/loop"}))
    api_server.route("/lost", Reply(404, body="no"))
    return api_server


@pytest.mark.parametrize("path", ["/plain", "/login", "/old", "/made", "/lost"])
@pytest.mark.parametrize("follows", [True, False])
def test_whatever_follows_from_an_answer_follows(
    path: str, follows: bool, places: ApiServer
) -> None:
    seen = []
    for kind in (Session, requests.Session):
        with kind() as session:
            url = places.url(path)
            answers = [session.get(url, allow_redirects=follows) for _ in range(3)]
            seen.append(([told(answer) for answer in answers], session.cookies.get_dict()))
    assert seen[0] == seen[1]
    half = places.requests[: len(places.requests) // 2]
    assert [one.headers.get("Cookie") for one in half] == [
        one.headers.get("Cookie") for one in places.requests[len(half) :]
    ]


def test_a_request_is_sent_once_whatever_follows_from_its_answer(places: ApiServer) -> None:
    with Session() as session:
        for path in ("/login", "/old", "/made"):
            session.get(places.url(path))
            assert places.hits(path) == 1


def test_an_answer_knows_how_long_it_took_and_where_it_came_from(places: ApiServer) -> None:
    with Session() as session:
        answers = [session.get(places.url(path)) for path in ("/plain", "/login", "/old")]
        for answer in answers:
            assert 0 < answer.elapsed.total_seconds() < 60
            assert answer.from_cache is False  # type: ignore[attr-defined]
            again = answer.connection.send(answer.request.copy(), timeout=5)  # as digest auth does
            assert again.status_code == 200
            assert "_answered_after" not in vars(answer)


def test_a_loop_of_redirects_is_told_as_requests_tells_it(places: ApiServer) -> None:
    errors = []
    for kind in (Session, requests.Session):
        with kind() as session:
            session.max_redirects = 3
            with pytest.raises(requests.TooManyRedirects) as caught:
                session.get(places.url("/loop"))
        errors.append((str(caught.value), caught.value.response.url))
    assert errors[0] == errors[1]
    assert places.hits("/loop") == 8


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (requests.Session, "send"),
        (requests.Session, "resolve_redirects"),
        (requests.sessions, "extract_cookies_to_jar"),
        (requests.sessions, "dispatch_hook"),
    ],
)
def test_who_has_replaced_what_requests_does_sees_each_answer(
    owner: Any, name: str, places: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, seen = getattr(owner, name), []

    def watching(*args: Any, **options: Any) -> Any:
        seen.append(name)
        return real(*args, **options)

    with Session() as session:
        session.get(places.url("/plain"))
        monkeypatch.setattr(owner, name, watching)
        session.get(places.url("/plain"))
        assert seen
        monkeypatch.undo()
        before = len(seen)
        session.get(places.url("/plain"))
        assert len(seen) == before


def test_a_send_of_the_sessions_own_sends(
    places: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Session() as session:
        real, seen = session.send, []

        def sending(request: requests.PreparedRequest, **options: Any) -> requests.Response:
            seen.append((request.url, options["timeout"]))
            return real(request, **options)

        monkeypatch.setattr(session, "send", sending)
        session.get(places.url("/plain"), timeout=7)
        assert seen == [(places.url("/plain"), 7)]


def test_a_stream_is_left_to_whoever_reads_it(places: ApiServer) -> None:
    with Session() as session, session.get(places.url("/plain"), stream=True) as response:
        assert not response._content_consumed
        assert response.json() == {"a": 1}
