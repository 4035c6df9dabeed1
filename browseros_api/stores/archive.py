"""Answers kept beyond the process: as records, on a shelf."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

from ..bare import bared, requests_of, restored
from ..journal import masked_url
from ..keys import digest
from .discretion import is_discreet
from .entry import Entry
from .instants import Instants
from .record import Record, decoded, encoded
from .seal import Seal
from .shelf import Label, Shelf, Turn

__all__ = ["Archive"]


class Archive:
    """Entries become records on the way to the shelf, and entries again on the way back.

    A record says nothing of the request but its method: the URL that was asked for is that of the
    call that asks next, and credentials were never in it.  URLs by which answers are forgotten are
    masked, and the shelf is told a digest of them.
    """

    is_near = False

    def __init__(self, shelf: Shelf, *, instants: Instants, seal: Seal | None = None) -> None:
        self._shelf = shelf
        self._instants = instants
        self._seal = seal
        self._lock = threading.Lock()
        self._hits = self._misses = self._withheld = self._unreadable = 0

    def get(self, key: str) -> tuple[Entry, ...]:
        """All variants whose time is not over, the latest first."""
        found = self._found(key, is_use=True)
        with self._lock:
            if found:
                self._hits += 1
            else:
                self._misses += 1
        return found

    def peek(self, key: str) -> tuple[Entry, ...]:
        """The same for somebody who only looks."""
        return self._found(key, is_use=False)

    def _found(self, key: str, *, is_use: bool) -> tuple[Entry, ...]:
        found = []
        for variant, raw in self._shelf.read(key, is_use=is_use):
            record = decoded(raw if self._seal is None else self._seal.opened(raw))
            if record is None or record.key != key:  # broken, or it is not what was kept there
                if is_use:  # who only looks may lack the key that it is sealed with
                    self._shelf.drop(key, variant)
                with self._lock:
                    self._unreadable += 1
                continue
            entry = self._entry(record)
            if entry.expires > self._instants.clock():
                found.append(entry)
        return tuple(found)

    def _entry(self, record: Record) -> Entry:
        offset = self._instants.offset()
        return Entry(
            restored(record.hops, tuple(name for name, _ in record.chosen_by)),
            record.fresh_until - offset,
            record.expires - offset,
            record.born - offset,
            record.resource,
            record.chosen_by,
        )

    def put(
        self, key: str, entry: Entry, *, since: float | None = None,
        is_current: Callable[[], bool] | None = None,
    ) -> bool:  # fmt: skip
        """Keep ``entry``, if its time is not over and it may leave the process."""
        if is_current is not None and not is_current():
            return False
        variant = digest(entry.chosen_by)[:32]
        raw = self._raw(key, entry)
        if raw is None:  # what it was to replace is out of date
            self._shelf.drop(key, variant)
            return False
        offset = self._instants.offset()
        resource = self._names(entry.resource)[0]
        asked = entry.born if since is None else since
        label = Label(key, variant, resource, asked + offset, entry.expires + offset)
        if not self._shelf.write(label, raw):
            return False
        if is_current is not None and not is_current():
            self._shelf.drop(key)
            return False
        return True

    def _raw(self, key: str, entry: Entry) -> bytes | None:
        if entry.expires <= self._instants.clock():
            return None
        try:
            hops = bared(entry.snapshot)
            if self._seal is None and not is_discreet(hops, requests_of(entry.snapshot)):
                raise ValueError("it repeats credentials")
        except ValueError:
            with self._lock:
                self._withheld += 1
            return None
        offset = self._instants.offset()
        record = Record(
            key,
            masked_url(entry.resource),
            entry.born + offset,
            entry.fresh_until + offset,
            entry.expires + offset,
            entry.chosen_by,
            (hops[0]._replace(url=None), *hops[1:]),
        )
        raw = encoded(record)
        return raw if self._seal is None else self._seal.closed(raw)

    def _names(self, resource: str) -> list[str]:
        """What the shelf is told of a resource: under each key, the one in use first."""
        url = masked_url(resource)
        return [digest(url)] if self._seal is None else self._seal.names(url)

    def delete(self, key: str) -> bool:
        """Forget what is kept under ``key``; whether there was anything."""
        return self._shelf.drop(key)

    def forget(self, resource: str) -> int:
        """Forget every key of one resource, whatever its query; how many there were."""
        return sum(self._shelf.forget(name) for name in self._names(resource))

    def lease(self, key: str, holder: str, *, seconds: float) -> Turn:
        """Whose turn it is to ask, among all that share the store."""
        return self._shelf.lease(key, holder, seconds=seconds)

    def release(self, key: str, holder: str, *, is_kept: bool) -> bool:
        """``holder`` has asked; whether it was still leading."""
        return self._shelf.release(key, holder, is_kept=is_kept)

    def clear(self) -> None:
        """Forget everything."""
        self._shelf.clear()

    def expire(self) -> int:
        """Let go of answers whose time is over; how many there were."""
        return self._shelf.expire()

    def soonest(self) -> float | None:
        """The shelf sees to it itself."""
        return None

    def __iter__(self) -> Iterator[str]:
        return self._shelf.keys()

    def __len__(self) -> int:
        return self._shelf.measure()[0]

    @property
    def bytes(self) -> int:
        """Size of all that is kept, about."""
        return self._shelf.measure()[1]

    def figures(self) -> dict[str, Any]:
        """What there is to tell of the store, by name."""
        with self._lock:
            return {
                "store_kind": self._shelf.kind,
                "store_hits": self._hits,
                "store_misses": self._misses,
                "store_withheld": self._withheld,
                "store_unreadable": self._unreadable,
                **self._shelf.figures(),
            }

    def close(self) -> None:
        """Give back files and connections; used again, it opens them again."""
        self._shelf.close()

    def reset_after_fork(self) -> None:
        """In a child: with locks, files and connections of its own."""
        self._lock = threading.Lock()
        self._shelf.reset_after_fork()
