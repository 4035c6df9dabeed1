"""What is kept where urllib3 is a fork; tests/compat/test_niquests.py is about the fork itself."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme
import urllib3
from urllib3.connectionpool import HTTPConnectionPool

from browseros_api.errors import ConnectTimeout, ReadTimeout
from browseros_api.testing import ApiServer, Reply
from browseros_api.transport import pools
from browseros_api.transport.watch import Watch

SHORT = 0.3


@pytest.fixture
def client(open_client: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    """One whose pools are left to urllib3, whichever that is."""
    monkeypatch.setattr(pools, "IS_FOREIGN", True)
    return open_client(max_connections=2)


def test_connections_are_used_again_and_counted(client: Any, api_server: ApiServer) -> None:
    for _ in range(3):
        assert client.get(api_server.url("/x"), timeout=20).ok
    assert client.now["connections_opened"] == client.now["connections_open"] == 1
    assert client.now["connections_in_use"] == client.now["connections_idle"] == 0
    client.close()
    assert client.now["connections_open"] == 0


@pytest.mark.parametrize("reused", [False, True])
def test_a_watch_cuts_what_takes_too_long(reused: bool, client: Any, api_server: ApiServer) -> None:
    if reused:
        client.get(api_server.url("/before"), timeout=20)
    api_server.route("/x", Reply(body=b"x" * 1000, drip=(1, 0.02)))
    began = time.monotonic()
    with Watch(began + SHORT), pytest.raises(ReadTimeout):
        client.get(api_server.url("/x"), timeout=20)
    assert SHORT <= time.monotonic() - began < 5
    assert client.get(api_server.url("/y"), timeout=20).ok
    assert client.now["connections_in_use"] == 0


@pytest.mark.parametrize("timeout", [20, None])
def test_a_watch_bounds_connecting(
    timeout: float | None, client: Any, swallowing: tuple[str, int]
) -> None:
    began = time.monotonic()
    with Watch(began + SHORT), pytest.raises(ConnectTimeout):
        client.get("http://{}:{}/".format(*swallowing), timeout=timeout)
    assert time.monotonic() - began < 5


@pytest.fixture
def secure(client: Any, tmp_path: Path) -> Iterator[ApiServer]:
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    client.verify = str(tmp_path / "ca.pem")
    authority.cert_pem.write_to_path(client.verify)
    with ApiServer(tls=context) as server:
        yield server


def test_it_is_the_same_over_tls(client: Any, secure: ApiServer, mute: tuple[str, int]) -> None:
    assert client.get(secure.url("/x"), timeout=20).ok
    assert client.now["connections_opened"] == 1
    with Watch(time.monotonic() + SHORT), pytest.raises(ConnectTimeout):
        client.get("https://{}:{}/".format(*mute), timeout=20)
    client.verify = True
    with pytest.raises(requests.exceptions.SSLError):
        client.get(secure.url("/x"), timeout=20)


def test_messages_name_what_they_always_named(client: Any, refusing: tuple[str, int]) -> None:
    with pytest.raises(requests.ConnectionError) as caught:
        client.get("http://{}:{}/".format(*refusing), timeout=20)
    assert str(caught.value).startswith("HTTPConnectionPool(host='127.0.0.1', port=")


def test_a_connection_class_that_somebody_put_in_place_is_used(
    client: Any, api_server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Theirs(urllib3.connection.HTTPConnection):
        opened = 0

        def connect(self) -> None:
            Theirs.opened += 1
            super().connect()

    monkeypatch.setattr(HTTPConnectionPool, "ConnectionCls", Theirs)
    assert client.get(api_server.url("/x"), timeout=20).ok
    assert Theirs.opened == 1
