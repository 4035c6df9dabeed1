"""Where the servers are, and what they answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["PAYLOAD", "USERS", "Extras", "Site", "Turn", "repeated"]

# What a turn has found besides how long it took; "time" and "cpu" replace what was measured.
Extras = dict[str, float]
Turn = Callable[[int], "Extras | None"]

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
