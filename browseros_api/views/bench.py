"""The command ``bench``: requests and this library beside each other, on a URL of yours."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import Any

import requests

from ..checks import whole
from ..session import Session
from .answers import status_of, told
from .paint import complain, table
from .parsing import add_command, add_header, checked_headers

__all__ = ["add_bench"]

_EXAMPLES = """examples:
  browseros-api bench http://localhost:8000/health
  browseros-api bench http://localhost:8000/health -n 2000 --threads 16 --json

The URL is called 4 * N times and a little more: mind whose server it is. The two take turns, so
that a machine or a network that is busy for a moment is so for both.
"""
_TURNS = 10
_WARM = 3


def add_bench(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands, "bench", _run,
        told_as="measure requests and this library beside each other",
        description="Calls a URL many times, with requests.Session and with Session of this "
        "library, by one thread and by several, and then from the cache.",
        examples=_EXAMPLES,
    )  # fmt: skip
    add = parser.add_argument
    add("url", metavar="URL")
    add("-n", "--number", type=int, default=200, metavar="N", help="calls of each kind (200)")
    add("--threads", type=int, default=8, metavar="N", help="for the second round (8)")
    add_header(parser)
    add("--json", action="store_true", help="print the figures as JSON")


def _run(given: argparse.Namespace) -> int:
    try:
        number = whole("--number", given.number, least=_TURNS)
        threads = whole("--threads", given.threads, least=1)
        headers = checked_headers(given.header)
    except (TypeError, ValueError) as error:
        given.complain(str(error))
    try:
        figures = measured(given.url, number, threads=threads, headers=headers)
    except (requests.RequestException, ValueError) as error:
        complain("bench", told(error))
        return status_of(error)
    print(json.dumps(figures, indent=2) if given.json else _drawn(figures))
    return 0


def measured(
    url: str, number: int, *, threads: int, headers: dict[str, Any]
) -> list[dict[str, Any]]:
    """Rows of name, ``stock`` and ``ours`` in µs a call, and ``ratio``: how many times faster."""
    # Without deduplication: calls at once are to be as many requests as with requests.
    ours = Session(enable_cache=False, enable_deduplication=False)
    kept = Session(cache_mode="ttl")
    with requests.Session() as stock, ours, kept:
        for session in (stock, ours, kept):
            session.headers.update(headers)
        calls = [_call(session, url) for session in (stock, ours)]
        for call in calls * _WARM:
            call()
        rows = [_row("one thread", *_by_one(calls, number))]
        if threads > 1:
            rows.append(_row(f"{threads} threads", *_by_several(calls, number, threads)))
        again = _call(kept, url)
        again()
        (hit,) = _by_one([again], number)
        if kept.get_stats()["cached_responses"] >= number:
            rows.append(_row("known answer", rows[0]["stock"], hit))
        return rows


def _call(session: Any, url: str) -> Callable[[], None]:
    def call() -> None:
        session.get(url, timeout=(10, 30)).raise_for_status()

    return call


def _by_one(calls: list[Callable[[], None]], number: int) -> list[float]:
    """The median, in µs, of each; they take turns."""
    took: list[list[float]] = [[] for _ in calls]
    for _ in range(_TURNS):
        for call, times in zip(calls, took, strict=True):
            for _ in range(number // _TURNS):
                began = time.perf_counter()
                call()
                times.append(time.perf_counter() - began)
    return [1e6 * median(times) for times in took]


def _by_several(calls: list[Callable[[], None]], number: int, threads: int) -> list[float]:
    """What a call takes of the time of all threads together, in µs."""
    took = [0.0 for _ in calls]
    each = number // _TURNS
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(_TURNS):
            for index, call in enumerate(calls):
                began = time.perf_counter()
                for done in [pool.submit(call) for _ in range(each)]:
                    done.result()
                took[index] += time.perf_counter() - began
    return [1e6 * seconds / (each * _TURNS) for seconds in took]


def _row(name: str, stock: float, ours: float) -> dict[str, Any]:
    figures = {"stock": round(stock, 1), "ours": round(ours, 1), "ratio": round(stock / ours, 2)}
    return {"name": name, **figures}


def _drawn(figures: list[dict[str, Any]]) -> str:
    rows = [["µs a call", "requests", "browseros_api", ""]]
    for row in figures:
        cells = [
            row["name"],
            f"{row['stock']:,.0f}",
            f"{row['ours']:,.0f}",
            f"{row['ratio']:.2f} x",
        ]
        rows.append(cells)
    return table(rows)
