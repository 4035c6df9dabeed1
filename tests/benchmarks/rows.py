"""What a row is, and all that there are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.benchmarks.figures import Figure, Growth, Own, Ratio

__all__ = ["ROWS", "Contender", "Row"]


@dataclass(frozen=True)
class Contender:
    """Who is measured: a function in ``peers``, and the environment that it runs in."""

    peer: str
    environment: str = "plain"
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table.

    Attributes:
        title: what it measures, for people.
        how: the same in a sentence or two, for those who do not believe it.
        contenders: by the name under which they are reported; ours goes first.
        seconds: how long a turn takes, about, where ``calls`` does not say how many it is.
        quick: how many calls it is when there is no time.
        turns: how many turns each contender has in a round; the one in the middle counts.
        rounds: how many rounds there are, where it is not for the caller to say.
        warm_up: whether a turn is taken before it counts.
        is_threaded: whether most of its work is done in threads that it starts.
    """

    title: str
    how: str
    contenders: Mapping[str, Contender]
    figures: tuple[Figure, ...]
    seconds: float = 0.12
    calls: int | None = None
    quick: int | None = None
    turns: int = 5
    rounds: int | None = None
    warm_up: bool = True
    is_threaded: bool = False


def _many(peer: str, environment: str = "plain", **options: Any) -> Contender:
    return Contender(peer, environment, options)


