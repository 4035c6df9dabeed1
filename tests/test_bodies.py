"""What a caller may give becomes a body, and an answer's body becomes what its type says."""

from __future__ import annotations

import io
import math
import types
from collections import ChainMap, UserDict, deque
from collections.abc import Iterator
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

import pytest
import requests

from browseros_api import EnhancedAPIClient
from browseros_api.bodies import (
    check_options,
    checked_headers,
    decoded,
    failure,
    payload,
)
from browseros_api.testing import ApiServer, Reply


@pytest.fixture
def client(api_server: ApiServer) -> Iterator[EnhancedAPIClient]:
    with EnhancedAPIClient(api_server.base_url, max_retries=0) as client:
        yield client


def circle() -> list[Any]:
    found: list[Any] = []
    found.append(found)
    return found


def deep(levels: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(levels):
        found = [found]
    return found


# -- what goes out --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "sent"),
    [
        ({"a": 1}, b'{"a": 1}'),
        ({}, b"{}"),
        ([], b"[]"),
        ([1, None, True, "ä"], b'[1, null, true, "\\u00e4"]'),
        ((1, 2), b"[1, 2]"),
        ({1: "a"}, b'{"1": "a"}'),
        (types.MappingProxyType({"a": 1}), b'{"a": 1}'),
        (UserDict(a=1), b'{"a": 1}'),
        (ChainMap({"a": 1}), b'{"a": 1}'),
    ],
)
def test_mappings_and_lists_are_sent_as_json(
    client: EnhancedAPIClient, api_server: ApiServer, data: Any, sent: bytes
) -> None:
    client.post("/x", data=data)
    (asked,) = api_server.requests
    assert asked.body == sent
    assert asked.headers.get_all("Content-Type") == ["application/json"]


@pytest.mark.parametrize("value", [{"a": 1}, [], "text", 5, 1.5, True, False])
def test_json_is_anything_that_json_can_say(
    client: EnhancedAPIClient, api_server: ApiServer, value: Any
) -> None:
    client.post("/x", json=value)
    (asked,) = api_server.requests
    assert asked.json() == value
    assert asked.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("data", "sent"),
    [
        ("größe", "größe".encode()),
        (b"\x00\xff", b"\x00\xff"),
        (bytearray(b"abc"), b"abc"),
        (memoryview(b"abc"), b"abc"),
        ("", b""),
        (None, b""),
    ],
)
def test_text_and_bytes_are_sent_as_they_are(
    client: EnhancedAPIClient, api_server: ApiServer, data: Any, sent: bytes
) -> None:
    client.post("/x", data=data)
    (asked,) = api_server.requests
    assert asked.body == sent
    assert "Content-Type" not in asked.headers


def test_files_and_iterators_are_sent_as_they_are(
    client: EnhancedAPIClient, api_server: ApiServer, tmp_path: Path
) -> None:
    (tmp_path / "a").write_bytes(b"from a file")
    with (tmp_path / "a").open("rb") as file:
        client.post("/x", data=file)
    client.post("/x", data=io.BytesIO(b"from memory"))
    client.post("/x", data=iter([b"piece ", b"by piece"]))
    client.post("/x", data=(part for part in [b"gene", b"rated"]))
    bodies = [asked.body for asked in api_server.requests]
    assert bodies == [b"from a file", b"from memory", b"piece by piece", b"generated"]


def test_what_can_be_changed_is_sent_as_it_was(api_server: ApiServer) -> None:
    body = bytearray(b"before")

    def change(*_: Any) -> None:
        body[:] = b"after!"

    api_server.script("/x", Reply(503), Reply(json={}))
    with EnhancedAPIClient(api_server.base_url, retry_base_delay=0, on_retry=change) as client:
        client.put("/x", data=body)
    assert [asked.body for asked in api_server.requests] == [b"before", b"before"]


