"""Bodies both ways, and what travels: the same with stock requests and with ours."""

from __future__ import annotations

import copy
import gzip
import io
import json
import pickle
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

import browseros_api
from browseros_api import Session
from browseros_api.testing import ApiServer, Reply, wait_until
from tests.faults.listener import Listener

LINES = "one\ntwo\r\nthree\n\nfünf".encode()
FRESH = {"Cache-Control": "max-age=60"}


@pytest.fixture(params=["requests", "browseros_api", "cached", "functions"])
def get(request: pytest.FixtureRequest) -> Iterator[Callable[..., requests.Response]]:
    """Ways to get: stock, ours, ours with the answer kept, and the functions of ours."""
    if request.param == "functions":
        yield browseros_api.get
        return
    with requests.Session() if request.param == "requests" else Session() as session:
        if request.param != "cached":
            yield session.get
            return

        def get(url: str, **options: Any) -> requests.Response:
            if not options.get("stream"):
                session.get(url, cache_ttl=60, **options)  # type: ignore[call-arg]
            return session.get(url, cache_ttl=60, **options)  # type: ignore[call-arg]

        yield get


# -- what comes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
def test_a_body_comes_in_pieces_or_lines(
    get: Callable[..., requests.Response], api_server: ApiServer, stream: bool
) -> None:
    api_server.route("/lines", Reply(body=LINES, content_type="text/plain; charset=utf-8"))

    def answer() -> requests.Response:
        return get(api_server.url("/lines"), stream=stream)

    assert b"".join(answer().iter_content(3)) == LINES
    assert all(len(piece) <= 3 for piece in answer().iter_content(3))
    assert "".join(answer().iter_content(1, decode_unicode=True)) == LINES.decode()
    assert list(answer().iter_lines()) == LINES.splitlines()
    assert list(answer().iter_lines(chunk_size=2, decode_unicode=True))[-1] == "fünf"
    assert list(answer().iter_lines(delimiter=b"t")) == LINES.split(b"t")
    assert b"".join(iter(answer())) == LINES
    assert (answer().content, answer().text) == (LINES, LINES.decode())


def test_a_stream_is_read_as_it_comes(either: requests.Session) -> None:
    heard = threading.Event()

    def serve(sock: socket.socket, number: int) -> None:
        sock.recv(65536)
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nfirst\n")
        assert heard.wait(20)
        sock.sendall(b"second\n")

    with Listener(serve) as server:
        url = f"http://127.0.0.1:{server.port}/"
        with either.get(url, stream=True, timeout=20) as answer:
            lines = answer.iter_lines(chunk_size=1)
            assert next(lines) == b"first"
            heard.set()
            assert next(lines) == b"second"


def test_raw_is_the_body_as_it_was_sent(either: requests.Session, api_server: ApiServer) -> None:
    packed = gzip.compress(LINES)
    api_server.route("/packed", Reply(body=packed, headers={"Content-Encoding": "gzip"}))

    def answer() -> requests.Response:
        return either.get(api_server.url("/packed"), stream=True)

    assert answer().raw.read() == packed
    assert answer().raw.read(decode_content=True) == LINES
    assert answer().raw.read(4) == packed[:4]
    assert b"".join(answer().raw.stream(5, decode_content=True)) == LINES
    assert gzip.GzipFile(fileobj=answer().raw).read() == LINES
    assert answer().content == LINES
    raw = answer().raw
    assert (raw.status, raw.headers["Content-Encoding"], raw.reason) == (200, "gzip", "OK")


def test_a_stream_is_read_once(either: requests.Session, api_server: ApiServer) -> None:
    answer = either.get(api_server.url("/bytes/100"), stream=True)
    assert len(b"".join(answer.iter_content(7))) == 100
    with pytest.raises(requests.exceptions.StreamConsumedError):
        answer.iter_content(7)
    with pytest.raises(RuntimeError):
        answer.content  # noqa: B018


def test_a_stream_that_is_left_costs_its_connection_only(
    either: requests.Session, api_server: ApiServer
) -> None:
    for _ in range(3):
        with either.get(api_server.url("/bytes/1000000"), stream=True) as answer:
            assert len(next(answer.iter_content(10))) == 10
    wait_until(lambda: api_server.open_connections == 0)
    assert either.get(api_server.url("/x")).ok


