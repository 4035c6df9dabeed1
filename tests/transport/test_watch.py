"""A watch cuts what takes too long, and nothing else."""

from __future__ import annotations

import contextlib
import itertools
import random
import re
import socket
import threading
import time
from typing import Any

import pytest
import requests

from browseros_api.errors import ConnectTimeout, ReadTimeout
from browseros_api.testing import ApiServer, Reply, wait_until
from browseros_api.transport.watch import Watch, current_watch

SHORT = 0.3
IN_TOTAL = r"took longer than 0\.\d+ s in total"

SLOW = {
    "silence": Reply(silent=True),
    "head": Reply(body=b"x" * 9, drip_head=(1, 0.02)),
    "first line": Reply(raw=b"HTTP/1.1 200 OK", drip=(1, 0.05)),
    "body": Reply(body=b"x" * 1000, drip=(1, 0.02)),
    "chunks": Reply(body=b"x" * 1000, chunked=True, drip=(1, 0.02)),
    "body without length": Reply(raw=b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 9999, drip=(30, 0.02)),
    "body, closing": Reply(body=b"x" * 1000, drip=(1, 0.02), close=True),
    "interim answers": Reply(raw=b"HTTP/1.1 103 H\r\n\r\n" * 1000, drip=(18, 0.02)),
    "silence in the body": Reply(body=b"x" * 99, drip=(50, 30.0)),
}


@pytest.mark.parametrize("reused", [False, True])
@pytest.mark.parametrize("slow", SLOW)
def test_it_cuts_a_slow_answer(slow: str, reused: bool, api_server: ApiServer, client: Any) -> None:
    if reused:
        client.get(api_server.url("/before"), timeout=20)
    api_server.route("/x", SLOW[slow])
    began = time.monotonic()
    with Watch(began + SHORT) as watch:
        with pytest.raises(ReadTimeout) as caught:
            client.get(api_server.url("/x?token=secret"), timeout=20)
        assert watch.expired
        assert watch.remaining() == 0
    assert SHORT <= time.monotonic() - began < 5
    told = re.fullmatch(r"GET (\S+) took longer than (0\.\d+) s in total", str(caught.value))
    assert told is not None
    assert told[1] == api_server.url("/x?token=***")
    assert float(told[2]) <= SHORT
    assert caught.value.request.path_url == "/x?token=secret"
    assert api_server.hits("/x") == 1
    now = client.now
    assert now["connections_in_use"] == now["connections_open"] == now["stale_replaced"] == 0
    assert client.get(api_server.url("/y"), timeout=20).ok


def test_it_cuts_a_server_that_does_not_read(client: Any) -> None:
    large = b"x" * 50_000_000  # made beforehand: a busy machine may need the whole time for it
    with socket.create_server(("127.0.0.1", 0)) as mute:
        began = time.monotonic()
        with Watch(began + 1), pytest.raises(ReadTimeout, match="took longer than"):
            client.post(f"http://127.0.0.1:{mute.getsockname()[1]}/", data=large)
        assert 1 <= time.monotonic() - began < 6


def test_it_cuts_connecting(client: Any, swallowing: tuple[str, int]) -> None:
    began = time.monotonic()
    with Watch(began + SHORT), pytest.raises(ConnectTimeout, match=IN_TOTAL) as caught:
        client.get("http://{}:{}/".format(*swallowing), timeout=20)
    assert SHORT <= time.monotonic() - began < 5
    assert isinstance(caught.value, requests.ConnectTimeout)


def test_it_cuts_looking_up(client: Any, names: Any) -> None:
    names.lead("h", ("127.0.0.1", 1))
    names.gate = threading.Event()
    began = time.monotonic()
    with Watch(began + SHORT), pytest.raises(ConnectTimeout, match=IN_TOTAL):
        client.get("http://h/")
    assert SHORT <= time.monotonic() - began < 5
    names.gate.set()


