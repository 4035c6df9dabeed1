"""What is sent is what requests would have sent, to the last byte, whatever was sent before."""

from __future__ import annotations

import copy
import io
import pickle
from collections import OrderedDict
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import requests
import urllib3
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from requests.adapters import BaseAdapter
from requests.auth import AuthBase, HTTPBasicAuth, HTTPDigestAuth
from requests.cookies import RequestsCookieJar
from requests.structures import CaseInsensitiveDict

from browseros_api import EnhancedAPIClient, Session
from browseros_api.preparing import prepared_url
from browseros_api.shortcut import prepared
from browseros_api.testing import ApiServer, Reply

Arguments = dict[str, Any]


class Recorder(BaseAdapter):
    """Sends nothing, and writes down what it was to send."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # type: ignore[override]
        body: Any = request.body
        if isinstance(body, io.BytesIO):
            body = ("file", body.read())
        head = (request.method, request.url, list(request.headers.items()))
        self.seen.append((*head, body, dict(request._cookies or {}), len(request.hooks), options))
        response = requests.Response()
        response.status_code, response.request = 200, request
        response.url, response._content = str(request.url), b""
        return response

    def close(self) -> None:
        """Nothing is open."""


class Stamp(AuthBase):
    """Credentials of a kind of their own, which change each time."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        self.count += 1
        request.headers["X-Stamp"] = str(self.count)
        return request


TEXTS = st.text("aZ09 %é😀/?#&=+;:@[]\\\"<>.,~-_'!*\t", max_size=6)
ORIGINS = st.sampled_from(
    [
        *("http://a.example", "HTTP://A.Example:80", "https://a.example:8443", "http://bücher.de"),
        *("http://u:p%20w@a.example", "http://u@a.example", "http://[::1]:81", " http://a.example"),
        *("http://*.example", "http://", "a.example/x", "mailto:", "http+unix://%2Fsock", ""),
        *("http:a.example", "http:///x", "//a.example", "http://a.example:port", "http://é..é"),
    ]
)
PATHS = st.one_of(
    st.sampled_from(
        ["", "/", "/a/../b", "/./%7euser/%2F%zz", "?", "#f", "/x?q=1&q=%20#top", "/a;b=1"]
    ),
    TEXTS.map("/{}".format),
)
URLS = st.builds("{}{}".format, ORIGINS, PATHS)
VALUES = st.one_of(
    TEXTS, st.integers(-3, 3), st.none(), st.booleans(), st.sampled_from([0.5, 1.0, b"by", 10**20])
)
NAMES = st.sampled_from(["a", "b", "é", "a b"])
MAPPINGS = st.dictionaries(NAMES, st.one_of(VALUES, st.lists(VALUES, max_size=2)), max_size=3)
PAIRS = st.lists(st.tuples(NAMES, VALUES), max_size=3)
HEADER_NAMES = st.sampled_from(
    [
        *("X-A", "x-a", "X-B", "Accept", "User-Agent", "Content-Type", "content-length", "Cookie"),
        *("Authorization", "Host", "Transfer-Encoding", b"X-C", b"x-a", "Bad Name", "Connection"),
    ]
)
HEADER_VALUES = st.one_of(
    st.sampled_from(
        ["1", "", "text/plain", " early", "a\nb", "é", b"bytes", b" early", None, None]
    ),
    st.sampled_from([3, "0", "-0"]),
)
HEADERS = st.dictionaries(HEADER_NAMES, HEADER_VALUES, max_size=3)
GOOD_HEADERS = st.dictionaries(
    st.sampled_from(["X-A", "x-b", "Accept", "Content-Type", b"X-C"]),
    st.sampled_from(["1", "text/plain", b"bytes", None]),
    max_size=3,
)
AUTHS = st.sampled_from(
    [
        *(None, None, None, ("u", "p"), ("é", "p"), (b"u", b"p"), (1, 2), ("", ""), (), "token"),
        *(HTTPBasicAuth("u", "p"), HTTPDigestAuth("u", "p")),
    ]
)
COOKIES = st.sampled_from([None, None, {}, {"c": "1"}, {"c": "1", "d": "é"}])
BODIES = st.one_of(
    st.none(), MAPPINGS, PAIRS, TEXTS, st.binary(max_size=3), st.just("é=1"), st.just([]),
    st.binary(max_size=3).map(io.BytesIO),
)  # fmt: skip
JSONS = st.sampled_from([None, None, {}, {"a": 1}, [], 0, False, "é", float("nan"), {"a": {1, 2}}])


def maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), values)


CALLS = st.fixed_dictionaries(
    {
        "method": st.sampled_from(
            [
                *("GET", "GET", "get", "HEAD", "POST", "POST", "PUT", "patch", "DELETE", "OPTIONS"),
                "Odd",
            ]
        ),
        "url": st.one_of(st.just("http://a.example/x"), URLS),
    },
    optional={
        "params": st.one_of(
            st.none(), MAPPINGS, PAIRS, TEXTS, st.just(b"q=1"), st.just({"a": {"b": 1}})
        ),
        "headers": st.one_of(
            st.none(), GOOD_HEADERS, GOOD_HEADERS, HEADERS, st.just([("X-A", "1")])
        ),
        "cookies": COOKIES,
        "auth": AUTHS,
        "data": BODIES,
        "json": JSONS,
        "files": st.sampled_from([None, None, {}, {"f": b"content"}]),
        "stream": st.sampled_from([None, True, False]),
        "verify": st.sampled_from([None, True, False, "/own.pem"]),
        "cert": st.sampled_from([None, "/cert.pem", ("/cert.pem", "/key.pem")]),
        "proxies": st.sampled_from([None, {}, {"http": "http://p:1"}]),
        "timeout": st.sampled_from([None, 3, (1, 2)]),
        "allow_redirects": st.booleans(),
    },
)
STATES = st.fixed_dictionaries(
    {},
    optional={
        "headers": st.one_of(
            GOOD_HEADERS.map(lambda own: {**requests.utils.default_headers(), **own}),
            GOOD_HEADERS.map(CaseInsensitiveDict),
            HEADERS,
            st.none(),
        ),
        "params": st.one_of(MAPPINGS, st.none(), st.just([])),
        "cookies": st.sampled_from([{}, {"s": "1"}]),
        "auth": AUTHS,
        "trust_env": st.booleans(),
        "proxies": st.sampled_from([{}, {"https": "http://session:8"}]),
        "verify": st.sampled_from([True, False]),
        "stream": st.booleans(),
    },
)  # fmt: skip


def put(session: requests.Session, state: Arguments) -> None:
    """Bring a session into a state."""
    for name, value in state.items():
        jar = requests.cookies.cookiejar_from_dict(value) if name == "cookies" else None
        setattr(session, name, copy.copy(value) if jar is None else jar)


def outcome(session: requests.Session, recorder: Recorder, call: Arguments) -> Any:
    """What was sent, or the error."""
    recorder.seen.clear()
    given = {
        name: dict(value) if isinstance(value, dict) else value for name, value in call.items()
    }
    if isinstance(given.get("data"), io.BytesIO):
        given["data"] = io.BytesIO(given["data"].getvalue())
    given.setdefault("timeout", (10.0, 30.0))  # ours by default
    try:
        session.request(**given)
    except Exception as error:
        return type(error), str(error)
    return [*recorder.seen]


def watched(kind: type[requests.Session], **options: Any) -> tuple[requests.Session, Recorder]:
    session, recorder = kind(**options), Recorder()
    for prefix in ("http://", "https://", "http+unix://", "mailto:"):
        session.mount(prefix, recorder)
    return session, recorder


@pytest.fixture(scope="module", autouse=True)
def _nothing_by_chance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    file = tmp_path_factory.mktemp("home") / "netrc"
    file.write_text("machine bücher.de login known password secret\n", "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NETRC", str(file))
        patch.setattr(urllib3.filepost, "choose_boundary", lambda: "boundary")
        yield


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(steps=st.lists(st.tuples(STATES, CALLS), min_size=1, max_size=3))
def test_what_is_sent_is_what_requests_would_send(steps: list[tuple[Arguments, Arguments]]) -> None:
    ours, our_recorder = watched(Session, enable_cache=False, enable_deduplication=False)
    stock, stock_recorder = watched(requests.Session)
    with ours, stock:
        for state, call in [*steps, *steps]:  # the second time much of it is known
            for session in (ours, stock):
                put(session, state)
            for _ in range(2):
                expected = outcome(stock, stock_recorder, call)
                assert outcome(ours, our_recorder, call) == expected


PLAIN = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS"]),
        "url": TEXTS.map("http://a.example/{}".format),
    },
    optional={
        "params": MAPPINGS,
        "headers": GOOD_HEADERS,
        "cookies": COOKIES,
        "data": st.one_of(MAPPINGS, TEXTS, st.binary(max_size=3)),
        "json": st.sampled_from([None, {"a": 1}, "é"]),
    },
)


