"""Taking turns: in each round every contender of a row is measured, never two at a time."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict
from statistics import median
from types import TracebackType
from typing import Any, Protocol

from tests.benchmarks.peers.site import Extras, Site
from tests.benchmarks.rows import Contender, Row
from tests.benchmarks.servers import ROOT

__all__ = ["Interpreters", "Worker", "measure", "profile", "taken"]

_PATIENCE = 6 * 3600.0  # seconds that a turn, or getting ready for it, may take


class Interpreters(Protocol):
    """Knows the Python of each environment."""

    def python(self, name: str) -> Any:
        """Its path."""


def measure(
    row: Row, interpreters: Interpreters, site: Site, *, rounds: int
) -> list[dict[str, Extras]]:
    """The readings of each round.  Who begins is another one in each turn."""
    with ExitStack() as stack:
        workers = {
            name: stack.enter_context(Worker(who, row, interpreters.python(who.environment), site))
            for name, who in row.contenders.items()
        }
        return [
            taken(workers, turns=row.turns, number=number) for number in range(row.rounds or rounds)
        ]


def taken(workers: Mapping[str, Turning], *, turns: int, number: int) -> dict[str, Extras]:
    """One round: so many turns of each, and the median of what they have found."""
    order = list(workers)
    found: dict[str, list[Extras]] = {name: [] for name in order}
    for turn in range(turns):
        first = (number * turns + turn) % len(order)
        for name in order[first:] + order[:first]:
            found[name].append(workers[name].turn())
    return {
        name: {what: median(one[what] for one in each) for what in each[0]}
        for name, each in found.items()
    }


class Turning(Protocol):
    """Somebody who takes turns."""

    def turn(self) -> Extras:
        """Take one."""


class Worker:
    """A process that measures one contender when it is told to."""

    def __init__(self, who: Contender, row: Row, python: Any, site: Site) -> None:
        self._who = who.peer
        self._process = subprocess.Popen(
            [str(python), "-m", "tests.benchmarks.worker", _told(who, row, site)],
            cwd=ROOT, env=_environment(), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        try:
            self._answer()
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def turn(self) -> Extras:
        """Have one turn taken."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Extras:
        assert self._process.stdout is not None
        guard = threading.Timer(_PATIENCE, self._process.kill)
        guard.start()
        try:
            line = self._process.stdout.readline()
        finally:
            guard.cancel()
        if not line:
            raise RuntimeError(f"{self._who} has ended before its answer; what it said is above")
        found: Extras = json.loads(line)
        return found

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        with self._process:
            assert self._process.stdin is not None
            self._process.stdin.close()  # it then ends by itself
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()


def profile(who: Contender, row: Row, interpreters: Interpreters, site: Site) -> None:
    """Print where the time of one contender goes."""
    command = [str(interpreters.python(who.environment)), "-m", "tests.benchmarks.profiles"]
    subprocess.run([*command, _told(who, row, site)], cwd=ROOT, env=_environment(), check=True)


def _told(who: Contender, row: Row, site: Site) -> str:
    return json.dumps({
        "peer": who.peer, "options": dict(who.options), "site": asdict(site),
        "calls": row.quick if site.is_quick and row.quick else row.calls, "seconds": row.seconds,
        "warm_up": row.warm_up, "is_threaded": row.is_threaded,
    })  # fmt: skip


def _environment() -> dict[str, str]:
    """This one's, without what would lead requests elsewhere or keep modules uncompiled."""
    left_out = ("PYTHONPATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in os.environ.items() if name not in left_out}
    return {name: value for name, value in kept.items() if not name.lower().endswith("_proxy")}
