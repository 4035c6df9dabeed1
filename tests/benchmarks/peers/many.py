"""Ways of asking for much at once, the same for all who are asked."""

from __future__ import annotations

import asyncio
import itertools
import os
import threading
import time
import urllib.request
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from functools import partial
from typing import Any

from tests.benchmarks.peers.site import Extras, Site, Turn, fresh_ones

__all__ = ["CROWD", "awaited", "crowded", "gathered", "gathered_in", "loop"]

CROWD = 100  # threads that want the same

_numbers = itertools.count()


@contextmanager
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop that is closed in the end."""
    made = asyncio.new_event_loop()
    try:
        yield made
    finally:
        made.run_until_complete(made.shutdown_asyncgens())
        made.close()


def awaited(loop: asyncio.AbstractEventLoop, call: Callable[[], Awaitable[Any]]) -> Turn:
    """A turn that awaits so many calls, one after the other."""

    async def each(calls: int) -> None:
        for _ in range(calls):
            await call()

    return lambda calls: loop.run_until_complete(each(calls))


def gathered(
    loop: asyncio.AbstractEventLoop, base: str, get: Callable[[str], Coroutine[Any, Any, Any]]
) -> Turn:
    """A turn that awaits so many new URLs at once."""

    async def all_of(urls: Iterable[str]) -> None:
        await asyncio.gather(*map(get, urls))

    return lambda calls: loop.run_until_complete(all_of(fresh_ones(base, calls)))


def gathered_in(
    executor: Executor, loop: asyncio.AbstractEventLoop, base: str, get: Callable[[str], Any]
) -> Turn:
    """The same for a ``get`` that blocks, and so is called in threads."""

    async def in_thread(url: str) -> Any:
        return await loop.run_in_executor(executor, get, url)

    return gathered(loop, base, in_thread)


def crowded(site: Site, get: Callable[[str], object]) -> Turn:
    """A turn in which one thread asks alone, and then a crowd at once for one and the same.

    It finds how long the crowd took ("time", and "times" as long as one alone), and how often the
    origin was "asked".
    """

    def turn(calls: int) -> Extras:
        alone = _seconds(partial(get, f"{site.origin}{_slow_one()}"))
        found = [_crowd(site, get) for _ in range(calls)]
        took = sum(took for took, _ in found) / calls
        asked = max(asked for _, asked in found)
        return {"time": took, "times": took / alone, "asked": float(asked)}

    return turn


def _slow_one() -> str:
    # The origin counts for all contenders, each of which is a process of its own.
    return f"/slow/{os.getpid()}/{next(_numbers)}"


def _crowd(site: Site, get: Callable[[str], object]) -> tuple[float, int]:
    path = _slow_one()
    began: list[float] = []
    ended: list[float] = []
    gate = threading.Barrier(CROWD, action=lambda: began.append(time.perf_counter()))

    def one() -> None:
        gate.wait()
        get(f"{site.origin}{path}")
        ended.append(time.perf_counter())

    threads = [threading.Thread(target=one) for _ in range(CROWD)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if len(ended) != CROWD:
        raise RuntimeError(f"of {CROWD} threads only {len(ended)} had an answer")
    with urllib.request.urlopen(f"{site.origin}/asked{path}") as answer:
        return max(ended) - began[0], int(answer.read())


def _seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began
