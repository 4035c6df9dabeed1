"""``import browseros_api as requests``: the functions and names of requests, with one engine."""

from __future__ import annotations

import inspect
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests as stock

import browseros_api
import browseros_api as requests  # as a script would
from browseros_api import api
from browseros_api.testing import ApiServer, Reply, wait_until

FUNCTIONS = ["get", "post", "put", "patch", "delete", "head", "options"]
FRESH = {"Cache-Control": "max-age=60"}


@pytest.fixture(autouse=True)
def _engine_of_its_own(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(api, "_owner", None)
    yield
    if api._owner is not None:
        api._owner.close()


def stats() -> dict[str, Any]:
    return api._shared().get_stats()


# -- the functions --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_sends_its_method(api_server: ApiServer, name: str) -> None:
    response = getattr(requests, name)(api_server.url("/x"), params={"page": 1}, timeout=5)
    assert isinstance(response, stock.Response)
    assert response.status_code == 200
    (asked,) = api_server.requests
    assert (asked.method, asked.query) == (name.upper(), {"page": ["1"]})


@pytest.mark.parametrize("name", [*FUNCTIONS, "request", "session"])
def test_a_function_takes_what_that_of_requests_takes(name: str) -> None:
    def taken(package: Any) -> list[tuple[str, object, object]]:
        parameters = inspect.signature(getattr(package, name)).parameters.values()
        return [(one.name, one.kind, one.default) for one in parameters]

    assert taken(requests) == taken(stock)


def test_bodies_are_those_of_requests(api_server: ApiServer) -> None:
    requests.post(api_server.url("/form"), data={"a": 1})
    requests.post(api_server.url("/json"), json={"a": 1})
    requests.put(api_server.url("/bytes"), data=b"abc")
    form, document, raw = api_server.requests
    assert (form.body, form.headers["Content-Type"]) == (
        b"a=1",
        "application/x-www-form-urlencoded",
    )
    assert (document.json(), document.headers["Content-Type"]) == ({"a": 1}, "application/json")
    assert raw.body == b"abc"
    assert "Idempotency-Key" not in form.headers


def test_head_follows_no_redirect_unless_told_to(api_server: ApiServer) -> None:
    api_server.route("/x", Reply(302, headers={"Location": "/y"}))
    assert requests.head(api_server.url("/x")).status_code == 302
    assert requests.head(api_server.url("/x"), allow_redirects=True).status_code == 200
    assert requests.get(api_server.url("/x")).status_code == 200


def test_a_status_is_returned_and_not_raised(api_server: ApiServer) -> None:
    assert requests.get(api_server.url("/status/404")).status_code == 404
    with pytest.raises(requests.HTTPError):
        requests.get(api_server.url("/status/404")).raise_for_status()


def test_an_unknown_keyword_is_an_error(api_server: ApiServer) -> None:
    for name in FUNCTIONS:
        with pytest.raises(TypeError, match="tiemout"):
            getattr(requests, name)(api_server.url("/x"), tiemout=5)
    assert api_server.hits() == 0


def test_our_own_options_are_known(api_server: ApiServer) -> None:
    api_server.route("/x", Reply(json={}))
    requests.get(api_server.url("/x"), cache_ttl=60, deadline=5)
    requests.get(api_server.url("/x"))
    requests.get(api_server.url("/x"), use_cache=False)
    assert api_server.hits("/x") == 2


# -- one engine, many callers ---------------------------------------------------------------------


def test_connections_are_used_again(api_server: ApiServer) -> None:
    for number in range(10):
        requests.get(api_server.url(f"/{number}"))
    requests.post(api_server.url("/x"), json={})
    assert api_server.connections == 1


def test_cookies_do_not_pass_from_call_to_call(api_server: ApiServer) -> None:
    api_server.route("/login", Reply(headers={"Set-Cookie": "sid=hunter2; Path=/"}))
    assert requests.get(api_server.url("/login")).cookies["sid"] == "hunter2"
    requests.get(api_server.url("/x"))
    requests.get(api_server.url("/x"), cookies={"own": "1"})
    requests.get(api_server.url("/y"))
    cookies = [asked.headers.get("Cookie") for asked in api_server.requests]
    assert cookies == [None, None, "own=1", None]


def test_a_cookie_of_a_redirect_lives_as_long_as_its_call(api_server: ApiServer) -> None:
    reply = Reply(302, headers={"Location": "/home", "Set-Cookie": "sid=1; Path=/"})
    api_server.route("/login", reply)
    requests.post(api_server.url("/login"), data={"user": "ada"})
    assert api_server.requests[1].headers["Cookie"] == "sid=1"


def test_answers_are_shared_where_the_server_allows_it(api_server: ApiServer) -> None:
    api_server.route("/x", Reply(json={}, headers=FRESH))
    api_server.route("/y", Reply(json={}))
    for _ in range(3):
        requests.get(api_server.url("/x"))
        requests.get(api_server.url("/y"))
    assert (api_server.hits("/x"), api_server.hits("/y")) == (1, 3)
    assert stats()["cached_responses"] == 2


def test_alice_never_gets_bobs_answer(api_server: ApiServer) -> None:
    api_server.route("/me", lambda asked: Reply(body=asked.headers["Authorization"], headers=FRESH))
    alice, bob = (
        requests.get(api_server.url("/me"), auth=(user, "secret")).text for user in ("alice", "bob")
    )
    assert alice != bob
    assert api_server.hits("/me") == 2


def test_identical_calls_in_flight_are_one(api_server: ApiServer) -> None:
    gate = threading.Event()
    api_server.route("/x", Reply(json={"a": 1}, hold=gate))
    with ThreadPoolExecutor(5) as threads:
        asked = [threads.submit(requests.get, api_server.url("/x")) for _ in range(5)]
        wait_until(lambda: stats()["in_flight_requests"] == 5)
        gate.set()
        assert [one.result(10).json() for one in asked] == [{"a": 1}] * 5
    assert api_server.hits("/x") == 1


def test_failures_are_retried(api_server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "_owner", requests.Session(retry_base_delay=0.001))
    api_server.script("/x", Reply(503), Reply(reset="before"), Reply(json="there"))
    assert requests.get(api_server.url("/x")).json() == "there"
    assert api_server.hits("/x") == 3


def test_a_stream_outlives_its_call(api_server: ApiServer) -> None:
    with requests.get(api_server.url("/bytes/100000"), stream=True) as response:
        assert sum(len(part) for part in response.iter_content(1000)) == 100_000


def test_one_engine_is_made_by_many_threads(api_server: ApiServer) -> None:
    barrier = threading.Barrier(8)

    def ask(number: int) -> object:
        barrier.wait(10)
        requests.get(api_server.url(f"/{number}"))
        return api._shared()

    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(ask, range(8)))) == 1
    assert stats()["total_requests"] == 8


