"""The command ``monitor``: how URLs are doing, round by round, as a live screen or line by line."""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from ..checks import duration, whole
from ..journal import masked_url
from .paint import Paint, complain, is_terminal, spark
from .parsing import add_bounds, add_command, add_header, checked_bounds, checked_headers
from .rounds import Rounds, Watched

__all__ = ["add_monitor"]

_EXAMPLES = """examples:
  browseros-api monitor https://api.example.com/health https://api.example.com/v2/health
  browseros-api monitor https://api.example.com/health --interval 5 --json >> health.jsonl
  browseros-api monitor https://api.example.com/health --count 1

The live screen needs rich: pip install 'browseros-api[terminal]'. Piped, or without it, there is a
line for each URL and round.

exit status: 0 if every URL was up in the last round, else 1. Ctrl-C ends it.
"""
_WIDTH = 30  # bars of the spark line


def add_monitor(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands, "monitor", _run,
        told_as="watch URLs: state, success rate, latency, circuit breaker",
        description="Calls each URL again and again, and shows how it is doing.",
        examples=_EXAMPLES,
    )  # fmt: skip
    add = parser.add_argument
    add("urls", nargs="+", metavar="URL")
    add("-n", "--interval", type=float, default=30.0, metavar="SECONDS", help="of a round (30)")
    add("--count", type=int, metavar="N", help="end after so many rounds")
    add_header(parser)
    add_bounds(parser, retries=0, time="of each call (the interval)")
    add("--json", action="store_true", help="a line of JSON for each URL and round")


def _run(given: argparse.Namespace) -> int:
    try:
        interval = duration("--interval", given.interval, optional=False) or 0.0
        if given.count is not None:
            whole("--count", given.count, least=1)
        bounds = checked_bounds(given)
        bounds["deadline"] = bounds["deadline"] or interval
        rounds = Rounds(given.urls, checked_headers(given.header), **bounds)
        rounds.check()
    except (TypeError, ValueError) as error:
        given.complain(str(error))
    with rounds.session, contextlib.suppress(KeyboardInterrupt), _display(given, rounds) as show:
        for number in itertools.count(1):
            began = time.monotonic()
            for watched in rounds.go():
                show(watched)
            if number == given.count:
                break
            time.sleep(max(0.0, began + interval - time.monotonic()))
    return 0 if all(one.is_up for one in rounds.watched) else 1


@contextlib.contextmanager
def _display(given: argparse.Namespace, rounds: Rounds) -> Iterator[Callable[[Watched], None]]:
    """What shows each call that has ended."""
    if given.json:
        yield lambda watched: print(json.dumps(_told(watched)), flush=True)
        return
    if not is_terminal(sys.stdout):
        yield _print
        return
    try:
        # An extra, and slow to import.
        from .screen import live  # noqa: PLC0415
    except ImportError:
        complain("monitor", "a live screen needs rich: pip install 'browseros-api[terminal]'")
        yield _print
        return
    with live(rounds) as refresh:
        yield lambda _: refresh()


def _told(watched: Watched) -> dict[str, Any]:
    moment = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    return {"time": moment, **watched.to_dict(), "url": masked_url(watched.url)}


def _print(watched: Watched) -> None:
    paint, latency = Paint(), watched.latest
    state = paint("green", "up  ") if watched.is_up else paint("red", "DOWN")
    parts = [
        time.strftime("%H:%M:%S"),
        state,
        masked_url(watched.url),
        f"{watched.success_rate:.1%}",
        "-" if latency is None else f"{latency:,.0f} ms",
        spark([*watched.latencies][-_WIDTH:]),
        *([f"breaker {watched.breaker}"] if watched.breaker != "closed" else []),
        *([watched.said] if watched.said else []),
    ]
    print("  ".join(parts), flush=True)
