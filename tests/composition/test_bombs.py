"""Small answers that unpack into large ones: ``max_response_bytes`` bounds what comes to memory."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import Callable

import pytest
import requests
from requests.adapters import HTTPAdapter

import browseros_api
from browseros_api import EnhancedAPIClient, ResponseTooLarge, Session
from browseros_api.testing import ApiServer, Reply

MIB = 1024 * 1024
LIMIT = MIB
UNPACKED = 64 * MIB
MOST = 8 * MIB  # the limit, copies on the way, buffers, and what else a request takes

packed = gzip.compress(bytes(UNPACKED), 9)
BOMBS = {
    "gzip": Reply(body=packed, headers={"Content-Encoding": "gzip"}),
    "gzip, in chunks": Reply(body=packed, headers={"Content-Encoding": "gzip"}, chunked=True),
    "deflate": Reply(body=zlib.compress(bytes(UNPACKED)), headers={"Content-Encoding": "deflate"}),
    "gzip twice": Reply(body=gzip.compress(packed), headers={"Content-Encoding": "gzip, gzip"}),
    "not packed": Reply(body=bytes(UNPACKED)),
    "an error": Reply(404, body=packed, headers={"Content-Encoding": "gzip"}),
    "an error that is asked again": Reply(503, body=packed, headers={"Content-Encoding": "gzip"}),
}


def peak(work: Callable[[], object]) -> int:
    """Bytes allocated at most while ``work`` is done."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", BOMBS)
@pytest.mark.parametrize("door", ["session", "client", "installed", "another adapter"])
def test_a_bomb_does_not_go_off(door: str, name: str, api_server: ApiServer) -> None:
    api_server.route("/bomb", BOMBS[name])
    BOMBS[name].answer()  # what the server needs for it is not counted
    url = api_server.url("/bomb")

    def work() -> None:
        with pytest.raises(ResponseTooLarge, match=f"max_response_bytes={LIMIT}"):
            ask(url, timeout=30)

    with (
        Session(max_response_bytes=LIMIT) as session,
        EnhancedAPIClient(api_server.base_url, max_response_bytes=LIMIT) as client,
        browseros_api.install(max_response_bytes=LIMIT),
    ):
        if door == "another adapter":
            session.mount("http://", HTTPAdapter())
        ask = {"client": client.get, "installed": requests.get}.get(door, session.get)
        assert peak(work) < MOST
        assert api_server.hits() == 1  # nor is it asked for again
        for asked in (session, client):
            assert asked.get_stats()["connections"]["connections_in_use"] == 0


def test_nor_does_that_of_a_redirect(api_server: ApiServer) -> None:
    headers = {"Content-Encoding": "gzip", "Location": "/echo"}
    api_server.route("/bomb", Reply(302, body=packed, headers=headers))
    for limit in (LIMIT, None):
        with Session(max_response_bytes=limit) as session:
            most = MOST if limit else 5 * MOST
            assert peak(lambda: session.get(api_server.url("/bomb"), timeout=30)) < most


def test_what_fits_exactly_comes_whole(api_server: ApiServer) -> None:
    content = bytes(range(256)) * (LIMIT // 256)
    headers = {"Content-Encoding": "gzip"}
    api_server.route("/fits", Reply(body=gzip.compress(content), headers=headers))
    api_server.route("/does-not", Reply(body=gzip.compress(content + b"x"), headers=headers))
    with Session(max_response_bytes=LIMIT) as session:
        assert session.get(api_server.url("/fits")).content == content
        with pytest.raises(ResponseTooLarge) as caught:
            session.get(api_server.url("/does-not"))
        assert caught.value.response is not None
        assert caught.value.response.status_code == 200


def test_a_stream_is_bounded_by_whoever_reads_it(api_server: ApiServer) -> None:
    api_server.route("/bomb", BOMBS["gzip"])

    def work() -> None:
        with session.get(api_server.url("/bomb"), stream=True, timeout=30) as response:
            assert sum(map(len, response.iter_content(10_000))) == UNPACKED

    with Session(max_response_bytes=LIMIT) as session:
        assert peak(work) < MOST
