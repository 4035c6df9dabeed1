"""Which reply a request gets."""

from __future__ import annotations

import http.client
import json
import time
from typing import Any

import pytest

from browseros_api.testing import ApiServer, Received, Reply


def fetch(
    server: ApiServer, path: str, method: str = "GET", body: Any = None
) -> tuple[int, bytes, http.client.HTTPMessage]:
    client = http.client.HTTPConnection(server.host, server.port, timeout=5)
    try:
        client.request(method, path, body)
        response = client.getresponse()
        return response.status, response.read(), response.headers
    finally:
        client.close()


def test_a_route_answers_each_request(server: ApiServer) -> None:
    server.route("/users", Reply(json={"users": []}))
    for _ in range(3):
        status, body, headers = fetch(server, "/users?page=2")
        assert (status, json.loads(body)) == (200, {"users": []})
        assert headers["Content-Type"] == "application/json"


def test_a_script_gives_its_replies_in_turn_and_the_last_for_ever(server: ApiServer) -> None:
    server.script("/flaky", Reply(503), Reply(503), Reply(json={"ok": True}))
    assert [fetch(server, "/flaky")[0] for _ in range(5)] == [503, 503, 200, 200, 200]


def test_a_repeated_reply_counts_as_so_many(server: ApiServer) -> None:
    server.script("/flaky", Reply(503, repeat=3), Reply(204))
    assert [fetch(server, "/flaky")[0] for _ in range(5)] == [503, 503, 503, 204, 204]


def test_a_route_for_the_method_goes_first(server: ApiServer) -> None:
    server.route("/users", Reply(200))
    server.route("/users", Reply(201), method="post")
    assert fetch(server, "/users", "POST")[0] == 201
    assert fetch(server, "/users", "PUT")[0] == 200


def test_the_latest_route_counts(server: ApiServer) -> None:
    server.script("/users", Reply(500), Reply(501))
    fetch(server, "/users")
    server.route("/users", Reply(202))
    assert fetch(server, "/users")[0] == 202


def test_a_star_stands_for_all_that_begin_so_and_the_longest_wins(server: ApiServer) -> None:
    server.route("*", Reply(404))
    server.route("/users/*", Reply(201))
    server.route("/users/me", Reply(202))
    answers = [fetch(server, path)[0] for path in ("/", "/users/7", "/users/me", "/users")]
    assert answers == [404, 201, 202, 404]


def test_a_handler_sees_the_request_and_makes_the_reply(server: ApiServer) -> None:
    def handler(request: Received) -> Reply:
        return Reply(201, json=[request.json(), request.query, request.headers["content-length"]])

    server.route("/users", handler, method="POST")
    status, body, _ = fetch(server, "/users?a=1&a=2&b=", "POST", '{"x": 1}')
    assert (status, json.loads(body)) == (201, [{"x": 1}, {"a": ["1", "2"], "b": [""]}, "8"])


@pytest.mark.parametrize("path", ["", "/users?page=1", "/users#top"])
def test_a_route_is_a_path(server: ApiServer, path: str) -> None:
    with pytest.raises(ValueError, match="a route is a path"):
        server.route(path, Reply())


def test_a_route_leads_somewhere(server: ApiServer) -> None:
    with pytest.raises(TypeError, match="a route leads to"):
        server.script("/users")
    with pytest.raises(TypeError, match="a route leads to"):
        server.route("/users", {"users": []})  # type: ignore[arg-type]


def test_a_path_without_a_route_tells_what_it_was_asked(server: ApiServer) -> None:
    status, body, headers = fetch(server, "/any/where?q=%C3%A9", "PUT", "säy".encode())
    told = json.loads(body)
    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert (told["method"], told["path"], told["query"]) == ("PUT", "/any/where", {"q": ["é"]})
    assert told["body"] == "säy"
    assert told["headers"]["Content-Length"] == "4"


@pytest.mark.parametrize("status", [200, 204, 304, 404, 418, 503])
def test_the_status_path_answers_with_that_status(server: ApiServer, status: int) -> None:
    assert fetch(server, f"/status/{status}")[0] == status


def test_the_bytes_path_answers_with_so_many_bytes(server: ApiServer) -> None:
    for size in (0, 1, 3_000_000):
        assert len(fetch(server, f"/bytes/{size}")[1]) == size


def test_the_delay_path_answers_later(server: ApiServer) -> None:
    began = time.monotonic()
    assert fetch(server, "/delay/0.1")[0] == 200
    assert time.monotonic() - began >= 0.1


@pytest.mark.parametrize(
    "path", ["/status/ok", "/delay/11", "/delay/nan", "/delay/-1", "/bytes/x", "/bytes/-1"]
)
def test_a_built_in_path_says_what_it_does_not_understand(server: ApiServer, path: str) -> None:
    status, body, _ = fetch(server, path)
    assert status == 400
    assert body.startswith(path.encode())


def test_a_route_goes_before_a_built_in_path(server: ApiServer) -> None:
    server.route("/status/200", Reply(503))
    assert fetch(server, "/status/200")[0] == 503
