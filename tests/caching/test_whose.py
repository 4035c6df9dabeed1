"""Laws of whose answer it is: one identity, one answer, and wider only on purpose."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from requests.auth import AuthBase, HTTPBasicAuth

from browseros_api import EnhancedAPIClient, Session
from browseros_api.identity import Identity
from browseros_api.keys import NEVER_SELECTS
from browseros_api.naming import makes_somebody, says_what
from browseros_api.testing import ApiServer, Received, Reply, wait_until

Arguments = dict[str, Any]
FRESH = {"Cache-Control": "max-age=600"}


def told(request: Received) -> Reply:
    """Who asks for what, as the server sees it; it says nothing of what it varies on."""
    return Reply(json=[request.target, seen(dict(request.headers.items()))], headers=FRESH)


def seen(headers: dict[str, str]) -> dict[str, str]:
    named = {name.lower(): value for name, value in headers.items()}
    return {n: v for n, v in named.items() if n != "host" and (makes_somebody(n) or says_what(n))}


@pytest.fixture
def server(api_server: ApiServer) -> ApiServer:
    api_server.route("*", told)
    return api_server


@pytest.fixture(params=["rfc", "ttl"])
def session(request: pytest.FixtureRequest) -> Iterator[Session]:
    with Session(cache_mode=request.param) as made:
        yield made


# -- who is somebody -------------------------------------------------------------------------------

WHO = [
    *("Authorization", "Proxy-Authorization", "Cookie", "X-API-Key", "Api-Key", "apikey"),
    *("X-Auth-Token", "X-Access-Token", "X-CSRF-Token", "Private-Token", "X-Session"),
    *("X-Tenant", "X-Tenant-Id", "Tenant", "Fabric-Tenant-Id", "X-User", "X-User-Id", "User-Id"),
    *("X-Account", "X-Account-Id", "Stripe-Account", "X-Org", "X-Org-Id", "OpenAI-Organization"),
    *("OpenAI-Project", "X-Workspace-Id", "X-Customer-Number", "X-Client-Id", "X-Device-Id"),
    *("X-Impersonate-User", "Impersonate-Group", "X-On-Behalf-Of", "X-Acting-As-Member"),
    *("X-MS-Client-Principal", "X-Remote-User", "X-Forwarded-For", "Forwarded", "X-Real-IP"),
    *("From", "X-Amz-Security-Token", "X-Goog-User-Project", "X-Role", "X-Something-Uuid"),
]
WHAT = ["Host", "Accept", "X-HTTP-Method-Override", "X-Original-URL", "X-GitHub-Api-Version"]
NOBODY = [
    *("User-Agent", "X-Request-Id", "X-Correlation-ID", "traceparent", "X-B3-TraceId", "baggage"),
    *("Accept-Encoding", "Idempotency-Key", "Date"),
]
ONLY_IF_IT_VARIES = ["Accept-Language", "Origin", "Referer", "DNT", "Foo", "Req-Num"]


@pytest.mark.parametrize("name", [*WHO, *WHAT])
def test_a_header_that_makes_the_caller_somebody_needs_no_vary(
    name: str, session: Session, server: ApiServer
) -> None:
    answers = [
        session.get(server.url("/x"), headers={name: who} if who else None)
        for who in ("alice", "bob", "", "alice", "bob", "")
    ]
    assert [answer.from_cache for answer in answers] == [False] * 3 + [True] * 3
    assert [a.json() for a in answers[:3]] == [a.json() for a in answers[3:]]
    assert server.hits() == 3


@pytest.mark.parametrize("name", NOBODY)
def test_a_header_that_makes_nobody_is_shared_over(
    name: str, session: Session, server: ApiServer
) -> None:
    for who in ("alice", "bob", ""):
        session.get(server.url("/x"), headers={name: who} if who else None)
    assert server.hits() == 1


@pytest.mark.parametrize("name", ONLY_IF_IT_VARIES)
def test_of_all_others_the_server_says_whether_they_choose(name: str, server: ApiServer) -> None:
    with Session() as session:
        for who in ("alice", "bob"):
            session.get(server.url("/x"), headers={name: who})
    assert server.hits() == 1


def by(**arguments: Any) -> Callable[[Session], Arguments]:
    return lambda session: arguments


def default(name: str, value: Any) -> Callable[[Session], Arguments]:
    def set_up(session: Session) -> Arguments:
        (session.headers if name[0].isupper() else vars(session)).update({name: value})
        return {}

    return set_up


def cookie(who: str) -> Callable[[Session], Arguments]:
    def set_up(session: Session) -> Arguments:
        session.cookies.set("who", who)
        return {}

    return set_up


STRANGERS: dict[str, Any] = {
    "auth=": [by(auth=("alice", "1")), by(auth=("bob", "1")), by(auth=("alice", "2")), by()],
    "auth objects": [by(auth=HTTPBasicAuth("alice", "1")), by(auth=HTTPBasicAuth("bob", "1"))],
    "a session's auth": [default("auth", ("alice", "1")), default("auth", ("bob", "1"))],
    "a session's header": [default("X-Tenant", "alice"), default("X-Tenant", "bob")],
    "a session's params": [default("params", {"who": "alice"}), default("params", {"who": "bob"})],
    "cookies=": [by(cookies={"who": "alice"}), by(cookies={"who": "bob"}), by()],
    "cookies that run together": [
        by(cookies={"a": "1", "b": "2"}),
        by(headers={"Cookie": "a=1"}),
        by(headers={"Cookie": "a=1; b=3"}),
    ],
    "a jar": [cookie("alice"), cookie("bob"), by()],
    "params": [by(params={"a": "1&b=2"}), by(params={"a": "1", "b": "2"}), by(params={"a": "1"})],
    "params and paths": [by(params={"a": "b"}), by(params="a=b&"), by(params={"a=b": ""})],
}
# Whom the server of this test cannot tell from each other.
WAYS: dict[str, Any] = {
    "auth that runs together": [by(auth=("a:b", "c")), by(auth=("a", "b:c"))],
    "verify": [by(), by(verify=False)],
    "proxies": [by(), by(proxies={"https": "http://127.0.0.1:9"})],
}


@pytest.mark.parametrize(
    "strangers", [*STRANGERS.values(), *WAYS.values()], ids=[*STRANGERS, *WAYS]
)
def test_strangers_share_nothing(strangers: Any, session: Session, server: ApiServer) -> None:
    answers = []
    for set_up in (*strangers, *strangers):
        fresh = requests.Session()
        session.headers, session.cookies = fresh.headers, fresh.cookies
        session.auth, session.params = fresh.auth, fresh.params
        answers.append(session.get(server.url("/x"), **set_up(session)))
    half = len(strangers)
    if strangers not in WAYS.values():
        assert len({repr(answer.json()) for answer in answers[:half]}) == half
    assert [answer.from_cache for answer in answers] == [False] * half + [True] * half
    for first, again in zip(answers[:half], answers[half:], strict=True):
        assert first.json() == again.json()


def test_a_client_certificate_makes_the_caller_somebody() -> None:
    for by_rfc in (True, False):
        identity, session = Identity(by_rfc=by_rfc), requests.Session()
        certs: list[Any] = [None, "alice.pem", ("alice.pem", "a.key"), ("alice.pem", "b.key")]
        names = [
            identity.name(session, "GET", {"url": "https://h/x", "cert": cert}) for cert in certs
        ]
        assert len({name.cache_key for name in names if name is not None}) == 4
        assert len({name.key for name in names if name is not None}) == 4


TWINS: dict[str, tuple[Arguments, Arguments]] = {
    "the order of headers": (
        {"headers": {"X-Tenant": "1", "Foo": "2"}},
        {"headers": {"Foo": "2", "X-Tenant": "1"}},
    ),
    "the case of headers": ({"headers": {"X-Tenant": "1"}}, {"headers": {"x-TENANT": "1"}}),
    "the order of params": ({"params": [("a", 1), ("b", 2)]}, {"params": {"a": 1, "b": 2}}),
    "the fragment": ({}, {"url": "/x#top"}),
    "timeouts": ({"timeout": 5}, {"timeout": (6, 7)}),
}


@pytest.mark.parametrize("twins", TWINS.values(), ids=TWINS)
def test_twins_share(
    twins: tuple[Arguments, Arguments], session: Session, server: ApiServer
) -> None:
    for one in twins:
        session.get(**{**one, "url": server.url(one.get("url", "/x"))})
    assert server.hits() == 1


@pytest.mark.parametrize("name", ["Authorization", "X-Tenant", "Cookie"])
def test_strangers_in_the_air_at_once_share_nothing(
    name: str, session: Session, api_server: ApiServer
) -> None:
    go = threading.Event()

    def held(request: Received) -> Reply:
        return Reply(json=request.headers[name], headers=FRESH, hold=go)

    api_server.route("/x", held)
    got: dict[str, Any] = {}

    def ask(who: str) -> None:
        got[who] = session.get(api_server.url("/x"), headers={name: who}).json()

    crowd = [threading.Thread(target=ask, args=(who,)) for who in ("alice", "bob", "carol")]
    for one in crowd:
        one.start()
    wait_until(lambda: api_server.hits("/x") == 3)
    go.set()
    for one in crowd:
        one.join(10)
    assert got == {who: who for who in got}
    assert len(got) == 3


# -- any two callers -------------------------------------------------------------------------------

TEXTS = st.sampled_from(["", "1", "a", "a=1", "a&b", "1; b=2", "a:b"])
NAMES = st.sampled_from(
    [
        "X-Tenant",
        "x-tenant",
        "X-User-Id",
        "Cookie",
        "Authorization",
        "X-API-Key",
        "User-Agent",
        "Foo",
    ]
)
CALLS = st.fixed_dictionaries(
    {
        "path": st.sampled_from(["/x", "/x?a=1", "/x#a", "/x/a"]),
        "params": st.one_of(st.none(), TEXTS, st.dictionaries(TEXTS, TEXTS, max_size=2)),
        "headers": st.dictionaries(NAMES, st.one_of(st.none(), TEXTS), max_size=2),
        "cookies": st.one_of(st.none(), st.dictionaries(st.sampled_from("ab"), TEXTS, max_size=2)),
        "auth": st.one_of(st.none(), st.tuples(TEXTS, TEXTS)),
    }
)
DEFAULTS = st.fixed_dictionaries(
    {
        "headers": st.dictionaries(NAMES, TEXTS, max_size=2),
        "params": st.dictionaries(TEXTS, TEXTS, max_size=1),
        "auth": st.one_of(st.none(), st.tuples(TEXTS, TEXTS)),
        "cookies": st.dictionaries(st.sampled_from(["who", "b"]), TEXTS, max_size=2),
    }
)


@pytest.fixture(scope="module")
def stage() -> Iterator[tuple[ApiServer, Session]]:
    with ApiServer() as server, Session() as session:
        server.route("*", told)
        yield server, session


@settings(max_examples=120, suppress_health_check=[HealthCheck.too_slow])
@given(st.tuples(DEFAULTS, CALLS), st.tuples(DEFAULTS, CALLS), st.data())
def test_whoever_asks_gets_what_the_server_would_tell_them(
    stage: tuple[ApiServer, Session],
    one: tuple[Arguments, Arguments],
    other: tuple[Arguments, Arguments],
    data: st.DataObject,
) -> None:
    server, session = stage
    session.clear_cache()
    # The second caller is the first but for a thing or two, or they would never be the same.
    twin = []
    for mine, its in zip(one, other, strict=True):
        changed = data.draw(st.sets(st.sampled_from(sorted(mine)), max_size=1))
        twin.append({**mine, **{name: its[name] for name in changed}})
    for state, call in (one, twin, one, twin):
        fresh = requests.Session()
        fresh.headers.update(state["headers"])
        session.headers, session.cookies = fresh.headers, fresh.cookies
        session.auth, session.params = state["auth"], state["params"]
        for name, value in state["cookies"].items():
            session.cookies.set(name, value)
        asked = {name: value for name, value in call.items() if name != "path"}
        asked["url"] = server.url(call["path"])
        sent = session.prepare_request(
            requests.Request("GET", **{**asked, "params": asked["params"] or {}})
        )
        answer = session.get(**asked)
        assert answer.json() == [sent.path_url, seen(dict(sent.headers))]


@given(st.text(max_size=30))
def test_a_header_of_any_name_is_judged(name: str) -> None:
    lowered = name.lower()
    assert makes_somebody(lowered) in (True, False)
    assert says_what(lowered) in (True, False)
    if lowered in NEVER_SELECTS:
        assert not makes_somebody(lowered)


# -- wider on purpose ------------------------------------------------------------------------------


class Signed(AuthBase):
    """Auth that has no name."""

    def __init__(self, who: str) -> None:
        self.who = who

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["X-Signature"] = self.who
        return request


SOMEBODY: dict[str, list[Arguments]] = {
    "headers": [{"headers": {"Authorization": who}} for who in ("alice", "bob")],
    "a tenant": [{"headers": {"X-Tenant": who}} for who in ("alice", "bob")],
    "auth": [{"auth": (who, "pw")} for who in ("alice", "bob")],
    "auth without a name": [{"auth": Signed(who)} for who in ("alice", "bob")],
    "cookies": [{"cookies": {"who": who}} for who in ("alice", "bob")],
}


@pytest.mark.parametrize("callers", SOMEBODY.values(), ids=SOMEBODY)
def test_whoever_gives_one_name_shares_one_answer(
    callers: list[Arguments], session: Session, server: ApiServer
) -> None:
    said = [session.get(server.url("/x"), share="team", **one).json() for one in callers]
    assert said[0] == said[1]
    assert server.hits() == 1
    session.get(server.url("/x"), share="others", **callers[1])
    assert server.hits() == 2, "another name"
    for one in callers:
        session.get(server.url("/x"), **one)
    assert server.hits() == 4, "and those who give none are themselves"


def test_a_name_shares_over_who_asks_and_not_over_what(session: Session, server: ApiServer) -> None:
    for given_ in ({}, {"params": {"a": 1}}, {"headers": {"Accept": "text/html"}}):
        session.get(server.url("/x"), share="team", **given_)
    session.get(server.url("/y"), share="team")
    session.get(server.url("/x"), share="team", verify=False)
    assert server.hits() == 5


def test_a_vary_on_who_asks_does_not_part_those_who_share(
    session: Session, api_server: ApiServer
) -> None:
    headers = {**FRESH, "Vary": "Authorization, Cookie, Accept-Language"}
    api_server.route("/x", Reply(json=1, headers=headers))
    for who in ("alice", "bob"):
        session.get(api_server.url("/x"), headers={"Authorization": who}, share="team")
    assert api_server.hits() == 1
    german = {"Authorization": "bob", "Accept-Language": "de"}
    session.get(api_server.url("/x"), headers=german, share="team")
    assert api_server.hits() == 2


def test_each_sends_its_own_credentials_all_the_same(session: Session, server: ApiServer) -> None:
    session.get(server.url("/x"), headers={"Authorization": "alice"}, share="team")
    session.get(server.url("/y"), headers={"Authorization": "bob"}, share="team")
    assert [request.headers["Authorization"] for request in server.requests] == ["alice", "bob"]


def test_those_who_share_fly_together(session: Session, api_server: ApiServer) -> None:
    go = threading.Event()
    api_server.route("/x", Reply(json=1, hold=go))
    got: list[Any] = []

    def ask(who: str) -> None:
        own = {"Authorization": who}
        got.append(session.get(api_server.url("/x"), headers=own, share="team").json())

    crowd = [threading.Thread(target=ask, args=(who,)) for who in ("alice", "bob", "carol")]
    for one in crowd:
        one.start()
    wait_until(lambda: "2 followers" in repr(session.engine.flights))
    go.set()
    for one in crowd:
        one.join(10)
    assert got == [1, 1, 1]
    assert api_server.hits() == 1


def test_who_shares_an_answer_does_not_learn_who_asked(
    session: Session, api_server: ApiServer
) -> None:
    api_server.route("/x", Reply(302, headers={**FRESH, "Location": "/y"}))
    api_server.route("/y", Reply(json=1, headers=FRESH))
    headers = {"Authorization": "alice", "Foo": "1"}
    session.get(api_server.url("/x"), share="team", headers=headers, cookies={"who": "alice"})
    hit: Any = session.get(api_server.url("/x"), share="team", headers={"Foo": "1"})
    assert hit.from_cache
    for answer in (hit, *hit.history):
        assert "alice" not in repr(vars(answer.request))
        assert answer.request.headers["Foo"] == "1"
        assert not answer.request._cookies


def test_nor_do_those_who_fly_with_the_one_who_asks(
    session: Session, api_server: ApiServer
) -> None:
    go = threading.Event()
    api_server.route("/x", Reply(json=1, hold=go))
    got: list[Any] = []

    def ask(who: str) -> None:
        own = {"Authorization": who}
        got.append(session.get(api_server.url("/x"), headers=own, share="team"))

    crowd = [threading.Thread(target=ask, args=(who,)) for who in ("alice", "bob")]
    for one in crowd:
        one.start()
    wait_until(lambda: "1 followers" in repr(session.engine.flights))
    go.set()
    for one in crowd:
        one.join(10)
    said = [answer.request.headers.get("Authorization") for answer in got]
    asked = api_server.requests[0].headers["Authorization"]
    assert sorted(said, key=str) == [None, asked]


def test_an_answer_with_a_cookie_is_never_shared(session: Session, api_server: ApiServer) -> None:
    api_server.route("/x", Reply(json=1, headers={**FRESH, "Set-Cookie": "who=alice"}))
    for _ in range(2):
        session.get(api_server.url("/x"), share="team")
        session.cookies.clear()
    assert api_server.hits() == 2


def test_what_is_one_callers_alone_stays_that(session: Session, server: ApiServer) -> None:
    for _ in range(2):
        session.get(server.url("/x"), share="team", data=b"x")
        session.post(server.url("/x"), share="team")
    assert server.hits() == 4


def test_patterns_share_by_url(server: ApiServer) -> None:
    shares = {
        server.url("/public/*"): "everyone",
        server.url("/teams/?/*"): "team",
        server.url("/teams/*"): "teams",
    }
    with Session(share=shares) as session:
        for who in ("alice", "bob"):
            for path in ("/public/a", "/public/b?page=1", "/teams/1/x", "/teams/12/x", "/private"):
                session.get(server.url(path), headers={"Authorization": who})
        hits = [server.hits(p) for p in ("/public/a", "/public/b", "/teams/1/x", "/teams/12/x")]
        assert (hits, server.hits("/private")) == ([1, 1, 1, 1], 2)
        asked = server.hits()
        session.get(server.url("/public/a"), share="everyone")
        assert server.hits() == asked, "the same name"
        session.get(server.url("/public/a"), share="own")
        assert server.hits() == asked + 1, "the call's word goes before the session's"


@pytest.mark.parametrize(
    "path",
    [
        *("/public/../private", "/public/%2e%2e/private", "/public/%2E%2E/private"),
        *("/public/..%2fprivate", "/public\\..\\private", "/public/x%5c..%5cy"),
    ],
)
def test_a_url_that_may_lead_elsewhere_fits_no_pattern(path: str, server: ApiServer) -> None:
    with Session(share={server.url("/public/*"): "everyone"}) as session:
        said = [
            session.get(server.url("") + path, headers={"Authorization": who}).json()[1]
            for who in ("alice", "bob")
        ]
        assert [one["authorization"] for one in said] == ["alice", "bob"]


def test_a_pattern_knows_the_host_it_is_for(server: ApiServer) -> None:
    with Session(share={"https://api.example.com/*": "everyone", "http://*.1/x": "no"}) as session:
        for who in ("alice", "bob"):
            url = server.url("/https://api.example.com/")
            session.get(url, headers={"Authorization": who})
            session.get(server.url("/x") + "?u=.1/x", headers={"Authorization": who})
    assert server.hits() == 4


def test_a_client_shares_as_well(server: ApiServer) -> None:
    with EnhancedAPIClient(server.base_url) as client:
        for who in ("alice", "bob"):
            client.get("/x", headers={"Authorization": who}, share="team")
        list(client.get_many(["/y", "/y"], share="team", headers={"Authorization": "carol"}))
        list(client.get_many(["/y"], share="team", headers={"Authorization": "dave"}))
        key = client.cache_key("/x", share="team")
        assert key == client.cache_key("/x", share="team", headers={"Authorization": "eve"})
        assert client.get_cached("/x", share="team", headers={"Authorization": "eve"}) is not None
    assert (server.hits("/x"), server.hits("/y")) == (1, 1)
