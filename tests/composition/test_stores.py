"""Sessions on stores beyond the process: what they share, what they survive, what they hide."""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

import browseros_api.aio
from browseros_api import DeadlineExceeded, EnhancedAPIClient, Session
from browseros_api.testing import ApiServer, FakeClock, Received, Reply
from tests.composition.conftest import Made
from tests.redis_server import RedisServer, started

ROOT = Path(__file__).resolve().parents[2]
FRESH = {"Cache-Control": "max-age=600"}

# -- shared and kept -------------------------------------------------------------------------------


def test_what_one_session_has_asked_another_knows(made: Made, api_server: ApiServer) -> None:
    api_server.route("/x", Reply(json={"n": 1}, headers=FRESH))
    url = api_server.url("/x?q=a b")
    asked = made().get(url)
    known = made().get(url)
    assert (asked.from_cache, known.from_cache) == (False, True)  # type: ignore[attr-defined]
    assert api_server.hits("/x") == 1
    for ask in ("url", "status_code", "reason", "encoding", "text", "elapsed"):
        assert getattr(known, ask) == getattr(asked, ask), ask
    assert known.headers.pop("Age") == "0"
    assert known.headers == asked.headers
    assert (known.request.method, known.request.url) == ("GET", asked.request.url)
    assert dict(known.request.headers) == {}


def test_redirects_are_known_with_all_that_led_there(made: Made, api_server: ApiServer) -> None:
    api_server.route("/old", Reply(302, headers={"Location": "/x", **FRESH}))
    api_server.route("/x", Reply(json={"n": 1}, headers=FRESH))
    asked, known = (made().get(api_server.url("/old?q=1")) for _ in range(2))
    assert api_server.hits("/x") == 1
    assert known.url == asked.url
    assert [hop.url for hop in known.history] == [hop.url for hop in asked.history]
    assert known.history[0].headers["Location"] == "/x"


def test_what_is_stale_is_validated_by_whoever_asks_next(made: Made, api_server: ApiServer) -> None:
    clock = FakeClock()

    def validated(request: Received) -> Reply:
        headers = {"ETag": '"a"', "Cache-Control": "max-age=10"}
        if request.headers.get("If-None-Match") == '"a"':
            return Reply(304, headers={**headers, "X-Renewed": "1"})
        return Reply(json={"n": 1}, headers=headers)

    api_server.route("/x", validated)
    url = api_server.url("/x?page=1")
    made(clock=clock).get(url)
    for _ in range(2):
        clock.tick(11.0)
        renewed = made(clock=clock).get(url)
        assert (renewed.status_code, renewed.json(), renewed.url) == (200, {"n": 1}, url)
        assert renewed.headers["X-Renewed"] == "1"
    fresh = made(clock=clock).get(url)
    assert (fresh.from_cache, fresh.headers["X-Renewed"]) == (True, "1")  # type: ignore[attr-defined]
    assert api_server.hits("/x") == 3


def test_identities_share_nothing_here_either(made: Made, api_server: ApiServer) -> None:
    def who(request: Received) -> Reply:
        return Reply(json=len(request.headers.get("Authorization", "")), headers=FRESH)

    api_server.route("/me", who)
    for token in ("a", "bb", "ccc", "a", "bb", "ccc"):
        session = made()
        session.headers["Authorization"] = token
        assert session.get(api_server.url("/me")).json() == len(token)
    assert api_server.hits("/me") == 3


def test_a_change_made_by_one_session_is_seen_by_the_others(
    made: Made, api_server: ApiServer
) -> None:
    clock = FakeClock()
    api_server.route("/x", Reply(json={"n": 1}, headers=FRESH))
    url = api_server.url("/x")
    first, second = made(clock=clock), made(clock=clock)
    for session in (first, second, second):
        session.get(url)
    assert api_server.hits("/x") == 1
    first.post(url)
    clock.tick(1.0)  # so long the other may know it by heart
    assert second.get(url).from_cache is False  # type: ignore[attr-defined]