def test_a_stream_that_breaks_off_says_so(either: requests.Session, api_server: ApiServer) -> None:
    api_server.route("/cut", Reply(body=b"x" * 100, truncate=50))
    with (
        either.get(api_server.url("/cut"), stream=True) as answer,
        pytest.raises(requests.exceptions.ChunkedEncodingError),
    ):
        answer.content  # noqa: B018


def test_the_encoding_is_found_and_may_be_set(
    get: Callable[..., requests.Response], api_server: ApiServer
) -> None:
    api_server.route("/latin", Reply(body="é".encode("latin-1"), content_type="text/plain"))
    api_server.route("/json", Reply(body='{"a": "é"}'.encode("utf-16")))
    answer = get(api_server.url("/latin"))
    assert (answer.encoding, answer.text) == ("ISO-8859-1", "é")
    answer.encoding = "cp1251"
    assert answer.text == "й"
    assert get(api_server.url("/json")).json() == {"a": "é"}
    with pytest.raises(requests.JSONDecodeError):
        get(api_server.url("/latin")).json()


def test_an_answer_has_what_answers_have(
    get: Callable[..., requests.Response], api_server: ApiServer
) -> None:
    headers = {"X-A": "1", "Link": '<https://x.test/2>; rel="next"'}
    api_server.route("/found", Reply(201, body=b"x", headers=headers))
    answer = get(api_server.url("/found?q=1"), headers={"X-Sent": "1"})
    assert (answer.status_code, answer.reason, answer.ok, bool(answer)) == (201, "Created", True, 1)
    assert answer.url == api_server.url("/found?q=1")
    assert (answer.headers["x-a"], answer.links["next"]["url"]) == ("1", "https://x.test/2")
    assert answer.request.headers["x-sent"] == "1"
    assert answer.request.path_url == "/found?q=1"
    assert answer.elapsed.total_seconds() > 0
    assert repr(answer) == "<Response [201]>"
    assert (answer.is_redirect, answer.next, answer.history) == (False, None, [])
    answer.raise_for_status()
    missing = get(api_server.url("/status/404"))
    assert not missing
    with pytest.raises(requests.HTTPError) as caught:
        missing.raise_for_status()
    assert caught.value.response is missing


# -- what goes ------------------------------------------------------------------------------------


class Sized:
    """Says how long it is, and is read piece by piece."""

    def __len__(self) -> int:
        return 6

    def __iter__(self) -> Iterator[bytes]:
        yield from (b"abc", b"def")


def pieces() -> Iterator[bytes]:
    yield from (b"abc", b"", b"def")


BODIES: dict[str, Callable[[Path], Any]] = {
    "text": lambda folder: "fünf",
    "bytes": lambda folder: b"\x00\xff",
    "bytearray": lambda folder: bytearray(b"abc"),
    "fields": lambda folder: {"a": ["1", "2"], "b": "ü"},
    "pairs": lambda folder: [("a", "1"), ("a", "2")],
    "file": lambda folder: (folder / "file").open("rb"),
    "file read to the middle": lambda folder: _at((folder / "file").open("rb"), 4),
    "text file": lambda folder: (folder / "file").open(encoding="utf-8"),
    "BytesIO": lambda folder: io.BytesIO(b"abc"),
    "StringIO": lambda folder: io.StringIO("abc"),
    "generator": lambda folder: pieces(),
    "sized iterable": lambda folder: Sized(),
    "empty text": lambda folder: "",
    "empty file": lambda folder: io.BytesIO(b""),
    "nothing": lambda folder: None,
}


def _at(file: Any, position: int) -> Any:
    file.seek(position)
    return file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "file").write_bytes(b"line one\nline two\n" * 1000)
    return tmp_path


def seen(server: ApiServer) -> tuple[Any, ...]:
    received = server.requests[-1]
    names = ("Content-Length", "Content-Type", "Transfer-Encoding")
    told = [received.headers.get(name, "") for name in names]
    boundary = told[1].partition("boundary=")[2].encode() or b"-"
    return (
        received.method,
        [one.replace(boundary.decode(), "-") for one in told],
        received.body.replace(boundary, b"-"),
    )


