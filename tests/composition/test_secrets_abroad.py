"""A redirect to another origin: nothing that tells who the caller is goes along."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path

import pytest
import requests
from requests.auth import HTTPDigestAuth
from requests.cookies import create_cookie

import browseros_api
from browseros_api import EnhancedAPIClient, ResilienceMixin, Session
from browseros_api.testing import ApiServer, Received, Reply
from tests.faults.certificates import Authority

SECRETS = {
    "Authorization": "Bearer t",
    "Cookie": "sid=1",
    "Proxy-Agent": "a",
    "Proxy-Authorization": "Basic eA==",
    "X-API-Key": "k",
    "X-Auth": "a",
    "X-Authentication": "a",
    "X-AuthKey": "k",
    "X-Session-Token": "t",
    "PRIVATE-TOKEN": "t",
}
PLAIN = {"X-Plain": "p", "X-Request-Id": "r", "Idempotency-Key": "i"}


def leading(place: str, **headers: str) -> Reply:
    return Reply(302, headers={"Location": place, **headers})


@pytest.fixture
def here(api_server: ApiServer) -> ApiServer:
    return api_server


@pytest.fixture
def there() -> Iterator[ApiServer]:
    with ApiServer(host="127.0.0.2") as server:
        yield server


@pytest.fixture
def session(authority: Authority) -> Iterator[Session]:
    with Session(retry_base_delay=0.01) as session:
        session.verify = authority.file
        yield session


def told(server: ApiServer) -> set[str]:
    """What the latest request has told of the caller."""
    names = {name for name, _ in server.requests[-1].headers.items()}
    return names & (SECRETS.keys() | PLAIN.keys())


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_headers_of_a_call_that_look_like_secrets_stay(
    session: Session, here: ApiServer, there: ApiServer, status: int
) -> None:
    here.route("/go", Reply(status, headers={"Location": there.url("/echo")}))
    session.get(here.url("/go"), headers={**SECRETS, **PLAIN})
    assert told(there) == PLAIN.keys()


def test_so_do_those_of_the_session(session: Session, here: ApiServer, there: ApiServer) -> None:
    here.route("/go", leading(there.url("/echo")))
    session.headers.update({**SECRETS, **PLAIN})
    session.get(here.url("/go"))
    assert told(there) == PLAIN.keys()


def test_so_does_the_auth_of_either(session: Session, here: ApiServer, there: ApiServer) -> None:
    here.route("/go", leading(there.url("/echo")))
    session.auth = ("session", "x")
    for auth in (None, ("call", "x")):
        session.get(here.url("/go"), auth=auth)
        assert "Authorization" in here.requests[-1].headers
        assert told(there) == set()


def test_another_port_is_another_origin(session: Session, here: ApiServer) -> None:
    with ApiServer() as beside:
        here.route("/go", leading(beside.url("/echo")))
        session.get(here.url("/go"), headers=SECRETS)
        assert told(beside) == set()


def test_at_home_they_go_along(session: Session, here: ApiServer) -> None:
    here.route("/go", leading("/echo"))
    session.get(here.url("/go"), headers={**SECRETS, **PLAIN}, cookies={"sid": "1"})
    assert told(here) == (SECRETS.keys() | PLAIN.keys()) - {"Proxy-Authorization"}


def test_what_stayed_does_not_come_after_on_the_next_hop(
    session: Session, here: ApiServer, there: ApiServer
) -> None:
    here.route("/go", leading(there.url("/on")))
    there.route("/on", leading("/echo"))
    session.cookies.set("sid", "session")
    session.get(here.url("/go"), headers=SECRETS, cookies={"sid": "call"})
    assert there.hits() == 2
    assert all("Cookie" not in hop.headers for hop in there.requests)
    assert told(there) == set()


def test_nor_does_it_come_back_home(session: Session, here: ApiServer, there: ApiServer) -> None:
    here.route("/go", leading(there.url("/back")))
    there.route("/back", leading(here.url("/echo")))
    session.get(here.url("/go"), headers=SECRETS, cookies={"sid": "call"})
    assert told(here) == set()


@pytest.mark.parametrize("door", ["get", "client", "mixin", "installed", "send"])
def test_it_is_so_behind_every_door(door: str, here: ApiServer, there: ApiServer) -> None:
    here.route("/go", leading(there.url("/echo")))
    url = here.url("/go")
    if door == "get":
        browseros_api.get(url, headers=SECRETS, cookies={"sid": "1"})
    elif door == "client":
        with EnhancedAPIClient(here.base_url, headers={"X-API-Key": "k"}) as client:
            client.get("/go", headers={"X-Auth": "a"}, cookies={"sid": "1"})
    elif door == "mixin":
        with type("Mixed", (ResilienceMixin, requests.Session), {})() as mixed:
            mixed.get(url, headers=SECRETS, cookies={"sid": "1"})
    elif door == "installed":
        with browseros_api.install():
            requests.get(url, headers=SECRETS, cookies={"sid": "1"})
    else:
        with Session() as session:
            asked = requests.Request("GET", url, headers=SECRETS, cookies={"sid": "1"})
            session.send(session.prepare_request(asked))
            assert session.send(asked.prepare()).ok  # prepared by nobody's session
    assert here.hits() == there.hits() > 0
    assert told(there) == set()


def test_it_is_so_one_hop_at_a_time(session: Session, here: ApiServer, there: ApiServer) -> None:
    here.route("/go", leading(there.url("/echo")))
    first = session.get(here.url("/go"), headers=SECRETS, allow_redirects=False)
    assert first.next is not None
    assert not first.next.headers.keys() & SECRETS.keys()
    session.send(first.next)
    assert told(there) == set()


# -- cookies --------------------------------------------------------------------------------------


def test_cookies_go_where_they_belong(session: Session, here: ApiServer, there: ApiServer) -> None:
    here.route("/go", leading(there.url("/on"), **{"Set-Cookie": "of_here=1; Path=/"}))
    there.route("/on", leading("/echo", **{"Set-Cookie": "on_the_way=1; Path=/"}))
    session.cookies.set("of_there", "1", domain=there.host, path="/")
    session.cookies.set("of_nobody", "1")
    sent = session.get(here.url("/go")).json()["headers"]["Cookie"]
    assert sorted(sent.split("; ")) == ["of_there=1", "on_the_way=1"]
    assert sorted(session.cookies.keys()) == ["of_here", "of_nobody", "of_there", "on_the_way"]


def test_the_policy_of_a_jar_goes_along(
    session: Session, here: ApiServer, there: ApiServer
) -> None:
    here.route("/go", leading(there.url("/echo")))
    jar = CookieJar(DefaultCookiePolicy(blocked_domains=[there.host]))
    jar.set_cookie(create_cookie("of_there", "1", domain=there.host))
    response = session.send(requests.Request("GET", here.url("/go"), cookies=jar).prepare())
    assert "Cookie" not in response.json()["headers"]


@pytest.mark.parametrize("travel", [lambda one: pickle.loads(pickle.dumps(one)), copy.deepcopy])
def test_an_answer_from_abroad_can_travel(
    session: Session, here: ApiServer, there: ApiServer, travel: object
) -> None:
    here.route("/go", leading(there.url("/echo"), **{"Set-Cookie": "of_here=1; Path=/"}))
    response = travel(session.get(here.url("/go")))  # type: ignore[operator]
    assert (response.url, len(response.history)) == (there.url("/echo"), 1)
    assert response.request.copy()._cookies.get("of_here") == "1"


# -- from https to http ---------------------------------------------------------------------------


def test_from_https_to_http_everything_stays(session: Session, safe_server: ApiServer) -> None:
    with ApiServer() as plain:
        safe_server.route("/go", leading(plain.url("/on"), **{"Set-Cookie": "set=1; Path=/"}))
        plain.route("/on", leading("/echo"))
        session.headers.update(SECRETS)
        session.cookies.set("of_nobody", "1")
        session.cookies.set("of_both", "1", domain="127.0.0.1", path="/")
        session.get(safe_server.url("/go"), headers=PLAIN, cookies={"of_nobody_either": "1"})
        assert {"X-API-Key", "Authorization", "Cookie"} <= told(safe_server)
        assert plain.hits() == 2
        assert all("Cookie" not in hop.headers for hop in plain.requests)
        assert told(plain) == PLAIN.keys()


def test_cookies_that_are_set_on_the_way_are_sent_on_it(
    session: Session, safe_server: ApiServer
) -> None:
    with ApiServer() as plain:
        safe_server.route("/go", leading(plain.url("/on")))
        plain.route("/on", leading("/echo", **{"Set-Cookie": "on_the_way=1; Path=/"}))
        session.cookies.set("of_both", "1", domain="127.0.0.1", path="/")
        assert session.get(safe_server.url("/go")).json()["headers"]["Cookie"] == "on_the_way=1"
        sent = session.get(plain.url("/echo")).json()["headers"]["Cookie"]
        assert "of_both=1" in sent  # asked for, not led there


def test_from_http_to_https_another_origin_is_no_better(
    session: Session, here: ApiServer, safe_server: ApiServer
) -> None:
    here.route("/go", leading(safe_server.url("/echo")))
    session.get(here.url("/go"), headers={**SECRETS, **PLAIN}, cookies={"sid": "1"})
    assert told(safe_server) == PLAIN.keys()


# -- auth that answers challenges, netrc, and who is trusted -------------------------------------


def challenging(received: Received) -> Reply:
    if "Authorization" in received.headers:
        return Reply(json={"in": True})
    return Reply(401, headers={"WWW-Authenticate": 'Digest realm="r", nonce="n", qop="auth"'})


def test_nobody_else_can_ask_for_the_digest_of_a_password(
    session: Session, here: ApiServer, there: ApiServer
) -> None:
    here.route("/go", leading(there.url("/digest")))
    here.route("/at-home", leading("/digest"))
    for server in (here, there):
        server.route("/digest", challenging)
    session.auth = HTTPDigestAuth("alice", "secret")
    heard: list[int] = []
    session.hooks["response"].append(lambda response, **_: heard.append(response.status_code))
    assert session.get(here.url("/go")).status_code == 401
    assert told(there) == set()
    assert heard == [302, 401]  # other hooks hear it as ever
    assert session.get(here.url("/at-home")).json() == {"in": True}


def test_what_netrc_has_for_the_other_host_is_used(
    session: Session,
    here: ApiServer,
    there: ApiServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine {there.host} login bob password b\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    here.route("/go", leading(there.url("/echo")))
    sent = session.get(here.url("/go"), headers=SECRETS).json()["headers"]
    assert sent["Authorization"] == requests.auth._basic_auth_str("bob", "b")


def test_whom_a_session_trusts_gets_everything(here: ApiServer, there: ApiServer) -> None:
    class Trusting(Session):
        def should_strip_auth(self, old_url: str, new_url: str) -> bool:
            return False

    here.route("/go", leading(there.url("/echo")))
    with Trusting() as session:
        session.get(here.url("/go"), headers=SECRETS, cookies={"sid": "1"})
    assert {"Authorization", "X-API-Key", "Cookie"} <= told(there)
