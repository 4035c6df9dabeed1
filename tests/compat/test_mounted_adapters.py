"""An adapter that somebody mounts is the one that sends, and the engine stays on around it."""

from __future__ import annotations

import io
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import requests
import trustme
import urllib3
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.util import Retry

from browseros_api import CircuitOpenError, DeadlineExceeded, Session
from browseros_api.testing import ApiServer, Reply
from tests.compat.laws import Laws, Stage
from tests.compat.server_stage import Served
from tests.compat.unix_door import UnixDoor


class Counting(HTTPAdapter):
    """As people write them: options of their own, and ``send`` extended."""

    def __init__(self, **options: Any) -> None:
        self.sent: list[tuple[str | None, dict[str, Any]]] = []
        super().__init__(**options)

    def send(self, request: Any, **options: Any) -> Any:  # type: ignore[override]
        self.sent.append((request.url, options))
        return super().send(request, **options)


class TestPolicies:
    """Around a plain adapter."""

    test_a_503_is_asked_again = Laws.test_a_503_is_asked_again
    test_identical_calls_at_once_become_one = Laws.test_identical_calls_at_once_become_one
    test_a_stream_is_read_by_the_caller = Laws.test_a_stream_is_read_by_the_caller
    test_a_fresh_answer_is_kept = Laws.test_a_fresh_answer_is_kept

    @pytest.fixture
    def stage(self, session: Session, api_server: ApiServer) -> Iterator[Stage]:
        session.mount(api_server.base_url, HTTPAdapter(pool_maxsize=4))
        yield Served(api_server)
        assert session.get_stats()["connections"]["connections_opened"] == 0  # none was ours


def test_a_users_adapter_sees_every_attempt_and_every_option(
    session: Session, api_server: ApiServer
) -> None:
    api_server.script("/flaky", Reply(503), Reply(json={"ok": True}))
    adapter = Counting()
    session.mount(api_server.base_url, adapter)
    assert session.get(api_server.url("/flaky"), timeout=7, proxies={"ftp": "x"}).ok
    assert [url for url, _ in adapter.sent] == [api_server.url("/flaky")] * 2
    for _, options in adapter.sent:
        assert options["timeout"] == 7
        assert options["proxies"]["ftp"] == "x"
        assert (options["verify"], options["cert"], options["stream"]) == (True, None, False)
    assert session.get_adapter(api_server.base_url) is adapter


def test_a_circuit_opens_around_a_users_adapter(api_server: ApiServer) -> None:
    api_server.route("/down", Reply(503))
    adapter = Counting()
    with Session(max_retries=0, failure_threshold=2) as session:
        session.mount(api_server.base_url, adapter)
        for _ in range(2):
            session.get(api_server.url("/down"))
        with pytest.raises(CircuitOpenError):
            session.get(api_server.url("/down"))
    assert len(adapter.sent) == 2


OWN = Retry(total=9, status_forcelist=[503], backoff_factor=0)


def test_retries_that_an_adapter_makes_itself_are_left_out_where_ours_count(
    api_server: ApiServer, caplog: pytest.LogCaptureFixture
) -> None:
    api_server.script("/flaky", Reply(503), Reply(reset="before"), Reply(json={"ok": True}))
    api_server.route("/down", Reply(503))
    adapter = HTTPAdapter(max_retries=OWN)
    with Session(retry_base_delay=0, max_retries=2) as session:
        session.mount(api_server.base_url, adapter)
        assert session.get(api_server.url("/flaky")).json() == {"ok": True}
        assert session.get_stats()["retries"] == 2
        assert session.get(api_server.url("/down")).status_code == 503
        assert (api_server.hits("/flaky"), api_server.hits("/down")) == (3, 3)
        assert session.get_stats()["attempts"] == api_server.hits()
        assert session.get_adapter(api_server.base_url) is adapter
    (warning,) = caplog.messages
    assert "a mounted HTTPAdapter has retries of its own; they are left out" in warning
    assert adapter.max_retries is OWN
    with requests.Session() as theirs:  # whose retries these still are
        theirs.mount(api_server.base_url, adapter)
        with pytest.raises(requests.exceptions.RetryError):
            theirs.get(api_server.url("/down"))
    assert api_server.hits("/down") == 13


def test_retries_that_an_adapter_makes_itself_are_its_own_where_ours_are_off(
    api_server: ApiServer, caplog: pytest.LogCaptureFixture
) -> None:
    api_server.script("/flaky", Reply(503), Reply(503), Reply(json={"ok": True}))
    with Session(max_retries=0) as session:
        session.mount(api_server.base_url, HTTPAdapter(max_retries=OWN))
        assert session.get(api_server.url("/flaky")).json() == {"ok": True}
        assert session.get_stats()["attempts"] == 1
    assert api_server.hits("/flaky") == 3
    assert caplog.messages == []