def test_an_answer_that_another_process_has_made_old_on_its_way_is_not_kept(
    made: Made, api_server: ApiServer
) -> None:
    first, second = made(), made()
    url = api_server.url("/x")

    def changed_meanwhile(request: Received) -> Reply:
        if request.method == "GET" and api_server.hits("/x") == 1:
            second.post(url)
        return Reply(json=api_server.hits("/x"), headers=FRESH)

    api_server.route("/x", changed_meanwhile)
    first.get(url)  # sent before the change, answered after it
    assert first.get(url).from_cache is False  # type: ignore[attr-defined]
    assert first.get(url).from_cache is True  # type: ignore[attr-defined]


def test_clearing_clears_for_all(made: Made, api_server: ApiServer) -> None:
    api_server.route("/x", Reply(json={"n": 1}, headers=FRESH))
    first, second = made(), made()
    first.get(api_server.url("/x"))
    assert second.get_stats()["cache_size"] == 1
    assert second.get_stats()["cache_bytes"] > 0
    second.clear_cache()
    assert first.get_stats()["cache_size"] == 0


def test_a_session_travels_and_finds_its_store(made: Made, api_server: ApiServer) -> None:
    api_server.route("/x", Reply(json={"n": 1}, headers=FRESH))
    session = made()
    session.get(api_server.url("/x"))
    copy = pickle.loads(pickle.dumps(session))
    try:
        known = copy.get(api_server.url("/x"))
        assert known.from_cache is True
        assert pickle.loads(pickle.dumps(known)).json() == {"n": 1}
    finally:
        copy.close()


KERNEL = """
import sys
from browseros_api import EnhancedAPIClient
with EnhancedAPIClient(sys.argv[1], store=sys.argv[2], store_timeout=10.0) as client:
    print(client.get("/x", params={"page": 1})["n"], client.get_stats()["cached_responses"])
"""


def test_it_outlives_the_interpreter(place: str, api_server: ApiServer) -> None:
    api_server.route("/x", Reply(json={"n": 7}))

    def kernel() -> str:
        command = [sys.executable, "-W", "error", "-c", KERNEL, api_server.base_url, place]
        return subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=50
        ).stdout

    assert [kernel(), kernel()] == ["7 0\n", "7 1\n"]
    assert api_server.hits("/x") == 1


def test_it_is_awaited_without_holding_the_loop(place: str, api_server: ApiServer) -> None:
    api_server.route("/x", Reply(json={"n": 1}))
    threads = set()

    async def main() -> None:
        options: dict[str, Any] = {"store": place, "store_timeout": 10.0}
        async with browseros_api.aio.EnhancedAPIClient(api_server.base_url, **options) as client:
            answers = client.session.engine.cache.answers
            get = answers.get

            def watched(key: str) -> Any:
                threads.add(threading.current_thread())
                return get(key)

            answers.get = watched  # type: ignore[method-assign]
            assert await client.get("/x") == {"n": 1}
            assert await client.get("/x") == {"n": 1}

    asyncio.run(main())
    assert api_server.hits("/x") == 1
    assert threads
    assert threading.current_thread() not in threads


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_goes_on_with_the_store(made: Made, api_server: ApiServer) -> None:
    api_server.route("/x", Reply(json={"n": 1}, headers=FRESH))
    session = made()
    session.get(api_server.url("/x"))
    pid = os.fork()
    if pid == 0:
        os._exit(0 if session.get(api_server.url("/x")).from_cache else 1)  # type: ignore[attr-defined]
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert session.get(api_server.url("/x")).from_cache is True  # type: ignore[attr-defined]
    assert api_server.hits("/x") == 1


# -- failing ---------------------------------------------------------------------------------------


