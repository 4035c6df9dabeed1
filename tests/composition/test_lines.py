"""Line breaks in what becomes a line of a request: refused, or escaped, and never on the wire."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
import requests
from requests.auth import AuthBase, HTTPDigestAuth
from requests.cookies import RequestsCookieJar
from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

import browseros_api
from browseros_api import EnhancedAPIClient, Session
from browseros_api.testing import ApiServer, Received, Reply

BREAKS = {
    "CRLF": "a\r\nX-Evil: 1",
    "LF": "a\nX-Evil: 1",
    "CR": "a\rX-Evil: 1",
    "folded": "a\r\n X-Evil: 1",
    "folded with LF": "a\n\tX-Evil: 1",
    "at its end": "a\r\n",
}
SAYS = "one line|line break|return character|invalid character|Failed to parse"
Way = Callable[[requests.Session, str, str], Any]


class Signing(AuthBase):
    """Puts ``text`` where a signature goes."""

    def __init__(self, text: str, *, into: str = "header") -> None:
        self.text, self.into = text, into

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self.into == "header":
            request.headers["X-Signature"] = self.text
        else:
            request.url = f"{request.url}?signature={self.text}"
        return request


def jar(text: str) -> RequestsCookieJar:
    cookies = RequestsCookieJar()
    cookies.set("sid", text, domain="127.0.0.1", path="/")
    return cookies


def by_session(name: str, value: Any) -> Way:
    def ask(session: requests.Session, url: str, text: str) -> Any:
        getattr(session, name).update({"x": value(text)} if callable(value) else {text: value})
        return session.get(url)

    return ask


def by_hand(change: Callable[[requests.PreparedRequest, str], None]) -> Way:
    def ask(session: requests.Session, url: str, text: str) -> Any:
        prepared = session.prepare_request(requests.Request("GET", url))
        change(prepared, text)
        return session.send(prepared)

    return ask


def changed(request: requests.PreparedRequest, **attributes: str) -> None:
    for name, value in attributes.items():
        setattr(request, name, value)


def passes_for_a_host(text: str) -> bool:
    try:
        return text in str(parse_url(f"http://{text}/").host)
    except LocationParseError:
        return False


REFUSED: dict[str, Way] = {
    "value of a header": lambda ask, url, text: ask.get(url, headers={"X": text}),
    "value in bytes": lambda ask, url, text: ask.get(url, headers={"X": text.encode()}),
    "name of a header": lambda ask, url, text: ask.get(url, headers={text: "x"}),
    "header of the session": by_session("headers", lambda text: text),
    "name of the session's": by_session("headers", "x"),
    "method": lambda ask, url, text: ask.request(f"GET{text}", url),
    "host": lambda ask, url, text: ask.get(url.replace("127.0.0.1", f"127.0.0.1{text}")),
    "cookie": lambda ask, url, text: ask.get(url, cookies={"sid": text}),
    "name of a cookie": lambda ask, url, text: ask.get(url, cookies={text: "x"}),
    "cookie in a jar": lambda ask, url, text: ask.get(url, cookies=jar(text)),
    "cookie of the session": by_session("cookies", lambda text: text),
    "auth of one's own": lambda ask, url, text: ask.get(url, auth=Signing(text)),
    "auth into the URL": lambda ask, url, text: ask.get(url, auth=Signing(text, into="url")),
    "content type of a part": lambda ask, url, text: ask.post(url, files={"f": ("n", b"", text)}),
    "header of a part": lambda ask, url, text: ask.post(
        url, files={"f": ("n", b"", "text/plain", {"X": text})}
    ),
    "name of a part's header": lambda ask, url, text: ask.post(
        url, files=[("f", ("n", b"", "text/plain", {text: "x"}))]
    ),
    "prepared header": by_hand(lambda request, text: request.headers.update({"X": text})),
    "prepared name": by_hand(lambda request, text: request.headers.update({text: "x"})),
    "prepared method": by_hand(lambda request, text: changed(request, method=f"GET{text}")),
    "prepared URL": by_hand(lambda request, text: changed(request, url=f"{request.url}{text}")),
}


@pytest.mark.parametrize("text", BREAKS.values(), ids=BREAKS.keys())
@pytest.mark.parametrize("ask", REFUSED.values(), ids=REFUSED.keys())
def test_it_is_refused_before_anybody_is_called(ask: Way, text: str, api_server: ApiServer) -> None:
    if ask is REFUSED["host"] and passes_for_a_host(text):
        pytest.skip("this urllib3 quotes it, so that it breaks no line")
    with Session() as session:
        with pytest.raises(ValueError, match=SAYS):
            ask(session, api_server.url("/x"), text)
        assert session.get_stats()["attempts"] == 0
    assert api_server.connections == 0


@pytest.mark.parametrize("text", BREAKS.values(), ids=BREAKS.keys())
def test_over_tls_nobody_is_called_either(text: str, safe_server: ApiServer) -> None:
    with Session() as session:
        session.verify = False
        for name in ("method", "cookie", "prepared header", "prepared URL"):
            with pytest.raises(ValueError, match=SAYS):
                REFUSED[name](session, safe_server.url("/x"), text)
    assert safe_server.connections == 0


@pytest.mark.parametrize("door", ["get", "client", "installed"])
def test_it_is_refused_behind_every_door(door: str, api_server: ApiServer) -> None:
    with EnhancedAPIClient(api_server.base_url) as client, browseros_api.install():
        ask = {"get": browseros_api.get, "client": client.get, "installed": requests.get}[door]
        with pytest.raises(ValueError, match=SAYS):
            ask(api_server.url("/x"), cookies={"sid": BREAKS["folded"]})
    assert api_server.connections == 0


def test_a_value_that_may_be_secret_is_not_shown(api_server: ApiServer) -> None:
    with Session() as session:
        for options in ({"cookies": {"sid": "hunter2\n x"}}, {"auth": Signing("hunter2\n x")}):
            with pytest.raises(requests.exceptions.InvalidHeader) as caught:
                session.get(api_server.url("/x"), **options)  # type: ignore[arg-type]
            assert "hunter2" not in str(caught.value)
            assert isinstance(caught.value, requests.RequestException)


@pytest.mark.parametrize("text", BREAKS.values(), ids=BREAKS.keys())
def test_the_digest_of_a_broken_name_is_not_sent(text: str, api_server: ApiServer) -> None:
    challenge = {"WWW-Authenticate": 'Digest realm="r", nonce="n", qop="auth"'}
    api_server.route("/digest", Reply(401, headers=challenge))
    with Session() as session, pytest.raises(requests.exceptions.InvalidHeader):
        session.get(api_server.url("/digest"), auth=HTTPDigestAuth(text, "p"))
    assert [received.headers.get("Authorization") for received in api_server.requests] == [None]


def test_a_broken_line_keeps_nothing_from_working(api_server: ApiServer) -> None:
    with Session(max_connections=1, pool_timeout=1, failure_threshold=1) as session:
        for ask in REFUSED.values():
            with pytest.raises(ValueError, match=SAYS):
                ask(session, api_server.url("/x"), BREAKS["folded"])
            session.headers.clear()
            session.cookies.clear()
        assert session.get(api_server.url("/x")).ok
        assert session.get_stats()["connections"]["connections_in_use"] == 0


# -- what is written in another way ---------------------------------------------------------------


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(f"{text}:p".encode()).decode()


def seen(received: Received) -> tuple[str, set[str]]:
    usual = {"Host", "User-Agent", "Accept", "Accept-Encoding", "Connection"}
    return received.target, {name for name, _ in received.headers.items()} - usual


@pytest.mark.parametrize("text", BREAKS.values(), ids=BREAKS.keys())
def test_what_can_be_escaped_is_escaped_as_by_requests(text: str, api_server: ApiServer) -> None:
    api_server.route("*", Reply(json={}))
    with Session() as session, requests.Session() as stock:
        for ask in (stock, session):
            api_server.reset_counts()
            url = api_server.url("/x")
            ask.get(f"{url}{text}/y")  # not at the end: that is stripped
            ask.get(url, params={text: text})
            ask.get(url, auth=(text, "p"))
            ask.get(url.replace("//", f"//{quote(text, safe='')}:p@"))
            ask.get("http://svc.test/", proxies={"http": _with_user(api_server, text)})
            assert [seen(received) for received in api_server.requests] == [
                (f"/x{quote(text, safe=':')}/y", set()),
                (f"/x?{requests.models.RequestEncodingMixin._encode_params({text: text})}", set()),
                ("/x", {"Authorization"}),
                ("/x", {"Authorization"}),
                ("http://svc.test/", {"Proxy-Authorization"}),
            ]
            assert [received.headers.get("Authorization") for received in api_server.requests][
                2:4
            ] == [basic(text)] * 2
            assert api_server.requests[-1].headers["Proxy-Authorization"] == basic(text)


def _with_user(server: ApiServer, user: str) -> str:
    return server.base_url.replace("//", f"//{quote(user, safe='')}:p@")


def test_names_in_a_form_are_escaped(api_server: ApiServer) -> None:
    with Session() as session:
        session.post(api_server.url("/x"), files={"f\r\nX-Evil: 1": ("n\r\nX-Evil: 1", b"x")})
    body = api_server.requests[0].body
    assert b"\r\nX-Evil" not in body
    assert b"X-Evil" in body


def test_a_form_without_line_breaks_is_sent(api_server: ApiServer) -> None:
    files = [
        ("plain", b"a"),
        ("named", ("n", b"b")),
        ("typed", ("n", b"c", "text/csv")),
        ("told", ("n", b"d", "text/csv", {"X-Part": "1", "X-None": b"2"})),
        ("untold", ("n", b"e", None, None)),
    ]
    with Session() as session:
        assert session.post(api_server.url("/x"), files=files).ok
    assert api_server.requests[0].body.count(b"Content-Disposition") == 5
