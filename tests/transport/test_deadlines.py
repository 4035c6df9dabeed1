"""A deadline ends a call wherever its time goes, and the error says where that was."""

from __future__ import annotations

import contextlib
import gc
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
import responses
import trustme

from browseros_api import DeadlineExceeded, PoolTimeout, Session
from browseros_api.testing import ApiServer, FakeClock, Reply, wait_until
from tests.awaiting import run
from tests.flying import Caller

SHORT = 0.4  # seconds, where the server takes some twenty
LONG = 15.0  # seconds: far less than that, and enough for a machine that is busy

LINES = [(f"X-Line-{number}", "x" * 20) for number in range(10)]
DRIP = (1, 0.1)


@pytest.fixture
def session() -> Iterator[Session]:
    with ours() as session:
        yield session


def ours(**settings: Any) -> Session:
    session = Session(**settings)
    session.trust_env = False
    return session


def ended_in(phase: str, act: Callable[[float], Any]) -> DeadlineExceeded:
    """That ``act(deadline)`` is ended by its deadline, most of which went to ``phase``.

    A machine that is busy may spend a short deadline anywhere; then a longer one is given.
    """
    for deadline in (SHORT, 2 * SHORT, 4 * SHORT, 8 * SHORT):
        began = time.monotonic()
        with pytest.raises(DeadlineExceeded) as caught:
            act(deadline)
        took = time.monotonic() - began
        error = caught.value
        assert deadline * 0.99 < took < LONG
        assert 0.9 * deadline < sum(error.spent.values()) <= took
        if next(iter(error.spent)) == phase:
            break
    else:
        pytest.fail(f"most of it did not go to {phase}: {error}")
    assert f"({phase} " in str(error)
    return error


# -- phase by phase -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("phase", "reply"),
    [
        ("server", Reply(silent=True)),
        ("server", Reply(headers=LINES, drip_head=DRIP)),
        ("body", Reply(body="x" * 200, drip=DRIP)),
        ("body", Reply(body="x" * 200, drip=DRIP, chunked=True)),
        ("body", Reply(raw=b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 200, drip=(20, 0.1))),
        ("body", Reply(302, headers={"Location": "/"}, body="x" * 200, drip=DRIP)),
    ],
    ids=["silence", "drip head", "drip body", "drip chunks", "drip without length", "redirect"],
)
@pytest.mark.parametrize("reused", [False, True], ids=["fresh", "reused"])
def test_of_the_answer(
    reused: bool, phase: str, reply: Reply, api_server: ApiServer, session: Session
) -> None:
    api_server.route("/x", reply)
    for _ in range(2 * reused):
        assert session.get(api_server.url("/before")).ok
    error = ended_in(phase, lambda seconds: session.get(api_server.url("/x"), deadline=seconds))
    assert error.attempts == 1
    assert " in attempt 1 (" in str(error)
    assert session.get_stats()["connections"]["connections_open"] == 0


def test_of_a_body_that_nobody_reads(mute: tuple[str, int], session: Session) -> None:
    url, body = "http://{}:{}/".format(*mute), b"x" * 30_000_000
    ended_in("send", lambda seconds: session.post(url, data=body, deadline=seconds))


def test_of_a_connection_that_is_not_accepted(
    swallowing: tuple[str, int], session: Session
) -> None:
    url = "http://{}:{}/".format(*swallowing)
    ended_in("connect", lambda seconds: session.get(url, deadline=seconds))


def test_of_a_handshake_that_is_not_answered(mute: tuple[str, int], session: Session) -> None:
    url = "https://{}:{}/".format(*mute)
    ended_in("tls", lambda seconds: session.get(url, deadline=seconds))


def test_of_a_look_up(names: Any, session: Session) -> None:
    names.known["slow.test"], names.gate = [], threading.Event()
    try:
        ended_in("lookup", lambda seconds: session.get("http://slow.test/", deadline=seconds))
    finally:
        names.gate.set()


