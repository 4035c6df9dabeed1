"""responses: what it is told to answer is answered, with the policies above it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import responses
from responses import matchers
from responses.registries import OrderedRegistry

import browseros_api
from browseros_api import Session
from browseros_api.testing import ApiServer, Reply
from tests.compat.laws import Laws, Said, Stage
from tests.flying import PATIENCE


class Mocked(Stage):
    """A ``RequestsMock`` that is active."""

    def __init__(self, mock: responses.RequestsMock, base: str) -> None:
        self.mock, self.base = mock, base

    def script(self, path: str, *answers: Said, hold: threading.Event | None = None) -> None:
        for said in answers:

            def tell(request: Any, said: Said = said) -> tuple[int, dict[str, str], bytes]:
                assert hold is None or hold.wait(PATIENCE)
                return said.status, said.headers, said.body

            self.mock.add_callback("GET", self.url(path), callback=tell, content_type=None)

    def hits(self, path: str) -> int:
        return sum(call.request.url == self.url(path) for call in self.mock.calls)


@pytest.fixture
def stage(nowhere: str) -> Iterator[Stage]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield Mocked(mock, nowhere)


class TestPolicies(Laws):
    pass


# -- what people write ---------------------------------------------------------------------------


@responses.activate
def test_the_decorator_works_as_with_requests(either: requests.Session, nowhere: str) -> None:
    responses.get(f"{nowhere}/users/1", json={"id": 1}, headers={"X-Page": "1"})
    answer = either.get(f"{nowhere}/users/1")
    assert (answer.json(), answer.headers["X-Page"], answer.reason) == ({"id": 1}, "1", "OK")
    assert responses.assert_call_count(f"{nowhere}/users/1", 1)
    assert responses.calls[0].request.headers["Accept"] == "*/*"


@responses.activate
def test_matchers_see_what_is_sent(either: requests.Session, nowhere: str) -> None:
    responses.post(
        f"{nowhere}/users",
        status=201,
        json={"id": 7},
        match=[
            matchers.json_params_matcher({"name": "Ada"}),
            matchers.query_param_matcher({"dry": "1"}),
            matchers.header_matcher({"X-Tenant": "acme"}),
        ],
    )
    either.headers["X-Tenant"] = "acme"
    answer = either.post(f"{nowhere}/users", params={"dry": 1}, json={"name": "Ada"})
    assert answer.status_code == 201


@responses.activate(registry=OrderedRegistry)
def test_the_order_of_a_registry_is_kept(either: requests.Session, nowhere: str) -> None:
    responses.get(f"{nowhere}/job", json={"state": "queued"})
    responses.get(f"{nowhere}/job", json={"state": "done"})
    states = [either.get(f"{nowhere}/job").json()["state"] for _ in range(2)]
    assert states == ["queued", "done"]


@responses.activate
def test_redirects_and_cookies_are_those_of_requests(
    either: requests.Session, nowhere: str
) -> None:
    found = {"Location": "/new", "Set-Cookie": "seen=1; Path=/"}
    responses.get(f"{nowhere}/old", status=302, headers=found)
    responses.get(f"{nowhere}/new", body="here")
    answer = either.get(f"{nowhere}/old")
    assert ([hop.status_code for hop in answer.history], answer.text) == ([302], "here")
    assert either.cookies["seen"] == "1"
    assert responses.calls[1].request.headers["Cookie"] == "seen=1"


@responses.activate
def test_an_error_comes_out_as_the_one_that_was_put_in(
    either: requests.Session, nowhere: str
) -> None:
    responses.get(f"{nowhere}/late", body=requests.ReadTimeout("late"))
    with pytest.raises(requests.ReadTimeout, match="late"):
        either.get(f"{nowhere}/late")


@responses.activate
def test_what_is_not_mocked_says_so_and_is_not_sent(
    either: requests.Session, api_server: ApiServer
) -> None:
    with pytest.raises(requests.ConnectionError, match="Connection refused by Responses"):
        either.get(api_server.url("/x"))
    assert api_server.connections == 0


def test_what_may_pass_reaches_the_server(either: requests.Session, api_server: ApiServer) -> None:
    api_server.route("/real", Reply(json="real"))
    with responses.RequestsMock() as mock:
        mock.add_passthru(api_server.base_url)
        assert either.get(api_server.url("/real")).json() == "real"


def test_afterwards_everything_is_as_before(
    either: requests.Session, api_server: ApiServer
) -> None:
    api_server.route("/x", Reply(json="real"))
    with responses.RequestsMock() as mock:
        mock.get(api_server.url("/x"), json="mocked")
        assert either.get(api_server.url("/x")).json() == "mocked"
    assert either.get(api_server.url("/x")).json() == "real"
    with Session() as later:
        assert later.get(api_server.url("/x")).json() == "real"


@responses.activate
def test_a_failed_post_is_not_repeated_behind_the_tests_back(nowhere: str) -> None:
    responses.post(f"{nowhere}/charge", status=500)
    with browseros_api.Session(retry_base_delay=0.01) as session:
        assert session.post(f"{nowhere}/charge", json={}).status_code == 500
    assert responses.assert_call_count(f"{nowhere}/charge", 1)
