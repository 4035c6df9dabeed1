"""Where records are kept: bytes in, bytes out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

__all__ = ["Label", "Shelf"]


@dataclass(frozen=True, slots=True)
class Label:
    """What a shelf must know of a record that it cannot read.  Instants are epoch seconds.

    ``variant`` tells records of one key apart; ``resource`` stands for the URL by which they are
    forgotten; ``born`` is when the answer was made by its server, ``expires`` when it may go.
    """

    key: str
    variant: str
    resource: str
    born: float
    expires: float


class Shelf(Protocol):
    """Keeps records for other processes, too.  It may fail: whoever uses it is ready for that."""

    kind: str
    place: str  # for people: without a password

    def read(self, key: str, *, is_use: bool) -> list[tuple[str, bytes]]:
        """Variants under ``key`` and their records, the latest first; ``is_use`` makes it recent.

        Those past their time may be among them.
        """
        ...

    def write(self, label: Label, record: bytes) -> bool:
        """Keep ``record`` in place of the one with the same key and variant; whether it is kept.

        It is not if its resource was forgotten after the answer was born, or if it is too large.
        """
        ...

    def drop(self, key: str, variant: str | None = None) -> bool:
        """Let go of one variant, or of all under ``key``; whether there was anything."""
        ...

    def forget(self, resource: str) -> int:
        """Let go of all keys of a resource; how many there were."""
        ...

    def clear(self) -> None:
        """Let go of everything."""
        ...

    def expire(self) -> int:
        """Let go of those past their time, if the shelf does not do that by itself; how many."""
        ...

    def keys(self) -> Iterator[str]:
        """The keys there were a moment ago."""
        ...

    def measure(self) -> tuple[int, int]:
        """How many keys there are, and bytes, about."""
        ...

    def figures(self) -> dict[str, Any]:
        """What there is to tell of it in statistics, by name."""
        ...

    def close(self) -> None:
        """Give back files and connections; used again, it opens them again."""
        ...

    def reset_after_fork(self) -> None:
        """In a child: nothing of the parent's is touched."""
        ...
