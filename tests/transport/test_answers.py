"""Heads that are cut short are errors, and interim answers are not answers."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from browseros_api.testing import ApiServer, Reply

FINAL = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine"


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\n",
        b"HTTP/1.1 200 OK\r\nA: b",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\n\r",
        b"HTTP/1.1 204 No Content\r\n",
        b"HTTP/1.1 200 OK",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n",
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_a_head_without_its_end_is_an_error(
    method: str, head: bytes, api_server: ApiServer, client: Any
) -> None:
    api_server.route("/x", Reply(raw=head))
    with pytest.raises(requests.ConnectionError) as caught:
        client.request(method, api_server.url("/x"), timeout=20)
    assert type(caught.value.args[0]).__name__ == "ProtocolError"
    assert api_server.hits() == 1


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.0 200\r\n\r\n",
        b"HTTP/1.1 200 OK\nA: b\n\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n",
    ],
)
def test_a_head_with_its_end_is_an_answer(head: bytes, api_server: ApiServer, client: Any) -> None:
    api_server.route("/x", Reply(raw=head + b"fine"))
    assert client.get(api_server.url("/x"), timeout=20).content == b"fine"


@pytest.mark.parametrize("status", [100, 102, 103, 110, 199])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_interim_answers_are_passed_over(
    method: str, status: int, api_server: ApiServer, client: Any
) -> None:
    final = FINAL if method != "HEAD" else FINAL.removesuffix(b"fine")
    interim = b"HTTP/1.1 %d Wait\r\nLink: </a>\r\n\r\n" % status
    api_server.route("/x", Reply(raw=interim * 2 + final, keep=True))
    answer = client.request(method, api_server.url("/x"), timeout=20)
    assert answer.status_code == 200
    assert "Link" not in answer.headers
    assert client.request(method, api_server.url("/x"), timeout=20).status_code == 200
    assert api_server.connections == 1


def test_two_thousand_interim_answers_are_passed_over(api_server: ApiServer, client: Any) -> None:
    api_server.route("/x", Reply(raw=b"HTTP/1.1 100 Continue\r\n\r\n" * 2000 + FINAL))
    assert client.get(api_server.url("/x"), timeout=20).text == "fine"


def test_interim_answers_without_end_are_an_error(api_server: ApiServer, client: Any) -> None:
    api_server.route("/x", Reply(raw=b"HTTP/1.1 103 Hints\r\n\r\n" * 20_000 + FINAL))
    with pytest.raises(requests.ConnectionError, match="interim answers"):
        client.get(api_server.url("/x"), timeout=20)


@pytest.mark.parametrize(
    "interim", [b"A: b\r\n" * 200, b"A: " + b"b" * 70_000 + b"\r\n"], ids=["lines", "line"]
)
def test_an_interim_answer_without_measure_is_an_error(
    interim: bytes, api_server: ApiServer, client: Any
) -> None:
    api_server.route("/x", Reply(raw=b"HTTP/1.1 103 Hints\r\n" + interim + b"\r\n" + FINAL))
    with pytest.raises(requests.ConnectionError):
        client.get(api_server.url("/x"), timeout=20)


def test_switching_protocols_is_a_final_answer(api_server: ApiServer, client: Any) -> None:
    api_server.route("/x", Reply(raw=b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: y\r\n\r\n"))
    answer = client.get(api_server.url("/x"), timeout=20)
    assert (answer.status_code, answer.headers["Upgrade"]) == (101, "y")


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine and more",
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfineHTTP/1.1 200 OK\r\n\r\nbad",
        b"HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\nbad",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\nbad",
    ],
)
def test_what_follows_an_answer_is_not_taken_for_the_next_one(
    raw: bytes, api_server: ApiServer, client: Any
) -> None:
    api_server.route("/x", Reply(raw=raw, keep=True))
    assert client.get(api_server.url("/x"), timeout=20).content in (b"fine", b"")
    assert client.get(api_server.url("/y"), timeout=20).json()["path"] == "/y"


def outcome(session: requests.Session, url: str) -> object:
    try:
        answer = session.get(url, allow_redirects=False, timeout=20)
    except requests.RequestException as error:
        return type(error)
    return answer.status_code, answer.content


def test_a_broken_body_does_not_keep_a_redirect_from_being_followed(
    api_server: ApiServer, client: Any
) -> None:
    plain = requests.Session()
    plain.trust_env = False
    broken = {
        "cut": Reply(302, headers={"Location": "/there"}, body=b"x" * 99, truncate=50),
        "not gzip": Reply(
            302, headers={"Location": "/there", "Content-Encoding": "gzip"}, body=b"x" * 99
        ),
        "chunks": Reply(
            302, headers={"Location": "/there"}, body=b"x" * 99, chunked=True, truncate=5
        ),
    }
    with plain:
        for name, reply in broken.items():
            api_server.route("/x", reply)
            for session in (plain, client):
                answer = session.get(api_server.url("/x"), timeout=20)
                assert answer.json()["path"] == "/there", name
            first, second = (outcome(session, api_server.url("/x")) for session in (plain, client))
            assert first == second
    assert client.now["connections_in_use"] == 0


def test_a_body_larger_than_allowed_is_not_read_to_its_end(
    api_server: ApiServer, open_client: Any
) -> None:
    client = open_client(max_response_bytes=1000)
    api_server.route("/small", Reply(body=b"x" * 1000))
    api_server.route("/large", Reply(body=b"x" * 100_000_000, chunked=True))
    assert len(client.get(api_server.url("/small"), timeout=20).content) == 1000
    with pytest.raises(requests.RequestException, match="max_response_bytes=1000"):
        client.get(api_server.url("/large"), timeout=20)
    assert client.now["connections_in_use"] == 0


def test_an_answer_may_be_closed_by_two_at_the_same_instant(
    api_server: ApiServer, client: Any
) -> None:
    response = client.get(api_server.url("/bytes/10"), stream=True, timeout=20)
    answer = response.raw._original_response
    kind, closings = type(answer), []

    class Closing(kind):  # type: ignore[misc, valid-type]
        def flush(self) -> None:
            closings.append(1)
            if len(closings) == 1:  # it was seen to be open, and now another one comes first
                self.close()
            super().flush()

    answer.__class__ = Closing
    answer.close()
    assert answer.closed
    assert len(closings) == 2
    response.close()
