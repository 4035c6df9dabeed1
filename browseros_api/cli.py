"""The command ``browseros-api``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from . import __version__
from .views.demo import demonstrate, drawn

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; its exit status: 0 well, 1 something fell short, 2 wrong arguments."""
    parser = argparse.ArgumentParser(
        prog="browseros-api", description="Resilient HTTP for everyone who uses requests."
    )
    parser.add_argument("--version", action="version", version=f"browseros-api {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    demo = commands.add_parser(
        "demo",
        help="show on a local server what the engine saves, measured while you watch",
        description="Starts a server on this machine, calls it in five ways, and counts what "
        "reached it. Nothing leaves the machine. Exit status 1 if a figure falls short.",
    )
    demo.add_argument("--json", action="store_true", help="print the figures as JSON")
    demo.set_defaults(run=_demo)
    given = parser.parse_args(arguments)
    try:
        status: int = given.run(given)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return status


def _demo(given: argparse.Namespace) -> int:
    findings = []
    if not given.json:
        print("A server on 127.0.0.1, and what reached it:\n")
    for finding in demonstrate():
        findings.append(finding)
        if not given.json:
            print(drawn(finding), flush=True)
    if given.json:
        print(json.dumps([finding.to_dict() for finding in findings], indent=2))
    missed = [finding for finding in findings if not finding.is_met]
    if not given.json:
        print(f"\n{len(findings) - len(missed)} of {len(findings)} as promised.")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