@pytest.mark.filterwarnings("ignore::requests.exceptions.FileModeWarning")
@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_body_arrives_as_requests_sends_it(
    method: str, name: str, api_server: ApiServer, folder: Path
) -> None:
    arrived = []
    for kind in (requests.Session, Session):
        body = BODIES[name](folder)
        with kind() as session:
            assert session.request(method, api_server.url("/x"), data=body).ok
        arrived.append(seen(api_server))
        if hasattr(body, "close"):
            body.close()
    assert arrived[0] == arrived[1]


FILES: dict[str, Callable[[Path], Any]] = {
    "file": lambda folder: {"f": (folder / "file").open("rb")},
    "named": lambda folder: {"f": ("näme.txt", b"x")},
    "typed": lambda folder: {"f": ("n", io.BytesIO(b"x"), "text/csv", {"X-Part": "1"})},
    "several": lambda folder: [("f", ("a", "text")), ("f", ("b", b"x")), ("g", b"y")],
    "without a name": lambda folder: {"f": (None, "value")},
}


@pytest.mark.parametrize("name", FILES)
def test_a_form_arrives_as_requests_sends_it(
    name: str, api_server: ApiServer, folder: Path
) -> None:
    arrived = []
    for kind in (requests.Session, Session):
        files = FILES[name](folder)
        with kind() as session:
            answer = session.post(api_server.url("/x"), files=files, data={"a": ["1", "2"]})
        assert answer.ok
        arrived.append(seen(api_server))
        if isinstance(files, dict) and hasattr(files["f"], "close"):
            files["f"].close()
    assert arrived[0] == arrived[1]
    assert b'name="f"' in arrived[1][2]


@pytest.mark.parametrize("value", [{"a": "ü"}, [], {}, 0, False, "text", None])
def test_json_arrives_as_requests_sends_it(api_server: ApiServer, value: Any) -> None:
    arrived = []
    for kind in (requests.Session, Session):
        with kind() as session:
            session.post(api_server.url("/x"), json=value)
        arrived.append(seen(api_server))
    assert arrived[0] == arrived[1]
    assert json.loads(arrived[1][2] or "null") == value


def test_a_generator_is_sent_as_it_is_made(either: requests.Session, api_server: ApiServer) -> None:
    def slowly() -> Iterator[bytes]:
        yield b"0"
        wait_until(lambda: api_server.open_connections == 1)  # it is on its way already
        yield from (b"1", b"2")

    assert either.post(api_server.url("/x"), data=slowly()).json()["body"] == "012"


def test_a_body_may_come_from_another_answer(
    either: requests.Session, api_server: ApiServer
) -> None:
    api_server.route("/source", Reply(body=b"x" * 100_000))
    with either.get(api_server.url("/source"), stream=True) as source:
        answer = either.post(api_server.url("/x"), data=source.iter_content(1000))
    assert answer.json()["body"] == "x" * 100_000


def test_a_file_is_not_sent_again_behind_its_readers_back(api_server: ApiServer) -> None:
    api_server.route("/down", Reply(503), method="POST")
    api_server.script("/busy", Reply(429, headers={"Retry-After": "0"}), Reply(json={}))
    with Session(retry_base_delay=0.01) as session:
        assert session.post(api_server.url("/down"), data=io.BytesIO(b"abc")).status_code == 503
        assert session.post(api_server.url("/busy"), data=io.BytesIO(b"abc")).ok
        assert session.post(api_server.url("/busy"), data=pieces()).ok
    assert [received.body for received in api_server.requests] == [
        *[b"abc", b"abc", b"abc"],  # refused by the server, hence repeated from its beginning
        b"abcdef",
    ]


# -- elapsed, pickles, copies ---------------------------------------------------------------------


def test_elapsed_is_the_time_to_the_headers(
    either: requests.Session, api_server: ApiServer
) -> None:
    api_server.route("/slow", Reply(body=b"xxxx", delay=0.2, drip=(1, 0.2)))
    began = time.monotonic()
    answer = either.get(api_server.url("/slow"))
    took = time.monotonic() - began
    assert 0.2 <= answer.elapsed.total_seconds() < took - 0.4