def test_a_shorter_timeout_of_the_call_comes_first(api_server: ApiServer, client: Any) -> None:
    api_server.route("/x", Reply(silent=True))
    with Watch(time.monotonic() + 30) as watch:
        with pytest.raises(requests.ReadTimeout, match="Read timed out"):
            client.get(api_server.url("/x"), timeout=0.05)
        assert not watch.expired
    assert not watch.expired


def test_when_time_is_over_nothing_is_begun(api_server: ApiServer, client: Any) -> None:
    with Watch(time.monotonic() - 1) as watch:
        assert watch.expired
        with pytest.raises(ConnectTimeout, match="took longer"):
            client.get(api_server.url("/x"))
    assert api_server.connections == 0


def test_who_is_quick_notices_nothing(api_server: ApiServer, client: Any) -> None:
    for _ in range(20):
        with Watch(time.monotonic() + 30) as watch:
            assert client.get(api_server.url("/x")).ok
            assert 0 < watch.remaining() <= 30  # type: ignore[operator]
        assert not watch.expired
    assert api_server.connections == 1


def test_a_watch_that_was_left_in_time_stays_unexpired() -> None:
    with Watch(time.monotonic() + 0.05) as watch:
        pass
    wait_until(lambda: watch.remaining() == 0)
    assert not watch.expired


def test_a_stream_read_inside_is_bounded(api_server: ApiServer, client: Any) -> None:
    api_server.route("/x", SLOW["body"])
    began = time.monotonic()
    with Watch(began + SHORT) as watch:
        answer = client.get(api_server.url("/x"), stream=True)
        with pytest.raises(requests.RequestException):
            answer.content  # noqa: B018
        assert watch.expired
    assert time.monotonic() - began < 5


def test_a_stream_without_length_read_inside_ends(api_server: ApiServer, client: Any) -> None:
    api_server.route("/x", SLOW["body without length"])
    with Watch(time.monotonic() + SHORT) as watch:
        answer = client.get(api_server.url("/x"), stream=True)
        with contextlib.suppress(requests.RequestException):  # there may be no error at all
            assert len(answer.content) < 9999
        assert watch.expired


@pytest.mark.parametrize("slow", ["body", "body without length", "body, closing"])
def test_a_stream_read_outside_is_not_bounded(
    slow: str, api_server: ApiServer, client: Any
) -> None:
    reply = {
        "body": Reply(body=b"x" * 20, drip=(1, 0.02)),
        "body without length": Reply(raw=b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 20, drip=(20, 0.2)),
        "body, closing": Reply(body=b"x" * 20, drip=(1, 0.02), close=True),
    }[slow]
    api_server.route("/x", reply)
    with Watch(time.monotonic() + SHORT):
        answer = client.get(api_server.url("/x"), stream=True)
    wait_until(lambda: api_server.active_requests == 0)
    assert len(answer.content) == 20


def test_an_inner_watch_is_stricter_than_an_outer_one(api_server: ApiServer, client: Any) -> None:
    api_server.route("/x", SLOW["silence"])
    with Watch(time.monotonic() + 30) as outer:
        with Watch(time.monotonic() + SHORT) as inner:
            assert current_watch() is inner
            with pytest.raises(ReadTimeout, match=IN_TOTAL):
                client.get(api_server.url("/x"))
            assert inner.expired
        assert current_watch() is outer
        assert not outer.expired
        assert client.get(api_server.url("/y")).ok


@pytest.mark.parametrize("inner_until", [None, 30.0])
def test_an_inner_watch_does_not_loosen_an_outer_one(
    inner_until: float | None, api_server: ApiServer, client: Any
) -> None:
    api_server.route("/x", SLOW["silence"])
    began = time.monotonic()
    with Watch(began + SHORT) as outer:
        with Watch(inner_until and began + inner_until) as inner:
            assert current_watch() is outer
            assert 0 < inner.remaining() <= SHORT  # type: ignore[operator]
            with pytest.raises(ReadTimeout, match=IN_TOTAL):
                client.get(api_server.url("/x"))
            assert inner.expired
        assert outer.expired


