"""The command ``fetch``: many URLs into one file, from which a run that was ended goes on."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import requests

from ..batches import fetch
from ..bodies import decoded, failure
from ..checkpoints import Checkpoint
from ..checks import at_least, whole
from ..journal import masked_url
from ..session import Session
from .answers import told
from .paint import Paint, complain, is_terminal
from .parsing import add_bounds, add_command, add_header, checked_bounds, checked_headers

__all__ = ["add_fetch", "paced"]

_EXAMPLES = """examples:
  browseros-api fetch urls.txt -o out.jsonl
  browseros-api fetch urls.txt -o out.jsonl --concurrency 8 --rate 5 -H 'X-API-Key: ...'
  make-urls | browseros-api fetch - -o out.jsonl --json
  jq -r .url out.jsonl

Each answer is a line of JSON: key, url, and answer (or base64). A second run asks only for what is
not there. Failures are told on the error output, and are asked for again by the next run.

exit status: 0 if all are there, 1 if any failed, 130 if it was interrupted.
"""
_REDRAW = 0.1  # seconds


def add_fetch(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands, "fetch", _run,
        told_as="fetch many URLs into a file, and go on where a run was ended",
        description="Fetches the URLs in a file, one a line, many at once, with retries.",
        examples=_EXAMPLES,
    )  # fmt: skip
    add = parser.add_argument
    add("file", metavar="URLS", help="a file of URLs, one a line; # begins a comment; - is stdin")
    add("-o", "--output", required=True, metavar="FILE", help="where the answers go")
    add("-c", "--concurrency", type=int, default=32, metavar="N", help="at once, at most (32)")
    add("--rate", type=float, metavar="N", help="begin no more than so many a second")
    add_header(parser)
    add_bounds(parser, retries=3, time="for each URL, with all attempts")
    add("-q", "--quiet", action="store_true", help="show neither progress nor summary")
    add("--json", action="store_true", help="tell the summary as one line of JSON")


def _run(given: argparse.Namespace) -> int:
    try:
        workers = whole("--concurrency", given.concurrency, least=1)
        if given.rate is not None:
            at_least("--rate", given.rate, least=0.001)
        headers = checked_headers(given.header)
        session = Session(
            enable_cache=False, max_connections=max(100, workers), **checked_bounds(given)
        )
        urls = _read(given.file)
        harvest = _Harvest(session, Checkpoint(given.output), urls, headers)
    except (OSError, TypeError, ValueError) as error:
        given.complain(str(error))
    with session:
        meter = _Progress(harvest, is_shown=not given.quiet and is_terminal(sys.stderr))
        try:
            for failed in harvest.reap(workers, given.rate):
                if failed is not None:
                    meter.clear()
                    complain("fetch", failed)
                meter.draw()
        except KeyboardInterrupt as interrupt:
            session.engine.close()  # what waits for another attempt is not waited for
            interrupt.args = (f"{harvest.far}; the same command goes on from there",)
            raise
        finally:
            meter.clear()
            _conclude(given, harvest)
    return 1 if harvest.failed else 0


def _read(path: str) -> list[str]:
    with sys.stdin if path == "-" else open(path, encoding="utf-8") as file:
        lines = [line.removeprefix("\ufeff").strip() for line in file]
    urls = [line for line in lines if line and not line.startswith("#")]
    return list(dict.fromkeys(urls))


class _Harvest:
    """Which of the URLs are in the file, and how it goes with the others."""

    def __init__(
        self, session: Session, kept: Checkpoint, urls: list[str], headers: dict[str, Any]
    ) -> None:
        self._session, self._kept, self._headers = session, kept, headers
        self._urls = urls
        self._todo = [url for url in urls if not self._is_kept(url)]
        self.before, self.fetched, self.failed = len(urls) - len(self._todo), 0, 0
        self._began = time.monotonic()

    def reap(self, workers: int, rate: float | None) -> Iterator[str | None]:
        """Fetch what is missing; for each URL what was wrong with it, if anything."""
        todo = paced(self._todo, rate)
        arguments: dict[str, Any] = {"ordered": False, "on_error": "raise", "progress": False}
        for error in fetch(self._one, todo, {}, max_workers=workers, **arguments):
            self.fetched += error is None
            self.failed += error is not None
            yield error

    def _call(self, url: str) -> Any:
        return self._session.plan({"method": "GET", "url": url, "headers": self._headers or None})

    def _is_kept(self, url: str) -> bool:
        try:
            return self._call(url) in self._kept
        except ValueError:  # no URL: it will say so when it is asked for
            return False

    def _one(self, endpoint: str) -> str | None:
        try:
            call = self._call(endpoint)
            if call.key is None:
                self._session.perform(call)  # it will say what is wrong
            self._kept.answer(call, partial(self._asked, call))
        except (requests.RequestException, ValueError) as error:
            return f"{masked_url(endpoint)}: {told(error)}"
        return None

    def _asked(self, call: Any) -> Any:
        response = self._session.perform(call)
        if response.status_code >= 400:
            raise failure(response, retry_after=None)
        return decoded(response)

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self._began

    @property
    def far(self) -> str:
        """How far it is."""
        return f"{self.before + self.fetched:,} of {len(self._urls):,} done"

    def summary(self) -> dict[str, Any]:
        """For machines."""
        stats = self._session.get_stats()
        return {
            "urls": len(self._urls),
            "kept_before": self.before,
            "fetched": self.fetched,
            "failed": self.failed,
            "seconds": round(self.seconds, 3),
            "attempts": stats["attempts"],
            "retries": stats["retries"],
            "connections_opened": stats["connections"]["connections_opened"],
        }


def paced(
    items: Iterable[Any], rate: float | None, *,
    clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], object] = time.sleep,
) -> Iterator[Any]:  # fmt: skip
    """``items``, no more than ``rate`` of them a second; None: as fast as they are wanted."""
    due = clock()
    for item in items:
        if rate is not None:
            wait = due - clock()
            if wait > 0:
                sleep(wait)
            due = max(due, clock()) + 1 / rate
        yield item


class _Progress:
    """A line that is drawn over."""

    def __init__(self, harvest: _Harvest, *, is_shown: bool) -> None:
        self._harvest, self._is_shown = harvest, is_shown
        self._width, self._drawn = 0, 0.0

    def draw(self) -> None:
        """As it is now, but not too often."""
        now = time.monotonic()
        if not self._is_shown or now - self._drawn < _REDRAW:
            return
        harvest, self._drawn = self._harvest, now
        rate = (harvest.fetched + harvest.failed) / max(harvest.seconds, 0.001)
        failed = f", {harvest.failed:,} failed" if harvest.failed else ""
        line = f"{harvest.far}{failed}, {rate:,.1f} a second"
        self._width = len(line)
        print(f"\r{line}", end="", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Nothing in its place."""
        if self._width:
            print(f"\r{' ' * self._width}\r", end="", file=sys.stderr, flush=True)
            self._width = 0


def _conclude(given: argparse.Namespace, harvest: _Harvest) -> None:
    figures = harvest.summary()
    if given.json:
        print(json.dumps(figures), file=sys.stderr)
    elif not given.quiet:
        paint = Paint(sys.stderr)
        failed = f"{harvest.failed:,} failed"
        parts = [
            harvest.far,
            *([f"{harvest.before:,} of them before"] if harvest.before else []),
            paint("red", failed) if harvest.failed else failed,
            f"{figures['retries']:,} retries",
            f"{figures['seconds']:,.1f} s",
        ]
        print(f"browseros-api fetch: {', '.join(parts)}", file=sys.stderr)
