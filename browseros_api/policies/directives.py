"""What the fields that caching is about say: directives, seconds, dates, lists, entity tags."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from datetime import datetime, timezone
from functools import lru_cache

__all__ = ["directives", "instant", "members", "seconds", "tags"]

_LONGEST = 2**31  # seconds: what is beyond cannot be meant (RFC 9111, 1.2.2)

_DIRECTIVE = re.compile(r'([^\s,;=]+)(?:(\s*)=(\s*)(?:"((?:[^"\\]|\\.)*)"|([^\s,;]*)))?')

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = rf"(?P<month>{'|'.join(_MONTHS)})"
_DAY, _LONG_DAY = "(?:mon|tue|wed|thu|fri|sat|sun)", "(?:mon|tues|wednes|thurs|fri|satur|sun)day"
_TIME = r"(?P<hour>[01]\d|2[0-3]):(?P<minute>[0-5]\d):(?P<second>[0-5]\d|60)"
_FORMS = [
    re.compile(rf"\s*{form}\s*(?:,.*)?", re.IGNORECASE | re.ASCII)
    for form in (
        rf"{_DAY}, (?P<day>\d\d) {_MONTH} (?P<year>\d{{4}}) {_TIME} GMT",
        rf"{_LONG_DAY}, (?P<day>\d\d)-{_MONTH}-(?P<year>\d\d) {_TIME} GMT",  # of RFC 850
        rf"{_DAY} {_MONTH} (?P<day>[ \d]\d) {_TIME} (?P<year>\d{{4}})",  # of asctime()
    )
]

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
    """A date in one of HTTP's three forms, in any case, as epoch seconds; None if it is none.

    What only looks like one is none, as one in another zone: it would be used for too long
    (RFC 9111, 4.2).  Of two, the first counts (4.2.1).  A year of two digits is never more than
    fifty years ahead of ``now`` (RFC 9110, 5.6.7).
    """
    match = next(filter(None, (form.fullmatch(value or "") for form in _FORMS)), None)
    if match is None:
        return None
    month, year = 1 + _MONTHS.index(match["month"].lower()), int(match["year"])
    day, hour, minute = (int(match[name]) for name in ("day", "hour", "minute"))
    try:
        if len(match["year"]) == 2:
            this = datetime.fromtimestamp(time.time() if now is None else now, timezone.utc).year
            year = _in_this_age(year, this=this)
        date = datetime(year, month, day, hour, minute, tzinfo=timezone.utc)
    except (ValueError, OverflowError, OSError):  # no such day, or a clock beyond all years
        return None
    return date.timestamp() + int(match["second"])  # which is 60 where a second was put in


def _in_this_age(year: int, *, this: int) -> int:
    year = this - this % 100 + year % 100
    return year - 100 if year > this + 50 else year


def members(value: str | None) -> list[str]:
    """The members of a list, in lower case."""
    return [one for part in (value or "").lower().split(",") if (one := part.strip())]


def tags(value: str | None) -> list[str]:
    """The entity tags of a list, or ``*``."""
    return _TAG.findall(value or "")
