"""Real proxies and what the environment says of them, and netrc; the same with both sessions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.exceptions import ProxyError

import browseros_api
from browseros_api import EnhancedAPIClient, Session
from browseros_api.testing import ApiServer, Reply
from tests.composition.proxying import ForwardProxy
from tests.faults.certificates import Authority

FRESH = {"Cache-Control": "max-age=60"}


@pytest.fixture
def proxy() -> Iterator[ForwardProxy]:
    with ForwardProxy() as proxy:
        yield proxy


@pytest.fixture
def guarded() -> Iterator[ForwardProxy]:
    """One that wants to know who asks."""
    with ForwardProxy("me:secret") as proxy:
        yield proxy


@pytest.fixture
def trusting(either: requests.Session, authority: Authority) -> requests.Session:
    either.verify = authority.file
    return either


def named(server: ApiServer, path: str = "/x", name: str = "svc.test") -> str:
    """A URL by a name that only the proxy knows, or by another one."""
    return server.url(path).replace("127.0.0.1", name)


# -- forwarding, tunnels, and who asks ------------------------------------------------------------


def test_a_proxy_forwards_what_is_asked_in_the_clear(
    either: requests.Session, api_server: ApiServer, proxy: ForwardProxy
) -> None:
    either.proxies = {"http": proxy.url}
    answer = either.post(named(api_server, "/x?a=b"), data=b"body")
    assert (answer.json()["body"], answer.json()["query"]) == ("body", {"a": ["b"]})
    assert answer.json()["headers"]["Via"] == "1.1 proxy"
    assert proxy.asked == [f"POST http://svc.test:{api_server.port}/x?a=b HTTP/1.1"]


def test_a_proxy_makes_a_tunnel_for_what_is_not(
    trusting: requests.Session, safe_server: ApiServer, proxy: ForwardProxy
) -> None:
    trusting.proxies = {"https": proxy.url}
    for _ in range(2):
        assert "Via" not in trusting.get(safe_server.url("/x")).json()["headers"]
    assert len(proxy.asked) == 1  # and no second one
    assert proxy.asked[0].startswith(f"CONNECT 127.0.0.1:{safe_server.port} ")


def test_names_are_checked_through_a_tunnel(
    trusting: requests.Session, safe_server: ApiServer, proxy: ForwardProxy
) -> None:
    with pytest.raises(requests.exceptions.SSLError):
        trusting.get(named(safe_server), proxies={"https": proxy.url})
    assert safe_server.hits() == 0


def test_a_proxy_may_be_reached_by_tls(
    trusting: requests.Session, safe_server: ApiServer, authority: Authority
) -> None:
    with ForwardProxy(tls=authority.context()) as proxy:
        trusting.proxies = {"https": proxy.url}
        assert trusting.get(safe_server.url("/x")).ok
        assert proxy.asked[0].startswith(f"CONNECT 127.0.0.1:{safe_server.port} ")


def test_the_proxy_is_told_who_asks_and_nobody_else_is(
    trusting: requests.Session,
    api_server: ApiServer,
    safe_server: ApiServer,
    guarded: ForwardProxy,
) -> None:
    trusting.proxies = dict.fromkeys(("http", "https"), guarded.url_for("me:secret"))
    for server in (api_server, safe_server):
        assert trusting.get(server.url("/x")).ok
        assert "Proxy-Authorization" not in server.requests[-1].headers
    assert len(guarded.asked) == 2


def test_a_name_and_password_may_have_any_letters(
    trusting: requests.Session, api_server: ApiServer, safe_server: ApiServer
) -> None:
    with ForwardProxy("m@e:se:c/ret") as proxy:
        url = proxy.url_for("m%40e:se%3Ac%2Fret")
        trusting.proxies = {"http": url, "https": url}
        assert trusting.get(api_server.url("/x")).ok
        assert trusting.get(safe_server.url("/x")).ok


@pytest.mark.parametrize("user", [None, "me:wrong"])
def test_a_proxy_that_is_not_told_refuses(
    trusting: requests.Session,
    api_server: ApiServer,
    safe_server: ApiServer,
    guarded: ForwardProxy,
    user: str | None,
) -> None:
    url = guarded.url_for(user) if user else guarded.url
    trusting.proxies = {"http": url, "https": url}
    assert trusting.get(api_server.url("/x")).status_code == 407
    with pytest.raises(ProxyError, match="407"):
        trusting.get(safe_server.url("/x"))
    assert api_server.hits() == safe_server.hits() == 0


def test_redirects_go_through_it_too_and_tell_it_who_asks(
    trusting: requests.Session,
    api_server: ApiServer,
    safe_server: ApiServer,
    guarded: ForwardProxy,
) -> None:
    api_server.route("/go", Reply(302, headers={"Location": named(api_server, "/on", "b.test")}))
    api_server.route("/on", Reply(302, headers={"Location": safe_server.url("/x")}))
    trusting.proxies = dict.fromkeys(("http", "https"), guarded.url_for("me:secret"))
    answer = trusting.get(named(api_server, "/go", "a.test"))
    assert [hop.status_code for hop in (*answer.history, answer)] == [302, 302, 200]
    methods = [line.split()[0] for line in guarded.asked]
    assert methods == ["GET", "GET", "CONNECT"]
    assert not any("Proxy-Authorization" in received.headers for received in safe_server.requests)


def test_a_proxy_may_be_for_one_host(
    either: requests.Session, api_server: ApiServer, proxy: ForwardProxy
) -> None:
    either.proxies = {"http://127.0.0.1": proxy.url}
    assert "Via" in either.get(api_server.url("/x")).json()["headers"]
    assert "Via" not in either.get(named(api_server, name="localhost")).json()["headers"]


def test_policies_stay_on_behind_a_proxy(api_server: ApiServer, proxy: ForwardProxy) -> None:
    api_server.script("/flaky", Reply(503), Reply(json=[1], headers=FRESH))
    with Session(retry_base_delay=0.01) as session:
        session.proxies = {"http": proxy.url}
        assert session.get(named(api_server, "/flaky")).json() == [1]
        assert session.get(named(api_server, "/flaky")).from_cache  # type: ignore[attr-defined]
        figures = session.get_stats()
        assert (figures["attempts"], figures["rescued_requests"]) == (2, 1)
        assert figures["connections"]["connections_in_use"] == 0
    assert len(proxy.asked) == 2


def test_another_way_is_another_answer(api_server: ApiServer, proxy: ForwardProxy) -> None:
    api_server.route("/kept", lambda received: Reply(json="Via" in received.headers, headers=FRESH))
    with Session() as session:
        url = api_server.url("/kept")
        direct = session.get(url).json()
        through = session.get(url, proxies={"http": proxy.url}).json()
        assert (direct, through, session.get(url).json()) == (False, True, False)


# -- the environment ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
def test_the_environment_names_a_proxy(
    either: requests.Session,
    api_server: ApiServer,
    proxy: ForwardProxy,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    def is_forwarded() -> bool:
        return "Via" in either.get(api_server.url("/x")).json()["headers"]

    assert not is_forwarded()
    monkeypatch.setenv(name, proxy.url)
    assert is_forwarded()  # noticed though the session has asked before
    either.trust_env = False
    assert not is_forwarded()
    either.trust_env = True
    monkeypatch.delenv(name)
    assert not is_forwarded()


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_the_environment_names_a_proxy_for_tunnels(
    trusting: requests.Session,
    safe_server: ApiServer,
    guarded: ForwardProxy,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    monkeypatch.setenv(name, guarded.url_for("me:secret"))
    assert trusting.get(safe_server.url("/x")).ok
    assert len(guarded.asked) == 1


@pytest.mark.parametrize(
    ("no_proxy", "is_direct"),
    [
        *[("127.0.0.1", True), ("10.0.0.0/8,127.0.0.0/8", True), ("*", True)],
        *[("example.com", False), ("", False), ("10.0.0.0/8", False)],
    ],
)
@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
def test_the_environment_names_exceptions(
    either: requests.Session,
    api_server: ApiServer,
    proxy: ForwardProxy,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    no_proxy: str,
    is_direct: bool,
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    assert "Via" in either.get(api_server.url("/x")).json()["headers"]
    monkeypatch.setenv(name, no_proxy)
    assert ("Via" not in either.get(api_server.url("/x")).json()["headers"]) == is_direct


def test_where_a_redirect_leads_may_need_a_proxy(
    either: requests.Session,
    api_server: ApiServer,
    proxy: ForwardProxy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    api_server.route("/go", Reply(302, headers={"Location": named(api_server)}))
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    answer = either.get(api_server.url("/go"))
    assert "Via" in answer.json()["headers"]
    assert len(proxy.asked) == len(answer.history) == 1


@pytest.mark.parametrize("of_session", [False, True])
@pytest.mark.parametrize("of_call", [False, True])
@pytest.mark.parametrize("no_proxy", [None, "127.0.0.1"])
def test_who_goes_before_whom_is_as_in_requests(
    api_server: ApiServer,
    monkeypatch: pytest.MonkeyPatch,
    of_session: bool,
    of_call: bool,
    no_proxy: str | None,
) -> None:
    with ForwardProxy() as theirs, ForwardProxy() as sessions, ForwardProxy() as calls:
        monkeypatch.setenv("HTTP_PROXY", theirs.url)
        if no_proxy:
            monkeypatch.setenv("NO_PROXY", no_proxy)
        ways = []
        for kind in (requests.Session, Session):
            with kind() as session:
                if of_session:
                    session.proxies = {"http": sessions.url}
                options: Any = {"proxies": {"http": calls.url}} if of_call else {}
                assert session.get(api_server.url("/x"), **options).ok
            ways.append([len(one.asked) for one in (theirs, sessions, calls)])
            for one in (theirs, sessions, calls):
                one.asked.clear()
        assert ways[0] == ways[1]


def test_a_cgi_script_does_not_believe_in_a_header_called_proxy(
    either: requests.Session,
    api_server: ApiServer,
    proxy: ForwardProxy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    assert either.get(api_server.url("/x")).ok
    monkeypatch.setenv("REQUEST_METHOD", "GET")  # HTTP_PROXY may now be a header of a request
    assert either.get(api_server.url("/x")).ok
    assert len(proxy.asked) == 1


@pytest.mark.parametrize("door", ["get", "client", "installed"])
def test_it_is_so_behind_every_door(
    door: str, api_server: ApiServer, proxy: ForwardProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    with EnhancedAPIClient(api_server.base_url) as client, browseros_api.install():
        ask: Any = {"get": browseros_api.get, "client": client.get, "installed": requests.get}[door]
        ask(api_server.url("/x"))
        ask(api_server.url("/y"), proxies={"http": proxy.url})
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        ask(api_server.url("/z"))
    assert len(proxy.asked) == 2


# -- netrc ----------------------------------------------------------------------------------------


@pytest.fixture
def netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "netrc"
    write(file, "alice")
    monkeypatch.setenv("NETRC", str(file))
    return file


def write(file: Path, user: str) -> None:
    file.write_text(f"machine 127.0.0.1 login {user} password p\n")
    file.chmod(0o600)


def user_of(answer: requests.Response) -> str | None:
    said: str | None = answer.json()["headers"].get("Authorization")
    for user in ("alice", "bob", "carol"):
        if said == requests.auth._basic_auth_str(user, "p"):
            return user
    assert said is None
    return None


def test_netrc_signs_where_nothing_else_does(
    either: requests.Session, api_server: ApiServer, netrc: Path
) -> None:
    url = api_server.url("/x")
    assert user_of(either.get(url)) == "alice"
    assert user_of(either.get(url, auth=("bob", "p"))) == "bob"
    assert user_of(either.get(url.replace("//", "//bob:p@"))) in ("alice", "bob")
    either.auth = ("carol", "p")
    assert user_of(either.get(url)) == "carol"
    either.auth = None
    either.trust_env = False
    assert user_of(either.get(url)) is None


def test_a_change_of_netrc_is_noticed(
    either: requests.Session, api_server: ApiServer, netrc: Path
) -> None:
    api_server.route(
        "*", lambda received: Reply(json={"headers": dict(received.headers)}, headers=FRESH)
    )
    url = api_server.url("/x")
    assert user_of(either.get(url)) == "alice"
    write(netrc, "bob")
    assert user_of(either.get(url)) == "bob"
    netrc.unlink()
    assert user_of(either.get(url)) is None


def test_the_home_folder_has_one_too(
    either: requests.Session,
    api_server: ApiServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("NETRC")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_of(either.get(api_server.url("/x"))) is None
    write(tmp_path / ".netrc", "alice")
    assert user_of(either.get(api_server.url("/x"))) == "alice"