@pytest.mark.parametrize(
    "data",
    [5, 1.5, True, {1, 2}, frozenset("a"), range(3), {}.keys(), deque([1]), object(), len, 1j],
    ids=lambda data: type(data).__name__,
)
def test_data_of_no_use_is_an_error(data: Any) -> None:
    with pytest.raises(TypeError, match=r"^data must be a dict or list \(sent as JSON\), str, byt"):
        payload(data, None, None)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ({"a": object()}, TypeError),
        ([{1, 2}], TypeError),
        ([b"bytes"], TypeError),
        ({("a", "b"): 1}, TypeError),
        ([math.nan], ValueError),
        ({"a": math.inf}, ValueError),
        (circle(), ValueError),
        (deep(100_000), ValueError),
    ],
    ids=["object", "set", "bytes", "key", "nan", "inf", "circle", "deep"],
)
def test_what_json_cannot_say_is_an_error_that_names_the_argument(
    value: Any, kind: type[Exception]
) -> None:
    with pytest.raises(kind, match=r"^data cannot be written as JSON: "):
        payload(value, None, None)
    with pytest.raises(kind, match=r"^json cannot be written as JSON: "):
        payload(None, value, None)


def test_half_a_character_is_no_text() -> None:
    with pytest.raises(ValueError, match=r"^data cannot be written as UTF-8"):
        payload("\ud800", None, None)


def test_there_is_one_body_only() -> None:
    for data, files in (({}, None), ("a", None), (None, {"f": b"x"}), ({}, {"f": b"x"})):
        with pytest.raises(TypeError, match="json cannot be given together with data or files"):
            payload(data, {}, files)


def test_files_make_a_form(client: EnhancedAPIClient, api_server: ApiServer) -> None:
    client.post("/x", data={"name": "a"}, files={"f": ("f.txt", b"content", "text/plain")})
    (asked,) = api_server.requests
    assert asked.headers["Content-Type"].startswith("multipart/form-data; boundary=")
    assert b'name="name"\r\n\r\na\r\n' in asked.body
    assert b'filename="f.txt"' in asked.body
    assert b"content" in asked.body


def test_a_form_is_a_form_whatever_the_client_sends_otherwise(api_server: ApiServer) -> None:
    headers = {"content-type": "application/json", "X-A": "b"}
    with EnhancedAPIClient(api_server.base_url, headers=headers) as client:
        client.post("/x", files={"f": b"content"})
        client.post("/x", data=[("a", "1")], files=[("f", b"content")])
        client.post("/x", files={"f": b"content"}, headers={"Content-Type": "multipart/strange"})
    kinds = [asked.headers.get_all("Content-Type") for asked in api_server.requests]
    assert kinds[0][0].startswith("multipart/form-data; boundary=")
    assert kinds[1][0].startswith("multipart/form-data; boundary=")
    assert kinds[2] == ["multipart/strange"]
    assert [asked.headers["X-A"] for asked in api_server.requests] == ["b"] * 3


@pytest.mark.parametrize(
    ("data", "files", "name"),
    [
        (None, "path", "files"),
        (None, b"content", "files"),
        (None, io.BytesIO(b"x"), "files"),
        ("text", {"f": b"x"}, "data"),
        (b"bytes", {"f": b"x"}, "data"),
        (iter([b"x"]), {"f": b"x"}, "data"),
    ],
)
def test_a_form_of_something_else_is_an_error(data: Any, files: Any, name: str) -> None:
    with pytest.raises(TypeError, match=f"^{name} must be a mapping or a list of pairs"):
        payload(data, None, files)


@pytest.mark.parametrize(
    ("own", "given", "sent"),
    [
        ({}, {}, ["application/json"]),
        ({"content-TYPE": "application/vnd.api+json"}, {}, ["application/vnd.api+json"]),
        ({}, {"content-type": "application/x-own"}, ["application/x-own"]),
        ({"Content-Type": "a/b"}, {"content-type": "c/d"}, ["c/d"]),
        ({"Content-Type": "a/b"}, {"Content-Type": None}, []),
        ({}, {b"Content-Type": b"e/f"}, ["e/f"]),
    ],
)
def test_the_callers_content_type_wins(
    api_server: ApiServer, own: Any, given: Any, sent: list[str]
) -> None:
    with EnhancedAPIClient(api_server.base_url, headers=own) as client:
        client.post("/x", data={"a": 1}, headers=given)
    (asked,) = api_server.requests
    assert asked.headers.get_all("Content-Type") == sent
    assert asked.json() == {"a": 1}


# -- headers and options --------------------------------------------------------------------------


def test_headers_are_copied_with_their_names_as_text() -> None:
    given = {"A": "b", b"C": b"d", "E": None, "F": "é"}
    checked = checked_headers(given)
    assert checked == {"A": "b", "C": b"d", "E": None, "F": "é"}
    assert checked_headers(None) == {}


