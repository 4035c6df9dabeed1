"""Where the time of a row goes: one contender under cProfile, with all threads that it starts.

It is started like a worker, and prints what it has found.
"""

from __future__ import annotations

import cProfile
import json
import os
import pstats
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.benchmarks.peers.site import Site
from tests.benchmarks.worker import calibrated, contender

__all__ = ["importing", "main", "profiled_threads"]

_LINES = 40
_SECONDS = 1.0


def main(argument: str) -> None:
    """Prepare, warm up, take one turn under the profiler, print."""
    told = json.loads(argument)
    if told["peer"].startswith("starts:"):  # its time goes by in other interpreters
        print(importing(told["options"]["module"], told["site"]["checkout"]))
        return
    # Threads wait for each other most of the time: there only what the processor did counts.
    timer = time.thread_time if told["is_threaded"] else time.perf_counter
    with profiled_threads(timer) as profiles:
        with contender(told["peer"], Site(**told["site"]), told["options"]) as turn:
            calls = told["calls"] or calibrated(turn, _SECONDS)
            if told["warm_up"]:
                turn(calls)
            profiles.clear()  # of the warm-up; threads that are still there bring theirs along
            with _profile(timer, profiles):
                turn(calls)
        _await_threads()
    print(f"{told['peer']}: {calls:,} calls, {'processor' if told['is_threaded'] else 'wall'} time")
    statistics = pstats.Stats(*profiles, stream=sys.stdout).strip_dirs()
    statistics.sort_stats("tottime").print_stats(_LINES)
    statistics.sort_stats("cumulative").print_stats(_LINES)


def importing(module: str, checkout: str) -> str:
    """What an import loads, in microseconds: by what takes longest itself, and with its own."""
    command = [sys.executable, "-X", "importtime", "-c", f"import {module}"]
    environment = {**os.environ, "PYTHONPATH": checkout}
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    head, *lines = told.stderr.splitlines()
    found = [head]
    for column in (0, 1):
        lines.sort(key=lambda line: int(re.findall(r"\d+", line)[column]), reverse=True)
        found += [*lines[:_LINES], ""]
    return "\n".join(found)


@contextmanager
def profiled_threads(timer: Callable[[], float]) -> Iterator[list[cProfile.Profile]]:
    """Within, each thread that is started has a profile; it is in the list when it has ended."""
    profiles: list[cProfile.Profile] = []
    run = threading.Thread.run

    def profiled_run(self: threading.Thread) -> None:
        with _profile(timer, profiles):
            run(self)

    threading.Thread.run = profiled_run  # type: ignore[method-assign]
    try:
        yield profiles
    finally:
        threading.Thread.run = run  # type: ignore[method-assign]


@contextmanager
def _profile(timer: Callable[[], float], profiles: list[cProfile.Profile]) -> Iterator[None]:
    profile = cProfile.Profile(timer)
    try:
        profile.enable()
    except ValueError:  # from Python 3.12 on there is only one, which sees all threads
        yield
        return
    try:
        yield
    finally:
        profile.disable()
        profiles.append(profile)


def _await_threads() -> None:
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join(10)


if __name__ == "__main__":
    main(sys.argv[1])
