"""Answers kept in this process's memory, bounded in number and in bytes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

from cachetools import Cache, TLRUCache

from .entry import Entry, with_variant
from .shelf import Turn

__all__ = ["MemoryStore"]

_Variants = tuple[Entry, ...]


class MemoryStore:
    """The least recently used answers go first; those past their time go by themselves.

    cachetools' containers change even when read, so one lock is around every touch of them; it is
    held for microseconds and never while anything else runs.
    """

    is_near = True

    def __init__(self, *, max_entries: int, max_bytes: int, clock: Callable[[], float]) -> None:
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._clock = clock
        self._start_afresh()

    def _start_afresh(self) -> None:
        self._lock = threading.RLock()
        self._entries: TLRUCache[str, _Variants] = TLRUCache(
            self._max_bytes,
            ttu=lambda _key, variants, _now: _end(variants),
            timer=self._clock,
            getsizeof=_size,
        )
        self._hits = self._misses = 0
        self._by_resource: dict[str, dict[str, float]] = {}  # keys, and when they expire

    reset_after_fork = _start_afresh

    def get(self, key: str) -> _Variants:
        """All variants kept under ``key`` whose time is not over, the latest first."""
        with self._lock:
            try:  # not .get(): three times slower
                variants = self._entries[key]
            except KeyError:
                self._misses += 1
                return ()
            self._hits += 1
            return variants if len(variants) == 1 else self._current(variants)

    def peek(self, key: str) -> _Variants:
        """The same, without making the key recent."""
        with self._lock:
            # Not self._entries[key], which makes it recent.
            there = key in self._entries
            return self._current(Cache.__getitem__(self._entries, key)) if there else ()

    def _current(self, variants: _Variants) -> _Variants:
        now = self._entries.timer()
        return tuple(entry for entry in variants if entry.expires > now)

    def put(
        self, key: str, entry: Entry, *, since: float | None = None,
        is_current: Callable[[], bool] | None = None,
    ) -> bool:  # fmt: skip
        """Keep ``entry``, if its time is not over and it is not larger than the store may be."""
        with self._lock, self._entries.timer as now:  # one instant for all that follows
            if is_current is not None and not is_current():
                return False
            others = self._current(self._pop(key))
            is_kept = entry.expires > now and entry.snapshot.size <= self._max_bytes
            if is_kept:
                variants = with_variant(entry, others, max_bytes=self._max_bytes)
            else:  # what it was to replace is out of date
                variants = tuple(one for one in others if one.chosen_by != entry.chosen_by)
            if variants:
                self._keep(key, variants)
            return is_kept

    def _keep(self, key: str, variants: _Variants) -> None:
        while len(self._entries) and self._is_full_for(variants):
            self._drop(*self._entries.popitem())
        self._entries[key] = variants
        self._by_resource.setdefault(variants[0].resource, {})[key] = _end(variants)

    def _is_full_for(self, variants: _Variants) -> bool:
        size = self._entries.currsize + _size(variants)
        return len(self._entries) >= self._max_entries or size > self._max_bytes

    def delete(self, key: str) -> bool:
        """Forget what is kept under ``key``; whether there was anything."""
        with self._lock, self._entries.timer:
            return bool(self._pop(key))

    def _pop(self, key: str) -> _Variants:
        self.expire()
        try:
            variants = self._entries.pop(key)
        except KeyError:
            return ()
        self._drop(key, variants)
        return variants

    def forget(self, resource: str) -> int:
        """Forget every answer of one resource, whatever its query; how many there were."""
        with self._lock:
            return sum(self.delete(key) for key in list(self._by_resource.get(resource, ())))

    def lease(self, key: str, holder: str, *, seconds: float) -> Turn:
        """Nobody else is there."""
        return Turn.GO

    def release(self, key: str, holder: str, *, is_kept: bool) -> bool:
        """There was nothing to lead."""
        return False

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()
            self._by_resource.clear()

    def expire(self) -> int:
        """Let go of answers whose time is over; how many there were."""
        with self._lock:
            expired: Any = self._entries.expire()
            for key, variants in expired:
                self._drop(key, variants)
            return len(expired)

    def soonest(self) -> float | None:
        """The instant at which the next of them expires; it takes a look at each."""
        with self._lock:
            each = (when for keys in self._by_resource.values() for when in keys.values())
            return min(each, default=None)

    def _drop(self, key: str, variants: _Variants) -> None:
        resource = variants[0].resource
        keys = self._by_resource.get(resource)
        if keys is not None:
            keys.pop(key, None)
            if not keys:
                del self._by_resource[resource]

    def __iter__(self) -> Iterator[str]:
        with self._lock:
            self.expire()
            return iter(tuple(self._entries))

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

    def figures(self) -> dict[str, Any]:
        """How often it was asked in vain or not; nothing else can happen to it."""
        with self._lock:
            return {
                "store_kind": "memory",
                "store_hits": self._hits,
                "store_misses": self._misses,
                "store_withheld": 0,
                "store_unreadable": 0,
                "store_state": "up",
                "store_errors": 0,
            }

    def close(self) -> None:
        """There is nothing to give back, and what is kept stays."""

    def __repr__(self) -> str:
        return f"<MemoryStore [{len(self)} entries, {self.bytes} bytes]>"


def _end(variants: _Variants) -> float:
    return max(entry.expires for entry in variants)


def _size(variants: _Variants) -> int:
    return sum(entry.snapshot.size for entry in variants)
