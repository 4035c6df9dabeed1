"""What is measured: each row with its contenders and what their figures have to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.benchmarks.figures import Figure, Ratio

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
        how: the same in one or two sentences, for those who do not believe it.
        contenders: by the name under which they are reported; ours goes first.
        seconds: how long a turn takes, about, where ``calls`` does not say how many it is.
        turns: how many turns each contender has in a round.
        rounds: how many rounds there are, where it is not for the caller to say.
        warm_up: whether a turn is taken before it counts.
        is_threaded: whether most of its work is done in threads that it starts.
    """

    title: str
    how: str
    contenders: Mapping[str, Contender]
    figures: tuple[Figure, ...]
    seconds: float = 0.2
    calls: int | None = None
    turns: int = 3
    rounds: int | None = None
    warm_up: bool = True
    is_threaded: bool = False


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
    "client": Row(
        title="`EnhancedAPIClient.get`, uncached, decoded",
        how="The same URL; the answer is decoded from JSON.",
        contenders={
            "ours": Contender("ours:client_get"),
            "requests": Contender("stock:get_decoded"),
        },
        figures=(
            Ratio(
                name="time ÷ requests' `get(...).json()`",
                over="ours",
                under="requests",
                target=0.6,
                aim=0.4,
            ),
        ),
    ),
    "hit": Row(
        title="cache hit, `Session.get`",
        how="One URL whose answers say `max-age=86400`, answered from memory.",
        contenders={
            "ours": Contender("ours:hit"),
            "ours, decoded by the client": Contender("ours:client_hit"),
            "requests-cache": Contender("caches:requests_cache_hit", "peers"),
            "CacheControl": Contender("caches:cachecontrol_hit", "peers"),
            "hishel": Contender("with_hishel:hit", "peers"),
        },
        figures=(
            Ratio(
                name="requests-cache's memory hit ÷ ours",
                over="requests-cache",
                under="ours",
                target=25,
                aim=50,
                at_least=True,
            ),
        ),
    ),
}
