"""Names are looked up once, by one, and not for ever."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

import pytest

from browseros_api.testing import FakeClock, wait_until
from browseros_api.transport.dns import DnsCache
from tests.interrupting import interrupt_main

PLACE = ("127.0.0.1", 80)


def places(addresses: Any) -> list[Any]:
    return [address[4] for address in addresses]


def test_a_name_is_looked_up_once(names: Any) -> None:
    names.lead("h", PLACE)
    cache = DnsCache(300.0, FakeClock())
    for _ in range(5):
        assert places(cache.resolve("h", 80)) == [PLACE]
    assert names.asked == ["h"]
    assert (cache.lookups, cache.hits) == (1, 4)


def test_the_case_of_a_name_does_not_matter_but_port_and_family_do(names: Any) -> None:
    names.lead("h", PLACE)
    cache = DnsCache(300.0, FakeClock())
    cache.resolve("h", 80)
    cache.resolve("H", 80)
    assert len(names.asked) == 1
    cache.resolve("h", 81)
    cache.resolve("h", 80, socket.AF_INET)
    assert len(names.asked) == 3


def test_what_is_too_old_is_looked_up_again(names: Any, fake_clock: FakeClock) -> None:
    names.lead("h", PLACE)
    cache = DnsCache(300.0, fake_clock)
    cache.resolve("h", 80)
    fake_clock.tick(299.9)
    cache.resolve("h", 80)
    assert len(names.asked) == 1
    fake_clock.tick(0.1)
    names.lead("h", ("127.0.0.2", 80))
    assert places(cache.resolve("h", 80)) == [("127.0.0.2", 80)]


def test_zero_seconds_is_off(names: Any) -> None:
    names.lead("h", PLACE)
    cache = DnsCache(0, FakeClock())
    for _ in range(3):
        cache.resolve("h", 80)
    assert len(names.asked) == 3
    assert cache.hits == 0


def test_what_is_forgotten_is_looked_up_again(names: Any) -> None:
    names.lead("h", PLACE)
    cache = DnsCache(300.0, FakeClock())
    cache.resolve("h", 80)
    cache.forget("h", 80)
    assert cache.recall("h", 80) is None
    cache.resolve("h", 80)
    assert len(names.asked) == 2


def test_many_ask_at_once_and_one_look_up_answers_all(names: Any, crew: Any) -> None:
    names.lead("h", PLACE)
    names.gate = threading.Event()
    cache = DnsCache(300.0)
    answers: list[Any] = []
    for _ in range(50):
        crew.start(lambda: answers.append(cache.resolve("h", 80, timeout=20)))
    wait_until(lambda: cache.lookups + cache.hits == 50)
    names.gate.set()
    crew.join()
    assert len(answers) == 50
    assert names.asked == ["h"]


def test_failures_are_not_kept_and_everybody_gets_an_exception_of_his_own(
    crew: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, asked = threading.Event(), []

    def fail(host: str, *rest: Any) -> Any:
        asked.append(host)
        assert gate.wait(20)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    cache = DnsCache(300.0)
    errors: list[BaseException] = []

    def work() -> None:
        with pytest.raises(socket.gaierror, match="Temporary failure") as caught:
            cache.resolve("h", 80, timeout=20)
        errors.append(caught.value)

    for _ in range(10):
        crew.start(work)
    wait_until(lambda: cache.lookups + cache.hits == 10)
    gate.set()
    crew.join()
    assert len({id(error) for error in errors}) == 10
    assert {error.args for error in errors} == {(socket.EAI_AGAIN, "Temporary failure")}
    assert asked == ["h"]
    work()
    assert asked == ["h", "h"]


def test_who_waits_too_long_gives_up_while_the_look_up_goes_on(names: Any) -> None:
    names.lead("h", PLACE)
    names.gate = threading.Event()
    cache = DnsCache(300.0)
    began = time.monotonic()
    with pytest.raises(TimeoutError, match="looking up h timed out"):
        cache.resolve("h", 80, timeout=0.05)
    assert time.monotonic() - began < 5
    names.gate.set()
    wait_until(lambda: cache.recall("h", 80) is not None)
    assert names.asked == ["h"]


def test_ctrl_c_ends_the_wait(names: Any, crew: Any) -> None:
    names.lead("h", PLACE)
    names.gate = threading.Event()
    cache = DnsCache(300.0)

    def interrupt() -> None:
        wait_until(lambda: names.asked)
        interrupt_main()

    crew.start(interrupt)
    with pytest.raises(KeyboardInterrupt):
        cache.resolve("h", 80)
    names.gate.set()
    crew.join()


@pytest.mark.parametrize("literal", ["127.0.0.1", "::1", "fe80::1%lo"])
def test_an_address_is_not_looked_up(literal: str, names: Any) -> None:
    cache = DnsCache(300.0, FakeClock())
    for _ in range(2):
        assert cache.resolve(literal, 80)
    assert (cache.lookups, cache.hits, names.asked) == (0, 0, [])


def test_it_does_not_grow_without_bound(names: Any) -> None:
    cache = DnsCache(300.0, FakeClock(), most=10)
    for number in range(30):
        names.lead(f"h{number}", PLACE)
        cache.resolve(f"h{number}", 80)
        cache.resolve("h0", 80)  # the one in use stays
    assert len(cache._known) == 10
    assert names.asked.count("h0") == 1


def test_after_a_reset_nothing_is_known(names: Any) -> None:
    names.lead("h", PLACE)
    cache = DnsCache(300.0, FakeClock())
    cache.resolve("h", 80)
    cache.reset()
    assert (cache.lookups, cache.recall("h", 80)) == (0, None)


def test_a_reset_meanwhile_does_not_disturb_those_who_wait(names: Any, crew: Any) -> None:
    names.lead("h", PLACE)
    names.gate = threading.Event()
    cache = DnsCache(300.0)
    crew.start(cache.resolve, "h", 80)
    wait_until(lambda: names.asked)
    cache.reset()
    names.gate.set()
    crew.join()
    assert cache.recall("h", 80) is None


def test_without_threads_it_asks_by_itself(names: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Any) -> None:
        raise RuntimeError("can't start new thread")

    names.lead("h", PLACE)
    cache = DnsCache(300.0, FakeClock())
    monkeypatch.setattr(threading.Thread, "start", fail)
    assert places(cache.resolve("h", 80)) == [PLACE]
