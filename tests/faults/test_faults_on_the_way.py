"""Names that lead nowhere, and ports where nobody is: the server sees nothing."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from browseros_api import ConnectTimeout
from browseros_api.transport.dial import Dialer
from tests.faults.hostile import HostileServer
from tests.faults.witness import (
    LONGEST,
    RETRIES,
    assert_clean,
    assert_failed_cleanly,
    call,
    ours,
    stock,
)

ATTEMPTS = 1 + RETRIES
NAME = "api.example.test"
STREAM = socket.SOCK_STREAM
NOBODY = "127.0.0.9"  # an address of this machine at which nobody listens

both_methods = pytest.mark.parametrize("method", ["GET", "POST"])


@contextlib.contextmanager
def full(listener: socket.socket) -> Iterator[int]:
    """A port that accepts nobody: whoever comes has to wait."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(listener)
        for _ in range(16):
            caller = stack.enter_context(socket.socket(listener.family))
            caller.settimeout(0.2)
            try:
                caller.connect(listener.getsockname())
            except TimeoutError:
                break
        else:
            pytest.skip("this system lets any number of callers wait in line")
        yield listener.getsockname()[1]


# -- names -----------------------------------------------------------------------------------------


@pytest.fixture
def lead(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[int], list[str]]], list[str]]:
    """Lets NAME lead to what a function of the number of the question says; lists the asked."""

    def lead(to: Callable[[int], list[str]]) -> list[str]:
        asked: list[str] = []

        def look_up(host: Any, port: Any, *others: Any, **more: Any) -> list[Any]:
            if host != NAME:
                return list(known(host, port, *others, **more))
            asked.append(host)
            return [told for one in to(len(asked)) for told in known(one, port, type=STREAM)]

        known = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        return asked

    return lead


def nowhere(_: int) -> list[str]:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


@both_methods
def test_a_name_that_leads_nowhere_is_looked_up_again(
    method: str, lead: Callable[..., list[str]]
) -> None:
    asked = lead(nowhere)
    with ours() as session, stock() as theirs:
        mine = call(session, method, f"http://{NAME}/")
        assert len(asked) == ATTEMPTS
        assert mine.is_a(requests.ConnectionError)
        assert_failed_cleanly(session, mine, call(theirs, method, f"http://{NAME}/"))


@both_methods
def test_a_name_that_was_lost_for_a_moment_is_found(
    method: str, lead: Callable[..., list[str]], hostile: HostileServer
) -> None:
    lead(lambda number: nowhere(number) if number == 1 else ["127.0.0.1"])
    with ours() as session:
        url = hostile.url("echo", token := hostile.token(), host=NAME)
        assert call(session, method, url).is_a(200)
        assert hostile.hits(token) == 1
        assert_clean(session, calls=1)
        assert session.get_stats()["rescued_requests"] == 1


def test_a_name_that_nobody_answers_about_is_given_up_in_time(
    lead: Callable[..., list[str]],
) -> None:
    is_over = threading.Event()

    def wait(_: int) -> list[str]:
        is_over.wait(LONGEST)
        return [NOBODY]

    lead(wait)
    try:
        with ours(timeout=(0.3, 5.0), max_retries=0) as session:
            mine = call(session, "GET", f"http://{NAME}/")
            assert mine.is_a(ConnectTimeout), mine
            assert mine.seconds < LONGEST / 2
            assert_clean(session, calls=1)
    finally:
        is_over.set()


@both_methods
def test_a_name_with_a_dead_address_first_costs_no_attempt(
    method: str, lead: Callable[..., list[str]], hostile: HostileServer
) -> None:
    lead(lambda _: [NOBODY, "127.0.0.1"])
    with ours() as session:
        url = hostile.url("echo", token := hostile.token(), host=NAME)
        assert call(session, method, url).is_a(200)
        assert hostile.hits(token) == 1
        assert_clean(session, calls=1, hits=1)


@both_methods
def test_ipv6_that_swallows_everything_costs_no_attempt_and_its_share_of_the_time_only_once(
    method: str,
    lead: Callable[[Callable[[int], list[str]]], list[str]],
    hostile: HostileServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried: list[str] = []
    shares: list[float] = []
    usual = Dialer._open

    def note(self: Any, address: Any, timeout: Any) -> Any:
        tried.append(address[4][0])
        shares.append(timeout)
        return usual(self, address, timeout)

    try:
        hole = socket.create_server(("::1", hostile.port), family=socket.AF_INET6, backlog=0)
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    monkeypatch.setattr(Dialer, "_open", note)
    lead(lambda _: ["::1", "127.0.0.1"])
    with full(hole), ours(timeout=(4.0, 5.0)) as session:
        url = hostile.url("echo", token := hostile.token(), host=NAME)
        for _ in range(3):
            assert call(session, method, url).is_a(200)
            session.close()  # the next one has to connect anew
        assert hostile.hits(token) == 3
        assert_clean(session, calls=3, hits=3)
    assert tried == ["::1", *["127.0.0.1"] * 3]
    assert 1 <= shares[0] <= 2


@both_methods
def test_a_name_whose_address_flaps_is_found_again(
    method: str, lead: Callable[..., list[str]], hostile: HostileServer
) -> None:
    asked = lead(lambda number: [NOBODY if number % 2 else "127.0.0.1"])
    with ours() as session:
        url = hostile.url("echo", token := hostile.token(), host=NAME)
        for _ in range(3):
            assert call(session, method, url).is_a(200)
            session.close()  # the next one has to connect anew
        assert hostile.hits(token) == 3
        assert_clean(session, calls=3)
        assert len(asked) == 2  # the dead address was forgotten, the live one is remembered


@both_methods
def test_a_name_that_moves_is_followed_within_one_attempt(
    method: str, lead: Callable[..., list[str]]
) -> None:
    where = ["127.0.0.1"]
    asked = lead(lambda _: list(where))
    with ours() as session:
        with HostileServer() as old:
            assert call(session, method, old.url("echo", "before", host=NAME)).is_a(200)
        where[:] = ["127.0.0.2"]
        with HostileServer(host="127.0.0.2", port=old.port) as new:
            assert call(session, method, new.url("echo", "after", host=NAME)).is_a(200)
            assert (old.hits("before"), new.hits("after")) == (1, 1)
            assert_clean(session, calls=2, hits=2)
            assert len(asked) == 2


# -- ports -----------------------------------------------------------------------------------------


@both_methods
def test_a_port_where_nobody_is_is_tried_again(method: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/"
    with ours() as session, stock() as theirs:
        mine = call(session, method, url)
        assert mine.is_a(requests.ConnectionError)
        assert session.get_stats()["attempts"] == ATTEMPTS
        assert_failed_cleanly(session, mine, call(theirs, method, url))


@pytest.fixture
def full_port() -> Iterator[int]:
    with full(socket.create_server(("127.0.0.1", 0), backlog=0)) as port:
        yield port


@both_methods
def test_a_port_that_does_not_answer_is_given_up_in_time_and_tried_again(
    method: str, full_port: int
) -> None:
    url = f"http://127.0.0.1:{full_port}/"
    with ours(timeout=(0.2, 5.0)) as session, stock() as theirs:
        mine = call(session, method, url)
        assert mine.is_a(ConnectTimeout), mine
        assert mine.is_a(TimeoutError)
        assert session.get_stats()["attempts"] == ATTEMPTS
        assert_failed_cleanly(session, mine, call(theirs, method, url, timeout=(0.2, 5.0)))
