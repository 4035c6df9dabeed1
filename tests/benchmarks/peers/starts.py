"""Imports, each in an interpreter that has just started."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import mean

from tests.benchmarks.peers.site import Extras, Site, Turn

__all__ = ["importing"]

_CODE = """
import sys, time
sys.path.insert(0, sys.argv[1])
wall, cpu = time.perf_counter(), time.process_time()
import {module}
print([time.perf_counter() - wall, time.process_time() - cpu])
"""


@contextmanager
def importing(site: Site, module: str) -> Iterator[Turn]:
    """``import`` of a module, without what starting the interpreter takes."""
    code = _CODE.format(module=module)
    with tempfile.TemporaryDirectory() as elsewhere:

        def started() -> list[float]:
            found = subprocess.run(
                [sys.executable, "-c", code, site.checkout],
                cwd=elsewhere, capture_output=True, text=True, check=True,
            )  # fmt: skip
            times: list[float] = json.loads(found.stdout)
            return times

        def turn(calls: int) -> Extras:
            walls, cpus = zip(*[started() for _ in range(calls)], strict=True)
            return {"time": mean(walls), "cpu": mean(cpus)}

        yield turn