def test_of_a_proxy_that_does_not_connect(mute: tuple[str, int], session: Session) -> None:
    session.proxies = {"https": "http://{}:{}".format(*mute)}
    ended_in("tls", lambda seconds: session.get("https://127.0.0.1:1/", deadline=seconds))


def test_of_the_queue_for_a_connection(api_server: ApiServer) -> None:
    gate = threading.Event()
    api_server.route("/held", Reply(hold=gate))
    with ours(max_connections=1) as session:
        first = Caller(session.get, api_server.url("/held"))
        wait_until(lambda: api_server.hits("/held") == 1)
        ended_in("queue", lambda seconds: session.get(api_server.url("/x"), deadline=seconds))
        gate.set()
        assert first.value.ok
    assert api_server.hits("/x") == 0


def test_a_queue_that_was_too_long_before_the_deadline_is_its_own_error(
    api_server: ApiServer,
) -> None:
    gate = threading.Event()
    api_server.route("/held", Reply(hold=gate))
    with ours(max_connections=1, pool_timeout=0.05) as session:
        first = Caller(session.get, api_server.url("/held"))
        wait_until(lambda: api_server.hits("/held") == 1)
        with pytest.raises(PoolTimeout):
            session.get(api_server.url("/x"), deadline=20.0)
        gate.set()
        assert first.value.ok


def test_of_following(api_server: ApiServer, session: Session) -> None:
    gate = threading.Event()
    api_server.route("/held", Reply(hold=gate))
    leader = Caller(session.get, api_server.url("/held"))
    wait_until(lambda: api_server.hits("/held") == 1)
    url = api_server.url("/held")
    error = ended_in("following", lambda seconds: session.get(url, deadline=seconds))
    assert error.attempts == 0
    gate.set()
    assert leader.value.ok
    assert api_server.hits() == 1


def test_of_the_delays_between_attempts(api_server: ApiServer) -> None:
    api_server.script("/x", Reply(503), Reply(silent=True))
    clock = FakeClock()  # which stands still while the server is silent
    with (
        ours(clock=clock, sleep=clock.sleep, random=lambda: 0.5) as session,
        pytest.raises(DeadlineExceeded, match=r"in attempt 2 \(sleep 1 s\)") as caught,
    ):
        session.get(api_server.url("/x"), deadline=1.0 + SHORT)
    assert (caught.value.spent, caught.value.attempts) == ({"sleep": 1.0}, 2)


def test_a_delay_that_does_not_fit_is_not_begun(api_server: ApiServer) -> None:
    api_server.route("/x", Reply(503, headers={"Retry-After": "20"}))
    began = time.monotonic()
    with ours() as session:
        assert session.get(api_server.url("/x"), deadline=15.0).status_code == 503
        assert session.get(api_server.url("/y"), deadline=15.0).ok
    assert time.monotonic() - began < LONG
    assert api_server.hits("/x") == 1


def test_of_the_queue_for_a_thread(api_server: ApiServer) -> None:
    from browseros.api import EnhancedAPIClient  # noqa: PLC0415

    gate = threading.Event()
    api_server.route("/held", Reply(json=1, hold=gate))

    async def main() -> DeadlineExceeded:
        import asyncio  # noqa: PLC0415

        async with EnhancedAPIClient(api_server.base_url, max_connections=1) as client:
            first = asyncio.ensure_future(client.get("/held"))
            while not api_server.hits("/held"):
                await asyncio.sleep(0.001)
            with pytest.raises(DeadlineExceeded) as caught:
                async with client.deadline(SHORT):
                    await client.get("/x")
            gate.set()
            assert await first == 1
            return caught.value

    assert next(iter(run(main()).spent)) == "queue"
    assert api_server.hits("/x") == 0


# -- streams --------------------------------------------------------------------------------------

