"""requests-mock in each of its modes, with the policies above it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import requests_mock

from browseros_api import Session
from browseros_api.testing import ApiServer, Reply
from tests.compat.laws import OK, Laws, Said, Stage
from tests.flying import PATIENCE


class Mocked(Stage):
    """Whatever of requests-mock takes ``register_uri`` and has a ``request_history``."""

    def __init__(self, mock: Any, base: str) -> None:
        self.mock, self.base = mock, base

    def script(self, path: str, *answers: Said, hold: threading.Event | None = None) -> None:
        def telling(said: Said) -> dict[str, Any]:
            def tell(request: Any, context: Any) -> bytes:
                assert hold is None or hold.wait(PATIENCE)
                return said.body

            return {"status_code": said.status, "headers": said.headers, "content": tell}

        self.mock.register_uri("GET", self.url(path), [telling(said) for said in answers])

    def hits(self, path: str) -> int:
        return sum(request.url == self.url(path) for request in self.mock.request_history)


@pytest.fixture
def stage(nowhere: str) -> Iterator[Stage]:
    with requests_mock.Mocker() as mock:
        yield Mocked(mock, nowhere)


class TestPolicies(Laws):
    pass


@pytest.fixture(params=["Mocker(session=...)", "a mounted Adapter"])
def own_stage(request: pytest.FixtureRequest, nowhere: str, session: Session) -> Iterator[Stage]:
    """A mock of one session alone."""
    if request.param == "a mounted Adapter":
        adapter = requests_mock.Adapter()
        session.mount(nowhere, adapter)
        yield Mocked(adapter, nowhere)
    else:
        with requests_mock.Mocker(session=session) as mock:
            yield Mocked(mock, nowhere)


class TestPoliciesOfOneSession:
    test_a_503_is_asked_again = Laws.test_a_503_is_asked_again
    test_identical_calls_at_once_become_one = Laws.test_identical_calls_at_once_become_one
    test_a_stream_is_read_by_the_caller = Laws.test_a_stream_is_read_by_the_caller
    test_a_fresh_answer_is_kept = Laws.test_a_fresh_answer_is_kept

    @pytest.fixture
    def stage(self, own_stage: Stage) -> Stage:
        return own_stage


def test_another_session_is_not_mocked_with_it(session: Session, api_server: ApiServer) -> None:
    api_server.route("/x", Reply(json="real"))
    with requests_mock.Mocker(session=session) as mock, Session() as other:
        mock.get(api_server.url("/x"), json="mocked")
        assert session.get(api_server.url("/x")).json() == "mocked"
        assert other.get(api_server.url("/x")).json() == "real"


# -- what people write ---------------------------------------------------------------------------


def test_the_decorator_works(either: requests.Session, nowhere: str) -> None:
    @requests_mock.Mocker(kw="mock")
    def what_people_write(mock: Any) -> None:
        mock.get(f"{nowhere}/users/1", json={"id": 1}, headers={"X-Page": "1"})
        answer = either.get(f"{nowhere}/users/1?full=yes")
        assert (answer.json(), answer.headers["X-Page"]) == ({"id": 1}, "1")
        assert mock.last_request.qs == {"full": ["yes"]}

    what_people_write()


def test_the_fixture_works_as_with_requests(
    requests_mock: Any, either: requests.Session, nowhere: str
) -> None:
    requests_mock.get(f"{nowhere}/users", [{"text": "one"}, {"text": "two"}])
    assert [either.get(f"{nowhere}/users").text for _ in range(2)] == ["one", "two"]
    assert requests_mock.call_count == 2


def test_what_is_sent_can_be_looked_at(
    requests_mock: Any, either: requests.Session, nowhere: str
) -> None:
    requests_mock.post(
        f"{nowhere}/users",
        status_code=201,
        json={"id": 7},
        request_headers={"X-Tenant": "acme"},
        additional_matcher=lambda request: request.json()["name"] == "Ada",
    )
    either.headers["X-Tenant"] = "acme"
    assert either.post(f"{nowhere}/users", json={"name": "Ada"}, timeout=7).status_code == 201
    assert requests_mock.last_request.json() == {"name": "Ada"}
    assert requests_mock.last_request.timeout == 7


def test_redirects_and_cookies_are_those_of_requests(
    requests_mock: Any, either: requests.Session, nowhere: str
) -> None:
    found = {"Location": "/new"}
    requests_mock.get(f"{nowhere}/old", status_code=302, headers=found, cookies={"seen": "1"})
    requests_mock.get(f"{nowhere}/new", text="here")
    answer = either.get(f"{nowhere}/old")
    assert ([hop.status_code for hop in answer.history], answer.text) == ([302], "here")
    assert answer.history[0].cookies["seen"] == "1"


def test_an_error_comes_out_as_the_one_that_was_put_in(
    requests_mock: Any, either: requests.Session, nowhere: str
) -> None:
    requests_mock.get(f"{nowhere}/late", exc=requests.ConnectTimeout)
    with pytest.raises(requests.ConnectTimeout):
        either.get(f"{nowhere}/late")


def test_what_is_not_mocked_says_so_and_is_not_sent(
    either: requests.Session, api_server: ApiServer
) -> None:
    with requests_mock.Mocker(), pytest.raises(requests_mock.NoMockAddress):
        either.get(api_server.url("/x"))
    assert api_server.connections == 0


@pytest.mark.parametrize("mode", ["all", "session"])
def test_what_may_pass_reaches_the_server(
    mode: str, either: requests.Session, api_server: ApiServer
) -> None:
    api_server.route("/real", Reply(json="real"))
    target = {"session": either} if mode == "session" else {}
    with requests_mock.Mocker(real_http=True, **target) as mock:
        mock.get(api_server.url("/mocked"), json="mocked")
        assert either.get(api_server.url("/mocked")).json() == "mocked"
        assert either.get(api_server.url("/real")).json() == "real"


@pytest.mark.parametrize("mode", ["all", "session"])
def test_afterwards_everything_is_as_before(
    mode: str, session: Session, api_server: ApiServer
) -> None:
    api_server.script("/x", Reply(503), Reply(json="real"))
    target = {"session": session} if mode == "session" else {}
    with requests_mock.Mocker(**target) as mock:
        mock.get(api_server.url("/x"), json="mocked")
        assert session.get(api_server.url("/x")).json() == "mocked"
    assert session.get(api_server.url("/x")).json() == "real"
    assert session.get_stats()["retries"] == 1
    assert session.get_adapter("http://any.test/") is session.engine.adapter


def test_mocks_within_mocks_end_in_order(session: Session, nowhere: str) -> None:
    with requests_mock.Mocker() as outer:
        Mocked(outer, nowhere).script("/x", Said(body=b"1"))
        with requests_mock.Mocker() as inner:
            Mocked(inner, nowhere).script("/x", OK)
            assert session.get(f"{nowhere}/x").json() == {"ok": True}
        assert session.get(f"{nowhere}/x").json() == 1
