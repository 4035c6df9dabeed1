"""What is kept of an answer, and what every place where answers are kept can do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from ..replicas import Snapshot
from .shelf import Turn

__all__ = ["MOST_VARIANTS", "Entry", "Store", "with_variant"]

MOST_VARIANTS = 16  # of one key: a server that varies on something random fills no store with it


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """A kept answer.  Instants are of the session's clock; a store that outlives it converts them.

    Attributes:
        snapshot: the answer.
        fresh_until: until then it is used without asking.
        expires: until then it is kept at all, to be validated, or to be used although it is stale.
        born: when its age was 0.
        resource: its URL without the query, by which it is forgotten.
        chosen_by: what of the request's headers chose it: each header's name in lower case, and a
            digest of its value (never the value itself), or None where there was none.
    """

    snapshot: Snapshot
    fresh_until: float
    expires: float
    born: float
    resource: str
    chosen_by: tuple[tuple[str, str | None], ...] = ()


class Store(Protocol):
    """Where answers are kept: under a key, in variants that request headers choose between.

    What cannot be read is not there: nothing here raises because of what is kept, or where.
    ``is_near`` says whether looking takes microseconds, so that nobody need do it on a thread.
    """

    is_near: bool

    def get(self, key: str) -> tuple[Entry, ...]:
        """All variants whose time is not over, the latest first; this makes the key recent."""
        ...

    def peek(self, key: str) -> tuple[Entry, ...]:
        """The same for somebody who only looks: it makes nothing recent."""
        ...

    def put(
        self, key: str, entry: Entry, *, since: float | None = None,
        is_current: Callable[[], bool] | None = None,
    ) -> bool:  # fmt: skip
        """Keep ``entry`` in place of the variant with the same ``chosen_by``; whether it is kept.

        It is not if its time is over or it is too large; the one before goes in any case.
        ``since`` is the instant at which it was asked for: if another process has forgotten its
        resource since then, it is not kept either.
        ``is_current`` is quick, and asked in one go with keeping it: if it says no, nothing
        happens.  A store that cannot do that asks before, and again afterwards, and then deletes.
        """
        ...

    def delete(self, key: str) -> bool:
        """Forget what is kept under ``key``; whether there was anything."""
        ...

    def forget(self, resource: str) -> int:
        """Forget every key of one resource, whatever its query; how many there were."""
        ...

    def lease(self, key: str, holder: str, *, seconds: float) -> Turn:
        """Whose turn it is to ask, among all that share the store; see ``Shelf.lease``."""
        ...

    def release(self, key: str, holder: str, *, is_kept: bool) -> bool:
        """``holder`` has asked; whether it was still leading."""
        ...

    def clear(self) -> None:
        """Forget everything."""
        ...

    def expire(self) -> int:
        """Let go of answers whose time is over; how many there were."""
        ...

    def soonest(self) -> float | None:
        """The instant at which the next of them expires, if the store does not see to it itself."""
        ...

    def __iter__(self) -> Iterator[str]:
        """The keys there were a moment ago."""
        ...

    def __len__(self) -> int:
        """How many keys there are."""
        ...

    @property
    def bytes(self) -> int:
        """Size of all that is kept, about."""
        ...

    def figures(self) -> dict[str, Any]:
        """What there is to tell of it in statistics, by name."""
        ...

    def close(self) -> None:
        """Give back files and connections; used again, it opens them again."""
        ...

    def reset_after_fork(self) -> None:
        """In a child: with locks and connections of its own."""
        ...


def with_variant(entry: Entry, others: tuple[Entry, ...], *, max_bytes: int) -> tuple[Entry, ...]:
    """``entry`` and those of ``others`` that may stay beside it, the latest first."""
    room = max_bytes - entry.snapshot.size
    kept = [entry]
    for other in others:
        room -= other.snapshot.size
        if other.chosen_by == entry.chosen_by:
            room += other.snapshot.size
        elif len(kept) == MOST_VARIANTS or room < 0:
            break
        else:
            kept.append(other)
    return tuple(kept)
