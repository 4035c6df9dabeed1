"""browseros_api with much to remember: whether it grows, and whether that makes it slow."""

from __future__ import annotations

import itertools
import random
import resource
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

from browseros_api import Session
from browseros_api.pipeline import Call
from tests.benchmarks.peers.site import Extras, Site, Turn

__all__ = ["full_hit", "remembering"]

_HOSTS, _STAY = 1000, 20  # it asks so many times in a row before it goes to the next host
_NAMES = ["".join(pair) for pair in itertools.product("abcdefghij", repeat=2)]
_SAMPLE = 100_000  # hits, in random order, before they repeat


@contextmanager
def remembering(site: Site) -> Iterator[Turn]:
    """``Session.get`` of a new URL each time: 100 endpoints on each of 1,000 hosts.

    The hosts exist for this process only, and all lead to the fast server.
    """
    with _hosts_led_to_loopback(), Session() as session:
        urls = _new_urls(urlsplit(site.fast).port)

        def turn(calls: int) -> Extras:
            for url in itertools.islice(urls, calls):
                session.get(url)
            return {"memory": _memory()}

        yield turn


def _new_urls(port: int | None) -> Iterator[str]:
    for number in itertools.count():
        host = number // _STAY % _HOSTS
        # At each visit to a host the next few of its endpoints, until all have been there.
        name = _NAMES[(number // (_STAY * _HOSTS) * _STAY + number % _STAY) % len(_NAMES)]
        yield f"http://host-{host}.test:{port}/kept/{name}/{number}"


@contextmanager
def _hosts_led_to_loopback() -> Iterator[None]:
    look_up = socket.getaddrinfo

    def led(host: Any, *arguments: Any, **options: Any) -> Any:
        is_ours = isinstance(host, str) and host.endswith(".test")
        return look_up("127.0.0.1" if is_ours else host, *arguments, **options)

    socket.getaddrinfo = led
    try:
        yield
    finally:
        socket.getaddrinfo = look_up


def _memory() -> float:
    """Bytes of this process that are resident now; elsewhere than on Linux, the most there were."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return float(peak if sys.platform == "darwin" else peak * 1024)
    return float(pages * resource.getpagesize())


@contextmanager
def full_hit(site: Site, entries: int) -> Iterator[Turn]:
    """``Session.get`` of what is kept, any of so many answers; the limits are raised for them."""
    if site.is_quick:
        entries = min(entries, 10_000)
    chance = random.Random(entries)
    with Session(cache_max_entries=2 * entries, cache_max_bytes=2**40) as session:
        _fill(session, [f"{site.kept}/{number}" for number in range(entries)])
        some = [f"{site.kept}/{chance.randrange(entries)}" for _ in range(_SAMPLE)]
        urls = itertools.cycle(some)

        def turn(calls: int) -> None:
            for url in itertools.islice(urls, calls):
                session.get(url)

        assert session.get(some[0]).from_cache
        yield turn
        assert session.get_stats()["cache_size"] == entries


def _fill(session: Session, urls: Sequence[str]) -> None:
    """Have an answer kept for each URL.

    One is real.  The others are made after it and go through the steps of the cache alone:
    asking a million times for them would take longer than everything else.
    """
    real = session.get(urls[0])
    cache = session.engine.cache

    def made(call: Call) -> requests.Response:
        answer = requests.Response()
        answer.__dict__.update(real.__dict__)
        answer.headers, answer.request = real.headers.copy(), real.request.copy()
        answer.url = answer.request.url = call.url
        return answer

    def asked(call: Call) -> requests.Response:
        return cache.store(call, made)

    for url in urls:
        cache.lookup(session.plan({"method": "GET", "url": url}), asked)
    assert session.get_stats()["cache_size"] == len(urls)
