"""Laws of identity: Alice never gets Bob's answer, and whoever may share one does."""

from __future__ import annotations

import io
import os
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
import trustme
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from requests.auth import AuthBase, HTTPBasicAuth, HTTPDigestAuth, HTTPProxyAuth
from requests.cookies import RequestsCookieJar

from browseros_api import Session, askers
from browseros_api.environment import Environment
from browseros_api.identity import Identity
from browseros_api.keys import ALL_COOKIES, NEVER_SELECTS, effective_headers
from browseros_api.testing import ApiServer, Received, Reply

Arguments = dict[str, Any]
Preparation = Callable[[requests.Session], Arguments]

URL = "http://127.0.0.1:9/things"


def key_of(session: requests.Session, identity: Identity | None = None, **given: Any) -> Any:
    name = (identity or Identity()).name(session, "GET", {"url": URL, **given})
    return None if name is None else name.key


def jar(*cookies: tuple[str, str, str]) -> RequestsCookieJar:
    """Of ``(domain, name, value)``."""
    made = RequestsCookieJar()
    for domain, name, value in cookies:
        made.set(name, value, domain=domain, path="/")
    return made


# -- who is never the same -------------------------------------------------------------------------


def by(**arguments: Any) -> Preparation:
    """Says who asks with the call's own arguments."""
    return lambda session: arguments


def on(name: str, value: Any) -> Preparation:
    """Says it on the session."""

    def prepare(session: requests.Session) -> Arguments:
        setattr(session, name, value)
        return {}

    return prepare


def default(name: str, value: str) -> Preparation:
    def prepare(session: requests.Session) -> Arguments:
        session.headers[name] = value
        return {}

    return prepare


def cookie(value: str, domain: str = "", path: str = "/") -> Preparation:
    def prepare(session: requests.Session) -> Arguments:
        session.cookies.set("who", value, domain=domain, path=path)
        return {}

    return prepare


def header(name: str) -> tuple[Preparation, Preparation]:
    return by(headers={name: "alice"}), by(headers={name: "bob"})


def auth(kind: Callable[[str, str], Any]) -> tuple[Preparation, Preparation]:
    return by(auth=kind("alice", "secret")), by(auth=kind("bob", "secret"))


# Pairs of callers whom the server can tell from each other.
STRANGERS: dict[str, tuple[Preparation, Preparation]] = {
    **{
        name: header(name)
        for name in (
            *("Authorization", "Cookie", "X-API-Key", "X-Tenant", "X-Auth-Token", "Api-Token"),
            *(
                "Accept",
                "Accept-Language",
                "Range",
                "Origin",
                "If-None-Match",
                "Host",
                "X-Anything",
            ),
        )
    },
    "nobody and somebody": (by(), by(headers={"Authorization": "bob"})),
    "a default and its removal": (
        default("X-API-Key", "alice"),
        by(headers={"X-API-Key": None}),
    ),
    "a session's default header": (default("X-API-Key", "alice"), default("X-API-Key", "bob")),
    "a default and another header in its place": (
        default("X-API-Key", "alice"),
        by(headers={"x-api-key": "bob"}),
    ),
    "cookies=": (by(cookies={"who": "alice"}), by(cookies={"who": "bob"})),
    "cookies= in a jar": (
        by(cookies=jar(("127.0.0.1", "who", "alice"))),
        by(cookies=jar(("127.0.0.1", "who", "bob"))),
    ),
    "cookies= of two names": (by(cookies={"a": "1"}), by(cookies={"b": "1"})),
    "a session's cookies": (cookie("alice"), cookie("bob")),
    "a session's cookies, of another path": (cookie("alice"), cookie("alice", path="/other")),
    "a session's cookies, of the host": (cookie("alice", "127.0.0.1"), cookie("bob", "127.0.0.1")),
    "a session's cookies, of the host that a header names": (
        lambda session: cookie("alice", "a.example")(session) or {"headers": {"Host": "a.example"}},
        lambda session: cookie("bob", "a.example")(session) or {"headers": {"Host": "a.example"}},
    ),
    "auth=(user, password)": auth(lambda *pair: pair),
    "auth= of two passwords": (by(auth=("alice", "1")), by(auth=("alice", "2"))),
    "auth=HTTPBasicAuth": auth(HTTPBasicAuth),
    "auth=HTTPProxyAuth": auth(HTTPProxyAuth),
    "session.auth": (on("auth", ("alice", "1")), on("auth", ("bob", "1"))),
    "session.auth and auth=": (on("auth", ("alice", "1")), by(auth=("bob", "1"))),
    "params": (by(params={"who": "alice"}), by(params={"who": "bob"})),
    "params that differ in a delimiter": (
        by(params={"a": "1&b=2"}),
        by(params={"a": "1", "b": "2"}),
    ),
    "params of one name": (by(params={"a": "1,2"}), by(params={"a": ["1", "2"]})),
    "params whose name ends elsewhere": (by(params={"a=": "1"}), by(params={"a": "=1"})),
    "params of like values": (by(params={"a": 1}), by(params={"a": True})),
    "a session's params": (on("params", {"who": "alice"}), on("params", {"who": "bob"})),
}


