"""The command ``browseros-api cache``: looks into a store outside of memory, and forgets there."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..journal import masked_headers
from ..looking import KeptAnswer, KeptAnswers
from ..session import Session
from ..stores.sqlite_file import is_store
from .kept import listed, shown, told
from .paint import complain
from .parsing import add_command

__all__ = ["add_cache"]

_EXAMPLES = """examples:
  browseros-api cache ls answers.db --prefix https://api.example.com/
  browseros-api cache show answers.db 3f2a --body
  browseros-api cache rm redis://localhost/0 --url https://api.example.com/users
  browseros-api cache stats answers.db --json
"""
_PATIENCE = 5.0  # seconds for each step at the store: somebody waits, and no call does


class _Complaint(Exception):
    """What cannot be done; the text is for whoever asked."""


def add_cache(commands: Any) -> None:
    """Add the command and its own commands."""
    cache = add_command(
        commands, "cache", _run,
        told_as="look into a store, and forget what is kept there",
        description="Lists, shows, counts and forgets answers in a SQLite file or on a Redis "
        "server. STORE is what store= takes, such as sqlite:///answers.db, or the file itself.",
        examples=_EXAMPLES,
    )  # fmt: skip
    several = cache.add_subparsers(dest="action", required=True, metavar="ACTION")
    ls = _add(several, "ls", _ls, "list the answers that are kept")
    ls.add_argument("--prefix", default="", metavar="URL", help="only those that begin like this")
    show = _add(several, "show", _show, "show one answer, or its body")
    show.add_argument("key", help="of the answer, as ls shows it")
    show.add_argument("--body", action="store_true", help="write the body to the output")
    rm = _add(several, "rm", _rm, "forget answers")
    which = rm.add_mutually_exclusive_group(required=True)
    which.add_argument("key", nargs="?", help="of an answer, as ls shows it")
    which.add_argument("--url", help="all answers of a URL, whatever their query")
    which.add_argument("--prefix", metavar="URL", help="all that begin like this")
    which.add_argument("--all", action="store_true", help="everything")
    _add(several, "stats", _stats, "count and measure what is kept")


def _add(several: Any, name: str, act: Callable[..., str | None], told_as: str) -> Any:
    description = f"{told_as.capitalize()}."
    parser = add_command(
        several, name, _run, told_as=told_as, description=description, examples=_EXAMPLES
    )
    parser.add_argument("store", metavar="STORE", help="such as sqlite:///answers.db")
    parser.add_argument("--key-file", metavar="FILE", help="holds the store_key it is sealed with")
    if name != "rm":
        parser.add_argument("--json", action="store_true", help="print it as JSON")
    parser.set_defaults(act=act)
    return parser


def _run(given: argparse.Namespace) -> int:
    try:
        session = _opened(given)
    except (OSError, ValueError) as error:
        given.complain(str(error))
    try:
        with session:
            text = given.act(session, given)
            _check(session)
    except _Complaint as error:
        complain("cache", error)
        return 1
    if text is not None:
        print(text)
    return 0


def _opened(given: argparse.Namespace) -> Session:
    store, path = given.store, given.store.removeprefix("sqlite:///")
    if "://" not in store:
        path = os.path.abspath(store)
        store = f"sqlite:///{path}"
    if store == "memory://":
        raise ValueError("what is in memory ends with its process; name a file or a server")
    if store.startswith("sqlite:"):
        _check_file(os.path.expanduser(path))
    key = Path(given.key_file).read_text("utf-8").split() if given.key_file else None
    return Session(
        store=store, store_key=key, store_timeout=_PATIENCE, enable_circuit_breaker=False
    )


def _check_file(path: str) -> None:
    """A session would make a file that is missing, and move away one that is none of ours."""
    if not os.path.isfile(path):
        raise ValueError(f"there is no file {path!r}")
    if not is_store(path):
        raise ValueError(f"{path!r} holds no answers: it is not a store")


def _check(session: Session) -> None:
    """A store that fails is an empty one to all others, but not to us."""
    figures = session.get_stats()["store"]
    if figures["store_errors"]:
        raise _Complaint("the store cannot be read, or not be written")
    if figures["store_unreadable"]:
        number = figures["store_unreadable"]
        raise _Complaint(
            f"{number} times there was a record that cannot be read: another store_key?"
        )


# -- what it does ----------------------------------------------------------------------------------


def _ls(session: Session, given: argparse.Namespace) -> str:
    found = [one for one in session.cache if one.url.startswith(given.prefix)]
    found.sort(key=lambda one: (one.url, one.key))
    return _as_json([asdict(one) for one in found]) if given.json else listed(found)


def _show(session: Session, given: argparse.Namespace) -> str | None:
    key = _whole_key(session.cache, given.key)
    entries = session.engine.cache.answers.peek(key)
    if given.body:
        sys.stdout.buffer.write(entries[0].snapshot.content if entries else b"")
        return None
    now = session.engine.clock()
    found = [(KeptAnswer.of(key, entry, now=now), entry.snapshot) for entry in entries]
    if given.json:
        return _as_json(
            [
                {**asdict(one), "headers": masked_headers(snapshot.headers.items())}
                for one, snapshot in found
            ]
        )
    return "\n\n".join(shown(one, snapshot.headers, snapshot.content) for one, snapshot in found)


def _rm(session: Session, given: argparse.Namespace) -> str:
    cache = session.cache
    if given.all:
        number = len(cache)
        cache.clear()
    elif given.key is not None:
        number = cache.delete(key=_whole_key(cache, given.key))
    else:
        number = cache.delete(url=given.url, prefix=given.prefix)
    return f"{number} forgotten"


def _stats(session: Session, given: argparse.Namespace) -> str:
    cache, kept = session.cache, list(session.cache)
    figures = {
        "keys": len(cache),
        "answers": len(kept),
        "bytes": cache.bytes,
        "fresh": sum(one.fresh_for > 0 for one in kept),
        "stale": sum(one.fresh_for <= 0 for one in kept),
        "oldest_seconds": round(max((one.age for one in kept), default=0.0), 1),
        "store_kind": session.get_stats()["store"]["store_kind"],
    }
    return _as_json(figures) if given.json else told(figures)


def _whole_key(cache: KeptAnswers, begin: str) -> str:
    keys = cache.keys()
    found = [key for key in keys if key.startswith(begin)]
    if len(found) != 1:
        what = "no answer has a key" if not found else f"{len(found)} answers have keys"
        raise _Complaint(f"{what} that begins with {begin!r}")
    return found[0]


def _as_json(value: Any) -> str:
    return json.dumps(value, indent=2)
