"""A request that is written in one go is, byte for byte, what urllib3 would write."""

from __future__ import annotations

import contextlib
import socket
from typing import Any

import pytest
import requests
from hypothesis import example, given
from hypothesis import strategies as st
from requests import PreparedRequest
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3.util import SKIP_HEADER

from browseros_api.transport import PoolingAdapter
from browseros_api.transport.fields import plain_request

USUAL = {"User-Agent": "u", "Accept-Encoding": "gzip", "Accept": "*/*"}
Place = tuple[str, str, int | None]


def sent_by_requests(place: Place, request: PreparedRequest) -> bytes | None:
    """What goes over the wire; ``None`` if something about ``request`` is refused."""
    scheme, host, port = place
    adapter: Any = HTTPAdapter()
    pool = adapter.poolmanager.connection_from_host(host, port, scheme)
    connection: Any = pool._new_conn()
    connection.sock, theirs = socket.socketpair()
    adapter.get_connection_with_tls_context = lambda *_, **__: pool
    pool._get_conn = lambda timeout: connection
    pool._validate_conn = lambda _: None  # there is no TLS on this socket
    with connection.sock, theirs:
        theirs.shutdown(socket.SHUT_WR)  # nobody will answer
        try:
            adapter.send(request)
        except requests.ConnectionError:
            return b"".join(iter(lambda: theirs.recv(65536), b""))
        except (ValueError, TypeError, AttributeError, requests.RequestException):
            return None
        finally:
            connection.close()
    raise AssertionError("there was an answer")


def written(place: Place, request: PreparedRequest) -> bytes | None:
    scheme, host, port = place
    adapter = PoolingAdapter()
    pool: Any = adapter.poolmanager.connection_from_host(host, port, scheme)
    pieces = plain_request(request, pool.host_field)
    return None if pieces is None else b"".join(pieces)


def prepared(
    method: Any = "GET", url: Any = "http://svc.test/", headers: Any = None, body: Any = None
) -> PreparedRequest:
    request = PreparedRequest()
    request.method, request.url, request.body = method, url, body
    request.headers = CaseInsensitiveDict(USUAL if headers is None else headers)
    return request


PLACES: st.SearchStrategy[Place] = st.tuples(
    st.sampled_from(["http", "https"]),
    st.sampled_from(["svc.test", "127.0.0.1", "[::1]", "[fe80::1%25eth0]", "b\xfccher.test", "a."]),
    st.sampled_from([None, 80, 443, 8080]),
)
METHODS = st.sampled_from(
    ["GET", "HEAD", "POST", "PUT", "DELETE", "get", "A B", "A\r\n", "", b"GET"]
)
PATHS = st.one_of(
    st.sampled_from(
        ["/", "", "/a?b=c", "/a b", "/\xe9", "/%e9?%zz", "//x", "/\r\nX: y", "/?", "?a"]
    ),
    st.text(max_size=8).map("/".__add__),
)
NAMES = st.one_of(
    st.sampled_from(
        (
            *("Host", "User-Agent", "Accept-Encoding", "Content-Length", "Transfer-Encoding"),
            *("Expect", "X", "x-y", "", ":", "A:", " A", "A ", "A\r\n", "A: b\r\nC", "A\nB"),
            *("\xe9", "\u20ac", b"X", "Cookie"),
        )
    ),
    st.text(max_size=5),
)
VALUES = st.one_of(
    st.sampled_from(
        (
            *("3", "chunked", "", " ", "a\r\nb: c", "a\nb", "a\rb", "a\r\n b", "a\r", "\x00"),
            *("\x7f", "\xe9", "\u20ac", b"bytes", b"a\r\nb", 7, SKIP_HEADER, "100-continue", None),
        )
    ),
    st.text(max_size=8),
)
BODIES = st.sampled_from([None, b"", "", b"abc", "abc", "\xe9", b"x" * 70_000, bytearray(b"abc")])


@given(PLACES, METHODS, PATHS, st.dictionaries(NAMES, VALUES, max_size=4), BODIES, st.booleans())
@example(("http", "svc.test", None), "GET", "/", {"X": "a\r\nInjected: b"}, None, True)
@example(("http", "svc.test", None), "GET", "/", {"X: a\r\nInjected": "b"}, None, True)
@example(("http", "svc.test", None), "GET", "/", {"X": "a", "Y: Z": "b"}, None, True)
@example(("http", "svc.test", None), "POST", "/", {"Content-Length": "3"}, "abc", True)
def test_what_is_written_at_all_is_what_requests_would_send(
    place: Place, method: Any, path: str, headers: dict[Any, Any], body: Any, is_usual: bool
) -> None:
    scheme, host, port = place
    url = f"{scheme}://{host}" + (f":{port}" if port else "") + path
    with contextlib.suppress(AttributeError):  # requests cannot keep such a name
        request = prepared(method, url, {**USUAL, **headers} if is_usual else headers, body)
        mine = written(place, request)
        assert mine is None or mine == sent_by_requests(place, request)


@given(
    PLACES,
    st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=8).map("/".__add__),
    st.dictionaries(
        st.text("abcXYZ-_!", min_size=1, max_size=5),
        st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f")).map(
            lambda text: "".join(c for c in text if not "\x7f" <= c < "\x80")
        ),
        max_size=4,
    ),
    st.sampled_from([None, b"abc", "abc", "\xe9", b"x" * 70_000, {"a": "b"}]),
)
def test_what_is_ordinary_is_written(
    place: Place, method: str, path: str, headers: dict[str, str], body: Any
) -> None:
    scheme, host, port = place
    url = f"{scheme}://{host}" + (f":{port}" if port else "") + path
    usual = requests.Request(method, url, headers={**USUAL, **headers}, data=body)
    try:
        request = usual.prepare()
    except requests.RequestException:
        return
    mine = written(place, request)
    assert mine is not None
    assert mine == sent_by_requests(place, request)


@pytest.mark.parametrize(
    "request_",
    [
        prepared("PROPFIND"),
        prepared(headers={"User-Agent": "u"}),
        prepared(headers={"Accept-Encoding": "gzip"}),
        prepared(headers={**USUAL, "Transfer-Encoding": "chunked"}),
        prepared(headers={**USUAL, "A": b"b"}),
        prepared(headers={**USUAL, "A": "b\r\nC: d"}),
        prepared(headers={**USUAL, "A\r\nC": "b"}),
        prepared(headers={**USUAL, "A": "\u20ac"}),
        prepared(headers={**USUAL, "A": SKIP_HEADER}),
        prepared("POST"),
        prepared(body=b"abc"),
        prepared(body=iter([b"abc"]), headers={**USUAL, "Content-Length": "3"}),
        prepared(body=bytearray(b"abc"), headers={**USUAL, "Content-Length": "3"}),
        prepared(url="http://[svc.test/"),
    ],
)
def test_what_is_not_ordinary_is_left_to_urllib3(request_: PreparedRequest) -> None:
    assert plain_request(request_, "Host: svc.test\r\n") is None


@pytest.mark.parametrize(("size", "pieces"), [(0, 1), (1, 1), (65536, 1), (65537, 2)])
def test_a_small_body_goes_with_its_head(size: int, pieces: int) -> None:
    request = requests.Request(
        "POST", "http://svc.test/", headers=USUAL, data=b"x" * size
    ).prepare()
    assert len(plain_request(request, "Host: svc.test\r\n") or ()) == pieces