@pytest.fixture(params=STRANGERS)
def strangers(request: pytest.FixtureRequest) -> tuple[Preparation, Preparation]:
    return STRANGERS[request.param]


def test_strangers_have_different_keys(strangers: tuple[Preparation, Preparation]) -> None:
    identity = Identity()
    keys = []
    for prepare in (*strangers, *strangers):
        session = requests.Session()
        keys.append(key_of(session, identity, **prepare(session)))
    assert None not in keys
    assert keys[0] != keys[1]
    assert keys[:2] == keys[2:], "remembered otherwise than computed"


def told(request: Received) -> Reply:
    """Who asks, in the server's eyes; nobody is told apart by headers that never select."""
    seen = {n.lower(): v for n, v in request.headers.items() if n.lower() not in NEVER_SELECTS}
    return Reply(json={"target": request.target, "headers": seen})


def test_each_of_two_strangers_gets_an_answer_of_its_own(
    strangers: tuple[Preparation, Preparation], api_server: ApiServer
) -> None:
    api_server.route("/things", told)
    answers = []
    with Session(cache_mode="ttl") as session:
        for prepare in (*strangers, *strangers):
            fresh = requests.Session()  # what one has set on the session is not the other's
            session.headers, session.cookies = fresh.headers, fresh.cookies
            session.auth, session.params = fresh.auth, fresh.params
            answers.append(session.get(api_server.url("/things"), **prepare(session)))
    alice, bob, alice_again, bob_again = (answer.json() for answer in answers)
    assert alice != bob, "the server cannot tell them apart: no law is tested here"
    assert (alice_again, bob_again) == (alice, bob)
    assert [answer.from_cache for answer in answers] == [False, False, True, True]
    assert api_server.hits("/things") == 2


# -- who is the same -------------------------------------------------------------------------------

TWINS: dict[str, tuple[Preparation, Preparation]] = {
    "nobody": (by(), by()),
    "the order of headers": (
        by(headers={"X-A": "1", "X-B": "2"}),
        by(headers={"X-B": "2", "X-A": "1"}),
    ),
    "the case of headers": (by(headers={"X-Tenant": "1"}), by(headers={"x-tenant": "1"})),
    "text and bytes": (by(headers={"X-Tenant": "1"}), by(headers={"X-Tenant": b"1"})),
    "a default and a header of the call": (
        default("X-API-Key", "alice"),
        by(headers={"X-API-Key": "alice"}),
    ),
    "a session's cookie and one of the call": (cookie("alice"), by(cookies={"who": "alice"})),
    "session.auth and auth=": (on("auth", ("alice", "1")), by(auth=("alice", "1"))),
    "a session's params and those of the call": (on("params", {"x": 1}), by(params={"x": 1})),
    "params and the URL": (by(params={"x": 1}), by(url=URL + "?x=1")),
    "params of text": (by(params={"x": 1}), by(params="x=1")),
    "the fragment": (by(), by(url=URL + "#part")),
    "the case of the host": (by(url="http://localhost/"), by(url="HTTP://LocalHost/")),
    "no body": (by(), by(data=None, json=None, files=None)),
    "timeouts": (by(timeout=1), by(timeout=(2, 3))),
    "a cookie of another domain": (by(), cookie("alice", "elsewhere.example")),
    **{name: header(name) for name in sorted(NEVER_SELECTS)},
}


