"""The command ``python -m tests.benchmarks``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.benchmarks import rounds
from tests.benchmarks.environments import Environments, requirements
from tests.benchmarks.peers.site import Site
from tests.benchmarks.report import printed
from tests.benchmarks.rows import ROWS
from tests.benchmarks.servers import ROOT, started

__all__ = ["main"]

_FEWEST = 7  # rounds
_USAGE = """\
python -m tests.benchmarks [run] [options]
       python -m tests.benchmarks profile ROW [options]"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    options = _parser().parse_args(arguments)
    environments = Environments(options.home, requirements(options.checkout))
    with _site(options) as site:
        if options.command == "profile":
            for name in options.names:
                row = ROWS[name]
                ours = next(iter(row.contenders.values()))
                rounds.profile(ours, row, environments, site)
            return 0
        for name in options.rows:
            readings = rounds.measure(ROWS[name], environments, site, rounds=options.rounds)
            print(printed(name, ROWS[name], readings), flush=True)
    return 0


@contextmanager
def _site(options: argparse.Namespace) -> Iterator[Site]:
    with started(bundled=options.bundled) as servers:
        print(f"{servers.name}; {options.checkout}; load {os.getloadavg()[0]:.1f}", flush=True)
        yield Site(
            fast=servers.fast, origin=servers.origin,
            checkout=str(options.checkout), is_quick=options.quick,
        )  # fmt: skip


def _parser() -> argparse.ArgumentParser:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", usage=_USAGE)
    parser.add_argument("command", nargs="?", choices=("run", "profile"), default="run")
    parser.add_argument("names", nargs="*", metavar="ROW", help=argparse.SUPPRESS)
    parser.add_argument("--rows", nargs="+", choices=list(ROWS), default=list(ROWS), metavar="ROW")
    parser.add_argument("--rounds", type=int, default=_FEWEST)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--bundled", action="store_true", help="do not use nginx")
    parser.add_argument("--checkout", type=Path, default=ROOT)
    parser.add_argument("--home", type=Path, default=cache / "browseros_api-benchmarks")
    return parser


if __name__ == "__main__":
    sys.exit(main())