def test_an_adapter_without_its_retries_is_itself_in_all_else(api_server: ApiServer) -> None:
    api_server.script("/x", Reply(302, headers={"Location": "/y"}))
    api_server.route("/y", Reply(json="there"))
    adapter = Counting(max_retries=3)
    with Session() as session:
        session.mount(api_server.base_url, adapter)
        for _ in range(2):
            response = session.get(api_server.url("/x"), use_cache=False)
            assert (response.json(), len(response.history)) == ("there", 1)
    assert [url for url, _ in adapter.sent] == [api_server.url("/x"), api_server.url("/y")] * 2
    assert adapter.max_retries.total == 3
    assert api_server.connections == 1


def test_what_is_set_on_an_adapter_that_asks_once_is_set_on_the_adapter(
    api_server: ApiServer,
) -> None:
    class Learning(HTTPAdapter):
        def send(self, request: Any, **options: Any) -> Any:  # type: ignore[override]
            self.max_retries = Retry(7)
            self.asked = request.url
            return super().send(request, **options)

    api_server.route("/down", Reply(503))
    adapter = Learning(max_retries=OWN)
    with Session(max_retries=1, retry_base_delay=0) as session:
        session.mount("http://", adapter)
        assert session.get(api_server.url("/down")).status_code == 503
    assert (adapter.asked, adapter.max_retries.total) == (api_server.url("/down"), 7)
    assert api_server.hits() == 2


class Canned(BaseAdapter):
    """An adapter that knows no retries at all."""

    def send(self, request: Any, **options: Any) -> Any:  # type: ignore[override]
        response = requests.Response()
        response.status_code, response.url = 200, request.url
        response.raw = io.BytesIO(b"canned")
        return response

    def close(self) -> None:
        pass


def test_an_adapter_that_knows_no_retries_is_no_matter(session: Session) -> None:
    session.mount("canned://", Canned())
    assert session.get("canned://x/", deadline=20.0).content == b"canned"


@pytest.mark.parametrize(
    ("retries", "stacked"),
    [
        (0, False),
        (1, True),
        (Retry(False), False),
        (Retry(None, connect=2, read=0, redirect=0, status=0, other=0), True),
        (Retry(None, connect=0, read=0, redirect=9, status=0, other=0), False),
    ],
    ids=repr,
)
def test_only_retries_are_warned_of(
    retries: Any, stacked: bool, api_server: ApiServer, caplog: pytest.LogCaptureFixture
) -> None:
    with Session() as session:
        session.mount(api_server.base_url, HTTPAdapter(max_retries=retries))
        assert session.get(api_server.url("/x")).ok
        assert session.get(api_server.url("/y")).ok
    assert len(caplog.messages) == int(stacked)


# -- bounds by the wall clock --------------------------------------------------------------------

DRIP = {"body": "x" * 200, "drip": (1, 0.1)}


@pytest.mark.parametrize(
    "reply",
    [Reply(silent=True), Reply(**DRIP), Reply(**DRIP, chunked=True)],
    ids=["silence", "drip", "chunks"],
)
def test_a_deadline_bounds_a_users_adapter(
    reply: Reply, session: Session, api_server: ApiServer
) -> None:
    """Whose connections nobody watches: its silence is bounded, and its body."""
    api_server.route("/x", reply)
    session.mount(api_server.base_url, HTTPAdapter())
    for timeout in (None, 60.0, (60.0, None)):
        with pytest.raises(DeadlineExceeded):
            session.get(api_server.url("/x"), deadline=0.2, timeout=timeout, use_cache=False)
    assert session.get(api_server.url("/y"), deadline=20.0).ok


def test_a_users_adapter_is_told_the_shorter_timeout(nowhere: str) -> None:
    adapter, own = Counting(), urllib3.Timeout(1)
    with Session(max_retries=0, enable_circuit_breaker=False) as session:
        session.mount("http://", adapter)
        for timeout in (None, 60.0, 1.0, (1.0, 60.0), own):
            with pytest.raises(requests.ConnectionError):
                session.get(nowhere, deadline=20.0, timeout=timeout)
    unbound, long, short, pair, others = [options["timeout"] for _, options in adapter.sent]
    assert 10.0 < unbound <= 20.0
    assert 10.0 < long <= 20.0
    assert short == pair[0] == 1.0
    assert 10.0 < pair[1] <= 20.0
    assert others is own


