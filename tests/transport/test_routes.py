"""Which pool serves which origin is remembered for as long as it is true."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import requests
import urllib3
from requests import PreparedRequest

from browseros_api.testing import ApiServer
from browseros_api.transport import PoolingAdapter
from browseros_api.transport.routes import Routes

VERIFY: list[Any] = [True, False, "/dev/null", "/tmp", None, 1, 0, "", Path("/tmp")]
CERTS: list[Any] = [None, "/dev/null", ("/dev/null", "/dev/null")]


def request(url: str) -> PreparedRequest:
    prepared = PreparedRequest()
    prepared.url = url
    return prepared


@pytest.fixture
def adapter() -> Any:
    adapter = PoolingAdapter()
    yield adapter
    adapter.close()


@pytest.mark.parametrize("verify", VERIFY, ids=repr)
@pytest.mark.parametrize("cert", CERTS, ids=repr)
def test_no_two_pools_are_taken_for_one(verify: Any, cert: Any, adapter: Any) -> None:
    routes, pools = Routes(adapter.poolmanager), {}
    urls: tuple[Any, ...] = (
        *(None, b"http://svc.test/x"),
        *("http://svc.test/x", "http://svc.test/y?z", "http://svc.test:80/", "https://svc.test/"),
        *("http://svc.test:8080/", "http://me:pw@svc.test/", "http://SVC.test/", "http://[::1]/"),
        *("http://svc.test?/x", "http://svc.test#/x", "http://svc.test", "HTTP://svc.test/x"),
        *("http:///svc.test/", "http:/x/svc.test/", " http://svc.test/x", "  http://svc.test/x"),
        *("http://svc\\t.test/", "http://other.test\\\\@svc.test/", "https:///svc.test/"),
    )
    for url in urls:
        for other in VERIFY:
            route = routes.route(url, other, cert)
            if route is None:
                continue
            try:
                pool = adapter.get_connection_with_tls_context(request(url), other, cert=cert)
            except (ValueError, TypeError, requests.RequestException):
                continue
            assert pools.setdefault(route, pool) is pool
    assert (routes.route("http://svc.test/", verify, cert) is None) == (
        verify is not True and verify is not False and type(verify) is not str
    )


def test_a_pool_that_the_manager_has_dropped_is_gone(api_server: ApiServer, client: Any) -> None:
    client.get(api_server.url("/x"), timeout=20)
    route = client.adapter._routes.route(api_server.url("/y"), True, None)
    manager = client.adapter.poolmanager
    assert client.adapter._routes.pool(route, manager) is not None
    manager.clear()
    assert client.adapter._routes.pool(route, manager) is None
    assert client.get(api_server.url("/x"), timeout=20).ok
    assert client.adapter._routes.pool(route, manager) is not None


def test_other_options_or_another_manager_lead_elsewhere(
    api_server: ApiServer, client: Any
) -> None:
    client.get(api_server.url("/x"), timeout=20)
    routes, manager = client.adapter._routes, client.adapter.poolmanager
    route = routes.route(api_server.url("/y"), True, None)
    assert routes.pool(route, urllib3.PoolManager()) is None
    manager.connection_pool_kw["blocksize"] = 4096
    assert routes.pool(route, manager) is None
    assert client.get(api_server.url("/x"), timeout=20).ok


def test_the_pool_used_last_is_dropped_last(api_server: ApiServer, names: Any) -> None:
    for name in ("a.test", "b.test", "c.test"):
        names.lead(name, api_server)
    with requests.Session() as session:
        session.trust_env = False
        session.mount("http://", PoolingAdapter(pool_connections=2))
        for name in ("a.test", "b.test", "a.test", "c.test", "a.test"):
            assert session.get(f"http://{name}:{api_server.port}/", timeout=20).ok
    assert names.asked == ["a.test", "b.test", "c.test"]
    assert api_server.connections == 3


def test_what_is_remembered_is_bounded(adapter: Any) -> None:
    routes = Routes(adapter.poolmanager)
    for number in range(10_000):
        routes.learn((f"http://h{number}", True, None, None), "key")
    assert len(routes._keys) <= 4096