@pytest.fixture(params=TWINS)
def twins(request: pytest.FixtureRequest) -> tuple[Preparation, Preparation]:
    return TWINS[request.param]


def test_twins_have_one_key(twins: tuple[Preparation, Preparation]) -> None:
    keys = []
    for prepare in twins:
        session = requests.Session()
        keys.append(key_of(session, **prepare(session)))
    assert None not in keys
    assert keys[0] == keys[1]


# But for what asks for a fresh answer, and what the server of this test cannot be asked.
@pytest.mark.parametrize(
    "name", sorted(TWINS.keys() - {"cache-control", "pragma", "the case of the host"})
)
def test_the_second_of_two_twins_gets_the_answer_of_the_first(
    name: str, api_server: ApiServer
) -> None:
    with Session(cache_mode="ttl") as session:
        for prepare in TWINS[name]:
            fresh = requests.Session()
            session.headers, session.cookies = fresh.headers, fresh.cookies
            session.auth, session.params = fresh.auth, fresh.params
            asked = prepare(session)
            asked["url"] = asked.get("url", URL).replace(URL, api_server.url("/things"))
            answer = session.get(**asked)
    assert answer.from_cache
    assert api_server.hits() == 1


@pytest.mark.parametrize("name", ["User-Agent", "traceparent", "Accept-Encoding"])
def test_what_never_selects_may_be_missing(name: str) -> None:
    session = requests.Session()
    assert key_of(session, headers={name: None}) == key_of(session)


# -- who has no name -------------------------------------------------------------------------------


class Custom(AuthBase):
    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


class OwnBasic(HTTPBasicAuth):
    """May do anything."""


LOOP: list[Any] = []
LOOP.append(LOOP)
NAMELESS: dict[str, Arguments] = {
    "an auth object": {"auth": Custom()},
    "an auth function": {"auth": lambda request: request},
    "a subclass of a known auth": {"auth": OwnBasic("a", "b")},
    "an auth that is falsy, not absent": {"auth": ()},
    "params of an unknown kind": {"params": {"a": object()}},
    "params of a generator": {"params": (pair for pair in [("a", 1)])},
    "a URL of an unknown kind": {"url": Path("/x")},
    "params that contain themselves": {"params": LOOP},
    "headers that requests refuses": {"headers": {"A": 1}},
    "headers that are no mapping": {"headers": [("A", "1")]},
    "a proxy of an unknown kind": {"proxies": {"http": object()}},
    "a URL without a host": {"url": "http://"},
    "a URL without a scheme": {"url": "127.0.0.1/x"},
    "cookies that cannot be sent": {"cookies": {"a": object()}},
}


@pytest.mark.parametrize("arguments", NAMELESS.values(), ids=NAMELESS)
def test_what_cannot_be_put_into_words_has_no_name(arguments: Arguments) -> None:
    assert key_of(requests.Session(), **arguments) is None


def test_a_session_with_an_auth_of_its_own_kind_names_nothing() -> None:
    session = requests.Session()
    session.auth = Custom()
    assert key_of(session) is None
    assert key_of(session, auth=("alice", "1")) is not None


UNSHARED: dict[str, Arguments] = {
    "files": {"files": {"f": b"x"}},
    "a body of bytes": {"data": b"x"},
    "a body of fields": {"data": {"a": "1"}},
    "a body of a file": {"data": io.BytesIO(b"x")},
    "a JSON body": {"json": {}},
    "a stream": {"stream": True},
    "hooks": {"hooks": {"response": [lambda response, **_: None]}},
    "an auth object": {"auth": Custom()},
}