def test_calls_go_on_while_a_server_is_killed_and_comes_back(
    tmp_path: Path, api_server: ApiServer, caplog: pytest.LogCaptureFixture
) -> None:
    api_server.route("/x", Reply(json={"n": 1}, headers=FRESH))
    clock = FakeClock()
    url = api_server.url("/x")
    with (
        started(tmp_path) as server,
        Session(store=server.url, store_timeout=5.0, clock=clock) as session,
    ):
        session.get(url)
        server.kill()
        clock.tick(1.0)  # what was read a moment ago is known by heart
        for _ in range(5):
            assert session.get(url).json() == {"n": 1}
        assert session.post(url).ok
        store = session.get_stats()["store"]
        assert (store["store_state"], store["store_errors"]) == ("down", 1)
        assert [one.levelno for one in caplog.records] == [logging.WARNING]
        server.start()
        clock.tick(1.0)
        session.get(url)
        assert session.get(url).from_cache is True  # type: ignore[attr-defined]
        assert session.get_stats()["store"]["store_state"] == "up"


def test_calls_go_on_while_a_server_is_paused(tmp_path: Path, api_server: ApiServer) -> None:
    api_server.route("/x", Reply(json={"n": 1}, headers=FRESH))
    url = api_server.url("/x")
    with started(tmp_path) as server, Session(store=f"{server.url}?front=0") as session:
        server.pause()
        try:
            for _ in range(20):
                assert session.get(url).json() == {"n": 1}
        finally:
            server.resume()
    assert api_server.hits("/x") == 20


# -- hidden ----------------------------------------------------------------------------------------

SECRETS = {
    name: f"s3cret-{name}-5eVq"
    for name in (
        *("bearer", "header", "cookie", "jar", "password", "netrc", "query", "params", "userinfo"),
        *("session", "matrix", "fragment"),
    )
}


@pytest.fixture
def netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "netrc"
    path.write_text(f"machine 127.0.0.1 login ada password {SECRETS['netrc']}\n")
    path.chmod(0o600)
    monkeypatch.setenv("NETRC", str(path))


def ask_with_everything(session: Session, server: ApiServer, path: str) -> int:
    """Make calls with every kind of credential; how many there were."""
    secret = SECRETS.__getitem__
    url = server.url(path)
    host = url.removeprefix("http://")
    session.headers["X-Auth-Token"] = secret("session")
    session.get(url)  # with netrc
    session.get(url, headers={"Authorization": f"Bearer {secret('bearer')}"})
    session.get(url, headers={"X-API-Key": secret("header")})
    session.get(url, headers={"Cookie": f"sid={secret('cookie')}"})
    session.get(url, cookies={"sid": secret("jar")})
    session.get(url, auth=("ada", secret("password")))
    session.get(f"{url}?api_key={secret('query')}")
    session.get(url, params={"page": 1, "access_token": secret("params")})
    session.get(f"http://ada:{secret('userinfo')}@{host}")
    session.get(f"{url};jsessionid={secret('matrix')}")
    session.get(f"{url}?page=2#token={secret('fragment')}")
    return 11


def assert_nothing_is_told(content: bytes) -> None:
    found = {name for name, secret in SECRETS.items() if secret.encode() in content}
    assert found == set()
    assert b"s3cret" not in content
    assert b"YWRhOn" not in content  # "ada:" as basic authentication has it


@pytest.fixture
def kept(place: str, tmp_path: Path, request: pytest.FixtureRequest) -> Callable[[], bytes]:
    """All that the store has written, and all that its server would say."""

    def read() -> bytes:
        if place.startswith("sqlite"):
            files = [*(tmp_path / "store").iterdir()]
            assert {file.name for file in files} >= {"answers.db", "answers.db-wal"}
            return b"".join(file.read_bytes() for file in files)
        server: RedisServer = request.getfixturevalue("redis_server")
        told = [server.dump()]
        for name in server.ask("KEYS", "*"):
            told.append(name)
            if server.ask("TYPE", name) == b"hash":
                told += server.ask("HGETALL", name)
        return b"\n".join(told)

    return read


