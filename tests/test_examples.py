"""Each example runs as a script, quickly, without a warning, and shows what it is there to show."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"

# What an example prints, as patterns; other lines may be between.
SHOWN = {
    "batch_fetch.py": ["awaited : 100 users of 10 pages", "blocking: 100 users of 10 pages"],
    "circuit_breaker.py": [
        " 2  /orders closed  .*500",
        " 3  /orders open  .*500",
        "/orders half_open  nothing sent, come back in [01]",
        "10  /orders closed  .*an answer",
        "/health closed",
        "circuit for 'printer' is open after 2 consecutive failures",
    ],
    "drop_in_session.py": [
        "/users: 200",
        "/missing: 404",
        "4 calls, 4 requests: 1 retries, 1 from the cache",
    ],
    "fleet.py": ["3 processes, 90 calls, 50 requests", "[0-9]+ calls waited"],
    "get_many.py": ["990 fetched, 10 failed", "^[1-8] connections"],
    "graceful_degradation.py": [
        "/rates fresh .*1.08",
        "/rates fresh .*1.09",
        "/rates kept, since HTTPError .*1.09",
        "/news default, since ConnectionError .*fallback",
    ],
    "llm_chat.py": [
        "awaited: +You said: Hello, Claude!",
        "attempts: 2",
        "blocking: You said: Hello again!",
        "attempts: 2",
    ],
    "monitor.py": [
        " 1  success rate 100.00% .* ok",
        "failed: 503",
        "WARNING: /health is open",
        "not asked, next trial in",
    ],
}


def run(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, "-W", "error", str(EXAMPLES / name), *arguments]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=30, check=False
    )


def shows(patterns: list[str], output: str) -> bool:
    """Whether there is a line for each pattern, in their order."""
    lines = iter(output.splitlines())
    return all(any(re.search(pattern, line) for line in lines) for pattern in patterns)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [*[(name, ()) for name in SHOWN], ("monitor.py", ("--blocking", "--demo"))],
)
def test_an_example_shows_what_it_is_there_for(name: str, arguments: tuple[str, ...]) -> None:
    done = run(name, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert shows(SHOWN[name], done.stdout), done.stdout


def test_every_example_is_run() -> None:
    assert {path.name for path in EXAMPLES.glob("[!_]*.py")} == SHOWN.keys()
