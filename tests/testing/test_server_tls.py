"""The same server, spoken to through TLS."""

from __future__ import annotations

import socket
import ssl
import time
from pathlib import Path

import pytest
import requests
import trustme

from browseros_api.testing import ApiServer, Reply, wait_until


class Authority:
    """Somebody who vouches for 127.0.0.1."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(self.server)
        self.file = str(folder / "ca.pem")
        authority.cert_pem.write_to_path(self.file)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


def test_tls_serves_as_well(authority: Authority) -> None:
    with ApiServer(tls=authority.server) as server, requests.Session() as session:
        session.verify = authority.file
        session.trust_env = False  # a REQUESTS_CA_BUNDLE would win over it
        assert server.base_url.startswith("https://")
        for _ in range(3):
            assert session.get(server.url("/x"), timeout=5).json()["path"] == "/x"
        assert session.post(server.url("/x"), data=b"x" * 500_000, timeout=5).status_code == 200
        assert len(session.get(server.url("/bytes/500000"), timeout=5).content) == 500_000
        assert (server.connections, server.hits()) == (1, 5)


def test_a_tls_client_that_does_not_trust_it_is_not_an_error_of_the_server(
    authority: Authority,
) -> None:
    with ApiServer(tls=authority.server) as server:
        with pytest.raises(requests.exceptions.SSLError):
            requests.get(server.url("/x"), timeout=5)
        with socket.create_connection((server.host, server.port), 5) as plain:
            plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
            while plain.recv(1000):
                pass
        assert server.hits() == 0


@pytest.mark.parametrize(
    "bad", [Reply(reset="before"), Reply(body=b"x" * 9, reset=4), Reply(body=b"x" * 9, truncate=4)]
)
def test_tls_breaks_as_well(authority: Authority, bad: Reply) -> None:
    with ApiServer(tls=authority.server) as server:
        server.route("/a", bad)
        with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
            requests.get(server.url("/a"), timeout=5, verify=authority.file)


def test_closing_is_quick_with_tls_too(authority: Authority) -> None:
    with ApiServer(tls=authority.server) as server:
        server.route("/a", Reply(silent=True))
        idle = socket.create_connection((server.host, server.port), 5)  # never begins TLS
        busy = ssl.create_default_context(cafile=authority.file).wrap_socket(
            socket.create_connection((server.host, server.port), 5), server_hostname="127.0.0.1"
        )
        busy.sendall(b"GET /a HTTP/1.1\r\n\r\n")
        wait_until(lambda: server.active_requests == 1 and server.connections == 2)
        began = time.monotonic()
    assert time.monotonic() - began < 4.0
    idle.close()
    busy.close()