@pytest.mark.parametrize("arguments", UNSHARED.values(), ids=UNSHARED)
def test_what_is_one_callers_alone_is_never_kept(
    arguments: Arguments, api_server: ApiServer
) -> None:
    with Session(cache_mode="ttl") as session:
        for _ in range(2):
            with session.get(api_server.url("/things"), **arguments) as answer:
                assert answer.status_code == 200
                assert not answer.from_cache
                assert answer.content
        assert session.get_stats()["cache_size"] == 0
    assert api_server.hits("/things") == 2


def test_a_session_that_streams_by_default_shares_nothing(api_server: ApiServer) -> None:
    with Session(cache_mode="ttl") as session:
        session.stream = True
        for _ in range(2):
            with session.get(api_server.url("/things")) as answer:
                assert not answer.from_cache
                assert answer.content
        assert session.get(api_server.url("/things"), stream=False).from_cache is False
        assert session.get(api_server.url("/things"), stream=False).from_cache is True


# -- every pair there is ---------------------------------------------------------------------------

TEXTS = st.sampled_from(["", "1", "a", "a=1", "a&b", "1;b"])
NAMES = st.sampled_from(["X-A", "x-a", "Cookie", "Authorization", "User-Agent", "Host"])
CALLS = st.fixed_dictionaries(
    {
        "url": st.sampled_from([URL, URL + "?a=1", URL + "#a", "http://u:p@127.0.0.1:9/things"]),
        "params": st.one_of(
            st.none(), TEXTS, st.dictionaries(TEXTS, st.one_of(TEXTS, st.booleans()), max_size=2)
        ),
        "headers": st.dictionaries(NAMES, st.one_of(st.none(), TEXTS), max_size=2),
        "cookies": st.one_of(st.none(), st.dictionaries(st.sampled_from("ab"), TEXTS, max_size=2)),
        "auth": st.one_of(st.none(), st.tuples(TEXTS, TEXTS)),
    }
)
SESSIONS = st.fixed_dictionaries(
    {
        "headers": st.dictionaries(NAMES, TEXTS, max_size=2),
        "params": st.dictionaries(TEXTS, TEXTS, max_size=1),
        "auth": st.one_of(st.none(), st.tuples(TEXTS, TEXTS)),
        "cookies": st.lists(
            st.tuples(
                st.sampled_from(["", "127.0.0.1", "elsewhere.example", "1", "a"]),
                st.sampled_from(["/", "/things", "/other"]),
                TEXTS,
            ),
            max_size=2,
        ),
    }
)
EVERYBODY = Identity()


def prepared(session: requests.Session, call: Arguments) -> requests.PreparedRequest:
    """As ``requests.Session.request`` does it."""
    asked = {**call, "params": call["params"] or {}}
    return session.prepare_request(requests.Request("GET", **asked))


def wire(session: requests.Session, call: Arguments) -> Any:
    """What requests itself would send, as far as it can choose the answer."""
    request = prepared(session, call)
    names = effective_headers(None, request.headers)
    selecting = {name: value for name, value in names.items() if name not in NEVER_SELECTS}
    return str(request.url).partition("#")[0], selecting


def made(state: Arguments) -> requests.Session:
    session = requests.Session()
    session.headers.update(state["headers"])
    session.params, session.auth = state["params"], state["auth"]
    for domain, path, value in state["cookies"]:
        session.cookies.set("who", value, domain=domain, path=path)
    return session


