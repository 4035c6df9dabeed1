"""The file of a SQLite store: made, opened, lent to one thread at a time, replaced when broken."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from ..journal import LOGGER

__all__ = ["SQLiteFile", "is_broken", "is_busy", "is_store"]

T = TypeVar("T")

_APPLICATION = 0x62617069  # "bapi", in the file's header: what tells our files from others
_VERSION = 1  # of the schema
_MOST_IDLE = 8  # connections kept open
_BESIDE = ("-wal", "-shm")

_SCHEMA = (
    "DROP TABLE IF EXISTS answers",
    "DROP TABLE IF EXISTS totals",
    "DROP TABLE IF EXISTS changes",
    "DROP TABLE IF EXISTS leases",
    """CREATE TABLE answers (
        id INTEGER PRIMARY KEY,  -- the order in which they were kept
        key TEXT NOT NULL,
        variant TEXT NOT NULL,
        resource TEXT NOT NULL,
        expires REAL NOT NULL,
        used INTEGER NOT NULL,
        size INTEGER NOT NULL,
        record BLOB NOT NULL,
        UNIQUE (key, variant)
    )""",
    "CREATE INDEX answers_of_resource ON answers (resource)",
    "CREATE INDEX answers_by_expiry ON answers (expires)",
    "CREATE INDEX answers_by_use ON answers (used)",
    "CREATE TABLE totals (bytes INTEGER NOT NULL)",
    "INSERT INTO totals VALUES (0)",
    """CREATE TRIGGER answer_kept AFTER INSERT ON answers BEGIN
        UPDATE totals SET bytes = bytes + new.size;
    END""",
    """CREATE TRIGGER answer_dropped AFTER DELETE ON answers BEGIN
        UPDATE totals SET bytes = bytes - old.size;
    END""",
    "CREATE TABLE changes (resource TEXT PRIMARY KEY, at REAL NOT NULL) WITHOUT ROWID",
    """CREATE TABLE leases (
        key TEXT PRIMARY KEY,
        holder TEXT,  -- none: waiting is in vain
        until REAL NOT NULL
    ) WITHOUT ROWID""",
    f"PRAGMA application_id = {_APPLICATION}",
    f"PRAGMA user_version = {_VERSION}",
)

# Connections of a parent process.  Closing them in a child could take the file's locks from the
# parent (https://www.sqlite.org/howtocorrupt.html, 2.6): they are left as they are.
_OF_PARENTS: list[list[_Lent]] = []


class _Lent:
    """A connection, and the file that was behind the path when it was opened."""

    __slots__ = ("database", "file")

    def __init__(self, database: sqlite3.Connection, file: tuple[int, int]) -> None:
        self.database = database
        self.file = file


class SQLiteFile:
    """Connections to one file, used by one thread at a time and never across a fork."""

    def __init__(self, path: str, *, timeout: float) -> None:
        self.path = path
        self._timeout = timeout
        self._start_afresh()

    def _start_afresh(self) -> None:
        self._lock = threading.Lock()
        self._repairing = threading.Lock()
        self._idle: list[_Lent] = []
        self._at_end = weakref.finalize(self, _close_all, self._idle)

    def reset_after_fork(self) -> None:
        """In a child: the parent's connections are not touched."""
        self._at_end.detach()
        _OF_PARENTS.append(self._idle)
        self._start_afresh()

    def close(self) -> None:
        """Close all connections that nobody uses; those in use follow when they come back."""
        with self._lock:
            idle, self._idle[:] = self._idle[:], []
        _close_all(idle)

    def using(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """``work`` done with a connection of its own; after an error that is not used again."""
        connection = self._connection()
        try:
            result = work(connection.database)
        except BaseException:
            connection.database.close()
            raise
        with self._lock:
            if is_kept := len(self._idle) < _MOST_IDLE:
                self._idle.append(connection)
        if not is_kept:
            connection.database.close()
        return result

    def _connection(self) -> _Lent:
        try:
            file = _identity(self.path)
        except FileNotFoundError:
            file = None
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                return self._opened()
            if connection.file == file:
                return connection
            connection.database.close()  # its file was moved away, or removed

    def _opened(self) -> _Lent:
        until = time.monotonic() + self._timeout
        while True:
            try:
                return self._opened_at_once()
            # Two that begin at the same time: there SQLite does not wait by itself.
            except sqlite3.OperationalError as error:
                if not is_busy(error) or time.monotonic() >= until:
                    raise
            time.sleep(0.001)

    def _opened_at_once(self) -> _Lent:
        _make(self.path)
        database = sqlite3.connect(
            self.path, timeout=self._timeout, isolation_level=None, check_same_thread=False
        )
        try:
            _prepare(database, self.path)
            return _Lent(database, _identity(self.path))
        except BaseException:
            database.close()
            raise

    def replace(self) -> None:
        """Move a broken file aside, unless somebody has done that already, or it is not broken."""
        with self._repairing:
            self.close()
            try:
                if self.using(_is_sound):
                    return
            except sqlite3.DatabaseError as error:
                if not is_broken(error):
                    raise
            aside = f"{self.path}.broken"
            self.close()
            for end in _BESIDE:
                with contextlib.suppress(FileNotFoundError):
                    os.remove(self.path + end)
            with contextlib.suppress(FileNotFoundError):
                os.replace(self.path, aside)
            LOGGER.warning("%s was broken and is now %s; the cache is empty", self.path, aside)


def _is_sound(database: sqlite3.Connection) -> bool:
    return bool(database.execute("PRAGMA quick_check(1)").fetchone() == ("ok",))


def is_broken(error: sqlite3.Error) -> bool:
    """Whether the file is no database, or one that is damaged: all else has a class of its own."""
    return type(error) is sqlite3.DatabaseError


def is_store(path: str) -> bool:
    """Whether this file is one of ours, as far as it can be read; it stays as it is."""
    try:  # not by its header alone: what was written last is in the file beside it
        database = sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=ro", uri=True)
        with contextlib.closing(database):
            return bool(database.execute("PRAGMA application_id").fetchone() == (_APPLICATION,))
    except sqlite3.Error:
        return False


def is_busy(error: sqlite3.Error) -> bool:
    """Whether somebody else was writing for too long."""
    return isinstance(error, sqlite3.OperationalError) and "locked" in str(error)


def _identity(path: str) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_dev, status.st_ino


def _make(path: str) -> None:
    """An empty file that only its owner may read, if there is none; SQLite's others follow it."""
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _prepare(database: sqlite3.Connection, path: str) -> None:
    database.execute("PRAGMA trusted_schema = OFF")  # what a file brings along is not executed
    if not _is_ours(database, path):
        database.execute("PRAGMA auto_vacuum = INCREMENTAL")
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("BEGIN IMMEDIATE")
        if not _is_ours(database, path):  # nor has another process made it so just now
            for statement in _SCHEMA:
                database.execute(statement)
        database.execute("COMMIT")
    database.text_factory = _text
    database.execute("PRAGMA synchronous = NORMAL")
    database.execute("PRAGMA cache_size = -512")


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")  # what is damaged is not found: no need to fail


def _is_ours(database: sqlite3.Connection, path: str) -> bool:
    """Whether our tables are there; False if they may be made; else an error."""
    database.execute("SAVEPOINT look")  # at one moment: another process may just be making them
    (application,) = database.execute("PRAGMA application_id").fetchone()
    (version,) = database.execute("PRAGMA user_version").fetchone()
    (tables,) = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
    database.execute("RELEASE look")
    if application == _APPLICATION and version <= _VERSION:
        return bool(version == _VERSION)
    if application or tables:
        raise sqlite3.NotSupportedError(f"{path} holds something else, or is of a later version")
    return False


def _close_all(connections: list[_Lent]) -> None:
    for connection in connections:
        connection.database.close()
