"""The same over TLS: names are sent and checked, and a hanging handshake ends."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme
from urllib3.exceptions import InsecureRequestWarning

from browseros_api.errors import ConnectTimeout, ReadTimeout
from browseros_api.testing import ApiServer, Reply, wait_until
from browseros_api.transport.watch import Watch
from tests.transport.telling import anonymous, ordinary_only, outcome
from tests.transport.test_leaks import FAILURES

IN_TOTAL = r"took longer than 0\.\d+ s in total"


class Authority:
    """Somebody who vouches for ``svc.test`` and 127.0.0.1."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        self.asked: list[str | None] = []
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("svc.test", "127.0.0.1").configure_cert(self.context)
        self.context.sni_callback = lambda sock, name, context: self.asked.append(name)
        self.file = str(folder / "ca.pem")
        authority.cert_pem.write_to_path(self.file)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def server(authority: Authority) -> Iterator[ApiServer]:
    authority.asked.clear()
    with ApiServer(tls=authority.context) as server:
        yield server


@pytest.fixture
def safe(client: Any, authority: Authority) -> Any:
    client.verify = authority.file
    return client


def test_connections_are_used_again(server: ApiServer, safe: Any) -> None:
    for _ in range(5):
        assert safe.get(server.url("/x"), timeout=20).ok
    assert server.connections == 1
    assert safe.now["connections_open"] == safe.now["connections_idle"] == 1


def test_the_name_is_sent_and_checked_though_it_was_looked_up_here(
    server: ApiServer, safe: Any, names: Any, authority: Authority
) -> None:
    names.lead("svc.test", server)
    names.lead("other.test", server)
    assert safe.get(f"https://svc.test:{server.port}/x", timeout=20).ok
    assert authority.asked == ["svc.test"]
    with pytest.raises(requests.exceptions.SSLError, match=r"other\.test"):
        safe.get(f"https://other.test:{server.port}/x", timeout=20)
    assert safe.now["connections_in_use"] == 0
    assert safe.now["connections_open"] == safe.now["connections_idle"] == 1


def test_who_is_not_vouched_for_is_not_trusted(server: ApiServer, client: Any) -> None:
    with pytest.raises(requests.exceptions.SSLError):
        client.get(server.url("/x"), timeout=20)
    assert server.hits() == 0
    assert client.now["connections_in_use"] == client.now["connections_open"] == 0


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_trust_can_be_waived_without_sharing_connections(server: ApiServer, safe: Any) -> None:
    assert safe.get(server.url("/x"), timeout=20, verify=False).ok
    assert safe.get(server.url("/x"), timeout=20).ok
    assert server.connections == 2


def test_who_waives_trust_is_warned_each_time(server: ApiServer, client: Any) -> None:
    for _ in range(3):
        with pytest.warns(InsecureRequestWarning):
            assert client.get(server.url("/x"), timeout=20, verify=False).ok
    assert server.connections == 1


def test_a_bundle_that_vanishes_is_missed_though_a_connection_stands(
    server: ApiServer, client: Any, authority: Authority, tmp_path: Path
) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(Path(authority.file).read_bytes())
    for _ in range(2):
        assert client.get(server.url("/x"), timeout=20, verify=str(bundle)).ok
    bundle.unlink()
    with pytest.raises(OSError, match=r"invalid path: .*bundle\.pem"):
        client.get(server.url("/x"), timeout=20, verify=str(bundle))
    assert client.now["connections_in_use"] == 0


