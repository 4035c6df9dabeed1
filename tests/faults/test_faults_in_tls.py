"""Where no secret can be shared nothing is sent, and nobody insists."""

from __future__ import annotations

import pytest
from requests.exceptions import SSLError

from browseros_api import DeadlineExceeded
from browseros_api.testing import wait_until
from tests.faults.certificates import Authority
from tests.faults.handshakes import HANDSHAKES, Handshake
from tests.faults.table import CASES
from tests.faults.witness import LONGEST, assert_clean, call, ours, stock

each_handshake = pytest.mark.parametrize(
    "handshake", HANDSHAKES, ids=[handshake.name for handshake in HANDSHAKES]
)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def test_there_are_eleven_ways_with_tls() -> None:
    assert len({handshake.what for handshake in HANDSHAKES}) == 11
    assert len(CASES) + len(HANDSHAKES) == 118


@each_handshake
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_handshake_ends_as_it_has_to(
    handshake: Handshake, method: str, authority: Authority
) -> None:
    timeout = 0.2 if handshake.waits else 5.0
    with handshake.make(authority) as server:
        url = server.url("echo", token := server.token())
        with ours(timeout=timeout) as session:
            session.verify = authority.file
            mine = call(session, method, url)
            assert mine.is_a(handshake.ends), mine
            assert mine.seconds < LONGEST
            is_sent = handshake.ends == 200
            assert server.hits(token) == int(is_sent)
            assert session.get_stats()["attempts"] == server.accepted == handshake.accepted
            assert_clean(session, calls=1)
            assert session.get_stats()["connections"]["connections_open"] == int(is_sent)
            if not is_sent:
                # With TLS 1.3 a request is written before its client hears that it is not wanted.
                is_late = handshake.name == "tls-needs-client-cert"
                state = "maybe-processed" if is_late else "never-sent"
                assert mine.error.__dict__["request_state"] == state
        wait_until(lambda: server.open == 0)
        with stock() as theirs:
            theirs.verify = authority.file
            expected = call(theirs, method, url, timeout=timeout)
        assert mine.is_a(expected.ending), (mine, expected)


@each_handshake
def test_a_trial_call_gives_its_place_back(handshake: Handshake, authority: Authority) -> None:
    with (
        handshake.make(authority) as server,
        ours(
            max_retries=0, half_open_max_calls=1, timeout=0.2 if handshake.waits else 5.0
        ) as session,
    ):
        session.verify = authority.file
        url = server.url("echo", server.token())
        breaker = session.engine.breakers.of(session.engine.breakers.endpoint_of("GET", url))
        breaker.half_open()
        call(session, "GET", url)
        assert breaker.state == ("closed" if handshake.ends == 200 else "open")


def test_a_server_that_is_trusted_again_is_asked_again(authority: Authority) -> None:
    (handshake,) = [one for one in HANDSHAKES if one.name == "tls-ok"]
    with handshake.make(authority) as server, ours() as session:
        url = server.url("echo", server.token())
        assert call(session, "GET", url).is_a(SSLError)
        assert call(session, "GET", url, verify=authority.file).is_a(200)
        assert call(session, "GET", url).is_a(SSLError)  # not through the connection of before
        assert_clean(session, calls=3)


def test_a_deadline_ends_a_handshake_that_hangs(authority: Authority) -> None:
    (handshake,) = [one for one in HANDSHAKES if one.name == "tls-handshake-hangs"]
    with handshake.make(authority) as server, ours() as session:
        mine = call(session, "GET", server.url("echo", server.token()), deadline=0.3)
        assert mine.is_a(DeadlineExceeded), mine
        assert mine.seconds < LONGEST / 3
        assert_clean(session, calls=1)
        wait_until(lambda: server.open == 0)