@settings(max_examples=250, suppress_health_check=[HealthCheck.too_slow])
@given(st.tuples(SESSIONS, CALLS), st.tuples(SESSIONS, CALLS), st.data())
def test_calls_of_one_key_send_one_request(
    one: tuple[Arguments, Arguments], other: tuple[Arguments, Arguments], data: st.DataObject
) -> None:
    # The second caller is the first one but for a thing or two, or they would never be the same.
    twin = []
    for mine, its in zip(one, other, strict=True):
        changed = data.draw(st.sets(st.sampled_from(sorted(mine)), max_size=1))
        twin.append({**mine, **{name: its[name] for name in changed}})
    callers = [(made(state), call) for state, call in (one, twin)]
    keys = [key_of(session, EVERYBODY, **call) for session, call in callers]
    assert keys == [key_of(session, **call) for session, call in callers], "remembered otherwise"
    if None not in keys and keys[0] == keys[1]:
        sent = [wire(session, call) for session, call in callers]
        assert sent[0] == sent[1]


@settings(max_examples=150)
@given(SESSIONS, CALLS)
def test_the_headers_of_a_name_are_those_that_will_be_sent(
    state: Arguments, call: Arguments
) -> None:
    session = made(state)
    name = Identity().name(session, "GET", call)
    if name is None:
        return
    sent = prepared(session, call)
    own = ("authorization", "cookie", ALL_COOKIES)  # these two may be made of other arguments
    known = {header: value for header, value in name.headers.items() if header not in own}
    got = {header.lower(): value for header, value in sent.headers.items()}
    assert known == {header: value for header, value in got.items() if header not in own}
    assert name.resource == str(sent.url).partition("#")[0].partition("?")[0]


# -- cookies that only a redirect could ask for ----------------------------------------------------


def test_a_name_tells_of_cookies_that_are_not_for_its_url() -> None:
    def told_of(*cookies: tuple[str, str, str], **arguments: Any) -> str | None:
        session = requests.Session()
        session.cookies = jar(*cookies)
        name = Identity().name(session, "GET", {"url": URL, **arguments})
        assert name is not None
        return name.headers.get(ALL_COOKIES)

    alice, bob = ("elsewhere.example", "who", "alice"), ("elsewhere.example", "who", "bob")
    assert told_of() is None
    assert len({told_of(), told_of(alice), told_of(bob), told_of(alice, ("", "x", "1"))}) == 4
    assert told_of(alice, cookies={"x": "1"}) == told_of(alice, ("", "x", "1"))
    assert "alice" not in str(told_of(alice))


def test_a_cookie_makes_somebody_until_it_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    identity, session = Identity(), requests.Session()
    nobody = key_of(session, identity)
    session.cookies.set("who", "alice", expires=4_000_000_000)
    alice = key_of(session, identity)
    assert alice != nobody
    monkeypatch.setattr(time, "time", lambda: 4_000_000_000.5)
    assert key_of(session, identity) == nobody
    monkeypatch.undo()
    assert key_of(session, identity) == alice


def test_cookies_may_be_a_plain_dictionary_on_the_session_too() -> None:
    session = requests.Session()
    session.cookies = {"who": "alice"}  # type: ignore[assignment]  # people do, and it works
    assert key_of(session) == key_of(requests.Session(), cookies={"who": "alice"})
    session.cookies = {}  # type: ignore[assignment]
    assert key_of(session) == key_of(requests.Session())


# -- what the environment says ---------------------------------------------------------------------


def write_netrc(path: Path, who: str) -> str:
    path.write_text(f"machine 127.0.0.1 login {who} password secret\n")
    path.chmod(0o600)
    return str(path)


