"""Through proxies: forwarded in the clear, tunnelled over TLS."""

from __future__ import annotations

import base64
import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme
import urllib3
from requests.exceptions import ProxyError

from browseros_api.errors import ConnectTimeout, PoolTimeout
from browseros_api.testing import ApiServer, Reply, wait_until
from browseros_api.transport import PoolingAdapter
from browseros_api.transport.pools import PlainPool
from browseros_api.transport.sent import never_sent
from browseros_api.transport.watch import Watch

IN_TOTAL = r"took longer than 0\.\d+ s in total"


class Proxy:
    """Makes tunnels: answers CONNECT and then carries bytes both ways.

    ``refusal`` is sent instead, if it is given; ``is_mute`` answers nothing at all.
    """

    def __init__(self) -> None:
        self.heads: list[bytes] = []
        self.refusal = b""
        self.is_mute = False
        self._sock = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._sock.getsockname()[1]}"
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def _start(self, work: Any, *arguments: Any) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._sock.accept()
            except OSError:
                return
            self._open.append(connection)
            self._start(self._serve, connection)

    def _serve(self, client: socket.socket) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            piece = client.recv(1)
            if not piece:
                return
            head += piece
        self.heads.append(head)
        if self.is_mute:
            return
        if self.refusal:
            client.sendall(self.refusal)
            client.close()
            return
        host, _, port = head.split()[1].decode().rpartition(":")
        assert host == "127.0.0.1"
        server = socket.create_connection((host, int(port)))
        self._open.append(server)
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        self._start(self._carry, server, client)
        self._carry(client, server)

    @staticmethod
    def _carry(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(65536):
                sink.sendall(piece)
            sink.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        for sock in (self._sock, *self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        for thread in self._threads:
            thread.join(20)


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    proxy = Proxy()
    yield proxy
    proxy.close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, str]:
    vouching = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    vouching.issue_cert("127.0.0.1").configure_cert(context)
    file = Path(tmp_path_factory.mktemp("ca")) / "ca.pem"
    vouching.cert_pem.write_to_path(str(file))
    return context, str(file)


@pytest.fixture
def server(authority: tuple[ssl.SSLContext, str]) -> Iterator[ApiServer]:
    with ApiServer(tls=authority[0]) as server:
        yield server


@pytest.fixture
def tunnelled(client: Any, proxy: Proxy, authority: tuple[ssl.SSLContext, str]) -> Any:
    client.verify = authority[1]
    client.proxies = {"https": proxy.url}
    return client


def test_a_forwarding_proxy_gets_the_whole_url(api_server: ApiServer, client: Any) -> None:
    client.proxies = {"http": api_server.base_url}
    for _ in range(3):
        assert client.get("http://svc.test/x?y", timeout=20).ok
    assert [request.target for request in api_server.requests] == ["http://svc.test/x?y"] * 3
    assert api_server.connections == 1
    assert client.now["connections_opened"] == client.now["connections_idle"] == 1


def test_only_the_proxys_name_is_looked_up(api_server: ApiServer, client: Any, names: Any) -> None:
    names.lead("proxy.test", api_server)
    client.proxies = {"http": f"http://proxy.test:{api_server.port}"}
    assert client.get("http://svc.test/x", timeout=20).ok
    assert names.asked == ["proxy.test"]


def test_a_tunnel_is_used_again(server: ApiServer, proxy: Proxy, tunnelled: Any) -> None:
    for _ in range(3):
        assert tunnelled.get(server.url("/x"), timeout=20).ok
    assert server.connections == len(proxy.heads) == 1
    assert proxy.heads[0].startswith(b"CONNECT 127.0.0.1:%d " % server.port)
    assert tunnelled.now["connections_opened"] == tunnelled.now["connections_idle"] == 1


def test_the_name_and_password_go_to_the_proxy_only(
    server: ApiServer, proxy: Proxy, tunnelled: Any
) -> None:
    tunnelled.proxies = {"https": proxy.url.replace("//", "//me:secret@")}
    assert tunnelled.get(server.url("/x"), timeout=20).ok
    assert base64.b64encode(b"me:secret") in proxy.heads[0]
    assert "Proxy-Authorization" not in server.requests[0].headers


def test_proxied_calls_are_limited_too(api_server: ApiServer, open_client: Any) -> None:
    client = open_client(max_connections=1, pool_timeout=0.05)
    client.proxies = {"http": api_server.base_url}
    with client.get("http://svc.test/x", stream=True, timeout=20):
        with pytest.raises(PoolTimeout):
            client.get("http://svc.test/x", timeout=20)
        assert isinstance(
            next(iter(client.adapter.proxy_manager.values())).connection_from_host("svc.test"),
            PlainPool,
        )
    assert client.now["connections_in_use"] == 0


def test_a_proxy_that_is_not_there(client: Any, refusing: tuple[str, int]) -> None:
    client.proxies = dict.fromkeys(["http", "https"], "http://{}:{}".format(*refusing))
    for scheme in ("http", "https"):
        with pytest.raises(ProxyError) as caught:
            client.get(f"{scheme}://svc.test/x", timeout=20)
        assert never_sent(caught.value)
    assert client.now["connections_in_use"] == client.now["connections_open"] == 0


def test_a_proxy_that_refuses_a_tunnel(server: ApiServer, proxy: Proxy, tunnelled: Any) -> None:
    proxy.refusal = b"HTTP/1.1 403 Forbidden\r\n\r\n"
    with pytest.raises(ProxyError, match="403") as caught:
        tunnelled.get(server.url("/x"), timeout=20)
    assert never_sent(caught.value)
    assert tunnelled.now["connections_in_use"] == tunnelled.now["connections_open"] == 0


def test_a_watch_cuts_a_proxy_that_says_nothing(
    server: ApiServer, proxy: Proxy, tunnelled: Any
) -> None:
    proxy.is_mute = True
    began = time.monotonic()
    with (
        Watch(began + 0.2),
        pytest.raises(ConnectTimeout, match=IN_TOTAL),
    ):
        tunnelled.get(server.url("/x"), timeout=20)
    assert 0.2 <= time.monotonic() - began < 5
    assert tunnelled.now["connections_in_use"] == tunnelled.now["connections_open"] == 0


def test_a_watch_cuts_a_slow_answer_through_a_tunnel(server: ApiServer, tunnelled: Any) -> None:
    server.route("/x", Reply(body=b"x" * 1000, drip=(1, 0.02)))
    began = time.monotonic()
    with (
        Watch(began + 0.3),
        pytest.raises(requests.ReadTimeout, match=IN_TOTAL),
    ):
        tunnelled.get(server.url("/x"), timeout=20)
    assert time.monotonic() - began < 5


def test_idle_tunnels_go_by_themselves(
    server: ApiServer, proxy: Proxy, open_client: Any, authority: tuple[ssl.SSLContext, str]
) -> None:
    client = open_client(keepalive_timeout=0.05)
    client.proxies = {"https": proxy.url}
    assert client.get(server.url("/x"), timeout=20, verify=authority[1]).ok
    wait_until(lambda: server.open_connections == 0)


def test_threads_that_meet_a_proxy_first_share_its_manager(
    api_server: ApiServer, client: Any, crew: Any
) -> None:
    client.proxies = {"http": api_server.base_url}
    barrier, managers = threading.Barrier(20), set()

    def work() -> None:
        barrier.wait(20)
        managers.add(id(client.adapter.proxy_manager_for(api_server.base_url)))

    for _ in range(20):
        crew.start(work)
    crew.join()
    assert len(managers) == 1


def test_the_pools_of_others_are_left_alone() -> None:
    adapter = PoolingAdapter()
    adapter.proxy_manager_for("http://127.0.0.1:1")
    usual = urllib3.PoolManager().pool_classes_by_scheme["http"]
    assert usual is urllib3.HTTPConnectionPool
    adapter.close()


def test_a_socks_proxy_keeps_the_pools_it_needs(client: Any, refusing: tuple[str, int]) -> None:
    pytest.importorskip("socks")
    with pytest.raises(requests.ConnectionError):
        client.get("http://svc.test/", proxies={"http": "socks5h://{}:{}".format(*refusing)})
    assert client.now["connections_in_use"] == 0
