"""An idle connection that has died is replaced, once, where nobody minds."""

from __future__ import annotations

import io
from typing import Any

import pytest
import requests

from browseros_api.testing import ApiServer, Reply, wait_until

DEAD = {"reset": Reply(reset="before"), "closed": Reply(raw=b"")}


@pytest.fixture(params=DEAD)
def dead(request: Any) -> Reply:
    return DEAD[request.param]


@pytest.fixture
def used(api_server: ApiServer, client: Any) -> Any:
    """A client with an idle connection, on which nothing but ``/x`` and its like fails."""
    client.get(api_server.url("/before"), timeout=20)
    return client


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"])
def test_an_idempotent_request_is_sent_again(
    method: str, dead: Reply, api_server: ApiServer, used: Any
) -> None:
    api_server.script("/x", dead, Reply(body="fine"))
    answer = used.request(method, api_server.url("/x"), data=b"body", timeout=20)
    assert answer.ok
    assert [request.body for request in api_server.requests[1:]] == [b"body", b"body"]
    assert [request.connection for request in api_server.requests] == [1, 1, 2]
    assert used.now["stale_replaced"] == 1
    assert used.now["connections_in_use"] == 0


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_what_may_be_done_once_only_is_not_sent_again(
    method: str, dead: Reply, api_server: ApiServer, used: Any
) -> None:
    api_server.script("/x", dead, Reply(body="fine"))
    with pytest.raises(requests.ConnectionError):
        used.request(method, api_server.url("/x"), timeout=20)
    assert api_server.hits("/x") == 1
    assert used.now["stale_replaced"] == 0


def test_it_is_sent_again_on_a_connection_that_is_new(
    dead: Reply, api_server: ApiServer, client: Any
) -> None:
    with client.get(api_server.url("/1"), stream=True) as first:
        assert client.get(api_server.url("/2")).ok
        assert first.content
    assert client.now["connections_idle"] == 2
    api_server.script("/x", dead, Reply(body="fine"))
    assert client.get(api_server.url("/x"), timeout=20).text == "fine"
    assert api_server.requests[-1].connection == 3


def test_it_is_sent_again_once_only(dead: Reply, api_server: ApiServer, used: Any) -> None:
    api_server.route("/x", dead)
    with pytest.raises(requests.ConnectionError):
        used.get(api_server.url("/x"), timeout=20)
    assert api_server.hits("/x") == 2
    assert used.now["connections_open"] == used.now["connections_in_use"] == 0


def test_a_connection_that_was_never_idle_is_not_replaced(
    dead: Reply, api_server: ApiServer, client: Any
) -> None:
    api_server.route("/x", dead)
    with pytest.raises(requests.ConnectionError):
        client.get(api_server.url("/x"), timeout=20)
    assert api_server.hits("/x") == 1


@pytest.mark.parametrize(
    "begun",
    [
        Reply(raw=b"H"),
        Reply(raw=b"HTTP/1.1 200 OK\r\nA: b\r\n"),
        Reply(reset="head"),
        Reply(raw=b"HTTP/1.1 100 Continue\r\n\r\n"),
        Reply(body=b"x" * 99, truncate=10),
        Reply(body=b"x" * 99, reset=10),
    ],
    ids=["byte", "head", "reset in the head", "interim", "body", "reset in the body"],
)
def test_a_server_that_has_begun_to_answer_was_not_dead(
    begun: Reply, api_server: ApiServer, used: Any
) -> None:
    api_server.script("/x", begun, Reply(body="fine"))
    with pytest.raises(requests.RequestException):
        used.get(api_server.url("/x"), timeout=20)
    assert api_server.hits("/x") == 1
    assert used.now["stale_replaced"] == 0


def test_silence_is_not_death(api_server: ApiServer, used: Any) -> None:
    api_server.script("/x", Reply(silent=True), Reply(body="fine"))
    with pytest.raises(requests.ReadTimeout):
        used.get(api_server.url("/x"), timeout=0.1)
    assert api_server.hits("/x") == 1


def test_a_file_is_rewound(dead: Reply, api_server: ApiServer, used: Any) -> None:
    api_server.script("/x", dead, Reply(body="fine"))
    file = io.BytesIO(b"not this, only this")
    file.seek(10)
    assert used.put(api_server.url("/x"), data=file, timeout=20).ok
    assert [request.body for request in api_server.requests[1:]] == [b"only this"] * 2


def test_a_body_that_is_gone_is_not_sent_again(
    dead: Reply, api_server: ApiServer, used: Any
) -> None:
    api_server.script("/x", dead, Reply(body="fine"))
    with pytest.raises(requests.ConnectionError):
        used.put(api_server.url("/x"), data=iter([b"a", b"b"]), timeout=20)
    assert api_server.hits("/x") == 1


def test_a_file_that_cannot_be_rewound_is_not_sent_again(
    dead: Reply, api_server: ApiServer, used: Any
) -> None:
    class Forward(io.BytesIO):
        def seek(self, position: int, whence: int = 0, /) -> int:
            if self.tell() and not whence:
                raise OSError("forward only")
            return super().seek(position, whence)

    api_server.script("/x", dead, Reply(body="fine"))
    with pytest.raises(requests.ConnectionError, match="Connection"):
        used.put(api_server.url("/x"), data=Forward(b"123"), timeout=20)
    assert api_server.hits("/x") == 1


def test_a_stream_is_asked_for_again_too(dead: Reply, api_server: ApiServer, used: Any) -> None:
    api_server.script("/x", dead, Reply(body="fine"))
    with used.get(api_server.url("/x"), stream=True, timeout=20) as answer:
        assert answer.content == b"fine"


def test_a_connection_known_to_be_closed_is_not_even_tried(
    api_server: ApiServer, client: Any
) -> None:
    api_server.route("/last", Reply(body="last", close_silently=True))
    assert client.get(api_server.url("/last"), timeout=20).ok
    wait_until(lambda: api_server.open_connections == 0)
    assert client.post(api_server.url("/x"), timeout=20).ok
    assert client.now["stale_replaced"] == 0
    assert api_server.hits("/x") == 1


def test_many_threads_do_not_notice_that_the_server_hangs_up(
    api_server: ApiServer, open_client: Any, crew: Any
) -> None:
    client = open_client(max_connections=4, pool_timeout=20)
    api_server.route("/last", Reply(body="last", close_silently=True))

    def work(number: int) -> None:
        for turn in range(40):
            path = "/last" if (number + turn) % 3 == 0 else "/x"
            assert client.get(api_server.url(path), timeout=20).ok

    for number in range(12):
        crew.start(work, number)
    crew.join()
    assert client.now["connections_in_use"] == 0
