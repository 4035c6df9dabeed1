"""The clock that obeys, the wait that gives up, and the doors to both."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

import browseros_api.testing
from browseros_api.testing import FakeClock, wait_until

pytest_plugins = ["pytester"]


def test_a_clock_moves_when_it_is_told_to() -> None:
    clock = FakeClock()
    assert clock() == clock() == 1000.0
    clock.tick(1.5)
    assert clock() == 1001.5
    assert clock.slept == []
    assert FakeClock(5)() == 5


def test_to_sleep_takes_no_time_but_moves_the_clock_and_is_written_down() -> None:
    clock = FakeClock(0)
    clock.sleep(3600)
    clock.sleep(0)
    assert clock() == 3600
    assert clock.slept == [3600, 0]
    assert repr(clock) == "<FakeClock 3600 (slept 2 times)>"


@pytest.mark.parametrize("seconds", [-1, float("nan")])
def test_a_clock_never_runs_backwards(seconds: float) -> None:
    clock = FakeClock()
    with pytest.raises(ValueError, match="0 or more"):
        clock.tick(seconds)
    with pytest.raises(ValueError, match="0 or more"):
        clock.sleep(seconds)
    assert (clock(), clock.slept) == (1000.0, [])


def test_seconds_are_a_number() -> None:
    clock = FakeClock()
    for let_pass in (clock.tick, clock.sleep):
        with pytest.raises(TypeError, match="seconds must be a number"):
            let_pass("1")  # type: ignore[arg-type]


@pytest.mark.usefixtures("restless")
def test_no_thread_s_sleep_is_lost() -> None:
    clock = FakeClock(0)

    def doze() -> None:
        for _ in range(500):
            clock.sleep(1)

    threads = [threading.Thread(target=doze) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert clock() == len(clock.slept) == 4000


def test_waiting_ends_when_it_comes_true_and_gives_what_came() -> None:
    answers = iter([0, "", None, "there"])
    assert wait_until(lambda: next(answers)) == "there"


def test_waiting_gives_up_and_says_what_for() -> None:
    with pytest.raises(AssertionError, match=r"three hits \(waited 0.01 s, last answer 0\)"):
        wait_until(lambda: 0, timeout=0.01, message="three hits")


def test_what_the_condition_raises_comes_through() -> None:
    with pytest.raises(ZeroDivisionError):
        wait_until(lambda: 1 // 0)


def test_every_public_name_is_there_and_no_other() -> None:
    for name in browseros_api.testing.__all__:
        assert getattr(browseros_api.testing, name).__name__ == name
        assert name in dir(browseros_api.testing)
    with pytest.raises(AttributeError, match="no attribute 'Server'"):
        browseros_api.testing.Server  # noqa: B018


def test_the_plugin_loads_nothing_of_the_server_before_a_test_asks() -> None:
    code = (
        "import sys, browseros_api; base = set(sys.modules); "
        "import browseros_api.testing.plugin; "
        "print(sorted(m for m in set(sys.modules) - base if m.startswith('browseros_api')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.strip() == "['browseros_api.testing', 'browseros_api.testing.plugin']"


def test_the_fixtures_serve_a_user_s_tests(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import requests
        from browseros_api.testing import Reply

        def test_it(api_server, fake_clock):
            api_server.route("/users", Reply(json=[1]))
            assert requests.get(api_server.url("/users"), timeout=5).json() == [1]
            fake_clock.tick(1)
            assert fake_clock() == 1001.0

        def test_a_new_one_each_time(api_server, fake_clock):
            assert (api_server.hits(), fake_clock()) == (0, 1000.0)

        def test_that_fails(api_server):
            api_server.route("/users", lambda request: 1 / 0)
            assert requests.get(api_server.url("/users"), timeout=5).status_code == 500
        """
    )
    result = pytester.runpytest_inprocess(
        "-p", "browseros_api.testing.plugin", "-p", "no:cacheprovider"
    )
    result.assert_outcomes(passed=3, errors=1)
    result.stdout.fnmatch_lines(["*AssertionError: 1 handlers failed*"])
