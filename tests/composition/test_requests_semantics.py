"""What requests' users rely on: the same with stock requests and with every policy switched on."""

from __future__ import annotations

import datetime
import io
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.cookiejar import DefaultCookiePolicy, LWPCookieJar, MozillaCookieJar
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.auth import AuthBase, HTTPBasicAuth, HTTPDigestAuth, HTTPProxyAuth

from browseros_api import Session
from browseros_api.testing import ApiServer, Received, Reply, wait_until
from tests.composition.digesting import Guard

FRESH = {"Cache-Control": "max-age=60"}


def leading(place: str, status: int = 302, **headers: str) -> Reply:
    return Reply(status, headers={"Location": place, **headers})


# -- hooks ----------------------------------------------------------------------------------------


def test_hooks_hear_each_hop_once_in_order_and_are_told_how_it_was_sent(
    either: requests.Session, api_server: ApiServer
) -> None:
    api_server.route("/old", leading("/new"))
    heard: list[Any] = []
    either.hooks["response"].append(lambda answer, **told: heard.append((1, answer, told)))
    either.hooks["response"].append(lambda answer, **told: heard.append((2, answer, told)))
    final = either.get(api_server.url("/old"), timeout=7, verify=False)
    assert [(who, answer.status_code) for who, answer, _ in heard] == [
        *[(1, 302), (2, 302)],
        *[(1, 200), (2, 200)],
    ]
    assert heard[-1][1] is final
    for _, _, told in heard:
        assert (told["timeout"], told["verify"], told["stream"]) == (7, False, False)
        assert told.keys() == {"timeout", "verify", "proxies", "stream", "cert"}


def test_a_hook_may_put_another_response_in_its_place(
    either: requests.Session, api_server: ApiServer
) -> None:
    another = requests.Response()  # as bare as that: it has not even a status

    def hook(answer: requests.Response, **_: Any) -> requests.Response:
        return another

    for ask in (either.get, either.post):
        assert ask(api_server.url("/x"), hooks={"response": hook}) is another
    either.hooks = {"response": [hook]}
    for ask in (either.get, either.post):
        assert ask(api_server.url("/x")) is another


def test_hooks_of_a_call_replace_those_of_the_session(
    either: requests.Session, api_server: ApiServer
) -> None:
    heard: list[str] = []
    either.hooks["response"].append(lambda answer, **_: heard.append("session"))
    either.get(api_server.url("/x"), hooks={"response": lambda answer, **_: heard.append("call")})
    either.get(api_server.url("/x"), hooks={"response": []})
    assert heard == ["call", "session"]


def test_hooks_of_a_prepared_request_are_its_own(
    either: requests.Session, api_server: ApiServer
) -> None:
    heard: list[str] = []
    either.hooks["response"].append(lambda answer, **_: heard.append("session"))
    asked = requests.Request("GET", api_server.url("/x"))
    asked.register_hook("response", lambda answer, **_: heard.append("request"))
    either.send(either.prepare_request(asked))
    either.send(requests.Request("GET", api_server.url("/x")).prepare())
    assert heard == ["request"]


def test_what_a_hook_raises_comes_out(either: requests.Session, api_server: ApiServer) -> None:
    either.hooks["response"].append(lambda answer, **_: answer.raise_for_status())
    with pytest.raises(requests.HTTPError, match="404"):
        either.get(api_server.url("/status/404"))
    assert either.get(api_server.url("/x")).ok


def test_a_hook_may_ask_again(either: requests.Session, api_server: ApiServer) -> None:
    def with_more(answer: requests.Response, **_: Any) -> requests.Response | None:
        if "more" in answer.url:
            return None
        return either.get(api_server.url("/x?more"), hooks={"response": with_more})

    either.hooks["response"].append(with_more)
    assert either.get(api_server.url("/x")).url.endswith("more")