@pytest.mark.parametrize(
    "reply",
    [
        Reply(body=b"fine"),
        Reply(body=b"fine" * 30_000),
        Reply(body=b"fine", chunked=True),
        Reply(body=b"fine", drip=(40, 0.02)),
        Reply(raw=b"HTTP/1.0 200 OK\r\n\r\nfine"),
        *(reply for reply, _ in FAILURES.values()),
    ],
    ids=lambda reply: str(reply.status),
)
@pytest.mark.parametrize("stream", [False, True])
def test_the_short_way_ends_as_the_ordinary_one(
    reply: Reply,
    stream: bool,
    server: ApiServer,
    open_client: Any,
    authority: Authority,
    taken: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server.route("/x", reply)
    outcomes = []
    for way in ("short", "ordinary"):
        client = open_client()
        client.verify = authority.file
        client.get(server.url("/before"), timeout=20)
        with monkeypatch.context() as patch:
            if way == "ordinary":
                ordinary_only(patch)
            options = {"stream": stream, "timeout": (20, 0.3)}
            outcomes.append(outcome(client, "GET", server.url("/x"), **options))
    assert taken == ["/x"]
    assert anonymous(repr(outcomes[0])) == anonymous(repr(outcomes[1]))


@pytest.mark.parametrize(
    "slow",
    [
        Reply(silent=True),
        Reply(body=b"x" * 9, drip_head=(1, 0.02)),
        Reply(body=b"x" * 1000, drip=(1, 0.02)),
        Reply(raw=b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 9999, drip=(30, 0.02)),
    ],
    ids=["silence", "head", "body", "body without length"],
)
@pytest.mark.parametrize("reused", [False, True])
def test_a_watch_cuts_a_slow_answer(
    slow: Reply, reused: bool, server: ApiServer, safe: Any
) -> None:
    if reused:
        safe.get(server.url("/before"), timeout=20)
    server.route("/x", slow)
    began = time.monotonic()
    with Watch(began + 0.3) as watch:
        with pytest.raises(ReadTimeout, match=IN_TOTAL):
            safe.get(server.url("/x"), timeout=20)
        assert watch.expired
    assert 0.3 <= time.monotonic() - began < 5
    assert safe.now["connections_in_use"] == safe.now["connections_open"] == 0


@pytest.fixture
def mute() -> Iterator[str]:
    """Where somebody accepts connections and then says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield f"https://127.0.0.1:{sock.getsockname()[1]}/"


def test_a_handshake_that_hangs_is_a_read_timeout_as_ever(mute: str, client: Any) -> None:
    with pytest.raises(requests.ReadTimeout):
        client.get(mute, timeout=0.1)
    assert client.now["connections_in_use"] == client.now["connections_open"] == 0


def test_a_watch_cuts_a_handshake_that_hangs(mute: str, client: Any) -> None:
    began = time.monotonic()
    with (
        Watch(began + 0.2),
        pytest.raises(ConnectTimeout, match=IN_TOTAL),
    ):
        client.get(mute, timeout=20)  # nothing of the request was sent
    assert 0.2 <= time.monotonic() - began < 5
    assert client.now["connections_in_use"] == client.now["connections_open"] == 0


def test_a_watch_cuts_a_handshake_that_drips(client: Any, crew: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:

        def drip() -> None:
            connection, _ = sock.accept()
            with connection:
                try:
                    for _ in range(1000):
                        connection.send(b"\x16\x03\x03\x40\x00\x00"[:1])
                        time.sleep(0.02)
                except OSError:
                    return

        crew.start(drip)
        began = time.monotonic()
        with Watch(began + 0.2), pytest.raises((ConnectTimeout, requests.exceptions.SSLError)):
            client.get(f"https://127.0.0.1:{sock.getsockname()[1]}/", timeout=20)
        assert time.monotonic() - began < 5


def test_what_a_watch_has_cut_is_never_sent_in_the_clear(server: ApiServer, safe: Any) -> None:
    with safe.get(server.url("/x"), stream=True, timeout=20) as answer:
        sock = answer.raw.connection.sock
        with Watch(time.monotonic() - 1) as watch:
            watch.hold(answer, sock)
            wait_until(lambda: watch._fired)
        assert sock._sslobj is not None
        with pytest.raises(OSError):  # noqa: PT011
            sock.sendall(b"secret" * 100_000)


@pytest.mark.parametrize("dead", [Reply(reset="before"), Reply(raw=b"")])
def test_a_dead_idle_connection_is_replaced(dead: Reply, server: ApiServer, safe: Any) -> None:
    safe.get(server.url("/x"), timeout=20)
    server.script("/y", dead, Reply(body="fine"))
    assert safe.get(server.url("/y"), timeout=20).text == "fine"
    assert safe.now["stale_replaced"] == 1


def test_the_server_sees_idle_connections_go(
    server: ApiServer, open_client: Any, authority: Authority
) -> None:
    client = open_client(keepalive_timeout=0.05)
    client.get(server.url("/x"), timeout=20, verify=authority.file)
    wait_until(lambda: server.open_connections == 0)


def test_streams_over_tls_give_back_what_they_hold(server: ApiServer, safe: Any) -> None:
    server.route("/body", Reply(body=b"x" * 100_000))
    for ending in ("read", "close", "drop"):
        answer = safe.get(server.url("/body"), stream=True, timeout=20)
        assert safe.now["connections_in_use"] == 1
        if ending == "read":
            assert len(answer.content) == 100_000
        elif ending == "close":
            answer.close()
        del answer
        assert safe.now["connections_in_use"] == 0
