"""The command, run as a process of its own, also at a terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

__all__ = ["COMMAND", "Done", "at_a_terminal", "command", "environment"]

ROOT = Path(__file__).resolve().parent.parent
COMMAND = [sys.executable, "-m", "browseros_api"]
Done = subprocess.CompletedProcess[str]


def environment(**more: str) -> dict[str, str]:
    """Of a child that imports this checkout."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", **more}


def command(*line: object, stdin: str = "", **more: str) -> Done:
    """What comes of ``browseros-api`` with these arguments."""
    return subprocess.run(
        [*COMMAND, *map(str, line)], env=environment(**more), input=stdin, capture_output=True,
        text=True, timeout=50, check=False,
    )  # fmt: skip


def at_a_terminal(*line: object, start: list[str] | None = None, **more: str) -> tuple[int, str]:
    """Its exit status, and what it writes where all three streams are a terminal."""
    import pty  # noqa: PLC0415  (not on Windows)

    ours, theirs = pty.openpty()
    terminal: dict[str, Any] = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    process = subprocess.Popen(
        [*(start or COMMAND), *map(str, line)],
        env=environment(TERM="xterm", COLUMNS="120", **more), **terminal,
    )  # fmt: skip
    os.close(theirs)
    seen = b""
    try:
        while piece := os.read(ours, 4096):
            seen += piece
    except OSError:  # Linux says so at its end
        pass
    finally:
        os.close(ours)
    return process.wait(timeout=50), seen.decode("utf-8", "replace")