def test_each_caller_hears_each_of_its_answers_once_though_one_was_sent(
    api_server: ApiServer,
) -> None:
    go = threading.Event()
    api_server.route("/old", leading("/shared", 301, **FRESH))
    api_server.route("/shared", Reply(json=[1], headers=FRESH, hold=go))
    heard: list[requests.Response] = []
    with Session() as session, ThreadPoolExecutor(8) as pool:
        session.hooks["response"].append(lambda answer, **_: heard.append(answer))
        asked = [pool.submit(session.get, api_server.url("/old")) for _ in range(8)]
        wait_until(lambda: session.get_stats()["in_flight_requests"] == 8)
        wait_until(lambda: api_server.hits("/shared") == 1)
        go.set()
        answers = [one.result(30) for one in asked]
        answers.append(session.get(api_server.url("/old")))
        assert answers[-1].from_cache  # type: ignore[attr-defined]
    assert api_server.hits() == 2
    hops = [hop for answer in answers for hop in (*answer.history, answer)]
    assert len(hops) == 18
    assert sorted(map(id, heard)) == sorted(map(id, hops))


def test_attempts_that_are_repeated_are_heard_once(api_server: ApiServer) -> None:
    api_server.script("/flaky", Reply(503, repeat=2), Reply(json=[]))
    heard: list[int] = []
    with Session(retry_base_delay=0.01) as session:
        session.hooks["response"].append(lambda answer, **_: heard.append(answer.status_code))
        session.get(api_server.url("/flaky"))
    assert heard == [200]


# -- auth -----------------------------------------------------------------------------------------

ALICE = requests.auth._basic_auth_str("alice", "a")


class Token(AuthBase):
    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["X-Token"] = f"{request.method} {request.url}"
        return request


@pytest.mark.parametrize(
    ("auth", "name", "value"),
    [
        (("alice", "a"), "Authorization", ALICE),
        (HTTPBasicAuth("alice", "a"), "Authorization", ALICE),
        (HTTPProxyAuth("alice", "a"), "Proxy-Authorization", ALICE),
        (Token(), "X-Token", "GET {}"),
        (Token().__call__, "X-Token", "GET {}"),
    ],
)
def test_an_auth_signs_what_is_sent(
    either: requests.Session, api_server: ApiServer, auth: Any, name: str, value: str
) -> None:
    url = api_server.url("/x")
    assert either.get(url, auth=auth).json()["headers"][name] == value.format(url)
    either.auth = auth
    assert either.get(url).json()["headers"][name] == value.format(url)


def test_auth_of_a_call_goes_before_that_of_the_session_and_of_the_url(
    either: requests.Session, api_server: ApiServer
) -> None:
    url = api_server.url("/x").replace("//", "//carol:c@")
    sent = [either.get(url).json()["headers"]["Authorization"]]
    either.auth = ("bob", "b")
    sent.append(either.get(url).json()["headers"]["Authorization"])
    sent.append(either.get(url, auth=("alice", "a")).json()["headers"]["Authorization"])
    users = [("carol", "c"), ("bob", "b"), ("alice", "a")]
    assert sent == [requests.auth._basic_auth_str(*user) for user in users]


@pytest.mark.parametrize("algorithm", ["MD5", "SHA", "SHA-256", "SHA-512"])
@pytest.mark.parametrize("qop", ["auth", None])
def test_a_digest_is_computed_and_used_on(
    either: requests.Session, api_server: ApiServer, algorithm: str, qop: str | None
) -> None:
    guard = Guard("alice", "secret", algorithm=algorithm, qop=qop)
    api_server.route("/digest", guard)
    either.auth = HTTPDigestAuth("alice", "secret")
    first, *others = [either.get(api_server.url(f"/digest?{turn}")) for turn in range(3)]
    assert first.json()["user"] == "alice"
    assert [hop.status_code for hop in first.history] == [401]
    assert all(other.ok and not other.history for other in others)
    assert guard.challenges == 1


