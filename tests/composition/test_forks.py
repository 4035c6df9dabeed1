"""Forked children: no socket is shared, no lock is waited for that nobody will give back."""

from __future__ import annotations

import contextlib
import os
import pickle
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

import browseros_api
from browseros_api import EnhancedAPIClient, Session, api
from browseros_api.testing import ApiServer, Reply, wait_until
from tests.composition.forking import (
    ask,
    ask_in_threads,
    assert_apart,
    assert_fine,
    echo_pid,
    in_child,
    told_of,
)
from tests.composition.proxying import ForwardProxy
from tests.faults.certificates import Authority

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")


@pytest.fixture
def server(api_server: ApiServer) -> ApiServer:
    api_server.route("/x", echo_pid)
    return api_server


@pytest.fixture
def session() -> Iterator[Session]:
    with Session(retry_base_delay=0.01) as session:
        yield session


# -- no socket is shared --------------------------------------------------------------------------


@pytest.fixture(
    params=["session", "functions", "client", "installed", "another adapter", "subclass"]
)
def get(request: pytest.FixtureRequest, server: ApiServer) -> Iterator[Callable[..., Any]]:
    with (
        Session() as session,
        EnhancedAPIClient(server.base_url) as client,
        browseros_api.install(),
        type("Mine", (Session,), {})() as mine,
    ):
        if request.param == "another adapter":
            session.mount("http://", HTTPAdapter())
        yield {
            "functions": browseros_api.get,
            "client": client.get,
            "installed": requests.get,
            "subclass": mine.get,
        }.get(request.param, session.get)


def test_parent_and_children_use_connections_of_their_own(
    get: Callable[..., Any], server: ApiServer
) -> None:
    url = server.url("/x")
    ask_in_threads(get, url, threads=4, each=3)  # several connections are idle now
    children = [in_child(lambda: ask_in_threads(get, url, threads=3, each=10)) for _ in range(4)]
    ask_in_threads(get, url, threads=4, each=10)
    assert_fine(*children)
    ask(get, url, ["after"])
    assert_apart(server, processes=5)


def test_so_do_grandchildren(session: Session, server: ApiServer) -> None:
    url = server.url("/x")
    ask(session.get, url, ["parent"])

    def child() -> None:
        ask(session.get, url, ["child"])
        grandchild = in_child(lambda: ask(session.get, url, ["grandchild", "again"]))
        ask(session.get, url, ["child again"])
        assert_fine(grandchild)

    assert_fine(in_child(child))
    assert_apart(server, processes=3)


def test_so_it_is_over_tls(session: Session, safe_server: ApiServer, authority: Authority) -> None:
    safe_server.route("/x", echo_pid)
    session.verify = authority.file
    url = safe_server.url("/x")
    ask_in_threads(session.get, url, threads=4, each=2)
    before = safe_server.connections
    children = [in_child(lambda: ask(session.get, url, range(5))) for _ in range(3)]
    assert_fine(*children)
    ask(session.get, url, range(5))  # nobody has said farewell on the parent's connections
    assert safe_server.connections == before + 3
    assert_apart(safe_server, processes=4)


def test_so_it_is_through_a_proxy(
    session: Session, safe_server: ApiServer, authority: Authority
) -> None:
    safe_server.route("/x", echo_pid)
    session.verify = authority.file
    with ForwardProxy() as proxy:
        session.proxies = {"https": proxy.url}
        ask(session.get, safe_server.url("/x"), ["parent"])
        child = in_child(lambda: ask(session.get, safe_server.url("/x"), "abc"))
        ask(session.get, safe_server.url("/x"), "abc")
        assert_fine(child)
        assert len(proxy.asked) == 2
    assert_apart(safe_server, processes=2)


def test_a_child_holds_no_connection_of_its_parents_open(
    session: Session, server: ApiServer
) -> None:
    go = threading.Event()
    server.route("/held", Reply(json={}, hold=go))
    asked, told = os.pipe()
    other = threading.Thread(target=session.get, args=(server.url("/held"),))
    stream = session.get(server.url("/bytes/1000000"), stream=True)
    other.start()
    wait_until(lambda: server.active_requests == 1)
    ask(session.get, server.url("/x"), ["idle"])
    assert server.open_connections == 3  # one in use by a thread, one by a stream, one by nobody
    child = in_child(lambda: os.read(asked, 1))
    go.set()
    other.join(20)
    stream.close()
    session.close()
    wait_until(lambda: server.open_connections == 0)  # though the child is alive
    os.write(told, b"x")
    assert_fine(child)
    os.close(asked)
    os.close(told)


