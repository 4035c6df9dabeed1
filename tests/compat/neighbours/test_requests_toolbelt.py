"""requests-toolbelt: uploads, sessions with a base, downloads, dumps."""

from __future__ import annotations

import io
from collections.abc import Iterator
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest
import requests
from requests_toolbelt import (
    GuessAuth,
    MultipartEncoder,
    MultipartEncoderMonitor,
    SourceAddressAdapter,
)
from requests_toolbelt.downloadutils.stream import stream_response_to_file
from requests_toolbelt.sessions import BaseUrlSession
from requests_toolbelt.utils import dump

from browseros_api import ResilienceMixin, Session
from browseros_api.testing import ApiServer, Received, Reply


def parts(request: Received) -> dict[str, bytes]:
    """What is in a multipart body, by name."""
    head = f"Content-Type: {request.headers['Content-Type']}\r\n\r\n".encode()
    found: dict[str, bytes] = {}
    for part in message_from_bytes(head + request.body).get_payload():
        name: Any = part.get_param("name", header="content-disposition")  # type: ignore[union-attr]
        found[name] = part.get_payload(decode=True)  # type: ignore[union-attr, assignment]
    return found


def encoder() -> MultipartEncoder:
    file = io.BytesIO(b"x" * 100_000)
    return MultipartEncoder({"title": "Ada", "file": ("notes.txt", file, "text/plain")})


def test_a_multipart_body_arrives_whole(either: requests.Session, api_server: ApiServer) -> None:
    body = encoder()
    either.post(
        api_server.url("/upload"), data=body, headers={"Content-Type": body.content_type}
    ).raise_for_status()
    (request,) = api_server.requests
    assert parts(request) == {"title": b"Ada", "file": b"x" * 100_000}
    assert "Transfer-Encoding" not in request.headers


def test_a_monitor_hears_of_every_byte(either: requests.Session, api_server: ApiServer) -> None:
    heard: list[int] = []
    body = MultipartEncoderMonitor(encoder(), lambda monitor: heard.append(monitor.bytes_read))
    either.post(
        api_server.url("/upload"), data=body, headers={"Content-Type": body.content_type}
    ).raise_for_status()
    assert heard == sorted(heard)
    assert heard[-1] == body.len == len(api_server.requests[0].body)


def test_a_body_that_was_read_is_never_sent_again_empty(
    session: Session, api_server: ApiServer
) -> None:
    api_server.route("/upload", Reply(503))
    body = encoder()
    answer = session.put(
        api_server.url("/upload"), data=body, headers={"Content-Type": body.content_type}
    )
    assert answer.status_code == 503
    assert api_server.hits("/upload") == 1
    assert parts(api_server.requests[0])["title"] == b"Ada"


# -- sessions with a base ------------------------------------------------------------------------


class Based(ResilienceMixin, BaseUrlSession):
    pass


@pytest.fixture
def based(api_server: ApiServer) -> Iterator[Based]:
    with Based(api_server.url("/v1/"), retry_base_delay=0.01) as based:
        yield based


def test_a_base_is_put_before_each_path(based: Based, api_server: ApiServer) -> None:
    api_server.script("/v1/users", Reply(503), Reply(json=[1]))
    assert based.get("users").json() == [1]
    assert api_server.hits("/v1/users") == 2
    prepared = based.prepare_request(requests.Request("GET", "users"))
    assert based.send(prepared).json() == [1]


def test_one_path_under_two_bases_is_two_answers(based: Based, api_server: ApiServer) -> None:
    for version in (1, 2):
        answer = Reply(json=version, headers={"Cache-Control": "max-age=60"})
        api_server.route(f"/v{version}/who", answer)
    assert based.get("who").json() == 1
    based.base_url = api_server.url("/v2/")
    assert based.get("who").json() == 2


def test_a_base_may_be_given_by_name(api_server: ApiServer) -> None:
    with Based(base_url=api_server.url("/v1/")) as based:
        assert based.get("users").json()["path"] == "/v1/users"


# -- downloads, dumps, adapters, auth ------------------------------------------------------------


def test_a_download_is_streamed_into_a_file(
    session: Session, api_server: ApiServer, tmp_path: Path
) -> None:
    api_server.script("/file", Reply(503), Reply(body=b"x" * 300_000, chunked=True))
    with session.get(api_server.url("/file"), stream=True) as response:
        path = stream_response_to_file(response, path=str(tmp_path / "file"), chunksize=8192)
    assert Path(path).read_bytes() == b"x" * 300_000
    assert session.get_stats()["connections"]["connections_in_use"] == 0


def test_a_dump_shows_request_and_answer(either: requests.Session, api_server: ApiServer) -> None:
    api_server.route("/old", Reply(302, headers={"Location": "/new"}))
    api_server.route("/new", Reply(body="here"))
    text = dump.dump_all(either.get(api_server.url("/old"))).decode()
    assert "< GET /old" in text or "/old HTTP/1.1" in text
    assert "> HTTP/1.1 302 Found" in text
    assert "> HTTP/1.1 200 OK" in text
    assert "here" in text


def test_an_answer_that_was_not_kept_can_be_dumped(session: Session, api_server: ApiServer) -> None:
    api_server.route("/kept", Reply(json=1, headers={"Cache-Control": "max-age=60"}))
    assert session.get(api_server.url("/kept")).raw is not None
    assert session.get(api_server.url("/kept")).raw is None  # what a dump would need
    text = dump.dump_all(session.get(api_server.url("/kept"), use_cache=False)).decode()
    assert "> HTTP/1.1 200 OK" in text


def test_an_adapter_of_theirs_is_used(session: Session, api_server: ApiServer) -> None:
    api_server.script("/x", Reply(503), Reply(json=1))
    session.mount("http://", SourceAddressAdapter("127.0.0.1"))
    assert session.get(api_server.url("/x")).json() == 1
    assert session.get_stats()["retries"] == 1


def test_auth_that_is_guessed_is_sent(either: requests.Session, api_server: ApiServer) -> None:
    def guarded(request: Received) -> Reply:
        if request.headers.get("Authorization") == "Basic QWRhOnMzY3JldA==":
            return Reply(json="welcome")
        return Reply(401, headers={"WWW-Authenticate": 'Basic realm="x"'})

    api_server.route("/guarded", guarded)
    answer = either.get(api_server.url("/guarded"), auth=GuessAuth("Ada", "s3cret"))
    assert answer.json() == "welcome"
    assert api_server.hits("/guarded") == 2
