"""A client's endpoints are below its base URL, and nowhere else."""

from __future__ import annotations

import pytest

from browseros_api.addresses import Base
from browseros_api.client import EnhancedAPIClient
from browseros_api.testing import ApiServer

BASE = "https://api.example.com"


@pytest.mark.parametrize(
    ("base", "endpoint", "url"),
    [
        (BASE, "/users", f"{BASE}/users"),
        (f"{BASE}/", "/users", f"{BASE}/users"),
        (f"{BASE}/v1", "/users", f"{BASE}/v1/users"),
        (f"{BASE}/v1///", "users", f"{BASE}/v1/users"),
        (f"  {BASE}\n", "/users", f"{BASE}/users"),
        (BASE, "", BASE),
        (f"{BASE}/v1", "", f"{BASE}/v1"),
        (f"{BASE}/v1", "/", f"{BASE}/v1/"),
        (f"{BASE}/v1", "?page=2", f"{BASE}/v1?page=2"),
        (f"{BASE}/v1", "#top", f"{BASE}/v1#top"),
        (f"{BASE}/v1", "/search?q=http://x", f"{BASE}/v1/search?q=http://x"),
        (BASE, "proxy/http://elsewhere.com/", f"{BASE}/proxy/http://elsewhere.com/"),
        (BASE, "mailto:ada", f"{BASE}/mailto:ada"),
        (BASE, "/größe/ä b", f"{BASE}/größe/ä b"),
    ],
)
def test_an_endpoint_is_a_path_below_the_base(base: str, endpoint: str, url: str) -> None:
    assert Base(base).join(endpoint) == url


@pytest.mark.parametrize(
    "url",
    [
        f"{BASE}/v2/users",
        "HTTPS://API.Example.COM/v2",
        "https://api.example.com:443/v2",
        "https://someone@api.example.com/v2",
    ],
)
def test_a_whole_url_of_the_same_origin_is_an_endpoint(url: str) -> None:
    assert Base(f"{BASE}/v1").join(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.com/users",
        "https://api.example.com.evil.com/",
        "https://api.example.com@evil.com/",
        "https://api.example.com:x@evil.com/",
        "https://evil.com\\@api.example.com/",
        "https://evil.com\\.api.example.com/",
        "https://evil.com#@api.example.com/",
        "https://evil.com?@api.example.com/",
        "http://api.example.com/",
        "https://api.example.com:444/",
        "https://api.example.com:80/",
        "ftp://api.example.com/",
        "file:///etc/passwd",
        "https://",
        "https:///users",
        "https://[::1/",
        "https://api.example.com:99999/",
        "https://api.exa\nmple.com/",
    ],
)
def test_an_endpoint_of_another_origin_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="endpoint must be a path, or a URL of the origin of"):
        Base(BASE).join(url)


@pytest.mark.parametrize(
    "endpoint",
    [
        "//evil.com/users",
        "///evil.com",
        "\\\\evil.com/users",
        "/\\evil.com",
        "@evil.com/users",
        ":80@evil.com/",
        ".evil.com/users",
        " https://evil.com/",
        "\thttps://evil.com/",
        "ht\ntps://evil.com/",
        "https:evil.com",
        "https:/evil.com",
        "https:\\\\evil.com",
        "/x\r\nHost: evil.com",
    ],
)
def test_whatever_looks_like_another_host_stays_with_the_base(
    endpoint: str, api_server: ApiServer
) -> None:
    with EnhancedAPIClient(api_server.base_url) as client:
        client.get(endpoint)
    (asked,) = api_server.requests
    assert asked.headers["Host"] == f"127.0.0.1:{api_server.port}"


@pytest.mark.parametrize(
    ("endpoint", "target"),
    [
        ("/users?page=1&sort=name", "/v1/users?page=1&sort=name"),
        ("/users#fragment", "/v1/users"),
        ("/größe/ä b", "/v1/gr%C3%B6%C3%9Fe/%C3%A4%20b"),
        ("/50%25/a%2Fb", "/v1/50%25/a%2Fb"),
        ("/100%", "/v1/100%25"),
        ("", "/v1"),
    ],
)
def test_what_goes_over_the_wire(endpoint: str, target: str, api_server: ApiServer) -> None:
    with EnhancedAPIClient(f"{api_server.base_url}/v1/") as client:
        client.get(endpoint)
    (asked,) = api_server.requests
    assert asked.target == target


def test_parameters_join_a_query_that_is_there(api_server: ApiServer) -> None:
    with EnhancedAPIClient(api_server.base_url) as client:
        client.get("/users?page=1", params={"sort": "ä"})
    (asked,) = api_server.requests
    assert asked.query == {"page": ["1"], "sort": ["ä"]}


@pytest.mark.parametrize("url", [None, 5, b"https://api.example.com", ["https://x"]])
def test_a_base_url_is_text(url: object) -> None:
    with pytest.raises(TypeError, match="base_url must be a str, not"):
        Base(url)  # type: ignore[arg-type]


@pytest.mark.parametrize("url", ["", "   ", "\n"])
def test_a_base_url_is_not_empty(url: str) -> None:
    with pytest.raises(ValueError, match="base_url must not be empty"):
        Base(url)


@pytest.mark.parametrize(
    "url",
    [
        "api.example.com",
        "api.example.com/v1",
        "/v1",
        "//api.example.com",
        "ftp://api.example.com",
        "localhost:8000",
        "https://",
        "https:///v1",
        "https:api.example.com",
        "http://[::1",
        "http://host:99999",
        "http://host:port",
        "http://*.example.com",
        f"http://{'x' * 70}.com/",
        "http://api..example.com",
        "httpx://api.example.com",
    ],
)
def test_a_base_url_has_scheme_and_host(url: str) -> None:
    with pytest.raises(ValueError, match="base_url must be http:// or https:// and a host"):
        Base(url)


@pytest.mark.parametrize(
    "url",
    [f"{BASE}?", f"{BASE}/v1?key=1", f"{BASE}#a", f"{BASE}/a b", f"{BASE}\\v1", f"{BASE}/\x00"],
)
def test_a_base_url_is_plain(url: str) -> None:
    with pytest.raises(ValueError, match="base_url must have no query, fragment, backslash"):
        Base(url)


@pytest.mark.parametrize("url", ["http://user:hunter2@[::1", "http://user:hunter2@host/?key=1"])
def test_a_password_is_not_told(url: str) -> None:
    with pytest.raises(ValueError, match="base_url") as caught:
        Base(url)
    assert "hunter2" not in str(caught.value)
    base = Base("https://user:hunter2@api.example.com")
    with pytest.raises(ValueError, match="endpoint") as refused:
        base.join("https://user:hunter2@evil.com/?token=hunter2")
    assert "hunter2" not in str(refused.value)
    with EnhancedAPIClient("https://user:hunter2@api.example.com") as client:
        assert "hunter2" not in repr(client)


@pytest.mark.parametrize("endpoint", [None, 5, b"/users", ["/users"], {"endpoint": "/users"}])
def test_an_endpoint_is_text(endpoint: object) -> None:
    with pytest.raises(TypeError, match="endpoint must be a str, not"):
        Base(BASE).join(endpoint)  # type: ignore[arg-type]
