"""What was read from afar a moment ago, and need not be read again."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

from cachetools import TTLCache

from .entry import Entry, Store
from .shelf import Turn

__all__ = ["Front"]

_Variants = tuple[Entry, ...]


class Front:
    """A store before a store: what it says is at most ``seconds`` old.

    What this process forgets is forgotten here as well, also by a reader that is just fetching it;
    of what other processes do it hears when it reads again.
    """

    is_near = False

    def __init__(
        self, behind: Store, *, seconds: float, max_bytes: int, clock: Callable[[], float]
    ) -> None:
        self._behind = behind
        self._seconds, self._max_bytes, self._clock = seconds, max_bytes, clock
        self._start_afresh()

    def _start_afresh(self) -> None:
        self._lock = threading.Lock()
        self._changes = 0
        self._held: TTLCache[str, _Variants] = TTLCache(
            self._max_bytes, self._seconds, timer=self._clock, getsizeof=_size
        )

    def reset_after_fork(self) -> None:
        """In a child: empty, with a lock of its own."""
        self._start_afresh()
        self._behind.reset_after_fork()

    def get(self, key: str) -> _Variants:
        """All variants whose time is not over, the latest first."""
        with self._lock:
            held, seen = self._held.get(key), self._changes
        if held is not None:
            now = self._clock()
            return tuple(entry for entry in held if entry.expires > now)
        found = self._behind.get(key)
        if found and _size(found) <= self._max_bytes:
            with self._lock:
                if seen == self._changes:  # else it may be what was forgotten meanwhile
                    self._held[key] = found
        return found

    def peek(self, key: str) -> _Variants:
        """The same for somebody who only looks."""
        return self._behind.peek(key)

    def put(
        self, key: str, entry: Entry, *, since: float | None = None,
        is_current: Callable[[], bool] | None = None,
    ) -> bool:  # fmt: skip
        """Keep ``entry`` behind; it comes to the front when it is asked for."""
        try:
            return self._behind.put(key, entry, since=since, is_current=is_current)
        finally:
            self._let_go(key)

    def delete(self, key: str) -> bool:
        """Forget what is kept under ``key``; whether there was anything."""
        try:
            return self._behind.delete(key)
        finally:
            self._let_go(key)

    def forget(self, resource: str) -> int:
        """Forget every key of one resource; how many there were."""
        try:
            return self._behind.forget(resource)
        finally:  # all of it: it is little, and soon there again
            self._let_go()

    def lease(self, key: str, holder: str, *, seconds: float) -> Turn:
        """Whose turn it is to ask, among all that share the store."""
        return self._behind.lease(key, holder, seconds=seconds)

    def release(self, key: str, holder: str, *, is_kept: bool) -> bool:
        """``holder`` has asked; whether it was still leading."""
        return self._behind.release(key, holder, is_kept=is_kept)

    def clear(self) -> None:
        """Forget everything."""
        try:
            self._behind.clear()
        finally:
            self._let_go()

    def _let_go(self, key: str | None = None) -> None:
        with self._lock:
            self._changes += 1
            if key is None:
                self._held.clear()
            else:
                self._held.pop(key, None)

    def expire(self) -> int:
        """Let go of answers whose time is over; how many there were behind."""
        return self._behind.expire()

    def soonest(self) -> float | None:
        """As it is behind."""
        return self._behind.soonest()

    def __iter__(self) -> Iterator[str]:
        return iter(self._behind)

    def __len__(self) -> int:
        return len(self._behind)

    @property
    def bytes(self) -> int:
        """Size of all that is kept behind, about."""
        return self._behind.bytes

    def figures(self) -> dict[str, Any]:
        """As they are behind: of what was read there."""
        return self._behind.figures()

    def close(self) -> None:
        """Give back files and connections; what is held stays for its moment."""
        self._behind.close()


def _size(variants: _Variants) -> int:
    return sum(entry.snapshot.size for entry in variants)
