"""Laws of what an endpoint is called."""

from __future__ import annotations

import pytest
import requests
from hypothesis import example, given
from hypothesis import strategies as st

from browseros_api.policies.endpoints import endpoint_namer, folded

BASE = "https://api.example.com/v1"


@pytest.mark.parametrize(
    "segment",
    [
        *("123", "0", "00042", "2024-01-31", "2024-01-31T10:00:00Z", "1,2,3", "10.0.0.1"),
        *("3f2504e0-4f89-11d3-9a0c-0305e82c3301", "{3F2504E0-4F89-11D3-9A0C-0305E82C3301}"),
        *("507f1f77bcf86cd799439011", "deadbeef00", "d41d8cd98f00b204e9800998ecf8427e"),
        *("01ARZ3NDEKTSV4RRFFQ69G5FAV", "msg_01XFDUDYJgAACzvnptvVoYEL", "cus_9s6XKzkNRiz8i3"),
        *("V1StGXR8_Z5jdHi6B-myT", "dQw4w9WgXcQ", "T00000000", "order-12345", "C024BE91L"),
        *("john@example.com", "john%40example.com", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTYifQ"),
        "x" * 65,
    ],
)
def test_what_stands_for_one_thing_among_many_is_folded(segment: str) -> None:
    assert folded(f"/users/{segment}/posts") == "/users/{id}/posts"
    assert folded(f"/users/{segment}") == "/users/{id}"


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/users", "/users/", "/users/john", "/v1/messages", "/oauth2/token", "/1.1/x"),
        *("/.well-known/oauth-authorization-server", "/getUserProfileByEmailV2", "/facade"),
        *("/sha256", "/base64/encode", "/iso-8859-1", "/@john", "/summary-of-2024-results"),
        *("/listFoundationModelsV2", "/x509v3", "//double", "/a.b_c-d~e", "/decade/effaced"),
        "/twirp/example.v1.Haberdasher/MakeHat",
    ],
)
def test_words_stay_as_they_are(path: str) -> None:
    assert folded(path) == path


@pytest.mark.parametrize(
    ("url", "name"),
    [
        (f"{BASE}/users/123?full=1", "/users/{id}"),
        (f"{BASE}/users#top", "/users"),
        (BASE, "/"),
        (f"{BASE}/", "/"),
        (f"{BASE}?page=2", "/"),
        ("https://api.example.com:443/v1/users", "/users"),
        ("https://user:secret@API.example.com/v1/users", "/users"),
        ("https://api.example.com/v10/users", "/v10/users"),
        ("https://api.example.com", "/"),
        ("https://api.example.com:8443/v1/users", "https://api.example.com:8443/v1/users"),
        ("http://api.example.com/v1/users", "http://api.example.com/v1/users"),
        ("https://user:secret@other.example.com/a?b=c", "https://other.example.com/a"),
        ("http://other.example.com:80", "http://other.example.com/"),
        ("http://[::1]:8080/users/7", "http://[::1]:8080/users/{id}"),
        ("mock://test/users/7", "mock://test/users/{id}"),
        ("http://[::1/users", "(invalid URL)"),
        ("", "/"),
    ],
)
def test_an_endpoint_is_named_as_one_would_write_it_below_the_base_url(url: str, name: str) -> None:
    assert endpoint_namer(BASE, None)("GET", url) == name
    assert endpoint_namer(f"{BASE}/", None)("POST", url) == name


@pytest.mark.parametrize("base_url", [None, "http://[::1", "no scheme", ""])
def test_without_a_base_url_every_name_has_its_origin(base_url: str | None) -> None:
    name = endpoint_namer(base_url, None)("GET", f"{BASE}/users/1")
    assert name == "https://api.example.com/v1/users/{id}"


@pytest.mark.parametrize("path", ["my api", "a/../my api/", "my%20api"])
def test_the_base_url_is_spelt_as_requests_spells_it(path: str) -> None:
    base_url = f"https://Bücher.example/{path}"
    sent = requests.Request("GET", f"{base_url.rstrip('/')}/users").prepare()
    assert endpoint_namer(base_url, None)("GET", str(sent.url)) == "/users"


def test_a_base_url_may_hold_an_id_itself() -> None:
    named = endpoint_namer("https://api.example.com/accounts/123", None)
    assert named("GET", "https://api.example.com/accounts/123/users/9") == "/users/{id}"
    assert named("GET", "https://api.example.com/accounts/999/users") == "/accounts/{id}/users"


def test_an_endpoint_key_decides_alone_and_each_time() -> None:
    asked = []

    def key(method: str, url: str) -> str:
        asked.append((method, url))
        return f"{method} everything"

    named = endpoint_namer(BASE, key)
    assert [named("GET", f"{BASE}/users?q=1") for _ in range(2)] == ["GET everything"] * 2
    assert asked == [("GET", f"{BASE}/users?q=1")] * 2


@pytest.mark.parametrize("answer", [None, b"/users", 5, ("GET", "/users")])
def test_an_endpoint_key_that_gives_no_string_is_a_type_error(answer: object) -> None:
    named = endpoint_namer(None, lambda method, url: answer)  # type: ignore[arg-type,return-value]
    with pytest.raises(TypeError, match="endpoint_key must return a string, not "):
        named("GET", BASE)


def test_an_endpoint_key_that_raises_is_a_type_error_that_tells_no_secrets() -> None:
    def broken(method: str, url: str) -> str:
        raise LookupError("no such route")

    with pytest.raises(TypeError) as caught:
        endpoint_namer(None, broken)("GET", f"{BASE}/users?api_key=s3cret")
    said = "endpoint_key failed for GET https://api.example.com/v1/users?api_key=***"
    assert str(caught.value) == f"{said}: LookupError: no such route"
    assert isinstance(caught.value.__cause__, LookupError)


@given(st.text(max_size=40), st.text(max_size=20))
@example("//user:secret@host/x", "")
def test_any_url_has_a_name_without_its_query(url: str, query: str) -> None:
    named = endpoint_namer(BASE, None)
    for prefix in ("", "https://", f"{BASE}/"):
        name = named("GET", f"{prefix}{url}")
        assert name == named("POST", f"{prefix}{url}")
        if "#" not in url and "?" not in url:
            assert named("GET", f"{prefix}{url}?{query}") == name


@given(st.integers(0), st.uuids())
def test_all_numbers_and_all_uuids_are_one_endpoint(number: int, uuid: object) -> None:
    assert folded(f"/users/{number}") == folded(f"/users/{uuid}") == "/users/{id}"
