"""A POST is done at most once, wherever the connection breaks, unless it says that it may be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import pytest
import requests

from browseros_api import EnhancedAPIClient, Session
from tests.faults.effects import Break, EffectServer

BODY = {"amount": 1}


@pytest.fixture
def server() -> Iterator[EffectServer]:
    with EffectServer() as server:
        yield server


def ours(**settings: Any) -> Session:
    """As anybody would make it; but for the delays, which are not waited for."""
    session = Session(sleep=lambda _: None, **settings)
    session.trust_env = False
    return session


def warmed(server: EffectServer, session: Session) -> None:
    """Let the session have a connection that is kept alive."""
    server.rest()
    assert session.get(server.url, use_cache=False).ok


def places(server: EffectServer, by: Literal["RST", "FIN"], length: int) -> Iterator[Break]:
    """Every byte of the request, and every byte of the answer but the last."""
    for offset in range(length):
        yield Break("request", offset, by)
    for offset in range(server.answer_length):
        yield Break("answer", offset, by)


def length_of_a_post(server: EffectServer, session: Session) -> int:
    server.expect()
    assert session.post(server.url, json=BODY).ok
    return server.length


@pytest.mark.parametrize("reused", [False, True], ids=["fresh", "kept alive"])
@pytest.mark.parametrize("by", ["RST", "FIN"])
def test_a_session_never_posts_twice_wherever_the_connection_breaks(
    by: Literal["RST", "FIN"], reused: bool, server: EffectServer
) -> None:
    with ours() as session:
        length = length_of_a_post(server, session)
    broken = 0
    for where in places(server, by, length):
        with ours() as session:
            if reused:
                warmed(server, session)
            told = server.expect(where)
            with pytest.raises(requests.RequestException) as caught:
                session.post(server.url, json=BODY)
            broken += 1
            whole = where.of == "answer"
            assert (told.begun, len(told.done)) == (1, int(whole)), where
            state = caught.value.__dict__["request_state"]
            assert state != "never-sent", where
            if not whole:
                assert state == "maybe-processed", where
            assert session.get_stats()["attempts"] == 1 + int(reused)
            assert session.get_stats()["connections"]["connections_in_use"] == 0
    assert broken == length + server.answer_length > 150


@pytest.mark.parametrize("by", ["RST", "FIN"])
def test_what_is_idempotent_is_done_again_at_the_same_places(
    by: Literal["RST", "FIN"], server: EffectServer
) -> None:
    """The test above could fail: the same breaks are survived by a method that may be repeated."""
    with ours() as session:
        length = length_of_a_post(server, session)
        for where in list(places(server, by, length))[::7]:
            told = server.expect(where, times=1)
            assert session.put(server.url, json=BODY).ok
            assert told.begun == 2, where


@pytest.mark.parametrize("by", ["RST", "FIN"])
def test_with_its_keys_the_client_lets_the_server_do_it_once(
    by: Literal["RST", "FIN"], server: EffectServer
) -> None:
    with EnhancedAPIClient(
        f"http://127.0.0.1:{server.port}",
        **{"sleep": lambda _: None, "failure_threshold": 1000, "retry_budget": None},
    ) as client:
        client.session.trust_env = False
        server.expect()
        client.post("/effects", BODY)
        repeated = 0
        for number, where in enumerate(places(server, by, server.length)):
            if number % 3:
                continue
            told = server.expect(where, times=2)
            assert client.post("/effects", BODY) == {"ok": True}
            assert told.effects == 1, where
            assert told.begun == 3, where
            assert len(told.done) == (3 if where.of == "answer" else 1), where
            assert "" not in told.done
            repeated += len(told.done) > 1
    assert repeated > 15


def test_a_post_that_was_never_sent_is_sent_again(server: EffectServer) -> None:
    """Nobody listens at first: that may be tried again by any method."""
    port = server.port
    server.close()
    tries: list[float] = []

    def wait(seconds: float) -> None:
        tries.append(seconds)
        if len(tries) == 2:
            revived.append(EffectServer(port=port))
            told.append(revived[0].expect())

    revived: list[EffectServer] = []
    told: list[Any] = []
    with Session(sleep=wait) as session:
        session.trust_env = False
        assert session.post(f"http://127.0.0.1:{port}/effects", json=BODY).ok
    revived[0].close()
    assert (told[0].begun, told[0].done, len(tries)) == (1, [""], 2)