STREAMS = {
    "length": Reply(body="x" * 200, drip=DRIP),
    "chunks": Reply(body="x" * 200, drip=DRIP, chunked=True),
    "closing": Reply(body="x" * 200, drip=DRIP, close=True),
    "no length": Reply(raw=b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 200, drip=(20, 0.1)),
    "gzip": Reply(body="x" * 200, drip=DRIP, headers={"Content-Encoding": "gzip"}),
}
READERS: dict[str, Callable[[requests.Response], Any]] = {
    "content": lambda response: response.content,
    "in pieces": lambda response: list(response.iter_content(7)),
    "as it comes": lambda response: list(response.iter_content(None)),
    "by lines": lambda response: list(response.iter_lines()),
    "raw": lambda response: response.raw.read(),
    "raw at once": lambda response: list(iter(response.raw.read1, b"")),
    "raw into": lambda response: response.raw.readinto(bytearray(200)),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("stream", STREAMS)
def test_whoever_reads_a_stream_has_no_more_time(
    stream: str, reader: str, api_server: ApiServer, session: Session
) -> None:
    if stream == "gzip" and not reader.startswith("raw"):
        pytest.skip("it is no gzip, which is found at its first byte")
    api_server.route("/x", STREAMS[stream])
    response, _ = opened(session, api_server.url("/x"))
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded, match=r"deadline passed in the body \(.*body ") as caught:
        READERS[reader](response)
    assert time.monotonic() - began < LONG
    assert caught.value.__dict__["request_state"] == "processed"
    with pytest.raises(DeadlineExceeded):  # and it stays so
        response.raw.read()
    assert_over(session)


@pytest.mark.parametrize("stream", ["length", "chunks", "closing", "no length"])
def test_so_over_a_connection_that_was_used_before(
    stream: str, api_server: ApiServer, session: Session
) -> None:
    for _ in range(2):
        assert session.get(api_server.url("/before"), deadline=20.0, stream=True).content
    api_server.route("/x", STREAMS[stream])
    response, _ = opened(session, api_server.url("/x"))
    with pytest.raises(DeadlineExceeded, match="in the body"):
        response.content  # noqa: B018
    assert_over(session)


def opened(session: Session, url: str) -> tuple[requests.Response, float]:
    """A stream, and its deadline, which may have to be a longer one on a machine that is busy."""
    for deadline in (SHORT, 2 * SHORT, 4 * SHORT):
        with contextlib.suppress(DeadlineExceeded):
            return session.get(url, stream=True, deadline=deadline), deadline
    return session.get(url, stream=True, deadline=8 * SHORT), 8 * SHORT


def assert_over(session: Session) -> None:
    now = session.get_stats()["connections"]
    assert (now["connections_in_use"], now["connections_open"]) == (0, 0)


def test_a_stream_that_comes_too_late_is_not_read(api_server: ApiServer, session: Session) -> None:
    api_server.route("/x", Reply(body="there at once"))
    response, deadline = opened(session, api_server.url("/x"))
    time.sleep(deadline)
    with pytest.raises(DeadlineExceeded, match=r"in the body \(.*rest "):
        response.content  # noqa: B018
    assert_over(session)


def test_a_stream_in_time_is_as_any_other(api_server: ApiServer, session: Session) -> None:
    api_server.route("/x", Reply(body="there at once"))
    for _ in range(3):
        with session.get(api_server.url("/x"), stream=True, deadline=20.0) as response:
            assert response.content == b"there at once"
            assert response.raw.read() == b""
    assert session.get_stats()["connections"]["connections_opened"] == 1
    for chunked in (False, True):
        api_server.route("/y", Reply(body="abcdef", chunked=chunked))
        with session.get(api_server.url("/y"), stream=True, deadline=20.0) as response:
            assert list(response.iter_content(4)) == [b"abcd", b"ef"]


def test_a_stream_of_a_mock_is_the_mocks_affair(session: Session) -> None:
    with responses.RequestsMock() as mock:
        mock.get("http://a.test/", body=b"mocked")
        assert session.get("http://a.test/", stream=True, deadline=20.0).content == b"mocked"


