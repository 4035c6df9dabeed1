"""Laws of counting in windows: never more than the rates allow, in memory and on a real Redis."""

from __future__ import annotations

import logging
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from browseros_api import Settings
from browseros_api.stores.windows import (
    MemoryWindows,
    Rate,
    SharedWindows,
    open_windows,
    rates_of,
)
from browseros_api.testing import FakeClock
from tests.flying import Caller
from tests.redis_server import RedisServer, started

HOUR = Rate(3, 3600.0)  # none of these tests takes so long


# -- what a rate says -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "rates"),
    [
        ("10/second", (Rate(10, 1.0),)),
        ("10 per second", (Rate(10, 1.0),)),
        ("100 per 15 minutes", (Rate(100, 900.0),)),
        ("5/second;90/minute", (Rate(5, 1.0), Rate(90, 60.0))),
        ("1/day", (Rate(1, 86_400.0),)),
    ],
)
def test_a_rate_is_read(text: str, rates: tuple[Rate, ...]) -> None:
    assert rates_of(text) == rates


@pytest.mark.parametrize(
    "text",
    [
        *("", "10", "x", "10/fortnight", "0/second", "-1/second", "1.5/second"),
        *("1000000001/day", "9" * 400 + "/day", "1/" + "9" * 400 + " days", "9" * 5000 + "/day"),
    ],
    ids=lambda text: text[:20],
)
def test_a_rate_that_makes_no_sense_is_refused(text: str) -> None:
    told = r"^rate_limit must be like '10/second' .*, not .{,120}$"
    with pytest.raises(ValueError, match=told):
        rates_of(text)


def test_without_the_package_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "limits", None)
    with pytest.raises(ImportError, match=r"pip install 'browseros-api\[limits\]"):
        rates_of("10/second")


# -- in memory ------------------------------------------------------------------------------------


def test_in_any_period_there_are_so_many_and_no_more(fake_clock: FakeClock) -> None:
    windows, rates = MemoryWindows(clock=fake_clock), [Rate(2, 10.0)]
    assert windows.take("a", rates) == 0
    fake_clock.tick(4.0)
    assert windows.take("a", rates) == 0
    assert windows.take("a", rates) == 6.0
    fake_clock.tick(6.0)
    assert windows.take("a", rates) == 0
    assert windows.take("a", rates) == 4.0
    assert windows.take("b", rates) == 0


@given(
    rates=st.lists(
        st.builds(Rate, st.integers(1, 5), st.integers(1, 20).map(float)), min_size=1, max_size=3
    ),
    steps=st.lists(st.integers(0, 8).map(float), max_size=60),
)
def test_no_rate_is_ever_passed_and_nobody_waits_in_vain(
    rates: list[Rate], steps: list[float]
) -> None:
    """Against the plain definition, on lists of all instants."""
    clock, taken = FakeClock(), list[float]()
    windows = MemoryWindows(clock=clock)
    for step in steps:
        clock.tick(step)
        seconds = windows.take("key", rates)
        if seconds == 0:
            taken.append(clock())
        for rate in rates:
            latest = [instant for instant in taken if instant > clock() - rate.seconds]
            assert len(latest) <= rate.amount
        if seconds > 0:
            assert windows.foresee("key", rates, 0) == seconds
            clock.tick(seconds)
            assert windows.take("key", rates) == 0
            taken.append(clock())


def test_whoever_waits_is_told_when_its_turn_comes_at_the_earliest(fake_clock: FakeClock) -> None:
    windows, rates = MemoryWindows(clock=fake_clock), [Rate(2, 10.0)]
    assert [windows.foresee("a", rates, before) for before in range(3)] == [0, 0, 10.0]
    windows.take("a", rates)
    fake_clock.tick(4.0)
    windows.take("a", rates)
    assert [windows.foresee("a", rates, n) for n in range(6)] == [6, 10, 16, 20, 26, 30]


def test_keys_that_are_long_unused_are_forgotten(fake_clock: FakeClock) -> None:
    windows = MemoryWindows(clock=fake_clock)
    windows.take("a", [HOUR])
    for number in range(2000):
        windows.take("a", [HOUR])
        windows.take(str(number), [HOUR])
    assert len(windows._taken) == 1024
    assert windows.take("a", [HOUR]) > 0


def test_threads_never_take_more_than_there_is(fake_clock: FakeClock) -> None:
    windows, barrier = MemoryWindows(clock=fake_clock), threading.Barrier(8)

    def take() -> int:
        barrier.wait(20)
        return sum(windows.take("a", [Rate(100, 1.0)]) == 0 for _ in range(50))

    assert sum(caller.value for caller in [Caller(take) for _ in range(8)]) == 100


# -- on a server ----------------------------------------------------------------------------------


