"""The command ``python -m tests.benchmarks``."""

from __future__ import annotations

import argparse
import datetime
import importlib.util
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.benchmarks import machine, report, rounds
from tests.benchmarks.environments import Environments, requirements
from tests.benchmarks.peers.site import Site
from tests.benchmarks.records import Record, Records
from tests.benchmarks.rows import ROWS
from tests.benchmarks.servers import ROOT, Servers, started

__all__ = ["main"]

_FEWEST = 7  # rounds of which a median is taken
_USAGE = """\
python -m tests.benchmarks [--rows ROW ...] [--rounds N] [--quick]
       python -m tests.benchmarks profile ROW [ROW ...]
       python -m tests.benchmarks report"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, look closer, or write the page; measuring everything writes it, too."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.names if name not in ROWS]:
        parser.error(f"there is no row {unknown[0]!r}; there are {', '.join(ROWS)}")
    records = Records(options.home / "readings.json")
    if options.command == "profile":
        _profile(options)
    elif options.command == "report":
        _write(records)
    else:
        is_all = not options.rows and not options.quick and options.rounds >= _FEWEST
        if is_all and importlib.util.find_spec("matplotlib") is None:
            parser.error("the chart needs matplotlib: pip install -e '.[bench]'")
        _measure(options, records)
        if is_all:
            _write(records)
    return 0


def _measure(options: argparse.Namespace, records: Records) -> None:
    environments = Environments(options.home, requirements(options.checkout))
    with _site(options) as (site, servers):
        for name in options.rows or ROWS:
            load = machine.load()
            readings = rounds.measure(ROWS[name], environments, site, rounds=options.rounds)
            print(report.printed(name, ROWS[name], readings), flush=True)
            record = Record(
                readings=readings, day=datetime.date.today().isoformat(), server=servers.name,
                load=load, machine=machine.described(), versions=environments.versions(),
            )  # fmt: skip
            if not options.quick and options.rounds >= _FEWEST:
                records.add(name, record)


def _profile(options: argparse.Namespace) -> None:
    environments = Environments(options.home, requirements(options.checkout))
    with _site(options) as (site, _):
        for name in options.names:
            ours = next(iter(ROWS[name].contenders.values()))
            rounds.profile(ours, ROWS[name], environments, site)


def _write(records: Records) -> None:
    from tests.benchmarks.chart import draw  # noqa: PLC0415  (an extra)

    found = records.read()
    why = report.explanations((ROOT / "tests/benchmarks/misses.md").read_text("utf-8"))
    (ROOT / "docs/benchmarks.md").write_text(report.page(found, why), "utf-8")
    draw(found, ROOT / "docs/benchmarks.svg")
    print("docs/benchmarks.md and docs/benchmarks.svg are written")


@contextmanager
def _site(options: argparse.Namespace) -> Iterator[tuple[Site, Servers]]:
    with started(bundled=options.bundled) as servers:
        print(f"{servers.name}; {options.checkout}; load {machine.load()}", flush=True)
        site = Site(
            fast=servers.fast, origin=servers.origin,
            checkout=str(options.checkout), is_quick=options.quick,
        )  # fmt: skip
        yield site, servers


def _parser() -> argparse.ArgumentParser:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks", usage=_USAGE, description=f"Rows: {', '.join(ROWS)}."
    )
    add = parser.add_argument
    commands = ("run", "profile", "report")
    add("command", nargs="?", choices=commands, default="run", help=argparse.SUPPRESS)
    add("names", nargs="*", metavar="ROW", help=argparse.SUPPRESS)
    add("--rows", nargs="+", choices=list(ROWS), metavar="ROW", help="only these")
    add("--rounds", type=int, default=_FEWEST, help=f"how many (default: {_FEWEST})")
    add("--quick", action="store_true", help="small sizes; nothing is kept for the report")
    add("--bundled", action="store_true", help="do not use nginx")
    add("--checkout", type=_folder, default=ROOT, help="whose browseros_api is measured")
    add(
        "--home", type=_folder, default=cache / "browseros_api-benchmarks",
        help="where environments and readings are kept (default: %(default)s)",
    )  # fmt: skip
    return parser


def _folder(path: str) -> Path:
    return Path(path).resolve()  # the workers run elsewhere


def _end(signal_number: int, _: object) -> None:
    sys.exit(128 + signal_number)  # and so the servers end as well


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _end)
    sys.exit(main())
