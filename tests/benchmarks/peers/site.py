"""Where the servers are, and what they answer."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

__all__ = ["PAYLOAD", "USERS", "Extras", "Site", "Turn", "each_of", "fresh_ones", "repeated"]

# What a turn has found besides how long it took; "time" and "cpu" replace what was measured.
Extras = dict[str, float]
Turn = Callable[[int], "Extras | None"]

_numbers = itertools.count()

USERS: dict[str, Any] = {
    "page": 1,
    "users": [
        {"id": 1, "name": "Ada Lovelace", "email": "ada@example.com", "active": True},
        {"id": 2, "name": "Grace Hopper", "email": "grace@example.com", "active": True},
    ],
    "next": 2,
}
PAYLOAD = json.dumps(USERS).encode().ljust(200)


@dataclass(frozen=True, kw_only=True)
class Site:
    """What a contender is told.

    Attributes:
        fast: base URL of the server that answers at once.
        origin: base URL of the server that can be slow, fail and count.
        checkout: the folder whose ``browseros_api`` is measured.
        is_quick: whether the sizes that take minutes are to be small.
    """

    fast: str
    origin: str
    checkout: str
    is_quick: bool = False

    @property
    def fresh(self) -> str:
        """A URL whose answers must not be kept."""
        return f"{self.fast}/fresh/users"

    @property
    def kept(self) -> str:
        """A URL whose answers may be kept for a day."""
        return f"{self.fast}/kept/users"


def repeated(call: Callable[[], object]) -> Turn:
    """A turn that makes so many calls, one after the other."""

    def turn(calls: int) -> None:
        for _ in range(calls):
            call()

    return turn


def each_of(base: str, get: Callable[[str], object]) -> Turn:
    """A turn that gets so many new URLs, one after the other."""

    def turn(calls: int) -> None:
        for url in fresh_ones(base, calls):
            get(url)

    return turn


def fresh_ones(base: str, calls: int) -> Iterator[str]:
    """So many URLs, or endpoints, that nobody has asked for before."""
    return (f"{base}?number={next(_numbers)}" for _ in range(calls))