def shared(server: RedisServer, name: str, clock: Any = time.monotonic) -> SharedWindows:
    return SharedWindows(server.url, namespace=name, timeout=2.0, clock=clock)


def test_all_who_have_the_store_count_together(redis_server: RedisServer) -> None:
    one, other = shared(redis_server, "together"), shared(redis_server, "together")
    assert [w.take("a", [HOUR]) for w in (one, other, one)] == [0, 0, 0]
    for windows in (one, other):
        assert 3590 < windows.take("a", [HOUR]) <= 3600.1
    assert other.take("b", [HOUR]) == 0
    assert shared(redis_server, "others").take("a", [HOUR]) == 0


def test_what_one_rate_refuses_does_not_count_for_the_others(redis_server: RedisServer) -> None:
    windows, rates = shared(redis_server, "several"), [Rate(1, 3600.0), Rate(2, 7200.0)]
    assert windows.take("a", rates) == 0
    for _ in range(5):
        assert 3590 < windows.take("a", rates) <= 3600.1
    assert windows.take("a", rates[1:]) == 0


def test_keys_are_hashed_below_the_namespace_and_end_by_themselves(
    redis_server: RedisServer,
) -> None:
    shared(redis_server, "hidden").take("host secret.example.com", [HOUR])
    (key,) = redis_server.ask("KEYS", "hidden*")
    assert key.startswith(b"hidden-rate:")
    assert b"secret" not in key
    assert 0 < redis_server.ask("TTL", key) <= 3600


def test_processes_never_take_more_than_there_is(redis_server: RedisServer) -> None:
    """As many sessions as threads, since a process is nothing else to a server."""
    sessions = [shared(redis_server, "many") for _ in range(8)]
    barrier = threading.Barrier(8)

    def take(windows: SharedWindows) -> int:
        barrier.wait(20)
        return sum(windows.take("a", [Rate(20, 3600.0)]) == 0 for _ in range(10))

    callers = [Caller(take, windows) for windows in sessions]
    assert sum(caller.value for caller in callers) == 20


def test_what_waits_for_a_server_can_go_when_it_was_told(redis_server: RedisServer) -> None:
    windows, rates = shared(redis_server, "soon"), [Rate(1, 1.0)]
    assert windows.take("a", rates) == 0
    seconds = windows.take("a", rates)
    assert 0 < seconds <= 1.1
    time.sleep(seconds)
    assert windows.take("a", rates) == 0


def test_a_server_that_is_down_stops_nobody(
    tmp_path: Path, fake_clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    with started(tmp_path) as server:
        windows = shared(server, "down", fake_clock)
        assert windows.take("a", [HOUR]) == 0
        server.kill()
        with caplog.at_level(logging.WARNING, "browseros_api"):
            # What this process has done before is known to it.
            assert [windows.take("a", [HOUR]) for _ in range(3)] == [0, 0, 3600.0]
            for _ in range(5):
                fake_clock.tick(31.0)
                assert windows.take("a", [HOUR]) > 0
        (line,) = caplog.messages
        assert "rates are counted by each process alone (ConnectionError)" in line
        server.start()
        assert windows.take("a", [HOUR]) > 0  # it is left alone for a while
        fake_clock.tick(31.0)
        assert windows.take("a", [HOUR]) == 0  # an empty server: it has nothing saved
        assert windows.foresee("a", [Rate(1, 1e6)], 0) > 0


def test_a_server_that_is_silent_costs_the_timeout_once(tmp_path: Path) -> None:
    with started(tmp_path) as server:
        clock = FakeClock()
        windows = SharedWindows(server.url, namespace="slow", timeout=0.05, clock=clock)
        assert windows.take("a", [HOUR]) == 0
        server.pause()
        try:
            began = time.monotonic()
            assert [windows.take("a", [HOUR]) for _ in range(40)][:3] == [0, 0, 3600.0]
            assert time.monotonic() - began < 40 * 0.05
        finally:
            server.resume()


def test_a_forked_child_connects_by_itself(redis_server: RedisServer) -> None:
    windows = shared(redis_server, "fork")
    windows.take("a", [HOUR])
    before = windows._limiter
    windows.reset_after_fork()
    assert windows.take("a", [HOUR]) == 0
    assert windows._limiter is not before


def test_the_store_says_where_is_counted(redis_server: RedisServer, tmp_path: Path) -> None:
    def opened(store: str) -> Any:
        return open_windows(Settings(store=store), clock=time.monotonic)

    assert isinstance(opened("memory://"), MemoryWindows)
    assert isinstance(opened(f"sqlite:///{tmp_path}/a.db"), MemoryWindows)
    windows = opened(f"{redis_server.url}?namespace=opened")
    assert isinstance(windows, SharedWindows)
    windows.take("a", [HOUR])
    assert redis_server.ask("KEYS", "opened-rate:*")
