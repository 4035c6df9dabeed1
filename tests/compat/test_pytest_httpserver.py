"""pytest-httpserver: a real server of somebody else's."""

from __future__ import annotations

import threading

import pytest
import requests
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from browseros_api import Session
from tests.compat.laws import Laws, Said, Stage
from tests.flying import PATIENCE


class Served(Stage):
    """The server that the plugin starts."""

    def __init__(self, server: HTTPServer) -> None:
        self.server, self.base = server, server.url_for("")

    def script(self, path: str, *answers: Said, hold: threading.Event | None = None) -> None:
        for said in answers:

            def tell(request: Request, said: Said = said) -> Response:
                assert hold is None or hold.wait(PATIENCE)
                return Response(said.body, said.status, said.headers)

            self.server.expect_ordered_request(path, "GET").respond_with_handler(tell)

    def hits(self, path: str) -> int:
        return sum(request.path == path for request, _ in self.server.log)


@pytest.fixture
def stage(httpserver: HTTPServer) -> Stage:
    return Served(httpserver)


class TestPolicies(Laws):
    pass


def test_what_was_expected_came_and_nothing_else(
    httpserver: HTTPServer, either: requests.Session
) -> None:
    expected = httpserver.expect_request(
        "/users", method="POST", json={"name": "Ada"}, headers={"X-Tenant": "acme"}
    )
    expected.respond_with_json({"id": 7}, status=201)
    either.headers["X-Tenant"] = "acme"
    assert either.post(httpserver.url_for("/users"), json={"name": "Ada"}).json() == {"id": 7}
    httpserver.check()


def test_a_request_that_was_expected_once_is_made_once(
    httpserver: HTTPServer, session: Session
) -> None:
    httpserver.expect_oneshot_request("/once", method="POST").respond_with_data("gone", status=500)
    assert session.post(httpserver.url_for("/once")).text == "gone"
    httpserver.check()
    assert len(httpserver.log) == 1
