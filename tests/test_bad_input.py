"""What a caller got wrong is an error at the call, before anything is sent or counted.

On the JSON client it names the argument and says what is allowed; on ``Session`` it is what
requests itself raises.
"""

from __future__ import annotations

import io
import math
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.cookiejar import CookieJar
from typing import Any

import pytest
import requests

from browseros_api import EnhancedAPIClient, Session
from browseros_api.testing import ApiServer, FakeClock, Reply

BASE = "https://api.example.com"


# -- the client: how it is made -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("base_url", value) for value in (None, 5, b"https://x", "", " ", "api.example.com")],
        *[("base_url", value) for value in ("/v1", "ftp://x", "https://", "https://x?y", "x y")],
        *[("timeout", value) for value in (0, -1, math.nan, math.inf, "30", True, [30], (1, 2))],
        *[("max_connections", value) for value in (0, -1, 1.5, "100", None, True, math.nan)],
        *[("max_retries", value) for value in (-1, 1.5, "3", None, True, math.nan)],
        *[("retry_base_delay", value) for value in (-1, math.nan, math.inf, "1", None, True)],
        *[("retry_max_delay", value) for value in (-1, math.nan, math.inf, "1", None, True)],
        *[("cache_ttl", value) for value in (-1, math.nan, math.inf, "300", None, True)],
        *[("enable_deduplication", value) for value in (None, 1, 0, "yes")],
        *[("enable_circuit_breaker", value) for value in (None, 1, 0, "yes")],
        *[("headers", value) for value in ("A: b", [("A", "b")], 5, {"A": 5}, {5: "b"})],
        *[("headers", value) for value in ({"A": "b\r\nC: d"}, {"A\r\n": "b"}, {"A": "€"})],
        *[("debug", value) for value in (None, 1, 0, "yes")],
        *[("circuit_breaker", value) for value in (5, "breaker", object)],
        *[("deadline", value) for value in (0, -1, math.nan, "5")],
        *[("jitter", value) for value in ("none", 5)],
        *[("max_retires", value) for value in (3, None)],
    ],
)
def test_a_client_is_not_made_of_nonsense(name: str, value: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=rf"\b{name}\b"):
        EnhancedAPIClient(**{"base_url": BASE, name: value})


@pytest.mark.parametrize("name", ["base_url", "timeout", "max_retries", "headers", "debug"])
def test_an_error_says_what_is_allowed(name: str) -> None:
    with pytest.raises(TypeError, match=rf"^{name} must be (a|True) .*, not "):
        EnhancedAPIClient(**{"base_url": BASE, name: object()})


# -- the client: what it is asked -----------------------------------------------------------------


def circle() -> dict[str, Any]:
    found: dict[str, Any] = {}
    found["self"] = found
    return found


def deep() -> list[Any]:
    found: list[Any] = []
    for _ in range(100_000):
        found = [found]
    return found


GET: list[tuple[str, Any]] = [
    *[("endpoint", value) for value in (None, 5, b"/x", ["/x"], "https://evil.com/x")],
    *[("endpoint", value) for value in ("https://", "ftp://127.0.0.1/x", "https://[::1/")],
    *[("params", value) for value in (5, True, object(), [1], ["abc"], [("a", "b", "c")])],
    *[("use_cache", value) for value in (None, 0, 1, "yes", [])],
    *[("cache_ttl", value) for value in (-1, -0.5, math.nan, math.inf, "60", True, [60])],
    *[("share", value) for value in ("", b"all", 1, True, ["all"])],
    *[("fallback", value) for value in (object(), {1}, [math.nan], deep(), lambda error: error)],
    *[("deadline", value) for value in (0, -1, math.nan, math.inf, "5", True, [5])],
    *[("timeout", value) for value in (0, -1, math.nan, "5", True, [5], (1, 2, 3), (0, 1))],
    *[("headers", value) for value in (["A"], [("A", "b")], "A: b", 5, {"A": 5}, {5: "b"})],
    *[("headers", value) for value in ({"A": "b\r\nC: d"}, {"A": "b\n"}, {"A:": "b"})],
    *[("headers", value) for value in ({"A": ["b"]}, {"A": "€"}, {"": "b"}, {"A": " b"})],
    *[("auth", value) for value in (5, "user", ("user",), ("a", "b", "c"), ["a", "b"])],
    *[("cookies", value) for value in ("a=b", [("a", "b")], 5)],
    *[("allow_redirects", value) for value in (None, 1, "yes")],
    *[("proxies", value) for value in ("http://proxy", 5)],
    *[("hooks", value) for value in (print, [print])],
    *[("verify", value) for value in (5, [])],
    *[("cert", value) for value in (5, ["a"])],
    *[("stream", value) for value in (True, False)],
    *[("retries", value) for value in (5,)],
]
BODIES: list[tuple[str, Any]] = [
    *[("data", value) for value in (5, True, {1, 2}, frozenset(), range(3), object(), len)],
    *[("data", value) for value in ({"a": {1}}, {"a": object()}, [b"x"], {("a",): 1})],
    *[("data", value) for value in ([math.nan], {"a": math.inf}, circle(), deep(), "\ud800")],
    *[("json", value) for value in ({1, 2}, object(), b"x", math.nan, circle(), deep())],
    *[("files", value) for value in ("path", b"x", 5, io.BytesIO(b"x"))],
]


