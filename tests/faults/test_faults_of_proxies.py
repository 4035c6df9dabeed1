"""Proxies that die: the server sees nothing, and what could have been sent is not sent again."""

from __future__ import annotations

import pytest
import requests

from tests.faults.certificates import Authority
from tests.faults.hostile import HostileServer
from tests.faults.proxy import DEATHS, Proxy
from tests.faults.witness import (
    RETRIES,
    ask_next,
    assert_clean,
    assert_failed_cleanly,
    call,
    ours,
    stock,
)

ATTEMPTS = 1 + RETRIES

both_methods = pytest.mark.parametrize("method", ["GET", "POST"])


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def test_a_proxy_that_works_is_no_hindrance(authority: Authority) -> None:
    with HostileServer(tls=authority.context()) as server, Proxy() as proxy, ours() as session:
        session.verify, session.proxies = authority.file, {"https": proxy.url}
        assert ask_next(session, server).is_a(200)
        assert ask_next(session, server).is_a(200)
        assert (proxy.connects, server.accepted) == (1, 1)
        assert_clean(session, calls=2, hits=2)


@both_methods
@pytest.mark.parametrize("death", DEATHS)
def test_a_proxy_that_dies_is_survived(death: str, method: str, authority: Authority) -> None:
    timeout = 0.2 if death in ("never-answers", "opens-and-goes-silent") else 5.0
    with HostileServer(tls=authority.context()) as server, Proxy(DEATHS[death]) as proxy:
        url = server.url("echo", token := server.token())
        with ours(timeout=timeout) as session:
            session.verify, session.proxies = authority.file, {"https": proxy.url}
            mine = call(session, method, url)
            assert 1 <= proxy.connects == session.get_stats()["attempts"] <= ATTEMPTS
            with stock() as theirs:
                theirs.verify, theirs.proxies = authority.file, {"https": proxy.url}
                assert_failed_cleanly(session, mine, call(theirs, method, url, timeout=timeout))
            assert server.hits(token) == 0
            session.proxies = {}
            assert ask_next(session, server).is_a(200)
            assert_clean(session, calls=2)


def test_a_proxy_that_refuses_is_asked_again_whatever_the_method(authority: Authority) -> None:
    for method in ("GET", "POST"):
        with Proxy(DEATHS["refuses"]) as proxy, ours() as session:
            session.proxies = {"https": proxy.url}
            mine = call(session, method, "https://127.0.0.1:9/")
            assert mine.is_a(requests.exceptions.ProxyError), mine
            assert proxy.connects == ATTEMPTS


@pytest.mark.parametrize(("method", "connects"), [("GET", ATTEMPTS), ("POST", 1)])
def test_a_proxy_that_dies_in_the_middle_of_the_answer(
    method: str, connects: int, authority: Authority
) -> None:
    server, proxy = HostileServer(tls=authority.context()), Proxy(most=2000)
    with server, proxy, ours() as session:
        session.verify, session.proxies = authority.file, {"https": proxy.url}
        url = server.url("echo", server.token())
        mine = call(session, method, url, headers={"X-Long": "x" * 60_000})
        assert mine.is_a(requests.RequestException), mine
        assert proxy.connects == connects
        assert_clean(session, calls=1)


@pytest.mark.parametrize("death", ["hangs-up", "resets", "babbles", "says-half"])
@pytest.mark.parametrize(("method", "attempts"), [("GET", ATTEMPTS), ("POST", 1)])
def test_a_proxy_that_dies_while_it_forwards(death: str, method: str, attempts: int) -> None:
    with Proxy(DEATHS[death]) as proxy, ours() as session, stock() as theirs:
        session.proxies = theirs.proxies = {"http": proxy.url}
        mine = call(session, method, "http://127.0.0.1:9/")
        assert proxy.forwards == attempts
        assert mine.is_a(requests.ConnectionError)
        expected = call(theirs, method, "http://127.0.0.1:9/")
        if death == "says-half":  # which requests takes for an answer
            expected = mine
        assert_failed_cleanly(session, mine, expected)
