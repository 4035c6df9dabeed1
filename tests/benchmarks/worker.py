"""A process that measures one contender, whenever it is its turn.

It is started with one argument, JSON: who, the site, and how long or how many calls a turn is.
It says that it is ready, and then answers each line of its input with what the turn has found.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, TextIO

from tests.benchmarks.peers.site import Extras, Site, Turn

__all__ = ["calibrated", "contender", "main", "measured"]

_LEAST = 0.05  # seconds after which a calibration is believed


def main(argument: str) -> None:
    """Prepare, warm up, and take turns until the input ends."""
    told = json.loads(argument)
    answers = _claimed_output()
    site = Site(**told["site"])
    with contender(told["peer"], site, told.get("options", {})) as turn:
        calls = told["calls"] or calibrated(turn, told["seconds"])
        if told["warm_up"]:
            turn(calls)
        _say(answers, {"calls": calls})
        for _ in sys.stdin:
            _say(answers, measured(turn, calls))


def contender(
    peer: str, site: Site, options: dict[str, Any] | None = None
) -> AbstractContextManager[Turn]:
    """The contender ``module:function`` of the folder ``peers``, to be entered."""
    module, _, name = peer.partition(":")
    if module.startswith("ours"):
        sys.path.insert(0, site.checkout)
        found = Path(str(importlib.import_module("browseros_api").__file__)).resolve()
        if Path(site.checkout).resolve() not in found.parents:
            raise RuntimeError(f"{found} is not in {site.checkout}")
    make = getattr(importlib.import_module(f"tests.benchmarks.peers.{module}"), name)
    entered: AbstractContextManager[Turn] = make(site, **(options or {}))
    return entered


def measured(turn: Turn, calls: int) -> Extras:
    """Take one turn: seconds per call by the wall and of the processor, and what else it found."""
    wall, cpu = time.perf_counter(), time.process_time()
    extras = turn(calls) or {}
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {"time": wall / calls, "cpu": cpu / calls, **extras}


def calibrated(turn: Turn, seconds: float) -> int:
    """How many calls a turn of so many seconds is."""
    calls = 1
    while True:
        began = time.perf_counter()
        turn(calls)
        took = time.perf_counter() - began
        if took >= _LEAST:
            return max(1, round(calls * seconds / took))
        calls *= 2


def _claimed_output() -> TextIO:
    """Standard output for answers only: whatever a peer prints goes to standard error."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def _say(answers: TextIO, what: dict[str, Any]) -> None:
    print(json.dumps(what), file=answers, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