def copies(one: Any) -> list[Any]:
    protocols = range(pickle.HIGHEST_PROTOCOL + 1)
    return [
        *[pickle.loads(pickle.dumps(one, protocol)) for protocol in protocols],
        copy.copy(one),
        copy.deepcopy(one),
    ]


@pytest.mark.parametrize("is_stream", [False, True])
def test_an_answer_travels(
    get: Callable[..., requests.Response], api_server: ApiServer, is_stream: bool
) -> None:
    api_server.route("/old", Reply(302, headers={"Location": "/new", "Set-Cookie": "a=1"}))
    answer = get(api_server.url("/old"), stream=is_stream)
    for twin in copies(answer):
        assert (twin.status_code, twin.url, twin.reason) == (200, answer.url, "OK")
        assert twin.json() == answer.json()
        assert twin.headers == answer.headers
        assert twin.elapsed == answer.elapsed
        assert [hop.status_code for hop in twin.history] == [302]
        assert twin.history[0].cookies.get_dict() == {"a": "1"}
        assert twin.request.headers == answer.request.headers
        assert b"".join(twin.iter_content(10)) == answer.content
        twin.raise_for_status()
        twin.close()


def test_a_session_travels_with_all_its_settings(
    either: requests.Session, api_server: ApiServer
) -> None:
    either.headers["X-Team"] = "t"
    either.auth = ("alice", "a")
    either.params = {"page": "1"}
    either.cookies.set("sid", "1")
    either.verify, either.cert, either.trust_env = "/ca.pem", "/cert.pem", False
    either.proxies = {"https": "http://127.0.0.1:1"}
    either.max_redirects, either.stream = 3, True
    either.mount("http://mounted.test", HTTPAdapter(max_retries=2))
    for twin in copies(either):
        assert type(twin) is type(either)
        assert (twin.verify, twin.cert, twin.trust_env) == ("/ca.pem", "/cert.pem", False)
        assert (twin.proxies, twin.max_redirects, twin.stream) == (either.proxies, 3, True)
        assert twin.get_adapter("http://mounted.test/").max_retries.total == 2
        assert list(twin.adapters) == list(either.adapters)
        twin.cert = None  # there is no such file
        with twin:
            sent = twin.get(api_server.url("/x")).json()
        assert sent["query"] == {"page": ["1"]}
        assert (sent["headers"]["X-Team"], sent["headers"]["Cookie"]) == ("t", "sid=1")
        assert "Authorization" in sent["headers"]


@pytest.mark.parametrize(
    "travel", [copy.copy, copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))]
)
def test_what_runs_does_not_travel(travel: Callable[[Any], Any], api_server: ApiServer) -> None:
    api_server.route("/kept", Reply(json=[1], headers=FRESH))
    api_server.route("/down", Reply(500))
    with Session(max_retries=0, failure_threshold=1) as session:
        session.get(api_server.url("/kept"))
        session.get(api_server.url("/down"))
        with travel(session) as twin:
            assert twin.settings == session.settings
            assert twin.get_stats()["total_requests"] == twin.get_stats()["cache_size"] == 0
            assert twin.get_circuit_breaker_status() == {}
            assert twin.get_stats()["connections"]["connections_opened"] == 0
            assert not twin.get(api_server.url("/kept")).from_cache
            assert twin.get(api_server.url("/down")).status_code == 500
        assert session.get(api_server.url("/kept")).from_cache
        assert session.get_stats()["connections"]["connections_opened"] == 1
    assert api_server.connections == 2


def test_a_subclass_travels_with_what_it_names(api_server: ApiServer) -> None:
    with Tenant("acme", max_retries=7) as session:
        for twin in copies(session):
            with twin:
                assert type(twin) is Tenant
                assert (twin.tenant, twin.settings.max_retries) == ("acme", 7)
                assert twin.get(api_server.url("/x")).json()["headers"]["X-Tenant"] == "acme"


class Tenant(Session):
    __attrs__ = [*Session.__attrs__, "tenant"]  # noqa: RUF012

    def __init__(self, tenant: str, **options: Any) -> None:
        super().__init__(**options)
        self.tenant = tenant

    def request(self, *args: Any, **options: Any) -> requests.Response:
        self.headers["X-Tenant"] = self.tenant
        return super().request(*args, **options)