@pytest.mark.parametrize("slow", ["body", "body, closing"])
def test_a_stream_begun_in_an_inner_watch_is_bound_by_the_outer_one(
    slow: str, api_server: ApiServer, client: Any
) -> None:
    api_server.route("/x", SLOW[slow])
    began = time.monotonic()
    with Watch(began + 0.6) as outer:
        with Watch(began + 0.5):
            answer = client.get(api_server.url("/x"), stream=True)
        with pytest.raises(requests.RequestException):
            answer.content  # noqa: B018
        assert outer.expired
    assert time.monotonic() - began < 5


def test_no_bound_is_no_watch() -> None:
    with Watch(None) as watch:
        assert current_watch() is None
        assert (watch.expired, watch.remaining()) == (False, None)
        watch.hold(object(), None)
        assert not watch.let_go(object())
    assert not watch.expired


def test_a_watch_binds_its_own_thread_only(api_server: ApiServer, client: Any, crew: Any) -> None:
    api_server.route("/x", Reply(delay=0.3))
    with Watch(time.monotonic() + 0.1):
        crew.start(client.get, api_server.url("/x"))
        crew.join()
    assert api_server.hits("/x") == 1


def test_what_was_let_go_is_not_shut(crew: Any) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        with Watch(time.monotonic() + 0.02) as watch:
            watch.hold("me", ours)
            assert not watch.let_go("me")
            wait_until(lambda: watch._fired)
        ours.send(b"x")
        assert theirs.recv(1) == b"x"


def test_what_is_held_too_late_is_shut_at_once() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, Watch(time.monotonic() + 0.01) as watch:
        watch.hold("other", ours)
        assert wait_until(lambda: theirs.recv(1) == b"")
        mine, its = socket.socketpair()
        with mine, its:
            watch.hold("me", mine)
            assert its.recv(1) == b""
            assert watch.let_go("me")


def test_a_connection_that_was_given_back_is_out_of_reach(
    api_server: ApiServer, client: Any, crew: Any
) -> None:
    api_server.route("/held", Reply(hold=(over := threading.Event())))
    with Watch(time.monotonic() + SHORT) as watch:
        client.get(api_server.url("/x"))
        crew.start(lambda: client.post(api_server.url("/held"), timeout=20).raise_for_status())
        wait_until(lambda: api_server.hits("/held") == 1)
        wait_until(lambda: watch._fired)
    over.set()
    crew.join()
    assert api_server.connections == 1


def test_a_late_timer_never_hits_another_call(
    api_server: ApiServer, open_client: Any, crew: Any
) -> None:
    # Half of the threads are cut in the very moment in which their answers come; the other half
    # gets their connections, and must notice nothing.
    client = open_client(max_connections=4, pool_timeout=20)
    api_server.route("/slow", Reply(body=b"x" * 100, delay=0.002))
    cut, whole = [], []

    def hasty(number: int) -> None:
        chance = random.Random(number)
        for _ in range(60):
            try:
                with Watch(time.monotonic() + chance.uniform(0.001, 0.02)):
                    assert client.get(api_server.url("/slow")).content == b"x" * 100
            except requests.Timeout:
                cut.append(number)

    def calm(number: int) -> None:
        for _ in range(60):
            # Not even replaced, though GET could be: a POST shows what happens to it.
            assert client.post(api_server.url("/slow"), timeout=20).content == b"x" * 100
            whole.append(number)

    for number in range(6):
        crew.start(hasty, number)
        crew.start(calm, number)
    crew.join()
    assert len(whole) == 360
    assert cut
    assert client.now["connections_in_use"] == 0
    assert api_server.peak_connections <= 4


def test_a_watch_over_many_calls_bounds_them_together(api_server: ApiServer, client: Any) -> None:
    api_server.route("/x", Reply(delay=0.05))
    began = time.monotonic()
    calls: list[requests.Response] = []
    with Watch(began + 0.3), pytest.raises(requests.Timeout):
        calls += (client.get(api_server.url("/x")) for _ in itertools.count())
    assert api_server.hits() <= 7
    assert time.monotonic() - began < 5
