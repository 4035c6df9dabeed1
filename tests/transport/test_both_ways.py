"""Whatever a server does: the short way ends as the ordinary one, in the same words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from browseros_api.testing import ApiServer, Reply
from tests.faults.case import Case
from tests.faults.hostile import HostileServer
from tests.faults.table import CASES
from tests.transport.telling import anonymous, ordinary_only, outcome
from tests.transport.test_leaks import FAILURES


@pytest.fixture(scope="module")
def hostile() -> Iterator[HostileServer]:
    with HostileServer(CASES.values()) as server:
        yield server


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize(("method", "stream"), [("GET", False), ("POST", False), ("GET", True)])
def test_a_server_that_misbehaves_is_found_out_in_the_same_words(
    case: Case,
    method: str,
    stream: bool,
    hostile: HostileServer,
    open_client: Callable[..., Any],
    taken: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    outcomes = []
    for way in ("short", "ordinary"):
        client = open_client()
        with monkeypatch.context() as patch:
            if way == "ordinary":
                ordinary_only(patch)
            client.get(hostile.url("echo", hostile.token()), timeout=5)
            outcomes.append(
                outcome(
                    client,
                    method,
                    hostile.url(case.name, hostile.token()),
                    stream=stream,
                    data=b"x" * case.sends if method == "POST" else None,
                    timeout=(5, 0.15 if case.waits else 5),
                    seconds=0.4 if case.hangs else 20.0,
                )
            )
            following = client.get(hostile.url("echo", hostile.token()), timeout=5)
            assert following.status_code == 200
        client.close()
    assert taken
    if case.hangs:  # and is cut wherever it is
        assert outcomes[0][0][0] == outcomes[1][0][0]
    else:
        assert anonymous(repr(outcomes[0])) == anonymous(repr(outcomes[1]))


@pytest.mark.parametrize(
    "reply",
    [
        Reply(body=b"fine"),
        Reply(body=b""),
        Reply(body=b"fine" * 30_000),
        Reply(body=b"fine", chunked=True),
        Reply(body=b"fine", drip=(60, 0.05)),
        Reply(204),
        Reply(304),
        Reply(body=b"fine", headers={"Connection": "close"}),
        Reply(body=b"fine", headers=[("Set-Cookie", "a=1"), ("X", "y"), ("set-cookie", "b=2")]),
        Reply(body=b"caf\xe9", headers={"Content-Type": "text/plain"}),
        Reply(body=b"{}", headers={"Content-Type": "application/json"}),
        Reply(body=b"{}", headers={"Content-Type": 'text/x; charset="KOI8-R"'}),
        Reply(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine and more", keep=True),
        Reply(raw=b"HTTP/1.0 200 OK\r\n\r\nfine"),
        Reply(raw=b"HTTP/1.1 200 OK\n\nfine"),
        Reply(raw=b"HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        *(reply for reply, _ in FAILURES.values()),
    ],
    ids=lambda reply: str(reply.status),
)
@pytest.mark.parametrize(("method", "stream"), [("GET", False), ("GET", True), ("HEAD", False)])
def test_each_answer_is_what_it_would_be_on_the_ordinary_way(
    reply: Reply,
    method: str,
    stream: bool,
    api_server: ApiServer,
    open_client: Callable[..., Any],
    taken: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    api_server.route("/x", reply)
    outcomes = []
    for way in ("short", "ordinary"):
        client = open_client()
        client.get(api_server.url("/before"), timeout=20)
        with monkeypatch.context() as patch:
            if way == "ordinary":
                ordinary_only(patch)
            options = {"stream": stream, "timeout": (20, 0.3)}
            outcomes.append(outcome(client, method, api_server.url("/x"), **options))
    assert taken[:1] == ["/x"]
    assert anonymous(repr(outcomes[0])) == anonymous(repr(outcomes[1]))