@settings(max_examples=60)
@given(calls=st.lists(PLAIN, min_size=1, max_size=3))
def test_plain_calls_take_the_short_way(calls: list[Arguments]) -> None:
    ours, our_recorder = watched(Session, enable_cache=False)
    stock, stock_recorder = watched(requests.Session)
    with ours, stock:
        for call in [*calls, *calls]:
            expected = outcome(stock, stock_recorder, call)
            assert outcome(ours, our_recorder, call) == expected
            assert isinstance(ours, Session)
            assert (prepared(ours, ours.plan(dict(call))) is None) == isinstance(expected, tuple)


class Ordinary(Session):
    """Takes the ordinary road: a class that changes requests on their way is not second-guessed."""

    def prepare_request(self, request: requests.Request) -> requests.PreparedRequest:
        return super().prepare_request(request)


@settings(max_examples=60)
@given(calls=st.lists(PLAIN, min_size=1, max_size=3))
def test_an_idempotency_key_stands_where_it_would_have_stood(calls: list[Arguments]) -> None:
    sent = []
    for kind in (Session, Ordinary):
        session, recorder = watched(kind, enable_cache=False, idempotency_keys=True)
        with session:
            for call in calls * 2:
                for method, url, headers, *rest in [*outcome(session, recorder, call)]:
                    keyed = [(n, "*" if n == "Idempotency-Key" else v) for n, v in headers]
                    assert keyed == headers or method == "POST"
                    sent.append((kind, method, url, keyed, rest))
    half = len(sent) // 2
    assert [one[1:] for one in sent[:half]] == [one[1:] for one in sent[half:]]


PLACES = st.one_of(
    st.text("/.~-_?=&aZ0%+", max_size=8),
    st.sampled_from(
        ["//x", "/x//", "/a/./b", "/a/..", "/.well-known/x", "/a.b/c~d", "/x?q=a/b", "/x?"]
    ),
)


@settings(max_examples=300)
@given(
    url=st.builds("{}{}".format, ORIGINS, st.one_of(PLACES, PLACES.map("/{}".format), PATHS)),
    params=st.one_of(st.none(), MAPPINGS, PAIRS, st.text("a=&%+1 ", max_size=4), st.just(b"q=1")),
    defaults=st.one_of(st.just({}), MAPPINGS, st.none()),
)
def test_a_url_is_prepared_as_requests_prepares_it(url: str, params: Any, defaults: Any) -> None:
    session = requests.Session()
    session.params = defaults
    for _ in range(2):
        try:
            request = requests.Request("GET", url, params=params or {})  # as request() does
            expected = str(session.prepare_request(request).url)
        except Exception as error:
            with pytest.raises(type(error)):
                prepared_url(url, params, defaults)
        else:
            assert prepared_url(url, params, defaults) == expected


# -- on the wire -----------------------------------------------------------------------------------


def test_a_server_gets_the_same_bytes(api_server: ApiServer) -> None:
    api_server.route("*", Reply(json={}))
    calls: list[Arguments] = [
        {"method": "GET", "url": "/a b/ü?x=1#f", "params": {"q": ["1", None, "é"], "n": 2}},
        {"method": "POST", "url": "/users", "json": {"name": "Ada"}, "headers": {"X-A": b"1"}},
        {"method": "POST", "url": "/users", "data": {"name": "Ada", "tags": ["a", "b"]}},
        {"method": "PUT", "url": "/users/1", "data": b"\x00\xff", "headers": {"Accept": None}},
        {"method": "DELETE", "url": "/users/1", "auth": ("ada", "secret")},
        {"method": "HEAD", "url": "/users", "cookies": {"c": "1"}},
    ]
    for kind in (Session, requests.Session):
        with kind() as session:
            for call in calls * 2:
                session.request(**{**call, "url": api_server.base_url + call["url"]})
    got = [
        (one.method, one.target, [*one.headers.items()], one.body) for one in api_server.requests
    ]
    half = len(got) // 2
    assert got[:half] == got[half:]


def test_a_post_of_the_client_carries_a_new_key_each_time(api_server: ApiServer) -> None:
    api_server.route("*", Reply(json={}))
    with EnhancedAPIClient(api_server.base_url) as client:
        for _ in range(3):
            client.post("/users", {"name": "Ada"})
    keys = {one.headers["Idempotency-Key"] for one in api_server.requests}
    assert len(keys) == 3
    assert len({one.body for one in api_server.requests}) == 1


# -- who may have changed anything -----------------------------------------------------------------


