"""pyOpenSSL: its sockets, put in the place of the standard library's by urllib3."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import trustme
from urllib3.contrib import pyopenssl

from browseros_api import Session
from browseros_api.testing import ApiServer, Reply


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    """Its certificate is vouched for, and pyOpenSSL speaks to it."""
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    with ApiServer(tls=context) as server:
        pyopenssl.inject_into_urllib3()
        try:
            yield server
        finally:
            pyopenssl.extract_from_urllib3()


def test_a_connection_is_used_again(either: requests.Session, server: ApiServer) -> None:
    for number in range(3):
        assert either.post(server.url("/x"), data=str(number)).json()["body"] == str(number)
    assert server.connections == 1


def test_what_takes_too_long_is_a_timeout(either: requests.Session, server: ApiServer) -> None:
    server.script("/x", Reply(json=1), Reply(silent=True, repeat=9))
    assert either.get(server.url("/x"), timeout=20).json() == 1
    with pytest.raises(requests.ReadTimeout):
        either.post(server.url("/x"), timeout=(20, 0.2))


def test_a_503_is_asked_again(session: Session, server: ApiServer) -> None:
    server.script("/flaky", Reply(503), Reply(json={"ok": True}))
    assert session.get(server.url("/flaky")).json() == {"ok": True}
    assert server.connections == 1
