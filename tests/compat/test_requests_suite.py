"""The runner of requests' own tests: what it compares, and that nothing leaves the loopback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.compat.requests_suite import EXCEPTIONS, HERE, ROOT, differences

STOCK = {"a": "passed", "b": "passed", "c": "failed", "d": "skipped"}


def test_what_passes_with_both_is_no_difference() -> None:
    assert differences(STOCK, {**STOCK, "c": "passed", "d": "failed"}, known=()) == []


@pytest.mark.parametrize("outcome", ["failed", "skipped", "xfailed"])
def test_a_test_that_does_not_pass_with_ours_is_one(outcome: str) -> None:
    assert differences(STOCK, {**STOCK, "b": outcome}, known=()) == [f"b: {outcome}"]


def test_a_test_that_is_not_even_run_with_ours_is_one() -> None:
    assert differences(STOCK, {"a": "passed"}, known=()) == ["b: not run"]


def test_an_exception_that_fails_is_none_and_one_that_passes_is_stale() -> None:
    assert differences(STOCK, {**STOCK, "b": "failed"}, known=["b"]) == []
    assert differences(STOCK, STOCK, known=["b"]) == ["b: passes, and is among the exceptions"]


def test_every_exception_is_documented() -> None:
    page = (ROOT / "docs" / "compatibility.md").read_text("utf-8")
    assert [test for test in EXCEPTIONS if f"`{test.rpartition('::')[2]}`" not in page] == []


DIALS = """
import socket
import pytest

TARPIT = "10.255.255.1"

def test_away():
    with pytest.raises(OSError, match="the fence"):
        socket.create_connection(("192.0.2.1", 80), timeout=1)

def test_name():
    with pytest.raises(socket.gaierror, match="the fence"):
        socket.getaddrinfo("example.com", 80)

def test_tarpit():
    socket.create_connection((TARPIT, 80), timeout=1)

def test_home():
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()
        assert socket.getaddrinfo("localhost", 80)

def test_fails():
    assert False

@pytest.fixture
def broken():
    yield
    raise ValueError

def test_torn_down(broken):
    pass

@pytest.mark.xfail
def test_expected():
    assert False
"""


def test_the_fence_keeps_tests_on_the_loopback_and_writes_outcomes_down(tmp_path: Path) -> None:
    (tmp_path / "test_dials.py").write_text(DIALS, "utf-8")
    outcomes = tmp_path / "outcomes.json"
    environment = {**os.environ, "PYTHONPATH": str(HERE / "plugs")}
    environment.pop("COMPAT_TARPIT", None)
    options = ["-q", "-p", "fence", "-p", "no:cacheprovider", f"--outcomes={outcomes}"]
    command = [sys.executable, "-m", "pytest", str(tmp_path), "--rootdir", str(tmp_path), *options]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert outcomes.exists(), done.stdout + done.stderr
    found = {
        test.rpartition("::")[2]: how for test, how in json.loads(outcomes.read_text()).items()
    }
    assert found == {
        "test_away": "passed",
        "test_name": "passed",
        "test_home": "passed",
        "test_fails": "failed",
        "test_torn_down": "failed",
        "test_expected": "xfailed",
    }