def test_a_stream_is_its_parents(session: Session, server: ApiServer) -> None:
    whole = os.urandom(3_000_000)
    server.route("/stream", Reply(body=whole))
    stream = session.get(server.url("/stream"), stream=True)
    first = stream.raw.read(10)

    def child() -> None:
        with pytest.raises(requests.RequestException):
            stream.content  # noqa: B018
        stream.close()
        ask(session.get, server.url("/x"), range(3))

    assert_fine(in_child(child))
    assert first + b"".join(stream.iter_content(65536)) == whole


def test_a_child_has_all_connections_it_may_have(server: ApiServer) -> None:
    with Session(max_connections=1, pool_timeout=1) as session:
        stream = session.get(server.url("/bytes/1000000"), stream=True)
        assert_fine(in_child(lambda: ask(session.get, server.url("/x"), range(3))))
        stream.close()
        ask(session.get, server.url("/x"), range(3))


# -- nobody hangs ---------------------------------------------------------------------------------


@pytest.mark.timeout(240)  # under coverage on a busy machine
def test_forks_while_others_are_in_the_middle_of_requests(server: ApiServer) -> None:
    server.route("/flaky", Reply(503))
    server.route("/kept", Reply(json=[], headers={"Cache-Control": "max-age=60"}))
    server.route("/cookie", Reply(json=[], headers={"Set-Cookie": "a=1; Path=/"}))
    over = threading.Event()
    with Session(
        max_connections=6, retry_base_delay=0.002, retry_max_delay=0.01, keepalive_timeout=0.02,
        failure_threshold=10**9, deadline=30,
    ) as session:  # fmt: skip
        session.cookies.set("sid", "1")

        def use(turn: int) -> None:
            ask(session.get, server.url("/x"), [turn])
            options = told_of(turn)
            session.get(server.url("/flaky"), **options)
            session.get(server.url("/kept"), **options)
            session.get(server.url("/cookie"), **options)
            session.post(server.url("/bytes/10"), data="x", **options)
            with session.get(server.url("/bytes/100000"), stream=True, **options) as stream:
                stream.raw.read(10)

        def work() -> None:
            turn = 0
            while not over.is_set():
                turn += 1
                with contextlib.suppress(requests.RequestException):
                    use(turn)

        threads = [threading.Thread(target=work, daemon=True) for _ in range(12)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(6):
                children = [in_child(lambda: [use(turn) for turn in range(3)]) for _ in range(2)]
                assert_fine(*children)
        finally:
            over.set()
        for thread in threads:
            thread.join(40)
        assert not any(thread.is_alive() for thread in threads)
        assert session.get_stats()["connections"]["connections_in_use"] == 0
    assert_apart(server, processes=13)


def locks_of(session: Session) -> list[Any]:
    engine = session.engine
    fleet, cache, keeper = engine.adapter._fleet, engine.cache, engine.cache.keeper
    return [
        *[fleet.limiter.lock, fleet.dns._lock, fleet.census._lock, engine.adapter._lock],
        *[cache._lock, keeper._lock, keeper.changes._lock, keeper._sweeper._lock],
        cache.refresher._changed,
        *[cache.answers._lock, engine.flights._lock, engine.breakers._lock, engine.meter._lock],
        *[engine.retry._counting, engine.closing._cond, session.cookies._cookies_lock],
        *[engine.breakers._endpoints._lock, engine.breakers._hosts._lock],
        *[breaker._lock for breaker in engine.breakers.all().values()],
    ]


def test_locks_that_others_hold_do_not_matter(server: ApiServer) -> None:
    server.script("/flaky", Reply(503), Reply(json={}))
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with contextlib.ExitStack() as stack:
            for lock in (*locks_of(session), api._lock):
                stack.enter_context(lock)
            held.set()
            assert release.wait(40)

    def child() -> None:
        stream.close()
        ask(session.get, server.url("/x"), ["child"])
        assert session.get(server.url("/flaky"), timeout=20).ok
        assert session.post(server.url("/bytes/1"), timeout=20).ok
        assert session.get_stats()["retries"] >= 1
        assert session.get_circuit_breaker_status()
        session.clear_cache()
        browseros_api.get(server.url("/x"), timeout=20)
        session.close()
        session.engine.close()

    api._owner = None  # so that the lock is needed
    with Session(retry_base_delay=0.01) as session:
        stream = session.get(server.url("/bytes/1000000"), stream=True, timeout=20)
        ask(session.get, server.url("/x"), ["parent"])
        holder = threading.Thread(target=hold, daemon=True)
        holder.start()
        assert held.wait(20)
        pid = in_child(child)
        assert_fine(pid)
        release.set()
        holder.join(20)
        stream.close()
        ask(session.get, server.url("/x"), ["parent again"])


def test_a_session_that_is_being_made_does_not_matter(server: ApiServer) -> None:
    half: Any = Session.__new__(Session)
    half._start(half._made_engine({}, None))  # no headers, no adapters, no cookies yet
    assert_fine(in_child(lambda: ask(browseros_api.get, server.url("/x"), ["child"])))


def test_calls_that_wait_for_one_another_wait_in_the_parent_only(server: ApiServer) -> None:
    go = threading.Event()
    server.script("/shared", Reply(json=["parent"], hold=go), Reply(json=["child"]))
    with Session() as session:
        answers: list[Any] = []

        def work() -> None:
            answers.append(session.get(server.url("/shared"), timeout=30).json())

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        wait_until(lambda: session.get_stats()["in_flight_requests"] == 3)
        wait_until(lambda: server.hits("/shared") == 1)

        def child() -> None:
            assert session.get(server.url("/shared"), timeout=20).json() == ["child"]

        assert_fine(in_child(child))
        go.set()
        for thread in threads:
            thread.join(30)
    assert answers == [["parent"]] * 3


def test_a_closed_client_is_closed_in_the_child_too(server: ApiServer) -> None:
    client = EnhancedAPIClient(server.base_url)
    client.get("/x")
    client.close()

    def child() -> None:
        with pytest.raises(browseros_api.ClientClosed):
            client.get("/x")
        assert client.session.engine.closing.is_set()

    assert_fine(in_child(child))


def test_submitted_calls_go_on_in_the_parent_and_can_be_made_in_the_child(
    server: ApiServer,
) -> None:
    with EnhancedAPIClient(server.base_url, max_connections=4) as client:
        futures = [client.submit("GET", "/x", **told_of(turn)) for turn in range(20)]

        def child() -> None:
            again = [client.submit("GET", "/x", **told_of(turn)) for turn in range(20)]
            assert [one.result(30)["nonce"] for one in again] == list(map(str, range(20)))
            urls = [f"/x?nonce={turn}" for turn in range(20)]
            assert len(list(client.get_many(urls, max_workers=3))) == 20

        assert_fine(in_child(child))
        assert [one.result(30)["nonce"] for one in futures] == list(map(str, range(20)))


def test_another_adapter_is_disowned_with_its_settings(server: ApiServer) -> None:
    class Own(HTTPAdapter):
        def init_poolmanager(self, *args: Any, **options: Any) -> None:
            super().init_poolmanager(*args, **options, socket_options=[])

    class InName(HTTPAdapter):
        def __init__(self) -> None:
            """Has nothing that an adapter has."""

    with Session() as session:
        session.mount("http://", Own(pool_connections=3, pool_maxsize=2))
        session.mount("http://nowhere.test", InName())
        ask(session.get, server.url("/x"), ["parent"])

        def child() -> None:
            adapter: Any = session.get_adapter("http://x.test")
            assert (adapter._pool_connections, adapter._pool_maxsize) == (3, 2)
            assert adapter.poolmanager.connection_pool_kw["socket_options"] == []
            assert len(adapter.poolmanager.pools) == 0
            ask(session.get, server.url("/x"), range(3))

        assert_fine(in_child(child))
        ask(session.get, server.url("/x"), ["parent again"])
        del session.adapters["http://nowhere.test"]  # it cannot be closed either
    assert_apart(server, processes=2)


def test_what_a_child_has_and_has_not(server: ApiServer) -> None:
    server.route("/kept", Reply(json=[], headers={"Cache-Control": "max-age=60"}))
    server.route("/down", Reply(500))
    with Session(max_retries=0, failure_threshold=1) as session:
        session.headers["X-Team"] = "t"
        session.cookies.set("sid", "1")
        session.auth = ("alice", "a")
        for path in ("/kept", "/kept", "/down", "/x"):
            session.get(server.url(path))

        def child() -> None:
            figures = session.get_stats()
            assert figures["total_requests"] == 4
            assert figures["cached_responses"] == 1
            assert figures["cache_size"] == figures["in_flight_requests"] == 0
            assert set(figures["connections"].values()) == {0}
            with pytest.raises(browseros_api.CircuitOpenError):
                session.get(server.url("/down"))
            sent = session.get(server.url("/echo")).json()["headers"]
            assert (sent["X-Team"], sent["Cookie"]) == ("t", "sid=1")
            assert "Authorization" in sent
            assert not session.get(server.url("/kept")).from_cache  # type: ignore[attr-defined]
            assert session.get(server.url("/kept")).from_cache  # type: ignore[attr-defined]

        assert_fine(in_child(child))
        assert session.get(server.url("/kept")).from_cache  # type: ignore[attr-defined]


def test_a_closed_client_is_closed_wherever_it_travels(server: ApiServer) -> None:
    client = EnhancedAPIClient(server.base_url)
    client.close()
    twin = pickle.loads(pickle.dumps(client))
    with pytest.raises(browseros_api.ClientClosed):
        twin.get("/x")