# -- a TLS adapter -------------------------------------------------------------------------------


class Pinned(HTTPAdapter):
    """Brings a TLS context of its own."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.context = context
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> Any:
        return super().init_poolmanager(*args, ssl_context=self.context, **options)

    def build_connection_pool_key_attributes(self, *args: Any) -> Any:
        host, options = super().build_connection_pool_key_attributes(*args)
        return host, {**options, "ssl_context": self.context}


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def secure_server(authority: trustme.CA) -> Iterator[ApiServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with ApiServer(tls=context) as server:
        yield server


@pytest.mark.skipif(
    not hasattr(HTTPAdapter, "build_connection_pool_key_attributes"),
    reason="requests 2.32.2 itself uses a context of its own instead",
)
def test_a_tls_context_of_the_users_is_used(
    session: Session, secure_server: ApiServer, authority: trustme.CA
) -> None:
    secure_server.script("/x", Reply(503), Reply(json="safe"))
    context = ssl.create_default_context()
    authority.configure_trust(context)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    session.mount("https://", Pinned(context))
    assert session.get(secure_server.url("/x")).json() == "safe"
    assert session.get_stats()["retries"] == 1
    assert context.session_stats()["connect"] >= 1


def test_without_it_the_certificate_is_refused_and_not_asked_again(
    session: Session, secure_server: ApiServer
) -> None:
    session.mount("https://", Pinned(ssl.create_default_context()))
    with pytest.raises(requests.exceptions.SSLError):
        session.get(secure_server.url("/x"))
    assert session.get_stats()["retries"] == 0
    assert secure_server.requests == []


# -- an adapter for a socket in the file system --------------------------------------------------


class _UnixConnection(HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost")
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


class _UnixPool(HTTPConnectionPool):
    def __init__(self, path: str) -> None:
        super().__init__("localhost")
        self.path = path

    def _new_conn(self) -> Any:
        return _UnixConnection(self.path)


class UnixAdapter(HTTPAdapter):
    """For ``http+unix://%2Fpath%2Fof%2Fthe.sock/path``."""

    def __init__(self) -> None:
        self.pools: dict[str, _UnixPool] = {}
        super().__init__()

    def get_connection_with_tls_context(self, request: Any, *_: Any, **__: Any) -> Any:
        path = unquote(urlsplit(request.url).netloc)
        return self.pools.setdefault(path, _UnixPool(path))

    def request_url(self, request: Any, proxies: Any) -> Any:
        return request.path_url

    def close(self) -> None:
        for pool in self.pools.values():
            pool.close()


@pytest.fixture
def door(api_server: ApiServer, tmp_path: Path) -> Iterator[UnixDoor]:
    with UnixDoor(api_server, tmp_path / "api.sock") as door:
        yield door


@pytest.fixture
def url(door: UnixDoor) -> Callable[[str], str]:
    place = str(door.path).replace("/", "%2F")
    return lambda path: f"http+unix://{place}{path}"


def test_a_socket_in_the_file_system_is_used(
    session: Session, api_server: ApiServer, door: UnixDoor, url: Callable[[str], str]
) -> None:
    session.mount("http+unix://", UnixAdapter())
    api_server.script("/flaky", Reply(503), Reply(json={"ok": True}))
    assert session.get(url("/flaky")).json() == {"ok": True}
    assert session.post(url("/containers"), json={"name": "one"}).json()["method"] == "POST"
    assert session.get_stats()["retries"] == 1
    assert door.visits == 1


def test_answers_from_there_are_kept_and_shared(
    session: Session, api_server: ApiServer, url: Callable[[str], str]
) -> None:
    session.mount("http+unix://", UnixAdapter())
    api_server.route("/kept", Reply(json=1, headers={"Cache-Control": "max-age=60"}))
    answers = [session.get(url("/kept")) for _ in range(2)]
    assert [answer.from_cache for answer in answers] == [False, True]
    assert api_server.hits("/kept") == 1


def test_two_sockets_are_two_endpoints(
    api_server: ApiServer, tmp_path: Path, url: Callable[[str], str]
) -> None:
    with ApiServer() as other, Session(max_retries=0, failure_threshold=1) as session:
        session.mount("http+unix://", UnixAdapter())
        api_server.route("/x", Reply(503))
        other.route("/x", Reply(json=2))
        with UnixDoor(other, tmp_path / "other.sock") as second:
            session.get(url("/x"))
            with pytest.raises(CircuitOpenError):
                session.get(url("/x"))
            place = str(second.path).replace("/", "%2F")
            assert session.get(f"http+unix://{place}/x").json() == 2
