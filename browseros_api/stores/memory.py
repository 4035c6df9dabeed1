"""Answers kept in this process's memory, bounded in number and in bytes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cachetools import TLRUCache

from ..replicas import Snapshot

__all__ = ["Entry", "MemoryStore"]


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """A kept answer.

    ``expires`` is an instant of the store's clock; ``resource`` its URL without the query, by which
    it is forgotten; ``chosen_by`` what chose it besides its key, as the snapshot says.
    """

    snapshot: Snapshot
    expires: float
    resource: str
    chosen_by: tuple[tuple[str, str | None], ...] = ()


class MemoryStore:
    """The least recently used answers go first; those past their time go by themselves.

    cachetools' containers change even when read, so one lock is around every touch of them; it is
    held for microseconds and never while anything else runs.
    """

    def __init__(self, *, max_entries: int, max_bytes: int, clock: Callable[[], float]) -> None:
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._clock = clock
        self._start_afresh()

    def _start_afresh(self) -> None:
        self._lock = threading.RLock()
        self._entries: TLRUCache[str, Entry] = TLRUCache(
            self._max_bytes,
            ttu=lambda _key, entry, _now: entry.expires,
            timer=self._clock,
            getsizeof=lambda entry: entry.snapshot.size,
        )
        self._by_resource: dict[str, dict[str, float]] = {}  # keys, and when they expire

    reset_after_fork = _start_afresh

    def get(self, key: str) -> Entry | None:
        """The answer kept under ``key``, if its time is not over."""
        with self._lock:
            try:  # not .get(): three times slower
                return self._entries[key]
            except KeyError:
                return None

    def put(self, key: str, entry: Entry) -> bool:
        """Keep ``entry``; False if its time is over or it is larger than the store may be."""
        with self._lock, self._entries.timer as now:  # one instant for all that follows
            self.delete(key)
            if entry.expires <= now or entry.snapshot.size > self._max_bytes:
                return False
            while len(self._entries) and self._is_full_for(entry):
                self._drop(*self._entries.popitem())
            self._entries[key] = entry
            self._by_resource.setdefault(entry.resource, {})[key] = entry.expires
            return True

    def _is_full_for(self, entry: Entry) -> bool:
        size = self._entries.currsize + entry.snapshot.size
        return len(self._entries) >= self._max_entries or size > self._max_bytes

    def delete(self, key: str) -> bool:
        """Forget what is kept under ``key``; whether there was anything."""
        with self._lock, self._entries.timer:  # nothing expires between looking and popping
            self.expire()
            try:
                entry = self._entries.pop(key)
            except KeyError:
                return False
            self._drop(key, entry)
            return True

    def forget(self, resource: str) -> int:
        """Forget every answer of one resource, whatever its query; how many there were."""
        with self._lock:
            return sum(self.delete(key) for key in list(self._by_resource.get(resource, ())))

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()
            self._by_resource.clear()

    def expire(self) -> int:
        """Let go of answers whose time is over; how many there were."""
        with self._lock:
            expired: Any = self._entries.expire()
            for key, entry in expired:
                self._drop(key, entry)
            return len(expired)

    def soonest(self) -> float | None:
        """The instant at which the next of them expires; it takes a look at each."""
        with self._lock:
            each = (when for keys in self._by_resource.values() for when in keys.values())
            return min(each, default=None)

    def _drop(self, key: str, entry: Entry) -> None:
        keys = self._by_resource.get(entry.resource)
        if keys is not None:
            keys.pop(key, None)
            if not keys:
                del self._by_resource[entry.resource]

    def __len__(self) -> int:
        with self._lock:
            self.expire()
            return len(self._entries)

    @property
    def bytes(self) -> int:
        """Size of all that is kept, about."""
        with self._lock:
            self.expire()
            return int(self._entries.currsize)

    def __repr__(self) -> str:
        return f"<MemoryStore [{len(self)} entries, {self.bytes} bytes]>"