def test_netrc_makes_the_caller_somebody(
    api_server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, bob = (write_netrc(tmp_path / who, who) for who in ("alice", "barney"))
    answers = []
    with Session(cache_mode="ttl") as session:
        for file in (alice, bob, alice, bob):
            monkeypatch.setenv("NETRC", file)
            answers.append(session.get(api_server.url("/x")))
    who = [answer.json()["headers"]["Authorization"] for answer in answers]
    assert who[0] != who[1]
    assert who[2:] == who[:2]
    assert [answer.from_cache for answer in answers] == [False, False, True, True]


def test_a_netrc_that_was_edited_makes_the_caller_somebody_else(
    api_server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NETRC", write_netrc(tmp_path / "netrc", "alice"))
    with Session(cache_mode="ttl") as session:
        first = session.get(api_server.url("/x")).json()
        hers, his = tmp_path / "netrc", tmp_path / "next"
        write_netrc(his, "bobby")  # as long and as old as hers, and moved over it
        os.utime(his, ns=(hers.stat().st_atime_ns, hers.stat().st_mtime_ns))
        his.replace(hers)
        second = session.get(api_server.url("/x")).json()
        assert first["headers"]["Authorization"] != second["headers"]["Authorization"]
        assert session.get(api_server.url("/x"), auth=("a", "b")).json() != second
        session.trust_env = False
        assert "Authorization" not in session.get(api_server.url("/x")).json()["headers"]


def test_netrc_of_another_host_is_part_of_the_name_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A redirect may lead there."""
    file = tmp_path / "netrc"
    monkeypatch.setenv("NETRC", str(file))
    keys = set()
    for who in (
        "",
        "machine elsewhere login al password x",
        "machine elsewhere login bob password x",
    ):
        file.write_text(who)
        file.chmod(0o600)
        keys.add(key_of(requests.Session()))
    assert len(keys) == 3


def test_where_a_netrc_is_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor how old it is: so that machines can share answers."""
    keys = set()
    monkeypatch.delenv("NETRC")
    for name in ("here", "there", "nowhere", "empty"):
        home = tmp_path / name
        home.mkdir()
        if name != "nowhere":
            write_netrc(home / ".netrc", "alice")
        if name == "empty":
            (home / ".netrc").write_text("\n")
        monkeypatch.setenv("HOME", str(home))
        keys.add((name in ("here", "there"), key_of(requests.Session())))
    monkeypatch.setenv("NETRC", write_netrc(tmp_path / "other", "alice"))
    keys.add((True, key_of(requests.Session())))
    assert len(keys) == 2
    monkeypatch.setenv("NETRC", str(tmp_path))
    assert (False, key_of(requests.Session())) in keys, "a folder, which cannot be read"


def test_a_netrc_that_changes_meanwhile_makes_the_caller_nobody(
    api_server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its name and its answer, of which nobody knows then whose it is."""
    file = tmp_path / "netrc"
    monkeypatch.setenv("NETRC", write_netrc(file, "alice"))
    url = api_server.url("/x")

    def changed(_: Received) -> Reply:
        write_netrc(file, "barney")
        return Reply(json={}, headers={"Cache-Control": "max-age=60"})

    api_server.route("/x", changed)
    with Session() as session:
        assert key_of(requests.Session(), url=url) is not None
        session.get(url)
        write_netrc(file, "alice")
        assert session.get(url).from_cache is False
        seen = askers.credentials

        def read(said: Any) -> bytes | None:
            try:
                return seen(said)
            finally:
                write_netrc(file, "barney and his friends")

        monkeypatch.setattr(askers, "credentials", read)
        assert key_of(requests.Session(), Identity(), url=url) is None


VARIABLES = [
    *("HTTP_PROXY", "http_proxy", "Http_Proxy", "ALL_PROXY", "NO_PROXY", "no_proxy", "FTP_PROXY"),
    *("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "REQUEST_METHOD"),
]


@pytest.mark.parametrize("variable", VARIABLES)
def test_a_variable_that_requests_reads_is_part_of_the_name(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    session, identity = requests.Session(), Identity()
    keys = [key_of(session, identity)]
    for value in ("http://127.0.0.1:1", "http://127.0.0.1:2"):
        monkeypatch.setenv(variable, value)
        keys.append(key_of(session, identity))
    assert len(set(keys)) == 3
    monkeypatch.delenv(variable)
    assert key_of(session, identity) == keys[0]
    session.trust_env = False
    blind = key_of(session, identity)
    monkeypatch.setenv(variable, "http://127.0.0.1:1")
    assert key_of(session, identity) == blind != keys[0]


def test_a_variable_that_does_not_matter_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    session, identity = requests.Session(), Identity()
    before = key_of(session, identity)
    monkeypatch.setenv("EDITOR", "ed")
    assert key_of(session, identity) == before


def test_an_environment_that_can_only_be_read_by_name_is_read_by_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On an interpreter that is not CPython there may be no ``os.environ._data``."""
    variables = {"HOME": "/", "http_proxy": "http://127.0.0.1:1"}
    monkeypatch.setattr(os, "environ", variables)
    environment = Environment()
    assert environment.variables() == (("HOME", "/"), ("http_proxy", "http://127.0.0.1:1"))
    variables["http_proxy"] = "http://127.0.0.1:2"
    assert environment.variables() == (("HOME", "/"), ("http_proxy", "http://127.0.0.1:2"))


# -- the way to the server -------------------------------------------------------------------------

WAYS: dict[str, list[Arguments]] = {
    "verify": [{}, {"verify": False}, {"verify": True}, {"verify": "ca.pem"}],
    "cert": [{}, {"cert": "a.pem"}, {"cert": ("a.pem", "b.key")}, {"cert": ("a.pem", "c.key")}],
    "proxies": [{}, {"proxies": {"http": "http://a"}}, {"proxies": {"http": "http://b"}}],
    "allow_redirects": [{}, {"allow_redirects": False}],
}


@pytest.mark.parametrize("ways", WAYS.values(), ids=WAYS)
def test_calls_that_take_different_ways_have_different_keys(ways: list[Arguments]) -> None:
    session, identity = requests.Session(), Identity()
    assert len({key_of(session, identity, **way) for way in ways}) == len(ways)
    by_session = set()
    for way in ways:
        session = requests.Session()
        for name, value in way.items():
            if hasattr(session, name):
                setattr(session, name, value)
        by_session.add(key_of(session, identity))
    assert len(by_session) > 1 or ways == WAYS["allow_redirects"]


def test_head_and_get_are_not_the_same() -> None:
    names = [
        Identity().name(requests.Session(), method, {"url": URL}) for method in ("GET", "HEAD")
    ]
    assert len({name.key for name in names if name}) == 2


@pytest.fixture
def proxies() -> Iterator[tuple[str, str]]:
    with ExitStack() as stack:
        servers = [stack.enter_context(ApiServer()) for _ in range(2)]
        for name, server in zip(("alice", "bob"), servers, strict=True):
            server.route("*", Reply(json={"way": name}))
        yield servers[0].base_url, servers[1].base_url


@pytest.mark.parametrize("said", ["by call", "by session", "by environment"])
def test_who_comes_through_another_proxy_gets_an_answer_of_its_own(
    said: str, proxies: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ways = []
    with Session(cache_mode="ttl") as session:
        for proxy in (*proxies, *proxies):
            arguments: Arguments = {}
            if said == "by call":
                arguments["proxies"] = {"http": proxy}
            elif said == "by session":
                session.proxies = {"http": proxy}
            else:
                monkeypatch.setenv("HTTP_PROXY", proxy)
            answer = session.get("http://service.test/x", **arguments)
            ways.append((answer.json()["way"], answer.from_cache))
    assert ways == [("alice", False), ("bob", False), ("alice", True), ("bob", True)]


def test_who_does_not_follow_redirects_gets_the_redirect(api_server: ApiServer) -> None:
    api_server.route("/old", Reply(302, headers={"Location": "/new"}))
    with Session(cache_mode="ttl") as session:
        for kept in (False, True):
            assert session.get(api_server.url("/old")).from_cache is kept
            answer = session.get(api_server.url("/old"), allow_redirects=False)
            assert (answer.status_code, answer.from_cache) == (302, False)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """Somebody who vouches for the server and for Alice."""
    folder = tmp_path_factory.mktemp("authority")
    ca = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    ca.configure_trust(context)
    ca.cert_pem.write_to_path(str(folder / "ca.pem"))
    alice = folder / "alice.pem"
    ca.issue_cert("alice@example.com").private_key_and_cert_chain_pem.write_to_path(str(alice))
    return SimpleNamespace(context=context, file=str(folder / "ca.pem"), alice=str(alice))


def test_who_does_not_trust_the_server_gets_nothing_from_the_cache(
    authority: SimpleNamespace,
) -> None:
    authority.context.verify_mode = ssl.CERT_NONE
    with ApiServer(tls=authority.context) as server, Session(cache_mode="ttl") as session:
        assert session.get(server.url("/x"), verify=authority.file).status_code == 200
        assert session.get(server.url("/x"), verify=authority.file).from_cache
        with pytest.raises(requests.exceptions.SSLError):
            session.get(server.url("/x"))
        assert server.hits() == 1


def test_who_has_no_client_certificate_gets_nothing_from_the_cache(
    authority: SimpleNamespace,
) -> None:
    authority.context.verify_mode = ssl.CERT_REQUIRED
    with (
        ApiServer(tls=authority.context) as server,
        Session(cache_mode="ttl", max_retries=0) as session,
    ):
        session.verify = authority.file
        assert session.get(server.url("/x"), cert=authority.alice).status_code == 200
        assert session.get(server.url("/x"), cert=authority.alice).from_cache
        with pytest.raises(requests.RequestException):
            session.get(server.url("/x"))
        assert server.hits() == 1


def test_digest_credentials_make_the_caller_somebody(api_server: ApiServer) -> None:
    def guarded(request: Received) -> Reply:
        said = request.headers.get("authorization", "")
        if not said:
            challenge = 'Digest realm="r", nonce="n", qop="auth", algorithm=MD5'
            return Reply(401, headers={"WWW-Authenticate": challenge})
        return Reply(json=said.partition('username="')[2].partition('"')[0])

    api_server.route("/x", guarded)
    with Session(cache_mode="ttl") as session:
        got = [
            session.get(api_server.url("/x"), auth=HTTPDigestAuth(who, "secret"))
            for who in ("alice", "bob", "alice", "bob")
        ]
    assert [answer.json() for answer in got] == ["alice", "bob", "alice", "bob"]
    assert [answer.from_cache for answer in got] == [False, False, True, True]


# -- the memory of names ---------------------------------------------------------------------------


def test_the_memory_of_names_is_bounded() -> None:
    identity, session = Identity(remembered=10), requests.Session()
    for number in range(5000):
        identity.name(session, "GET", {"url": f"http://h/{number}"})
    assert len(identity._known) <= 4096


def test_a_session_that_changes_is_named_anew() -> None:
    identity, session = Identity(), requests.Session()
    keys = [key_of(session, identity)]
    session.headers["X-API-Key"] = "alice"
    keys.append(key_of(session, identity))
    session.cookies.set("who", "alice")
    keys.append(key_of(session, identity))
    session.cookies.set("who", "bob")
    keys.append(key_of(session, identity))
    session.auth = HTTPBasicAuth("alice", "1")
    keys.append(key_of(session, identity))
    session.auth.username = "bob"
    keys.append(key_of(session, identity))
    assert len(set(keys)) == len(keys)
    session.cookies.clear()
    session.auth = None
    assert key_of(session, identity) == keys[1]


def test_many_threads_that_change_cookies_and_ask_find_no_error() -> None:
    identity, session = Identity(), requests.Session()
    gate, failures = threading.Barrier(6), []

    def ask() -> None:
        gate.wait(5)
        try:
            for number in range(150):
                identity.name(session, "GET", {"url": URL, "params": {"n": number % 7}})
        except Exception as error:
            failures.append(error)

    def change() -> None:
        gate.wait(5)
        for number in range(600):
            session.cookies.set(f"c{number}", "x", domain=f"d{number}.example")
            if number % 50 == 49:
                session.cookies.clear()

    threads = [threading.Thread(target=ask) for _ in range(4)]
    threads += [threading.Thread(target=change) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    assert not [failure for failure in failures if not isinstance(failure, RuntimeError)]
    assert not failures
