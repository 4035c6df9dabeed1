"""What the fields that caching is about say: directives, seconds, dates, lists, entity tags."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from functools import lru_cache

__all__ = ["directives", "instant", "members", "seconds", "tags"]

_LONGEST = 2**31  # seconds: what is beyond cannot be meant (RFC 9111, 1.2.2)

_DIRECTIVE = re.compile(r'([^\s,;=]+)(?:(\s*)=(\s*)(?:"((?:[^"\\]|\\.)*)"|([^\s,;]*)))?')
_YEAR = re.compile(r"\b\d{4}\b")
_TAG = re.compile(r'(?:W/)?"[^"]*"|[^\s,"]+')


@lru_cache(512)
def directives(value: str | None) -> Mapping[str, str]:
    """A Cache-Control field as ``{directive: argument}``; of those that stand twice, the first.

    Separators may be odd, so that no prohibition is missed.  An argument with white space before
    it is none (RFC 9111, 5.2): such a lifetime is unreadable, and the answer counts as stale.
    """
    found: dict[str, str] = {}
    for match in _DIRECTIVE.finditer(value or ""):
        name, before, after, quoted, plain = match.groups()
        argument = quoted if quoted is not None else plain or ""
        found.setdefault(name.lower(), "?" if before or after else argument)
    return found


def seconds(value: str | None) -> int | None:
    """A number of seconds; None if it is no such thing."""
    if value is None or not (value.isascii() and value.isdecimal()):
        return None
    digits = value.lstrip("0") or "0"
    return min(int(digits), _LONGEST) if len(digits) <= len(str(_LONGEST)) else _LONGEST


def instant(value: str | None, *, now: float | None = None) -> float | None:
    """A date in any of HTTP's three forms, and in most that are meant to be one, as epoch seconds.

    A year of two digits is never more than fifty years ahead of ``now`` (RFC 9110, 5.6.7).
    """
    try:
        date = parsedate_to_datetime(value or "")
        if date.tzinfo is None:  # the asctime form has no zone: it is UTC, as every HTTP date is
            date = date.replace(tzinfo=timezone.utc)
        if not _YEAR.search(value or ""):
            this = datetime.fromtimestamp(time.time() if now is None else now).year
            date = date.replace(year=_in_this_age(date.year, this=this))
        return date.timestamp()
    except (TypeError, ValueError, IndexError, OverflowError, OSError):
        return None


def _in_this_age(year: int, *, this: int) -> int:
    year = this - this % 100 + year % 100
    return year - 100 if year > this + 50 else year


def members(value: str | None) -> list[str]:
    """The members of a list, in lower case."""
    return [one for part in (value or "").lower().split(",") if (one := part.strip())]


def tags(value: str | None) -> list[str]:
    """The entity tags of a list, or ``*``."""
    return _TAG.findall(value or "")