@pytest.mark.parametrize(
    ("headers", "kind"),
    [
        ([("A", "b")], TypeError),
        ("A: b", TypeError),
        ({"A": 5}, TypeError),
        ({"A": ["b"]}, TypeError),
        ({5: "b"}, TypeError),
        ({None: "b"}, TypeError),
        ({"A": "b\r\nC: d"}, ValueError),
        ({"A": "b\n c"}, ValueError),
        ({"A": "b\n"}, ValueError),
        ({"A": b"b\r\nC: d"}, ValueError),
        ({"A\r\nB": "c"}, ValueError),
        ({"A:": "b"}, ValueError),
        ({" A": "b"}, ValueError),
        ({"": "b"}, ValueError),
        ({"A": " b"}, ValueError),
        ({"A": "€"}, ValueError),
        ({"€": "b"}, ValueError),
        ({"A\n": None}, ValueError),
        ({"A": "b\0"}, ValueError),
    ],
)
def test_a_header_that_cannot_be_sent_is_an_error(headers: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind, match=r"^headers") as caught:
        checked_headers(headers)
    assert "C: d" not in str(caught.value)  # a value may be a secret


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("params", value) for value in (5, 1.5, True, object(), [1], ["ab", "cde"], [("a",)])],
        *[("auth", value) for value in (5, "user", ("user",), ("a", "b", "c"), ["a", "b"], (1, 2))],
        *[("cookies", value) for value in ("a=b", [("a", "b")], 5)],
        *[("timeout", value) for value in (0, -1, math.nan, "5", (1, 2, 3), True, [1, 2])],
        *[("allow_redirects", value) for value in (None, 1, "yes")],
        *[("proxies", value) for value in ("http://proxy", [], 5)],
        *[("hooks", value) for value in (print, [print])],
        *[("verify", value) for value in (5, b"path", [])],
        *[("cert", value) for value in (5, True, ["a", "b"])],
    ],
)
def test_a_bad_option_is_an_error_that_names_it(name: str, value: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=f"^{name} must be "):
        check_options({name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("params", value) for value in (None, {}, "a=b", b"a=b", [("a", 1)], {"a": 1}.items())],
        *[("auth", value) for value in (None, ("a", "b"), (b"a", b"b"), requests.auth.AuthBase())],
        *[("cookies", value) for value in (None, {"a": "b"}, CookieJar())],
        *[("timeout", value) for value in (None, 5, 0.1, (1, None))],
        *[("allow_redirects", value) for value in (True, False)],
        *[("proxies", value) for value in (None, {})],
        *[("hooks", value) for value in (None, {"response": print})],
        *[("verify", value) for value in (None, True, False, "bundle.pem", Path("bundle.pem"))],
        *[("cert", value) for value in (None, "cert.pem", ("cert.pem", "key.pem"))],
    ],
)
def test_what_options_may_be(name: str, value: Any) -> None:
    check_options({name: value})


@pytest.mark.parametrize("name", ["stream", "url", "retries", "Timeout", "ttl"])
def test_an_unknown_option_is_an_error(name: str) -> None:
    with pytest.raises(TypeError, match=f"there is no option '{name}'; there are params, auth"):
        check_options({name: 1})


# -- what comes back ------------------------------------------------------------------------------


def answer(body: bytes, kind: str | None, status: int = 200) -> requests.Response:
    response = requests.Response()
    response.status_code, response._content = status, body
    response.url = "https://user:hunter2@api.example.com/x?token=hunter2&page=1"
    response.request = requests.Request("GET", "https://api.example.com/x").prepare()
    if kind is not None:
        response.headers["Content-Type"] = kind
        response.encoding = requests.utils.get_encoding_from_headers(response.headers)
    return response


JSON = "application/json"