@pytest.mark.usefixtures("netrc")
@pytest.mark.parametrize("cache_mode", ["ttl", "rfc"])
def test_no_credential_reaches_a_store(
    made: Made, api_server: ApiServer, kept: Callable[[], bytes], cache_mode: str
) -> None:
    for path in ("/x", f"/x;jsessionid={SECRETS['matrix']}"):
        api_server.route(path, Reply(json={"kept": "here"}, headers=FRESH))
    session = made(cache_mode=cache_mode)
    count = ask_with_everything(session, api_server, "/x")
    content = kept()
    assert b'"here"' in content
    assert session.get_stats()["cache_size"] == count
    assert_nothing_is_told(content)
    again = made(cache_mode=cache_mode)
    ask_with_everything(again, api_server, "/x")
    assert again.get_stats()["cached_responses"] == count


@pytest.mark.usefixtures("netrc")
def test_answers_that_repeat_credentials_do_not_reach_a_store(
    made: Made, api_server: ApiServer, kept: Callable[[], bytes]
) -> None:
    """A path without a route answers with the request, its headers and all."""
    session = made(cache_mode="ttl")
    count = ask_with_everything(session, api_server, "/echo")
    session.get(api_server.url("/bytes/100"), headers={"X-Auth-Token": None})
    assert_nothing_is_told(kept())
    assert session.get_stats()["store"]["store_withheld"] == count
    assert session.get_stats()["cache_size"] == 1


@pytest.mark.usefixtures("netrc")
def test_encrypted_they_may_and_nobody_can_read_them(
    made: Made, api_server: ApiServer, kept: Callable[[], bytes]
) -> None:
    session = made(cache_mode="ttl", store_key=Fernet.generate_key())
    count = ask_with_everything(session, api_server, "/echo")
    assert session.get_stats()["cache_size"] == count
    content = kept()
    assert_nothing_is_told(content)
    assert b"echo" not in content


def test_a_client_degrades_gracefully_from_what_was_kept(place: str, api_server: ApiServer) -> None:
    api_server.route("/x", Reply(json={"n": 1}))
    options: dict[str, Any] = {"store": place, "store_timeout": 10.0}
    with EnhancedAPIClient(api_server.base_url, **options) as client:
        client.get("/x")
    with EnhancedAPIClient(api_server.base_url, **options) as client:
        assert client.get_cached("/x") == {"n": 1}
        assert client._get_cached(client.cache_key("/x")) == {"n": 1}
        assert client.get_cached("/y") is None


# -- deadlines -------------------------------------------------------------------------------------


@pytest.fixture
def mute() -> Iterator[str]:
    """The URL of a store that takes connections, and never says anything."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"


@pytest.mark.parametrize("limits", [{}, {"rate_limit": "1000/second"}])
def test_a_deadline_bounds_a_store_that_says_nothing(
    mute: str, api_server: ApiServer, limits: dict[str, Any]
) -> None:
    api_server.route("/slow", Reply(delay=2.0))
    with Session(store=mute, store_timeout=60.0, **limits) as session:
        for _ in range(3):
            began = time.monotonic()
            with pytest.raises(DeadlineExceeded):
                session.get(api_server.url("/slow"), deadline=0.4)
            assert time.monotonic() - began < 20  # and not once or twice the 60 seconds


def test_a_store_that_says_nothing_leaves_half_of_the_time_to_the_origin(
    mute: str, api_server: ApiServer
) -> None:
    with Session(store=mute, store_timeout=60.0) as session:
        began = time.monotonic()
        assert session.get(api_server.url("/x"), deadline=4.0).ok
        assert time.monotonic() - began < 4.1
        store = session.engine.cache.answers.figures()
        assert store["store_state"] == "down"  # the next ones do not wait


def test_a_late_answer_to_what_changes_something_still_forgets(
    made: Made, api_server: ApiServer
) -> None:
    clock = FakeClock()
    api_server.route("/x", Reply(json={"n": 1}, headers=FRESH))
    session = made(clock=clock)
    session.get(api_server.url("/x"))

    def late(received: Received) -> Reply:
        clock.tick(4.9)
        return Reply(json={"n": 2})

    api_server.route("/x", late, method="POST")
    assert session.post(api_server.url("/x"), deadline=5.0).ok
    assert not session.get(api_server.url("/x")).from_cache  # type: ignore[attr-defined]