def test_a_nonce_that_is_used_up_is_replaced(
    either: requests.Session, api_server: ApiServer
) -> None:
    guard = Guard("alice", "secret", uses=1)
    api_server.route("/digest", guard)
    either.auth = HTTPDigestAuth("alice", "secret")
    answers = [either.get(api_server.url(f"/digest?{turn}")) for turn in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert guard.challenges == 3


def test_a_wrong_password_is_tried_once(either: requests.Session, api_server: ApiServer) -> None:
    guard = Guard("alice", "secret")
    api_server.route("/digest", guard)
    answer = either.get(api_server.url("/digest"), auth=HTTPDigestAuth("alice", "wrong"))
    assert (answer.status_code, len(answer.history), api_server.hits()) == (401, 1, 2)


def test_a_body_is_sent_again_after_a_challenge(
    either: requests.Session, api_server: ApiServer, tmp_path: Path
) -> None:
    api_server.route("/digest", Guard("alice", "secret"), method="POST")
    file = tmp_path / "body"
    file.write_text("from a file")
    for body in ("text", file.open("rb")):
        auth = HTTPDigestAuth("alice", "secret")
        answer = either.post(api_server.url("/digest"), data=body, auth=auth)
        assert answer.json()["body"] == ("text" if isinstance(body, str) else "from a file")
        if not isinstance(body, str):
            body.close()


def test_one_digest_auth_may_be_shared_by_threads(
    either: requests.Session, api_server: ApiServer
) -> None:
    api_server.route("/digest", Guard("alice", "secret"))
    either.auth = HTTPDigestAuth("alice", "secret")
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(either.get, api_server.url(f"/digest?{n}")) for n in range(40)]
        assert {one.result(30).status_code for one in asked} == {200}


# -- cookies --------------------------------------------------------------------------------------


def sent_cookies(answer: requests.Response) -> set[str]:
    return set(filter(None, answer.json()["headers"].get("Cookie", "").split("; ")))


