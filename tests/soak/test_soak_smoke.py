"""The soak runs, for some seconds: ``python -m tests.soak --minutes 10`` is the whole of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_everybody_acts_for_a_while_and_nothing_is_lost_or_left() -> None:
    command = [sys.executable, "-m", "tests.soak", "--minutes", "0.1", "--seed", "5"]
    run = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=200, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "memory grew by" in run.stdout
    assert "interrupted" in run.stdout