@pytest.fixture
def client(api_server: ApiServer) -> Iterator[EnhancedAPIClient]:
    with EnhancedAPIClient(api_server.base_url) as client:
        before = client.get_stats()
        yield client
        assert client.get_stats() == before
        assert client.get_circuit_breaker_status() == {}
        assert api_server.connections == 0


def _name(value: object) -> str | None:
    return type(value).__name__ if isinstance(value, (list, dict)) else None


@pytest.mark.parametrize(("name", "value"), GET, ids=_name)
def test_a_get_of_nonsense_is_not_sent(client: EnhancedAPIClient, name: str, value: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=rf"\b{name}\b"):
        client.get(**{"endpoint": "/x", name: value})


@pytest.mark.parametrize(("name", "value"), GET, ids=_name)
def test_nor_does_the_cache_know_it(client: EnhancedAPIClient, name: str, value: Any) -> None:
    for look in (client.cache_key, client.get_cached):
        with pytest.raises((TypeError, ValueError), match=rf"\b{name}\b"):
            look(**{"endpoint": "/x", name: value})


@pytest.mark.parametrize(("name", "value"), BODIES, ids=_name)
@pytest.mark.parametrize("verb", ["post", "put", "patch", "delete"])
def test_a_body_of_nonsense_is_not_sent(
    client: EnhancedAPIClient, verb: str, name: str, value: Any
) -> None:
    with pytest.raises((TypeError, ValueError), match=rf"\b{name}\b"):
        getattr(client, verb)("/x", **{name: value})


@pytest.mark.parametrize(("name", "value"), [*GET, *BODIES], ids=_name)
def test_nonsense_is_not_submitted(client: EnhancedAPIClient, name: str, value: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=rf"\b{name}\b"):
        client.submit("POST", **{"endpoint": "/x", name: value})


@pytest.mark.parametrize(
    "method", [None, 5, b"GET", "", " ", "GET /", "GET\r\nA: b", "GET\n", "GÉT", "G:T", ["GET"]]
)
def test_a_method_is_a_word(client: EnhancedAPIClient, method: Any) -> None:
    with pytest.raises(
        (TypeError, ValueError), match=r"^method must be a (str|word) such as 'GET'"
    ):
        client.request(method, "/x")


@pytest.mark.parametrize(
    "bodies",
    [
        {"data": {}, "json": {}},
        {"data": "", "json": 0},
        {"json": {}, "files": {"f": b"x"}},
        {"data": {}, "json": {}, "files": {"f": b"x"}},
    ],
)
def test_two_bodies_are_one_too_many(client: EnhancedAPIClient, bodies: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="json cannot be given together with data or files"):
        client.post("/x", **bodies)


@pytest.mark.parametrize("data", ["text", b"bytes", iter([b"x"]), 5, {1}])
def test_a_form_has_fields(client: EnhancedAPIClient, data: Any) -> None:
    with pytest.raises(TypeError, match="data must be a mapping or a list of pairs"):
        client.post("/x", data=data, files={"f": b"x"})


def test_a_missing_argument_is_named() -> None:
    with pytest.raises(TypeError, match="base_url"):
        EnhancedAPIClient()  # type: ignore[call-arg]
    with EnhancedAPIClient(BASE) as client:
        with pytest.raises(TypeError, match="endpoint"):
            client.get()  # type: ignore[call-arg]
        with pytest.raises(TypeError, match="endpoint"):
            client.request("GET")  # type: ignore[call-arg]


def test_a_value_that_may_be_secret_is_not_told(client: EnhancedAPIClient) -> None:
    for options in (
        {"headers": {"X-API-Key": "hunter2\n"}},
        {"headers": {"X-API-Key": ["hunter2"]}},
        {"auth": ["user", "hunter2"]},
        {"cookies": "sid=hunter2"},
        {"params": ["hunter2"]},
        {"cert": ["hunter2"]},
    ):
        with pytest.raises((TypeError, ValueError)) as caught:
            client.get("/x", **options)
        assert "hunter2" not in str(caught.value)