def way(session: Session, **given: Any) -> bool:
    """Whether such a call would take the short way."""
    call = session.plan({"method": "GET", "url": "http://a.example/x", **given})
    return prepared(session, call) is not None


def test_what_is_not_plain_takes_the_ordinary_road() -> None:
    with Session() as session:
        assert way(session)
        assert way(session, auth=("u", "p"))
        for unusual in (
            *({"auth": Stamp()}, {"auth": HTTPDigestAuth("u", "p")}),
            {"cookies": {"c": "1"}, "auth": ("u", "p")},
            *({"files": {"f": b"x"}}, {"data": io.BytesIO(b"x")}, {"data": iter([b"x"])}),
            *({"hooks": {"response": print}}, {"other": 1}),
        ):
            assert not way(session, **unusual)
        session.hooks["response"].append(print)
        assert not way(session)
        session.hooks = {"response": []}
        session.cookies.set("c", "1")
        assert way(session)
        assert not way(session, auth=("u", "p"))  # whose header stands behind that of the cookies


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        *((requests.sessions, name) for name in ("get_netrc_auth", "merge_setting", "Request")),
        *((requests.Session, name) for name in ("request", "prepare_request")),
        *((requests.PreparedRequest, name) for name in ("prepare", "prepare_url", "prepare_body")),
        (requests.models.RequestEncodingMixin, "_encode_params"),
    ],
)
def test_where_a_tool_of_requests_was_replaced_it_is_used(
    owner: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Session() as session:
        assert way(session)
        monkeypatch.setattr(owner, name, partial(getattr(owner, name)))
        assert not way(session)
        monkeypatch.undo()
        assert way(session)


def test_a_session_that_prepares_in_its_own_way_does_so_each_time(
    api_server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    api_server.route("*", Reply(json={}))
    with Session() as session:
        session.get(api_server.url("/x"))
        real = session.prepare_request

        def signed(request: requests.Request) -> requests.PreparedRequest:
            request.headers = {**request.headers, "X-Signed": "1"}
            return real(request)

        monkeypatch.setattr(session, "prepare_request", signed)
        session.get(api_server.url("/x"))
    assert [one.headers.get("X-Signed") for one in api_server.requests] == [None, "1"]


def test_what_was_prepared_may_be_changed_by_whoever_has_it(api_server: ApiServer) -> None:
    api_server.route("*", Reply(json={}))
    with Session(enable_cache=False) as session:
        for number in range(3):
            request = session.get(api_server.url("/x")).request
            assert "X-Mine" not in request.headers
            assert not request._cookies
            assert request.hooks == {"response": []}
            request.headers["X-Mine"] = str(number)
            request._cookies.set("c", "1")
            request.hooks["response"].append(print)


def test_a_header_that_is_gone_is_not_sent_any_more(api_server: ApiServer) -> None:
    api_server.route("*", Reply(json={}))
    url = api_server.url("/x")
    with Session(enable_cache=False) as session:
        for token in ("alice", "bob", "alice"):
            session.headers["Authorization"] = token
            session.get(url)
        del session.headers["Authorization"]
        session.get(url)
    got = [one.headers.get("Authorization") for one in api_server.requests]
    assert got == ["alice", "bob", "alice", None]


def test_a_mapping_that_has_a_name_twice_is_sent_as_requests_sends_it() -> None:
    class Twice(OrderedDict[str, str]):
        def items(self) -> Any:
            return [("a", "1"), ("a", "2")]

    sent = []
    for kind in (Session, requests.Session):
        session, recorder = watched(kind)
        session.params = None  # type: ignore[assignment]
        with session:
            call = {"method": "GET", "url": "http://a.example/", "params": Twice(x="y")}
            sent.append([outcome(session, recorder, call)[0][1] for _ in range(2)])
    assert sent[0] == sent[1]


def test_a_jar_of_cookies_that_is_empty_changes_nothing() -> None:
    with Session() as session:
        assert way(session, cookies=RequestsCookieJar())


def test_pickling_a_request_does_not_close_the_short_way() -> None:
    with Session() as session:
        pickle.loads(pickle.dumps(requests.Request("GET", "http://a.example/").prepare()))
        assert way(session)


def test_a_method_in_bytes_is_that_method() -> None:
    ours, our_recorder = watched(Session, enable_cache=False)
    stock, stock_recorder = watched(requests.Session)
    with ours, stock:
        call: Arguments = {"method": b"GET", "url": "http://a.example/"}
        for _ in range(2):
            assert outcome(ours, our_recorder, call) == outcome(stock, stock_recorder, call)