def test_cookies_come_from_the_session_the_call_and_the_server(
    either: requests.Session, api_server: ApiServer
) -> None:
    api_server.route("/login", Reply(headers=[("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]))
    answer = either.get(api_server.url("/login"))
    assert answer.cookies.get_dict() == either.cookies.get_dict() == {"a": "1", "b": "2"}
    either.cookies.update({"c": "3"})
    url = api_server.url("/echo")
    assert sent_cookies(either.get(url, cookies={"b": "call", "d": "4"})) >= {"a=1", "c=3", "d=4"}
    assert sent_cookies(either.get(url)) == {"a=1", "b=2", "c=3"}


def test_a_cookie_goes_where_it_belongs(either: requests.Session, api_server: ApiServer) -> None:
    for name, how in {
        "path": {"path": "/deep"},
        "host": {"domain": "127.0.0.1"},
        "elsewhere": {"domain": "example.com"},
        "secure": {"domain": "127.0.0.1", "secure": True},
        "expired": {"domain": "127.0.0.1", "expires": 1},
    }.items():
        either.cookies.set(name, "1", **{"path": "/", **how})  # type: ignore[arg-type]
    assert sent_cookies(either.get(api_server.url("/echo"))) == {"host=1"}
    assert sent_cookies(either.get(api_server.url("/deep/er"))) == {"host=1", "path=1"}


def test_a_server_can_take_its_cookies_back(
    either: requests.Session, api_server: ApiServer
) -> None:
    api_server.route("/in", Reply(headers={"Set-Cookie": "sid=1; Path=/"}))
    api_server.route("/out", leading("/echo", **{"Set-Cookie": "sid=; Path=/; Max-Age=0"}))
    either.get(api_server.url("/in"))
    assert sent_cookies(either.get(api_server.url("/echo"))) == {"sid=1"}
    assert sent_cookies(either.get(api_server.url("/out"))) == set()
    assert not either.cookies


@pytest.mark.parametrize("kind", [LWPCookieJar, MozillaCookieJar])
def test_a_jar_of_the_standard_library_may_be_the_sessions(
    either: requests.Session, api_server: ApiServer, tmp_path: Path, kind: Callable[[str], Any]
) -> None:
    api_server.route("/in", Reply(headers={"Set-Cookie": "sid=1; Path=/; Max-Age=1000"}))
    jar = kind(str(tmp_path / "jar"))
    either.cookies = jar
    either.get(api_server.url("/in"))
    jar.save()
    again = kind(str(tmp_path / "jar"))
    again.load()
    either.cookies.clear()
    assert sent_cookies(either.get(api_server.url("/echo"), cookies=again)) == {"sid=1"}
    either.cookies = again
    assert sent_cookies(either.get(api_server.url("/echo"))) == {"sid=1"}


def test_a_jar_may_refuse_cookies(either: requests.Session, api_server: ApiServer) -> None:
    api_server.route("/in", Reply(headers={"Set-Cookie": "sid=1; Path=/"}))
    either.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    either.get(api_server.url("/in"))
    assert not either.cookies
    assert sent_cookies(either.get(api_server.url("/echo"))) == set()


def test_cookies_of_a_kept_answer_are_those_of_each_caller(api_server: ApiServer) -> None:
    api_server.route(
        "/me", lambda received: Reply(body=received.headers.get("Cookie", ""), headers=FRESH)
    )
    with Session() as session:
        for user in ("alice", "bob", "alice"):
            session.cookies.set("user", user)
            assert session.get(api_server.url("/me")).text == f"user={user}"
    assert api_server.hits() == 2


# -- redirects ------------------------------------------------------------------------------------


def test_history_tells_the_way(either: requests.Session, api_server: ApiServer) -> None:
    api_server.route("/a", leading("b?x=1#part", 301))
    api_server.route("/b", leading(api_server.url("/c").removeprefix("http:"), 302))
    api_server.route("/c", leading("/d", 307))
    answer = either.get(api_server.url("/a#first"))
    assert [hop.status_code for hop in answer.history] == [301, 302, 307]
    paths = [hop.url.removeprefix(api_server.base_url) for hop in (*answer.history, answer)]
    assert paths == ["/a#first", "/b?x=1#part", "/c#part", "/d#part"]
    assert [len(hop.history) for hop in answer.history] == [0, 1, 2]
    assert answer.history[0].is_permanent_redirect
    assert all(hop.is_redirect for hop in answer.history)
    assert not answer.is_redirect
    assert all(hop.elapsed > datetime.timedelta() for hop in (*answer.history, answer))


@pytest.mark.parametrize(
    ("status", "method", "after"),
    [
        *[(301, "POST", "GET"), (302, "POST", "GET"), (303, "POST", "GET"), (307, "POST", "POST")],
        *[(308, "POST", "POST"), (301, "PUT", "PUT"), (302, "PUT", "GET"), (303, "PUT", "GET")],
        *[(307, "DELETE", "DELETE"), (303, "HEAD", "HEAD"), (302, "HEAD", "HEAD")],
    ],
)
def test_a_redirect_changes_the_method_as_in_requests(
    either: requests.Session, api_server: ApiServer, status: int, method: str, after: str
) -> None:
    api_server.route("/go", leading("/echo", status))
    body = None if method == "HEAD" else b"body"
    either.request(method, api_server.url("/go"), data=body, allow_redirects=True)
    last = api_server.requests[-1]
    assert (last.method, last.path) == (after, "/echo")
    assert last.body == (b"body" if status in (307, 308) else b"")


class Pipe(io.BytesIO):
    def tell(self) -> int:
        raise OSError("a pipe has no position")


def test_a_file_is_rewound_for_a_redirect_and_a_pipe_cannot_be(
    either: requests.Session, api_server: ApiServer, tmp_path: Path
) -> None:
    api_server.route("/go", leading("/echo", 307))
    (tmp_path / "body").write_bytes(b"0123456789")
    with (tmp_path / "body").open("rb") as file:
        file.seek(3)
        assert either.post(api_server.url("/go"), data=file).json()["body"] == "3456789"
    with pytest.raises(requests.exceptions.UnrewindableBodyError):
        either.post(api_server.url("/go"), data=Pipe(b"abc"))
    assert api_server.hits("/echo") == 1


def test_redirects_are_followed_by_hand(either: requests.Session, api_server: ApiServer) -> None:
    api_server.route("/go", leading("/on"))
    api_server.route("/on", leading("/echo"))
    answer = either.get(api_server.url("/go"), allow_redirects=False)
    assert (answer.status_code, api_server.hits()) == (302, 1)
    assert answer.next is not None
    assert answer.next.url == api_server.url("/on")
    followed = list(either.resolve_redirects(answer, answer.request))
    assert [hop.status_code for hop in followed] == [302, 200]
    assert not either.head(api_server.url("/go")).history


def test_there_is_an_end_to_redirects(either: requests.Session, api_server: ApiServer) -> None:
    api_server.route("/loop", leading("/loop"))
    either.max_redirects = 3
    with pytest.raises(requests.TooManyRedirects) as caught:
        either.get(api_server.url("/loop"))
    assert api_server.hits() == 4
    assert caught.value.response is not None
    assert len(caught.value.response.history) == 3


def test_headers_and_cookies_go_along_at_home(
    either: requests.Session, api_server: ApiServer
) -> None:
    api_server.route("/go", leading("/echo", **{"Set-Cookie": "way=1; Path=/"}))
    answer = either.get(
        api_server.url("/go"), headers={"X-Team": "t"}, cookies={"call": "1"}, auth=("alice", "a")
    )
    sent = answer.json()["headers"]
    assert (sent["X-Team"], sent["Authorization"]) == ("t", ALICE)
    assert sent_cookies(answer) == {"way=1", "call=1"}


# -- sending by hand, subclasses, settings of the environment -------------------------------------


def test_a_prepared_request_is_sent_as_it_is(
    either: requests.Session, api_server: ApiServer
) -> None:
    either.headers["X-Team"] = "t"
    either.params = {"page": "1"}
    asked = requests.Request("PUT", api_server.url("/x"), data={"a": "b"}, params={"q": "2"})
    bare = either.send(asked.prepare()).json()
    assert ("X-Team" in bare["headers"], bare["query"]) == (False, {"q": ["2"]})
    prepared = either.prepare_request(asked)
    prepared.headers["X-Late"] = "1"
    prepared.body = "c=d&e"
    prepared.headers["Content-Length"] = "5"
    full = either.send(prepared, timeout=5, allow_redirects=False).json()
    assert (full["headers"]["X-Team"], full["headers"]["X-Late"]) == ("t", "1")
    assert (full["query"], full["body"]) == ({"page": ["1"], "q": ["2"]}, "c=d&e")


def test_a_prepared_request_is_sent_as_a_stream(
    either: requests.Session, api_server: ApiServer
) -> None:
    prepared = requests.Request("GET", api_server.url("/bytes/1000")).prepare()
    with either.send(prepared, stream=True) as answer:
        assert not answer._content_consumed
        assert len(answer.raw.read(10)) == 10


def test_only_prepared_requests_are_sent(either: requests.Session, api_server: ApiServer) -> None:
    with pytest.raises(ValueError, match="PreparedRequest"):
        either.send(requests.Request("GET", api_server.url("/x")))  # type: ignore[arg-type]


@pytest.fixture(params=[requests.Session, Session])
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param


def test_a_subclass_has_its_say_everywhere(kind: Any, api_server: ApiServer) -> None:
    steps: list[str] = []

    class Telling(kind):  # type: ignore[misc]
        def __init__(self, base: str) -> None:
            super().__init__()
            self.base = base

        def request(self, method: str, url: str, *args: Any, **options: Any) -> Any:
            steps.append(f"request {method} {url}")
            return super().request(method, self.base + url, *args, **options)

        def prepare_request(self, request: requests.Request) -> Any:
            steps.append("prepare")
            return super().prepare_request(request)

        def merge_environment_settings(self, *args: Any) -> Any:
            steps.append("merge")
            return super().merge_environment_settings(*args)

        def send(self, request: requests.PreparedRequest, **options: Any) -> Any:
            steps.append("send")
            return super().send(request, **options)

        def get_adapter(self, url: str) -> Any:
            steps.append("adapter")
            return super().get_adapter(url)

        def rebuild_auth(self, *args: Any) -> Any:
            steps.append("auth")
            return super().rebuild_auth(*args)

        def rebuild_method(self, *args: Any) -> Any:
            steps.append("method")
            return super().rebuild_method(*args)

    api_server.route("/go", leading("/echo"))
    with Telling(api_server.base_url) as session:
        assert session.post("/go", data="x").ok
    assert steps == [
        *["request POST /go", "prepare", "merge", "send", "adapter"],
        *["method", "auth", "send", "adapter"],
    ]


def test_settings_that_a_subclass_merges_are_used(kind: Any, safe_server: ApiServer) -> None:
    class Unverifying(kind):  # type: ignore[misc]
        def merge_environment_settings(
            self, url: str, proxies: Any, stream: Any, verify: Any, cert: Any
        ) -> Any:
            settings = super().merge_environment_settings(url, proxies, stream, verify, cert)
            return {**settings, "verify": False, "stream": True}

    with Unverifying() as session:
        for _ in range(2):
            with pytest.warns(Warning, match="certificate verification"):
                answer = session.get(safe_server.url("/bytes/10"))
            assert not answer._content_consumed
            assert len(answer.content) == 10
    assert safe_server.hits() == 2


def test_settings_merged_by_hand_can_be_sent_with(
    either: requests.Session, api_server: ApiServer
) -> None:
    prepared = either.prepare_request(requests.Request("GET", api_server.url("/x")))
    settings = either.merge_environment_settings(prepared.url, {}, None, None, None)
    assert settings.keys() == {"proxies", "stream", "verify", "cert"}
    assert either.send(prepared, **settings).ok


def test_what_a_session_has_is_merged_with_what_a_call_has(
    either: requests.Session, api_server: ApiServer
) -> None:
    either.headers.update({"X-Kept": "1", "X-Removed": "1", "X-Replaced": "1"})
    either.params = {"kept": "1", "removed": "1"}
    answer = either.get(
        api_server.url("/x"),
        headers={"X-Removed": None, "x-replaced": "2"},  # type: ignore[dict-item]
        params={"removed": None, "added": ["1", "2"]},
    ).json()
    sent = {name.lower(): value for name, value in answer["headers"].items()}
    assert (sent["x-kept"], sent["x-replaced"], "x-removed" in sent) == ("1", "2", False)
    assert answer["query"] == {"kept": ["1"], "added": ["1", "2"]}


def test_an_odd_method_is_sent(either: requests.Session, api_server: ApiServer) -> None:
    for method in ("PROPFIND", "propfind", "M-SEARCH"):
        assert either.request(method, api_server.url("/x")).json()["method"] == method.upper()


def test_handlers_see_the_same_headers_from_both(api_server: ApiServer) -> None:
    def sent(session: requests.Session) -> list[list[tuple[str, str]]]:
        api_server.reset_counts()
        with session:
            session.get(api_server.url("/x"), params={"a": "b"})
            session.post(api_server.url("/x"), data={"a": "b"})
            session.put(api_server.url("/x"), json={"a": "b"})
            session.delete(api_server.url("/x"))
            session.options(api_server.url("/x"))
        return [list(received.headers.items()) for received in api_server.requests]

    def plain(received: Received) -> Reply:
        return Reply(json={})

    api_server.route("*", plain)
    assert sent(Session()) == sent(requests.Session())