@pytest.mark.parametrize(
    ("body", "kind", "value"),
    [
        (b'{"a": [1, null]}', JSON, {"a": [1, None]}),
        (b"null", JSON, None),
        (b"0", JSON, 0),
        (b' "x" \n', "Application/JSON; charset=UTF-8", "x"),
        (b"[1]", "application/problem+json", [1]),
        (b"[1]", "application/vnd.api+JSON;v=1", [1]),
        (b"[1]", "text/json", [1]),
        (b'\xef\xbb\xbf{"bom": 8}', JSON, {"bom": 8}),
        ('{"a": "é"}'.encode("utf-16"), JSON, {"a": "é"}),
        ('{"a": "é"}'.encode("utf-16-le"), JSON, {"a": "é"}),
        ('{"a": "é"}'.encode("utf-32"), JSON, {"a": "é"}),
        ('{"a": "é"}'.encode("latin-1"), f"{JSON}; charset=ISO-8859-1", {"a": "é"}),
        ('{"a": "é"}'.encode(), f"{JSON}; charset=ISO-8859-1", {"a": "é"}),
        (b'{"a": 1, "a": 2}', JSON, {"a": 2}),
        (b'"\\ud800"', JSON, "\ud800"),
        (b"", JSON, None),
        (b"", "text/plain", None),
        (b"", None, None),
        (b"plain", "text/plain", "plain"),
        ("größe".encode(), "text/plain", "größe"),
        ("größe".encode(), "text/html; charset=utf-8", "größe"),
        ("größe".encode("latin-1"), "text/plain", "größe"),
        ("größe".encode("latin-1"), "text/csv; charset=latin-1", "größe"),
        (b"\xef\xbb\xbfmarked", "text/plain", "marked"),
        (b"ok", "text/plain; charset=klingon", "ok"),
        (b"\x89PNG", "image/png", b"\x89PNG"),
        (b'{"a": 1}', "application/octet-stream", b'{"a": 1}'),
        (b'{"a": 1}', None, b'{"a": 1}'),
        (b'{"a": 1}\n{"a": 2}\n', "application/x-ndjson", b'{"a": 1}\n{"a": 2}\n'),
        (b"[1]", "application/jsonp", b"[1]"),
    ],
)
def test_a_body_becomes_what_its_type_says(body: bytes, kind: str | None, value: Any) -> None:
    assert decoded(answer(body, kind)) == value


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"<html>oops</html>", "Expecting value"),
        (b'{"a": 1', "Expecting"),
        (b'{"a": 1}{"b": 2}', "Extra data"),
        (b"\n", "Expecting value"),
        (b'{"a": "\xff\xfe("}', "codec can't decode"),
        (b"[" * 100_000 + b"]" * 100_000, "nested too deeply"),
        (b"[" + b"9" * 10_000 + b"]", "limit"),
    ],
    ids=["html", "cut", "two", "blank", "utf-8", "deep", "digits"],
)
def test_json_that_is_none_is_an_error_with_all_that_helps(body: bytes, reason: str) -> None:
    response = answer(body, JSON, 203)
    with pytest.raises(requests.JSONDecodeError) as caught:
        decoded(response)
    error = caught.value
    assert error.response is response
    assert error.request is response.request
    text = str(error)
    assert text.startswith("203 answer of https://***@api.example.com/x?token=***&page=1 is not")
    assert reason in text
    assert repr(body[:10].decode("utf-8", "replace"))[1:5] in text
    assert len(text) < 600
    assert "hunter2" not in text


def test_a_charset_that_is_a_lie_does_not_help() -> None:
    for charset in ("ascii", "klingon", "utf-8"):
        with pytest.raises(requests.JSONDecodeError, match="codec can't decode"):
            decoded(answer(b'"\xe9"', f"{JSON}; charset={charset}"))


@pytest.mark.parametrize(
    ("status", "reason", "start"),
    [
        (404, "Not Found", "404 Client Error: Not Found for url: "),
        (503, "Service Unavailable", "503 Server Error: Service Unavailable for url: "),
        (418, b"I\xe9", "418 Client Error: I\xe9 for url: "),
        (400, None, "400 Client Error:  for url: "),
    ],
)
def test_a_failure_tells_what_and_where(status: int, reason: Any, start: str) -> None:
    response = answer(b"why", "text/plain", status)
    response.reason = reason
    error = failure(response, retry_after=None)
    assert isinstance(error, requests.HTTPError)
    assert str(error) == f"{start}https://***@api.example.com/x?token=***&page=1"
    assert (error.response, error.request) == (response, response.request)


def test_a_failure_tells_when_to_come_back() -> None:
    error = failure(answer(b"", None, 429), retry_after=90.0)
    assert str(error).endswith("; the server asks to wait 90 s")
