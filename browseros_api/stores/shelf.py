"""Where records are kept: bytes in, bytes out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

__all__ = ["IN_VAIN", "Label", "Shelf", "Turn"]


@dataclass(frozen=True, slots=True)
class Label:
    """What a shelf must know of a record that it cannot read.  Instants are epoch seconds.

    ``variant`` tells records of one key apart; ``resource`` stands for the URL by which they are
    forgotten; ``since`` is when the answer was asked for, ``expires`` when it may go.
    """

    key: str
    variant: str
    resource: str
    since: float
    expires: float


IN_VAIN = 10  # seconds for which nobody waits for an answer of which the last was not kept


class Turn(Enum):
    """What somebody is to do who needs an answer that is not there, and that others may need."""

    LEAD = "ask for it, and tell the others when that has ended"
    WAIT = "somebody else is asking: it may be there soon"
    GO = "ask for it: there is nothing to wait for"


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

        It is not if its resource was forgotten after it was asked for, or if it is too large.
        """
        ...

    def drop(self, key: str, variant: str | None = None) -> bool:
        """Let go of one variant, or of all under ``key``; whether there was anything."""
        ...

    def forget(self, resource: str) -> int:
        """Let go of all keys of a resource; how many there were."""
        ...

    def lease(self, key: str, holder: str, *, seconds: float) -> Turn:
        """Whose turn it is to ask; ``holder`` leads for ``seconds`` at most, and may lead on."""
        ...

    def release(self, key: str, holder: str, *, is_kept: bool) -> bool:
        """``holder`` has asked; whether it was still leading.

        If no answer was kept, there is nothing to wait for under ``key`` for some seconds.
        """
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