# -- the session: as in requests ------------------------------------------------------------------


class Where:
    """Places to ask: a server, a port where nobody is, one where nobody answers."""

    def __init__(self, server: ApiServer, nobody: int, deaf: int) -> None:
        self.server = server
        self.url = server.url
        self.nobody = f"127.0.0.1:{nobody}"
        self.deaf = f"http://127.0.0.1:{deaf}/"


@contextmanager
def listening_in_vain() -> Iterator[int]:
    """A port whose queue is full: who calls it hears nothing."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            caller = stack.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


@pytest.fixture
def where(api_server: ApiServer) -> Iterator[Where]:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        nobody = closed.getsockname()[1]
    with listening_in_vain() as deaf:
        yield Where(api_server, nobody, deaf)


def failing() -> Iterator[bytes]:
    yield b"one"
    raise RuntimeError("no more")


def closed_file() -> io.BytesIO:
    file = io.BytesIO(b"x")
    file.close()
    return file


Ask = Callable[[requests.Session, Where], requests.Response]


def with_header(name: Any, value: Any) -> Ask:
    return lambda session, where: session.get(where.url("/x"), headers={name: value})


def with_url(url: Any) -> Ask:
    return lambda session, where: session.get(url)


def with_path(path: str) -> Ask:
    return lambda session, where: session.get(where.url(path))


def with_options(**options: Any) -> Ask:
    return lambda session, where: session.get(where.url("/x"), **options)


def with_body(**options: Callable[[], Any]) -> Ask:
    return lambda session, where: session.post(
        where.url("/x"), **{name: make() for name, make in options.items()}
    )


def with_method(method: Any) -> Ask:
    return lambda session, where: session.request(method, where.url("/x"))


MISTAKES: dict[str, Ask] = {
    "header value with CRLF": with_header("A", "b\r\nC: d"),
    "header value with LF and space": with_header("A", "b\n c"),
    "header name with CRLF": with_header("A\r\nB", "c"),
    "header name with colon": with_header("A: b", "c"),
    "header value int": with_header("A", 5),
    "header value None": with_header("A", None),
    "header value with leading space": with_header("A", " b"),
    "header value non-latin1": with_header("A", "€"),
    "header value NUL": with_header("A", "b\0c"),
    "method with CRLF": with_method("GET /x HTTP/1.1\r\nA: b"),
    "method empty": with_method(""),
    "method None": with_method(None),
    "url with CRLF": with_path("/x\r\nA: b"),
    "url with space and tab": with_path("/a b\tc"),
    "url with NUL": with_path("/a\0b"),
    "url without scheme": with_url("127.0.0.1/x"),
    "url with unknown scheme": with_url("foo://127.0.0.1/x"),
    "url empty": with_url(""),
    "url None": with_url(None),
    "url without host": with_url("http://"),
    "url port 99999": with_url("http://127.0.0.1:99999/"),
    "url port text": with_url("http://127.0.0.1:port/"),
    "url bad ipv6": with_url("http://[::1/"),
    "url wildcard host": with_url("http://*.example.com/"),
    "url label of 70 characters": with_url(f"http://{'x' * 70}.com/"),
    "url lone surrogate": with_path("/\ud800"),
    "url of 100 KB": with_path("/" + "x" * 100_000),
    "url bytes": lambda session, where: session.get(where.url("/x").encode()),
    "url backslash host trick": lambda session, where: session.get(
        where.server.base_url + "\\@example.com/"
    ),
    "params with CRLF": with_options(params={"a": "b\r\nC: d"}),
    "cookies with CRLF": with_options(cookies={"a": "b\r\nC: d"}),
    "cookie non-latin1": with_options(cookies={"a": "€"}),
    "json NaN": with_body(json=lambda: [math.nan]),
    "json unserialisable": with_body(json=lambda: {"a": object()}),
    "data generator that raises": with_body(data=failing),
    "data closed file": with_body(data=closed_file),
    "data and json": with_body(data=lambda: {"a": 1}, json=lambda: {"b": 2}),
    "files with CRLF in name": with_body(files=lambda: {"a\r\nb": ("c\r\nd", b"x")}),
    "auth non-latin1": with_options(auth=("€", "€")),
    "timeout 0": with_options(timeout=0),
    "timeout -1": with_options(timeout=-1),
    "timeout text": with_options(timeout="1"),
    "timeout of three": with_options(timeout=(1, 2, 3)),
    "verify missing file": lambda session, where: session.get(
        f"https://{where.nobody}/", verify="/no/such/file.pem"
    ),
    "cert missing file": lambda session, where: session.get(
        f"https://{where.nobody}/", cert="/no/such/file.pem"
    ),
    "proxy bad url": with_options(proxies={"http": "http:///x"}),
    "unknown keyword": with_options(tiemout=5),
}
TROUBLES: dict[str, Ask] = {  # not the caller's fault, and asked again
    "proxy refused": lambda session, where: session.get(
        where.url("/x"), proxies={"http": f"http://{where.nobody}"}
    ),
    "dns failure": with_url("http://nobody.invalid/"),
    "connection refused": lambda session, where: session.get(f"http://{where.nobody}/"),
    "connect timeout": lambda session, where: session.get(where.deaf, timeout=0.1),
}


@pytest.fixture(autouse=True)
def _no_name_is_looked_up_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    look_up = socket.getaddrinfo

    def inside(host: Any, *arguments: Any, **options: Any) -> Any:
        if str(host) not in ("127.0.0.1", "localhost"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return look_up(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", inside)


class Witness:
    """What came of asking, and what the server saw of it."""

    def __init__(self, session: requests.Session, where: Where, ask: Ask) -> None:
        where.server.reset_counts()
        self.error: Exception | None = None
        self.status: int | None = None
        try:
            with session:
                self.status = ask(session, where).status_code
        except Exception as error:
            self.error = error
        kinds = [asked.headers.get("Content-Type", "")[:20] for asked in where.server.requests]
        self.seen = [
            (asked.method, asked.target, len(asked.body), kind)
            for asked, kind in zip(where.server.requests, kinds, strict=True)
        ]


def ours(**options: Any) -> tuple[Session, FakeClock]:
    clock = FakeClock()
    return Session(sleep=clock.sleep, **options), clock


@pytest.mark.parametrize("ask", MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_what_it_is_in_requests(ask: Ask, where: Where) -> None:
    session, clock = ours()
    stock = Witness(requests.Session(), where, ask)
    own = Witness(session, where, ask)
    assert isinstance(own.error, type(stock.error)), (own.error, stock.error)
    assert own.status == stock.status
    assert own.seen == stock.seen
    assert len(own.seen) <= 1
    assert clock.slept == []
    status = session.get_circuit_breaker_status()
    assert all(one["failure_count"] == 0 for one in status.values())
    assert session.get_stats()["cache_size"] == 0
    assert session.get_stats()["in_flight_requests"] == 0


@pytest.mark.parametrize("ask", TROUBLES.values(), ids=TROUBLES.keys())
def test_trouble_on_the_way_is_what_it_is_in_requests(ask: Ask, where: Where) -> None:
    session, clock = ours(max_retries=1)
    stock = Witness(requests.Session(), where, ask)
    own = Witness(session, where, ask)
    assert stock.error is not None
    assert isinstance(own.error, type(stock.error)), (own.error, stock.error)
    assert own.seen == stock.seen == []
    assert len(clock.slept) == 1
    (status,) = session.get_circuit_breaker_status().values()
    assert status["failure_count"] == 2
    assert session.get_stats()["cache_size"] == 0


@pytest.mark.parametrize("mode", ["ttl", "rfc"])
def test_a_mistake_keeps_nothing_from_working(mode: str, where: Where) -> None:
    """After all mistakes one session has no thread, lock, connection or permit less."""
    session, _ = ours(cache_mode=mode, max_connections=1, pool_timeout=1)
    for ask in MISTAKES.values():
        try:
            ask(session, where)
        except Exception:
            continue
    assert session.get(where.url("/x")).status_code == 200
    assert session.get_stats()["in_flight_requests"] == 0
    assert session.get_stats()["connections"]["connections_in_use"] == 0
    session.close()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("use_cache", value) for value in (None, 0, "yes")],
        *[("cache_ttl", value) for value in (-1, math.nan, "60", True)],
        *[("share", value) for value in ("", b"all", 1)],
        *[("fallback", value) for value in (object(), {1}, lambda: None)],
        *[("deadline", value) for value in (0, -1, math.nan, "5", True)],
    ],
)
def test_options_of_our_own_are_checked_before_anything_is_counted(
    api_server: ApiServer, name: str, value: Any
) -> None:
    with Session() as session:
        before = session.get_stats()
        with pytest.raises((TypeError, ValueError), match=f"^{name} must be "):
            session.get(api_server.url("/x"), **{name: value})
        assert session.get_stats() == before
    assert api_server.connections == 0


def test_a_cookie_jar_and_a_mapping_are_no_mistake(api_server: ApiServer) -> None:
    api_server.route("/x", Reply(json={}))
    with EnhancedAPIClient(api_server.base_url) as client:
        assert client.get("/x", cookies=CookieJar()) == {}
        assert client.get("/x", cookies={"a": "b"}) == {}