def test_the_watch_of_a_stream_ends_with_it(api_server: ApiServer, session: Session) -> None:
    """The connection goes back to the pool, and is not cut when the deadline comes after all."""
    api_server.route("/x", Reply(body="there at once"))
    began = time.monotonic()
    assert session.get(api_server.url("/x"), stream=True, deadline=1.0).content
    time.sleep(max(0.0, began + 1.1 - time.monotonic()))
    assert session.get(api_server.url("/x"), stream=True).content
    assert session.get_stats()["connections"]["connections_opened"] == 1


def test_a_stream_that_is_dropped_is_closed(api_server: ApiServer, session: Session) -> None:
    api_server.route("/x", Reply(body="x" * 200, drip=(100, 20.0)))
    response = session.get(api_server.url("/x"), stream=True, deadline=20.0)
    assert session.get_stats()["connections"]["connections_in_use"] == 1
    del response
    gc.collect()
    assert_over(session)


def test_the_bound_of_an_attempt_ends_where_a_stream_begins(api_server: ApiServer) -> None:
    api_server.route("/x", Reply(body="x" * 4, drip=(1, 0.5)))
    with ours(attempt_timeout=1.0, deadline=20.0) as session:
        with session.get(api_server.url("/x"), stream=True) as response:
            assert response.content == b"xxxx"
        api_server.route("/x", STREAMS["length"])
        response, _ = opened(session, api_server.url("/x"))
        with pytest.raises(DeadlineExceeded):
            response.content  # noqa: B018
        assert_over(session)


def test_a_stream_that_breaks_in_time_breaks_as_ever(
    api_server: ApiServer, session: Session
) -> None:
    api_server.route("/x", Reply(body="x" * 200, truncate=10))
    response = session.get(api_server.url("/x"), stream=True, deadline=20.0)
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        response.content  # noqa: B018
    assert_over(session)


def test_a_watch_that_goes_on_never_cuts_what_is_somebody_elses_by_then(
    api_server: ApiServer,
) -> None:
    """Streams end about when their deadlines come; their connections go on to other calls."""
    api_server.route("/x", Reply(body="x" * 3, drip=(1, 0.005)))
    over = threading.Event()

    def stream(session: Session, seconds: float) -> tuple[int, int]:
        whole = late = 0
        while not over.is_set():
            try:
                with session.get(api_server.url("/x"), stream=True, deadline=seconds) as response:
                    assert response.content == b"xxx"
                whole += 1
            except DeadlineExceeded:
                late += 1
        return whole, late

    with ours(enable_cache=False) as session:
        streams = [Caller(stream, session, 0.005 * number) for number in range(2, 8)]
        for _ in range(300):
            assert session.get(api_server.url("/y"), deadline=20.0).ok
        over.set()
        counts = [caller.value for caller in streams]
        assert sum(late for _, late in counts) > 0
        wait_until(lambda: session.get_stats()["connections"]["connections_in_use"] == 0)


# -- real TLS -------------------------------------------------------------------------------------


def test_over_tls_a_drip_is_cut_too(tmp_path: Any) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    with ApiServer(tls=context) as server, ours() as session:
        session.verify = str(tmp_path / "ca.pem")
        server.route("/x", Reply(body="x" * 200, drip=DRIP))
        ended_in("body", lambda seconds: session.get(server.url("/x"), deadline=seconds))
        response, _ = opened(session, server.url("/x"))
        with pytest.raises(DeadlineExceeded):
            response.content  # noqa: B018
        assert_over(session)


def test_a_full_queue_is_what_it_is_taken_for(swallowing: tuple[str, int]) -> None:
    """The test of connecting could fail: without a bound it takes as long as it may."""
    with socket.socket() as sock:
        sock.settimeout(2 * SHORT)
        with pytest.raises(TimeoutError):
            sock.connect(swallowing)
