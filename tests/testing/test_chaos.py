"""Faults at random, and the same ones each time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from browseros_api import Session
from browseros_api.testing import ApiServer, Chaos, Received, Reply, chaos
from browseros_api.testing.mischief import FAULTS

BROKEN = (requests.ConnectionError, requests.exceptions.ChunkedEncodingError)
WHAT: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(("reset", "close", "garbage", "truncate"), BROKEN),
    "503": (503,),
    "429": (429,),
    "delay": (200,),
}


def outcome(session: requests.Session, url: str) -> Any:
    try:
        return session.get(url, timeout=10).status_code
    except requests.RequestException as error:
        return type(error)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("is_server", [True, False], ids=["server", "adapters"])
def test_each_fault_is_what_it_says(api_server: ApiServer, fault: str, is_server: bool) -> None:
    with requests.Session() as session:
        target = api_server if is_server else session
        with chaos(target, rate=1, faults=[fault], delay=0.01) as wild:
            assert outcome(session, api_server.url("/x")) in WHAT[fault]
            assert wild.faults == [fault]
        assert outcome(session, api_server.url("/x")) == 200
        assert wild.faults == [fault]


def test_the_same_seed_has_the_same_faults_in_whatever_order_threads_ask(
    api_server: ApiServer,
) -> None:
    def faults(seed: int, threads: int) -> dict[str, Any]:
        urls = [api_server.url(f"/x?n={n}") for n in range(60)]
        with (
            requests.Session() as session,
            chaos(api_server, rate=0.3, seed=seed, delay=0),
            ThreadPoolExecutor(threads) as executor,
        ):
            told = executor.map(lambda url: (url, outcome(session, url)), urls)
            return dict(told)

    first = faults(1, threads=1)
    assert first == faults(1, threads=8)
    assert first != faults(2, threads=1)
    spoiled = sum(told != 200 for told in first.values())
    assert 0 < spoiled < 30


def test_a_rate_is_a_rate() -> None:
    wild = chaos(requests.Session(), rate=0.2, faults=["reset", "503"], seed=3)
    told = Counter(wild.fate("GET", "/x") for _ in range(2000))
    assert 330 < told["reset"] + told["503"] < 470
    assert min(told["reset"], told["503"]) > 150
    assert repr(wild) == f"<Chaos [{2000 - told[None]} of 2000 requests]>"
    assert not any(chaos(requests.Session(), rate=0).fate("GET", "/x") for _ in range(100))


def test_functions_are_asked_as_if_nothing_happened(api_server: ApiServer) -> None:
    api_server.route("/x", lambda received: Reply(json=received.query["n"]))
    with requests.Session() as session, chaos(api_server, rate=1, faults=["503"]):
        assert outcome(session, api_server.url("/x?n=1")) == 503
    assert requests.get(api_server.url("/x?n=1"), timeout=10).json() == ["1"]


def test_a_429_has_done_nothing_so_that_a_post_may_be_made_again(
    api_server: ApiServer, chaos: Callable[..., Chaos], no_sleep: Any
) -> None:
    done: list[str] = []

    def act(received: Received) -> Reply:
        done.append(received.body.decode())
        return Reply(json={})

    api_server.route("/x", act, method="POST")
    wild = chaos(rate=0.5, faults=["429"], seed=1)
    with Session(max_retries=20, retry_budget=None) as session:
        for n in range(20):
            assert session.post(api_server.url("/x"), data=str(n)).ok
    assert wild.faults
    assert done == [str(n) for n in range(20)]


@pytest.mark.parametrize("reply", [Reply(204), Reply(raw=b"HTTP/1.1 200 OK\r\n\r\n")])
def test_what_has_no_body_is_cut_short_otherwise(api_server: ApiServer, reply: Reply) -> None:
    api_server.route("/x", reply)
    with requests.Session() as session, chaos(api_server, rate=1, faults=["truncate"]):
        assert outcome(session, api_server.url("/x")) in (requests.ConnectionError, 200)


def test_a_handler_that_returns_nothing_is_still_told(api_server: ApiServer) -> None:
    def wrong(_: Received) -> Any:
        return None

    api_server.route("/x", wrong)
    with requests.Session() as session, chaos(api_server, rate=1, faults=["delay"], delay=0):
        assert outcome(session, api_server.url("/x")) == 500
    assert len(api_server.errors) == 1
    api_server.errors.clear()


def test_adapters_are_as_they_were_afterwards(api_server: ApiServer) -> None:
    with Session(max_retries=0) as session:
        before = dict(session.adapters)
        with chaos(session, rate=1, faults=["503"]):
            assert outcome(session, api_server.url("/x")) == 503
            mine = requests.adapters.HTTPAdapter()
            session.mount("https://", mine)
        assert session.adapters["http://"] is before["http://"]
        assert session.adapters["https://"] is mine
        assert outcome(session, api_server.url("/x")) == 200


def test_a_session_survives_what_it_can(
    api_server: ApiServer, chaos: Callable[..., Chaos], no_sleep: Any
) -> None:
    wild = chaos(rate=0.3, seed=11, delay=0)
    with Session(max_retries=8, enable_circuit_breaker=False) as session:
        for n in range(40):
            assert session.get(api_server.url(f"/x?n={n}")).json()["query"] == {"n": [str(n)]}
        told = session.get_stats()
        repeated = told["retries"] + told["connections"]["stale_replaced"]
        assert repeated == len([fault for fault in wild.faults if fault != "delay"])
        assert len(no_sleep.slept) == told["retries"] > 0


def test_a_fixture_can_be_of_a_session(api_server: ApiServer, chaos: Callable[..., Chaos]) -> None:
    with requests.Session() as session:
        chaos(target=session, rate=1, faults=["429"])
        assert outcome(session, api_server.url("/x")) == 429
    assert api_server.hits() == 0


@pytest.mark.parametrize("rate", [-0.1, 1.1, "1", None, True])
def test_a_rate_that_is_none_is_refused(rate: Any) -> None:
    with pytest.raises(ValueError, match="rate must be"):
        chaos(requests.Session(), rate=rate)


@pytest.mark.parametrize("delay", [-0.1, float("nan"), float("inf"), "1", None, True])
def test_a_delay_that_is_none_is_refused(delay: Any) -> None:
    with pytest.raises(ValueError, match="delay must be"):
        chaos(requests.Session(), delay=delay)


@pytest.mark.parametrize("faults", [[], ["flood"], "reset"])
def test_faults_that_are_none_are_refused(faults: Any) -> None:
    with pytest.raises(ValueError, match="faults must be some of reset"):
        chaos(requests.Session(), faults=faults)


def test_a_target_that_is_none_is_refused() -> None:
    with pytest.raises(TypeError, match="target must be an ApiServer or a"):
        chaos("http://127.0.0.1")