ROWS: dict[str, Row] = {
    "get": Row(
        title="`Session.get`, uncached, keep-alive",
        how="One URL whose answers say `no-store`, over one connection.",
        contenders={
            "ours": Contender("ours:get"),
            "requests": Contender("stock:get"),
            "urllib3": Contender("stock:pool_get"),
            "httpx": Contender("with_httpx:get", "peers"),
            "niquests": Contender("with_niquests:get", "niquests"),
        },
        figures=(
            Ratio(name="time ÷ requests", over="ours", under="requests", target=0.6, aim=0.4),
            Ratio(name="time ÷ urllib3", over="ours", under="urllib3", aim=1.0),
        ),
    ),
    "new": Row(
        title="`Session.get`, each URL for the first time",
        how="As above, with a number in the query that was never there before.",
        contenders={
            "ours": Contender("ours:get_new"),
            "requests": Contender("stock:get_new"),
        },
        figures=(Ratio(name="time ÷ requests", over="ours", under="requests"),),
    ),
    "client": Row(
        title="`EnhancedAPIClient.get`, uncached, decoded",
        how="The first URL again, against `requests.Session.get(...).json()`.",
        contenders={
            "ours": Contender("ours:client_get"),
            "requests": Contender("stock:get_decoded"),
        },
        figures=(
            Ratio(name="time ÷ requests", over="ours", under="requests", target=0.6, aim=0.4),
        ),
    ),
    "hit": Row(
        title="cache hit, `Session.get`",
        how="One URL whose answers say `max-age=86400`, answered from memory.",
        contenders={
            "ours": Contender("ours:hit"),
            "requests-cache": Contender("caches:requests_cache_hit", "peers"),
            "CacheControl": Contender("caches:cachecontrol_hit", "peers"),
            "hishel": Contender("with_hishel:hit", "peers"),
        },
        figures=(
            Ratio(
                name="requests-cache ÷ ours", over="requests-cache", under="ours",
                target=25, aim=50, at_least=True,
            ),
        ),
    ),
    "awaited": Row(
        title="cache hit, awaited",
        how="The same URL through the awaited client and the blocking one, both decoded.",
        contenders={
            "ours": Contender("ours_many:awaited_hit"),
            "ours, blocking": Contender("ours:client_hit"),
            "aiohttp-client-cache": Contender("with_aiohttp:awaited_hit", "peers"),
        },
        figures=(
            Ratio(
                name="awaited ÷ blocking", over="ours", under="ours, blocking", target=2, aim=1.5
            ),
        ),
    ),
    "threads": Row(
        title="20,000 GETs in 32 threads, `get_many`",
        how="New URLs, decoded; ten turns of 2,000 in each round. requests has a "
        "`ThreadPoolExecutor` and one session whose pool has a place for each thread.",
        contenders={
            "ours": _many("ours_many:get_many", workers=32),
            "requests": _many("stock_many:get_many", workers=32),
        },
        figures=(
            Ratio(
                name="throughput ÷ requests", over="requests", under="ours",
                target=1.8, aim=2.5, at_least=True,
            ),
        ),
        calls=2000, quick=200, turns=10, is_threaded=True,
    ),
    "gather": Row(
        title="`gather` of 1,000 awaited GETs over 100 connections",
        how="New URLs, decoded. requests stands behind `run_in_executor` with 100 threads.",
        contenders={
            "ours": _many("ours_many:gather", connections=100),
            "aiohttp": _many("with_aiohttp:gather", "peers", connections=100),
            "requests": _many("stock_many:gather", connections=100),
        },
        figures=(
            Ratio(
                name="throughput ÷ aiohttp", over="aiohttp", under="ours",
                target=0.35, aim=0.6, at_least=True,
            ),
            Ratio(
                name="requests' throughput ÷ aiohttp", over="aiohttp", under="requests",
                at_least=True,
            ),
        ),
        calls=1000, quick=100, turns=3, is_threaded=True,
    ),
    "crowd": Row(
        title="100 threads want the same of an origin that takes 200 ms",
        how="From the moment at which all of them are ready until the last has its answer.",
        contenders={
            "ours": Contender("ours_many:crowd"),
            "requests": Contender("stock_many:crowd"),
            "requests-cache": Contender("caches:requests_cache_crowd", "peers"),
        },
        figures=(
            Own(name="requests at the origin", who="ours", of="asked", by=max, target=1),
            Own(name="time ÷ one call", who="ours", of="times", target=1.3, aim=1.1),
        ),
        calls=2, turns=1, is_threaded=True,
    ),
    "open": Row(
        title="an open circuit rejects",
        how="The circuit was opened by an endpoint that answers 503.",
        contenders={
            "ours": Contender("ours:rejected"),
            "requests": Contender("stock:get"),
        },
        figures=(
            Ratio(name="time ÷ requests", over="ours", under="requests", target=0.02, aim=0.01),
        ),
    ),
    "trace": Row(
        title="`response.trace`, written for an uncached call",
        how="`Session.get` as it is, and without the two steps that write traces; 25 calls of "
        "either in turn, in one process.",
        contenders={"ours": Contender("ours_traced:get")},
        figures=(Own(name="time ÷ without", who="ours", of="times", target=1.05),),
        seconds=2.0,
    ),
    "import": Row(
        title="`import browseros_api`",
        how="In fresh interpreters; starting them is not counted. Most of browseros_api is "
        "imported on first use: what a first session takes is said, too.",
        contenders={
            "ours": _many("starts:importing", module="browseros_api"),
            "requests": _many("starts:importing", module="requests"),
            "ours, first session": _many(
                "starts:importing", module="browseros_api; browseros_api.Session()"
            ),
            "requests, first session": _many(
                "starts:importing", module="requests; requests.Session()"
            ),
        },
        figures=(
            Ratio(
                name="time ÷ `import requests`", over="ours", under="requests",
                target=1.25, aim=1.1,
            ),
            Ratio(
                name="with a first session, time ÷ requests with its own",
                over="ours, first session", under="requests, first session",
            ),
        ),
        calls=2,
    ),
    "memory": Row(
        title="1,000,000 URLs over 100,000 endpoints and 1,000 hosts",
        how="Each answer may be kept, and so the cache is always full; the hosts are names that "
        "only this process knows, for the fast server. Resident memory after each 50,000.",
        contenders={"ours": Contender("ours_sizes:remembering")},
        figures=(
            Growth(name="most ÷ that after 50,000", who="ours", of="memory", target=1.05, aim=1.02),
        ),
        calls=50_000, quick=500, turns=1, rounds=20, warm_up=False,
    ),
    "growth": Row(
        title="a hit among 1,000,000 kept answers",
        how="Any of them, in random order; the limits of the cache are raised.",
        contenders={
            "ours": _many("ours_sizes:full_hit", entries=1_000_000),
            "ours, 100 answers": _many("ours_sizes:full_hit", entries=100),
        },
        figures=(
            Ratio(
                name="time ÷ a hit among 100", over="ours", under="ours, 100 answers",
                target=1.5, aim=1.2,
            ),
        ),
    ),
}  # fmt: skip