def test_a_session_is_made_by_its_function(api_server: ApiServer) -> None:
    with requests.session() as session:
        assert type(session) is requests.Session
        assert session.get(api_server.url("/x")).ok


# -- the names ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        *("Session", "session", "request", *FUNCTIONS),
        *("Request", "PreparedRequest", "Response", "codes", "__version__"),
        *("RequestException", "ConnectionError", "HTTPError", "Timeout", "ConnectTimeout"),
        *("ReadTimeout", "TooManyRedirects", "URLRequired", "JSONDecodeError", "FileModeWarning"),
        *("adapters", "api", "auth", "certs", "compat", "cookies", "exceptions", "hooks"),
        *("models", "packages", "sessions", "status_codes", "structures", "utils"),
    ],
)
def test_a_name_of_requests_is_there(name: str) -> None:
    assert hasattr(requests, name)


@pytest.mark.parametrize(
    "expression",
    [
        "requests.codes.ok == 200 and requests.codes.not_found == 404",
        "requests.exceptions.ConnectionError is requests.ConnectionError",
        "issubclass(requests.ReadTimeout, requests.exceptions.ReadTimeout)",
        "issubclass(requests.ConnectTimeout, requests.exceptions.ConnectTimeout)",
        "requests.adapters.HTTPAdapter(max_retries=3)",
        "requests.auth.HTTPBasicAuth('user', 'password')",
        "requests.auth.HTTPDigestAuth('user', 'password')",
        "requests.structures.CaseInsensitiveDict({'A': 1})['a'] == 1",
        "requests.utils.quote('a b') == 'a%20b'",
        "requests.cookies.RequestsCookieJar() is not None",
        "requests.models.PreparedRequest is requests.PreparedRequest",
        "requests.Request('GET', 'http://a').prepare().url == 'http://a/'",
        "requests.compat.urljoin('http://a/b', 'c') == 'http://a/c'",
        "requests.packages.urllib3.disable_warnings",
        "requests.certs.where()",
        "requests.sessions.Session is not None",
    ],
)
def test_what_scripts_do_with_them_works(expression: str) -> None:
    assert eval(expression, {"requests": requests})


def test_all_names_are_told_and_there() -> None:
    assert len(set(browseros_api.__all__)) == len(browseros_api.__all__)
    assert [name for name in browseros_api.__all__ if not hasattr(browseros_api, name)] == []


def test_a_class_that_is_caught_is_the_one_that_is_raised(api_server: ApiServer) -> None:
    api_server.route("/silent", Reply(silent=True))
    with requests.Session(max_retries=0) as session:
        with pytest.raises(requests.ReadTimeout):
            session.get(api_server.url("/silent"), timeout=0.05)
        with pytest.raises(requests.exceptions.Timeout):
            session.get(api_server.url("/silent"), timeout=0.05)
        with pytest.raises(stock.ReadTimeout):
            session.get(api_server.url("/silent"), timeout=0.05)


def test_a_script_needs_to_change_one_line(api_server: ApiServer) -> None:
    script = f"""
import browseros_api as requests

session = requests.Session()
session.headers.update({{"X-A": "b"}})
session.mount("http://unused", requests.adapters.HTTPAdapter())
answer = session.get({api_server.url("/x")!r}, timeout=(3, 10))
answer.raise_for_status()
assert answer.status_code == requests.codes.ok
assert answer.json()["headers"]["X-A"] == "b"
try:
    requests.get("no/scheme", timeout=5)
except requests.exceptions.RequestException as error:
    print(type(error).__name__)
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("MissingSchema\n", "")
