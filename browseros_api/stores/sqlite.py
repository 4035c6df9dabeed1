"""A shelf in a SQLite file, for all processes of one machine, and for those to come."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeVar

from .entry import MOST_VARIANTS
from .instants import Instants
from .shelf import IN_VAIN, Label, Turn
from .sqlite_file import SQLiteFile, is_broken, is_busy

__all__ = ["SQLiteShelf"]

T = TypeVar("T")

_ROW = 512  # bytes: what a record costs besides itself, about
_COARSE = 60  # seconds: how exactly it is known when an answer was used last
_MOST_TOUCHED = 256  # uses that are written down together
_REMEMBERED = 600.0  # seconds: how long a change of a resource holds off older answers


class SQLiteShelf:
    """The least recently used records go first.  Readers wait for nobody.

    A hit writes nothing: when it was is noted, once a minute for each key, and written down with
    what is written next.
    """

    kind = "sqlite"

    def __init__(self, path: str, *, instants: Instants, max_bytes: int, timeout: float) -> None:
        self.place = f"sqlite:///{path}"
        self._file = SQLiteFile(path, timeout=timeout)
        self._now = instants.now
        self._max_bytes = max_bytes
        self._timeout = timeout
        self._start_afresh()

    def _start_afresh(self) -> None:
        # Threads of one process queue here: SQLite itself lets them poll for the file.
        self._writer = threading.Lock()
        self._touched: dict[str, int] = {}
        self._swept = self._now()

    def reset_after_fork(self) -> None:
        """In a child: the parent's connections are not touched."""
        self._file.reset_after_fork()
        self._start_afresh()

    def close(self) -> None:
        """Close the connections; used again, it opens others."""
        self._file.close()

    # -- reading ---------------------------------------------------------------------------------

    def read(self, key: str, *, is_use: bool) -> list[tuple[str, bytes]]:
        """Variants under ``key`` whose time is not over, and their records, the latest first."""
        now = self._now()
        query = (
            "SELECT id, variant, CAST(record AS BLOB), used FROM answers"
            " WHERE key = ? AND expires > ?"
        )
        rows = self._with(lambda database: database.execute(query, (key, now)).fetchall())
        rows.sort(reverse=True)  # here it is cheaper
        if is_use and rows and rows[0][3] < now - _COARSE:
            self._touched[key] = int(now)
            if len(self._touched) >= _MOST_TOUCHED:
                self._write(lambda _: None)
        return [(variant, record) for _, variant, record, _ in rows]

    def keys(self) -> Iterator[str]:
        """The keys there were a moment ago."""
        query = "SELECT DISTINCT key FROM answers WHERE expires > ?"
        rows = self._with(lambda database: database.execute(query, (self._now(),)).fetchall())
        return (key for (key,) in rows)

    def measure(self) -> tuple[int, int]:
        """How many keys there are, and bytes, about."""
        query = "SELECT count(DISTINCT key), total(size) FROM answers WHERE expires > ?"
        rows = self._with(lambda database: database.execute(query, (self._now(),)).fetchone())
        return rows[0], int(rows[1])

    def figures(self) -> dict[str, Any]:
        """There is nothing more to tell."""
        return {}

    # -- writing ---------------------------------------------------------------------------------

    def write(self, label: Label, record: bytes) -> bool:
        """Keep ``record``, unless somebody else is writing for too long."""
        put = partial(self._put, label=label, record=record)
        return self._unless_busy(lambda: self._write(put), otherwise=False)

    def _put(self, database: sqlite3.Connection, *, label: Label, record: bytes) -> bool:
        now = self._now()
        if now - self._swept >= _COARSE:
            self._sweep(database, now)
        database.execute(
            "DELETE FROM answers WHERE key = ? AND variant = ?", (label.key, label.variant)
        )
        size = len(record) + _ROW
        if size > self._max_bytes or self._has_changed(database, label):
            return False
        database.execute(
            "INSERT INTO answers (key, variant, resource, expires, used, size, record)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (label.key, label.variant, label.resource, label.expires, int(now), size, record),
        )
        database.execute(
            "DELETE FROM answers WHERE id IN"
            " (SELECT id FROM answers WHERE key = ? ORDER BY id DESC LIMIT -1 OFFSET ?)",
            (label.key, MOST_VARIANTS),
        )
        self._make_room(database)
        return True

    def _has_changed(self, database: sqlite3.Connection, label: Label) -> bool:
        query = "SELECT 1 FROM changes WHERE resource = ? AND at > ?"
        return database.execute(query, (label.resource, label.since)).fetchone() is not None

    def _make_room(self, database: sqlite3.Connection) -> None:
        (excess,) = database.execute("SELECT bytes - ? FROM totals", (self._max_bytes,)).fetchone()
        if excess <= 0:
            return
        victims = []
        for row, size in database.execute("SELECT id, size FROM answers ORDER BY used, id"):
            victims.append((row,))
            excess -= size
            if excess <= 0:
                break
        database.executemany("DELETE FROM answers WHERE id = ?", victims)

    def drop(self, key: str, variant: str | None = None) -> bool:
        """Let go of one variant, or of all under ``key``; whether there was anything."""
        query = "DELETE FROM answers WHERE key = ? AND variant = coalesce(?, variant)"
        return self._write(lambda database: database.execute(query, (key, variant)).rowcount > 0)

    def forget(self, resource: str) -> int:
        """Let go of all keys of a resource, and hold off what was asked for before; how many."""

        def work(database: sqlite3.Connection) -> int:
            database.execute("REPLACE INTO changes VALUES (?, ?)", (resource, self._now()))
            query = "SELECT count(DISTINCT key) FROM answers WHERE resource = ?"
            (count,) = database.execute(query, (resource,)).fetchone()
            database.execute("DELETE FROM answers WHERE resource = ?", (resource,))
            return int(count)

        return self._write(work)

    def lease(self, key: str, holder: str, *, seconds: float) -> Turn:
        """Whose turn it is to ask."""

        def held(database: sqlite3.Connection) -> Turn:  # now, not when we began to wait for it
            query = "SELECT holder FROM leases WHERE key = ? AND until > ?"
            (who,) = database.execute(query, (key, self._now())).fetchone() or (holder,)
            return Turn.GO if who is None else Turn.LEAD if who == holder else Turn.WAIT

        def taken(database: sqlite3.Connection) -> Turn:
            turn = held(database)
            if turn is Turn.LEAD:
                row = (key, holder, self._now() + seconds)
                database.execute("REPLACE INTO leases VALUES (?, ?, ?)", row)
            return turn

        turn = self._with(held)  # whoever only waits writes nothing
        if turn is not Turn.LEAD:
            return turn
        return self._unless_busy(lambda: self._write(taken), otherwise=Turn.GO)

    def release(self, key: str, holder: str, *, is_kept: bool) -> bool:
        """``holder`` has asked; whether it was still leading."""
        # One that is over is gone: whoever looks may have read his clock before it was.
        change = (
            "DELETE FROM leases" if is_kept else "UPDATE leases SET holder = NULL, until = :end"
        )
        query = f"{change} WHERE key = :key AND holder = :holder AND until > :now"

        def work(database: sqlite3.Connection) -> bool:
            now = self._now()
            values = {"key": key, "holder": holder, "now": now, "end": now + IN_VAIN}
            return database.execute(query, values).rowcount > 0

        return self._unless_busy(lambda: self._write(work), otherwise=False)

    def clear(self) -> None:
        """Let go of everything, and of the place it took."""
        self._write(lambda database: database.execute("DELETE FROM answers"))
        # As a script: execute() would do one step of many.
        self._with(lambda database: database.executescript("PRAGMA incremental_vacuum"))

    def expire(self) -> int:
        """Let go of those past their time; how many there were."""
        return self._write(lambda database: self._sweep(database, self._now()))

    def _sweep(self, database: sqlite3.Connection, now: float) -> int:
        self._swept = now
        database.execute("DELETE FROM changes WHERE at < ?", (now - _REMEMBERED,))
        database.execute("DELETE FROM leases WHERE until <= ?", (now,))
        return database.execute("DELETE FROM answers WHERE expires <= ?", (now,)).rowcount

    # -- the file --------------------------------------------------------------------------------

    def _unless_busy(self, work: Callable[[], T], *, otherwise: T) -> T:
        """For what may as well not be done, if others are writing for too long."""
        try:
            return work()
        except sqlite3.OperationalError as error:
            if is_busy(error):
                return otherwise
            raise

    def _write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if not self._writer.acquire(timeout=self._timeout):
            raise sqlite3.OperationalError("database is locked by other threads")
        try:
            return self._with(lambda database: self._transacted(database, work))
        finally:
            self._writer.release()

    def _transacted(
        self, database: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]
    ) -> T:
        database.execute("BEGIN IMMEDIATE")
        touched, self._touched = self._touched, {}
        if touched:
            uses = [(when, key) for key, when in [*touched.items()]]  # readers may be at it
            database.executemany("UPDATE answers SET used = ? WHERE key = ?", uses)
        result = work(database)
        database.execute("COMMIT")
        return result

    def _with(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """``work`` done with a connection; if the file is broken, then with a new file."""
        try:
            return self._file.using(work)
        except sqlite3.DatabaseError as error:
            if not is_broken(error):
                raise
        self._file.replace()
        return self._file.using(work)
