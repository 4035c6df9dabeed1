"""Connecting: each address in turn, within one budget, with names remembered."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

import pytest
import requests
import urllib3.util.connection

from browseros_api.testing import ApiServer, FakeClock, wait_until
from browseros_api.transport.dial import Dialer
from browseros_api.transport.dns import DnsCache


def test_thirty_connections_are_one_look_up(api_server: ApiServer, client: Any, names: Any) -> None:
    names.lead("h", api_server)
    for _ in range(30):
        url = f"http://h:{api_server.port}/x"
        assert client.get(url, headers={"Connection": "close"}, timeout=20).ok
    assert api_server.connections == 30
    assert names.asked == ["h"]
    assert (client.now["dns_lookups"], client.now["dns_hits"]) == (1, 29)


def test_each_adapter_remembers_for_itself(
    api_server: ApiServer, open_client: Any, names: Any
) -> None:
    names.lead("h", api_server)
    for _ in range(2):
        open_client().get(f"http://h:{api_server.port}/x", timeout=20)
    assert names.asked == ["h", "h"]


def test_an_address_that_refuses_is_passed_over(
    api_server: ApiServer, client: Any, names: Any, refusing: tuple[str, int]
) -> None:
    names.lead("h", refusing, refusing, api_server)
    assert client.get(f"http://h:{api_server.port}/x", timeout=20).ok


def test_an_address_that_swallows_leaves_time_for_the_next_one(
    api_server: ApiServer, client: Any, names: Any, swallowing: tuple[str, int]
) -> None:
    names.lead("h", swallowing, api_server)
    assert client.get(f"http://h:{api_server.port}/x", timeout=(3, 20)).ok


def test_all_addresses_share_one_budget(
    client: Any, names: Any, swallowing: tuple[str, int]
) -> None:
    names.lead("h", *[swallowing] * 20)
    began = time.monotonic()
    with pytest.raises(requests.ConnectTimeout, match=r"connect timeout=0\.3"):
        client.get("http://h/", timeout=0.3)
    assert 0.29 < time.monotonic() - began < 3


def test_a_slow_look_up_is_within_the_budget_too(client: Any, names: Any) -> None:
    names.lead("h", ("127.0.0.1", 1))
    names.gate = threading.Event()
    began = time.monotonic()
    with pytest.raises(requests.ConnectTimeout):
        client.get("http://h/", timeout=(0.1, 20))
    assert 0.09 < time.monotonic() - began < 5
    names.gate.set()


def test_a_name_whose_addresses_do_not_answer_any_more_is_looked_up_again(
    api_server: ApiServer, client: Any, names: Any, refusing: tuple[str, int]
) -> None:
    url = f"http://h:{api_server.port}/x"
    names.lead("h", api_server)
    client.get(url, headers={"Connection": "close"}, timeout=20)
    names.lead("h", refusing)  # unknown to the cache, which still leads to the server
    assert client.get(url, headers={"Connection": "close"}, timeout=20).ok
    client.adapter._fleet.dns._known.clear()
    with pytest.raises(requests.ConnectionError):
        client.get(url, timeout=20)
    names.lead("h", api_server)
    assert client.get(url, timeout=20).ok


def test_addresses_from_the_cache_that_fail_are_asked_for_once_more(
    api_server: ApiServer, names: Any, refusing: tuple[str, int]
) -> None:
    names.lead("h", refusing)
    dns = DnsCache(300.0, FakeClock())
    dns.resolve("h", 80)
    names.lead("h", api_server)
    dialer = Dialer(dns, until=None, source_address=None, options=None)
    dialer.dial("h", 80).close()
    assert names.asked == ["h", "h"]
    dialer.dial("h", 80).close()
    assert names.asked == ["h", "h"]


def test_the_same_addresses_are_not_tried_twice(
    names: Any, refusing: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    names.lead("h", refusing)
    dns = DnsCache(300.0, FakeClock())
    dns.resolve("h", 80)
    dialer = Dialer(dns, until=None, source_address=None, options=None)
    opened = []
    usual = Dialer._open

    def count(self: Any, *arguments: Any) -> Any:
        opened.append(arguments)
        return usual(self, *arguments)

    monkeypatch.setattr(Dialer, "_open", count)
    with pytest.raises(ConnectionRefusedError):
        dialer.dial("h", 80)
    assert len(opened) == 1
    assert names.asked == ["h", "h"]


def test_when_time_is_up_nothing_more_is_tried(names: Any, swallowing: tuple[str, int]) -> None:
    names.lead("h", swallowing)
    dns = DnsCache(300.0)
    dns.resolve("h", 80)
    until = time.monotonic() + 0.05
    dialer = Dialer(dns, until=until, source_address=None, options=None)
    with pytest.raises(TimeoutError):
        dialer.dial("h", 80)
    assert names.asked == ["h"]
    assert dns.recall("h", 80) is None


def test_each_waiting_address_gets_a_fair_share(monkeypatch: pytest.MonkeyPatch) -> None:
    shares: list[float | None] = []

    def refuse(self: Any, address: Any, timeout: float | None) -> Any:
        shares.append(timeout)
        raise ConnectionRefusedError

    monkeypatch.setattr(Dialer, "_open", refuse)
    addresses: Any = [(0, 0, 0, "", (n,)) for n in range(4)]

    def tried(seconds: float | None) -> list[float | None]:
        shares.clear()
        until = None if seconds is None else time.monotonic() + seconds
        dialer = Dialer(DnsCache(0), until=until, source_address=None, options=None)
        with pytest.raises(ConnectionRefusedError):
            dialer._first_open(addresses)
        return [share and round(share) for share in shares]

    assert tried(400) == [100, 133, 200, 400]
    assert tried(2.2) == [1, 1, 1, 2]  # no less than a second, while there is one
    assert tried(None) == [None] * 4


def test_a_name_without_addresses_is_an_error(client: Any, names: Any) -> None:
    names.lead("h")
    with pytest.raises(requests.ConnectionError, match="empty list"):
        client.get("http://h/", timeout=20)


def test_a_name_that_cannot_be_one_is_refused_as_ever(client: Any) -> None:
    with pytest.raises(requests.exceptions.InvalidURL):
        client.get("http://.example.com/", timeout=20)


def test_who_replaces_urllib3s_connecting_is_heard(
    api_server: ApiServer, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = urllib3.util.connection.create_connection

    def elsewhere(address: Any, *arguments: Any, **options: Any) -> Any:
        assert address == ("made.up", 80)
        return usual((api_server.host, api_server.port), *arguments, **options)

    monkeypatch.setattr(urllib3.util.connection, "create_connection", elsewhere)
    assert client.get("http://made.up/x", timeout=20).ok


def test_who_wants_no_ipv6_is_heard(
    api_server: ApiServer, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    families = []
    usual = socket.getaddrinfo

    def note(host: str, port: int, family: int, *rest: Any) -> Any:
        families.append(family)
        return usual("127.0.0.1", port, family, *rest)

    monkeypatch.setattr(socket, "getaddrinfo", note)
    monkeypatch.setattr(urllib3.util.connection, "allowed_gai_family", lambda: socket.AF_INET)
    assert client.get(f"http://h:{api_server.port}/x", timeout=20).ok
    assert families == [socket.AF_INET]


def test_sockets_are_kept_alive_and_do_not_dawdle(api_server: ApiServer, client: Any) -> None:
    with client.get(api_server.url("/x"), stream=True, timeout=20) as answer:
        sock = answer.raw.connection.sock
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_no_timeout_is_no_timeout(api_server: ApiServer, client: Any) -> None:
    with client.get(api_server.url("/x"), stream=True) as answer:
        assert answer.raw.connection.sock.gettimeout() is None


def test_hundreds_of_hosts_leave_no_trace(
    api_server: ApiServer, open_client: Any, names: Any
) -> None:
    client = open_client(max_connections=5)
    adapter = client.adapter
    for number in range(300):
        host = f"h{number}"
        names.lead(host, api_server)
        assert client.get(f"http://{host}:{api_server.port}/x", timeout=20).ok
        del names.known[host]
    assert api_server.peak_connections <= 5
    assert len(adapter.poolmanager.pools) <= 64
    assert len(adapter._fleet.idle) <= 5
    assert adapter._fleet.limiter._hosts == {}
    assert len(adapter._fleet.dns._known) <= 1024
    wait_until(lambda: api_server.open_connections <= 5)
