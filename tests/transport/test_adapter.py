"""It is an HTTPAdapter in every respect that somebody may rely on."""

from __future__ import annotations

import copy
import threading
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter
from requests.auth import HTTPDigestAuth
from urllib3.util import Retry

from browseros_api.settings import Settings
from browseros_api.testing import ApiServer, FakeClock, Reply
from browseros_api.transport import PoolingAdapter


def test_its_settings_are_settings() -> None:
    with pytest.raises(TypeError, match="settings must be Settings, not 10"):
        PoolingAdapter(10)  # type: ignore[arg-type]


def test_the_parameters_of_requests_are_heard() -> None:
    adapter = PoolingAdapter(pool_connections=3, pool_maxsize=4, max_retries=5, pool_block=True)
    assert isinstance(adapter, HTTPAdapter)
    assert (adapter._pool_connections, adapter._pool_maxsize, adapter._pool_block) == (3, 4, True)
    assert adapter.max_retries.total == 5
    assert adapter._fleet.limiter.per_host == 4
    adapter.close()


def test_there_are_places_for_more_hosts_than_connections() -> None:
    adapter = PoolingAdapter(Settings(max_connections=500))
    assert adapter._pool_connections == 1000
    adapter.close()


def test_a_copy_has_connections_of_its_own(api_server: ApiServer, client: Any) -> None:
    client.get(api_server.url("/x"), timeout=20)
    twin = copy.deepcopy(client.adapter)
    assert twin.settings == client.adapter.settings
    assert twin.statistics()["connections_opened"] == 0
    twin.close()


def test_what_a_subclass_tells_its_pools_arrives_there(api_server: ApiServer) -> None:
    class Bound(PoolingAdapter):
        def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
            super().init_poolmanager(*arguments, source_address=("127.0.0.3", 0), **options)

    with requests.Session() as session:
        adapter = Bound()
        session.mount("http://", adapter)
        with session.get(api_server.url("/x"), stream=True, timeout=20) as answer:
            assert answer.raw.connection.sock.getsockname()[0] == "127.0.0.3"
        adapter.reset_after_fork()
        assert session.get(api_server.url("/x"), timeout=20).ok


def test_retries_of_urllib3_work_within_one_lease(api_server: ApiServer, open_client: Any) -> None:
    client = open_client(max_connections=1, pool_timeout=0.5)
    adapter = PoolingAdapter(
        client.adapter.settings, max_retries=Retry(3, status_forcelist=[503], backoff_factor=0)
    )
    client.mount("http://", adapter)
    api_server.script("/x", Reply(503), Reply(reset="before"), Reply(503), Reply(body="fine"))
    assert client.get(api_server.url("/x"), timeout=20).text == "fine"
    assert api_server.peak_connections == 1
    assert adapter.statistics()["connections_in_use"] == 0
    adapter.close()


def test_digest_authentication_sends_again_through_it(api_server: ApiServer, client: Any) -> None:
    challenge = {"WWW-Authenticate": 'Digest realm="r", nonce="n", qop="auth"'}
    api_server.script("/x", Reply(401, headers=challenge), Reply(body="fine"))
    answer = client.get(api_server.url("/x"), auth=HTTPDigestAuth("me", "secret"), timeout=20)
    assert answer.text == "fine"
    assert api_server.requests[1].headers["Authorization"].startswith("Digest ")
    assert api_server.connections == 1
    assert answer.connection is client.adapter


def test_cookies_and_redirects_are_those_of_requests(api_server: ApiServer, client: Any) -> None:
    api_server.route("/in", Reply(302, headers={"Location": "/out", "Set-Cookie": "a=b"}))
    answer = client.get(api_server.url("/in"), timeout=20)
    assert answer.json()["headers"]["Cookie"] == "a=b"
    assert [hop.status_code for hop in answer.history] == [302]


def test_what_raw_offers_is_still_there(api_server: ApiServer, client: Any) -> None:
    api_server.route("/x", Reply(body=b"0123456789"))
    answer = client.get(api_server.url("/x"), timeout=20)
    assert answer.raw.status == 200
    assert answer.raw.read() == b""
    with client.get(api_server.url("/x"), stream=True, timeout=20) as answer:
        assert answer.raw.read(4) == b"0123"
        assert answer.raw.tell() == 4
        assert answer.raw.read() == b"456789"
    assert client.now["connections_in_use"] == 0


def test_messages_name_what_they_always_named(client: Any, refusing: tuple[str, int]) -> None:
    stock = requests.Session()
    stock.trust_env = False
    texts = []
    with stock:
        for session in (stock, client):
            for scheme in ("http", "https"):
                with pytest.raises(requests.ConnectionError) as caught:
                    session.get("{}://{}:{}/x".format(scheme, *refusing), timeout=20)
                # What follows depends on the version of urllib3.
                texts.append(str(caught.value).partition("NewConnectionError")[0])
    assert texts[:2] == texts[2:]


def test_its_figures(api_server: ApiServer, open_client: Any, names: Any) -> None:
    names.lead("h", api_server)
    client = open_client(clock=FakeClock())
    for headers in ({}, {"Connection": "close"}, {}):
        client.get(f"http://h:{api_server.port}/x", headers=headers, timeout=20)
    with client.get(f"http://h:{api_server.port}/x", stream=True, timeout=20):
        assert client.now == {
            "connections_opened": 2,
            "connections_open": 1,
            "connections_in_use": 1,
            "connections_idle": 0,
            "waiting": 0,
            "dns_lookups": 1,
            "dns_hits": 1,
            "stale_replaced": 0,
        }


def test_figures_may_be_read_while_everybody_works(
    api_server: ApiServer, open_client: Any, crew: Any
) -> None:
    client = open_client(max_connections=4)
    over = threading.Event()

    def read() -> None:
        while not over.is_set():
            now = client.now
            assert 0 <= now["connections_in_use"] <= 4
            assert 0 <= now["connections_open"] <= 4
            assert repr(client.adapter)

    crew.start(read)
    workers = [
        crew.start(
            lambda: [
                client.get(api_server.url("/x"), headers={"Connection": "close"}, timeout=20)
                for _ in range(20)
            ]
        )
        for _ in range(8)
    ]
    for worker in workers:
        worker.join(20)
    over.set()
    crew.join()
    assert client.now["connections_opened"] == 160
