"""A stream keeps its connection until it ends, is closed or is dropped, and no longer."""

from __future__ import annotations

import gc
from typing import Any

import pytest
import requests

from browseros_api.testing import ApiServer, Reply, wait_until

BODIES = {
    "length": Reply(body=b"x" * 100_000),
    "chunked": Reply(body=b"x" * 100_000, chunked=True),
    "closing": Reply(body=b"x" * 100_000, close=True),
    "no-length": Reply(raw=b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100_000),
    "empty": Reply(body=b""),
    "nothing": Reply(204),
}


@pytest.fixture(params=BODIES)
def server(request: Any, api_server: ApiServer) -> ApiServer:
    api_server.route("/body", BODIES[request.param])
    return api_server


def stream(client: Any, server: ApiServer) -> requests.Response:
    response = client.get(server.url("/body"), stream=True, timeout=20)
    assert client.now["connections_in_use"] == 1
    assert client.now["connections_open"] == 1
    return response


def test_its_end_gives_the_connection_back(server: ApiServer, client: Any) -> None:
    response = stream(client, server)
    assert len(response.content) in (0, 100_000)
    assert client.now["connections_in_use"] == 0


def test_iterating_to_the_end_gives_it_back(server: ApiServer, client: Any) -> None:
    response = stream(client, server)
    for _ in response.iter_content(1000):
        pass
    assert client.now["connections_in_use"] == 0


def test_closing_gives_it_back(server: ApiServer, client: Any) -> None:
    response = stream(client, server)
    next(response.iter_content(10), None)
    response.close()
    assert client.now["connections_in_use"] == 0
    assert client.now["connections_open"] == client.now["connections_idle"]


def test_leaving_its_with_block_gives_it_back(server: ApiServer, client: Any) -> None:
    with stream(client, server):
        pass
    assert client.now["connections_in_use"] == 0


def test_closing_the_raw_answer_gives_it_back(server: ApiServer, client: Any) -> None:
    response = stream(client, server)
    response.raw.close()
    assert client.now["connections_in_use"] == client.now["connections_open"] == 0


def test_dropping_it_gives_it_back(server: ApiServer, client: Any) -> None:
    gc.disable()
    try:
        response = stream(client, server)
        del response
        assert client.now["connections_in_use"] == client.now["connections_open"] == 0
    finally:
        gc.enable()


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # in garbage the socket may go first
def test_the_collector_gives_it_back(server: ApiServer, client: Any) -> None:
    response: Any = stream(client, server)
    response.me = response
    del response
    gc.collect()
    assert client.now["connections_in_use"] == client.now["connections_open"] == 0


def test_an_answer_to_head_gives_it_back(api_server: ApiServer, client: Any) -> None:
    client.head(api_server.url("/x"), timeout=20)
    assert client.now["connections_in_use"] == 0
    with client.head(api_server.url("/x"), stream=True, timeout=20):
        pass
    assert client.now["connections_in_use"] == 0


def test_a_stream_that_breaks_gives_it_back(api_server: ApiServer, client: Any) -> None:
    api_server.route("/cut", Reply(body=b"x" * 1000, truncate=500))
    response = client.get(api_server.url("/cut"), stream=True, timeout=20)
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        response.content  # noqa: B018
    assert client.now["connections_in_use"] == client.now["connections_open"] == 0


def test_streams_within_streams(api_server: ApiServer, open_client: Any) -> None:
    client = open_client(max_connections=3, pool_timeout=0.1)
    api_server.route("/body", Reply(body=b"x" * 100_000))
    url = api_server.url("/body")
    with client.get(url, stream=True) as first:
        next(first.iter_content(10))
        with client.get(url, stream=True) as second:
            for _ in second.iter_content(50_000):
                assert len(client.get(url).content) == 100_000
        assert client.now["connections_in_use"] == 1
    assert client.now["connections_in_use"] == 0


def test_a_body_may_be_made_of_another_answer(api_server: ApiServer, client: Any) -> None:
    api_server.route("/source", Reply(body=b"x" * 5000))

    def body() -> Any:
        yield from client.get(api_server.url("/source"), stream=True).iter_content(1000)
        yield client.get(api_server.url("/source")).content

    answer = client.post(api_server.url("/sink"), data=body(), timeout=20)
    assert answer.ok
    assert len(api_server.requests[-1].body) == 10_000
    assert client.now["connections_in_use"] == 0


def test_a_stream_that_another_thread_reads(api_server: ApiServer, client: Any, crew: Any) -> None:
    api_server.route("/body", Reply(body=b"x" * 100_000))
    response = client.get(api_server.url("/body"), stream=True, timeout=20)
    crew.start(lambda: response.content)
    crew.join()
    assert client.now["connections_in_use"] == 0
    assert client.now["connections_idle"] == 1


def test_the_server_sees_that_a_stream_was_abandoned(api_server: ApiServer, client: Any) -> None:
    api_server.route("/body", Reply(body=b"x" * 10_000_000))
    response = client.get(api_server.url("/body"), stream=True, timeout=20)
    assert api_server.open_connections == 1
    del response
    wait_until(lambda: api_server.open_connections == 0)
