"""What a server announces of its limits, in each of the forms that are in use.

    RateLimit: "burst";r=5;t=1, "day";r=900;t=40000     draft-ietf-httpapi-ratelimit-headers-08 on
    RateLimit-Policy: "burst";q=10;w=1                  the same: the whole quota
    RateLimit: limit=100, remaining=50, reset=5         draft 07
    RateLimit-Limit: 100, 100;w=60                      up to draft 06, with -Remaining and -Reset
    X-RateLimit-Limit, -Remaining, -Reset               nobody's standard; also X-Rate-Limit-...,
                                                        and ...-Requests behind or before them

A reset is in seconds, or an instant: of the epoch in seconds or milliseconds, or by ISO 8601; or a
duration such as ``6m0s``.  What cannot be read, or cannot be meant, says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import NamedTuple

__all__ = ["Announced", "announcements"]

_LONGEST_VALUE = 1000  # characters that are looked at
_LONGEST_WINDOW = 366 * 86_400.0  # seconds: more is not meant
_MOST_WINDOWS = 4
_ROUNDED = 1.0  # seconds
_EPOCH, _EPOCH_MS = 1e9, 1e12  # from here on a number is an instant: in seconds, in milliseconds

_TELLS = re.compile(r"rate-?limit", re.IGNORECASE)
_COUNT = re.compile(r"[0-9]{1,15}")
_NUMBER = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,9})?")
_DURATION = re.compile(
    r"(?=[0-9])(?:([0-9]{1,4})d)?(?:([0-9]{1,5})h)?(?:([0-9]{1,6})m(?!s))?"
    r"(?:([0-9]{1,9}(?:\.[0-9]{1,9})?)s)?(?:([0-9]{1,12}(?:\.[0-9]{1,9})?)ms)?"
)
_UNITS = (86_400.0, 3600.0, 60.0, 1.0, 0.001)

# Structured fields (RFC 9651), as much of them as is needed: items with parameters.
_STRING = r'"(?:[ !#-\[\]-~]|\\["\\])*"'
_TOKEN = r"[A-Za-z*][A-Za-z0-9!#$%&'*+.^_`|~:/-]*"
_BARE = rf"{_STRING}|{_TOKEN}|-?[0-9]{{1,15}}(?:\.[0-9]{{1,3}})?|:[A-Za-z0-9+/=]*:|\?[01]"
_ITEM = re.compile(rf"({_BARE})((?:[ \t]*;[ \t]*[a-z*][a-z0-9_.*-]*(?:=(?:{_BARE}))?)*)")
_PAIR = re.compile(rf"([a-z*][a-z0-9_.*-]*)=({_BARE})")
_COMMA = re.compile(r"[ \t]*,[ \t]*")

# The common parts of three names, and what stands behind the last word.
_TRIPLES = (
    ("ratelimit-", ""),
    ("x-ratelimit-", ""),
    ("x-rate-limit-", ""),
    ("x-ratelimit-", "-requests"),
    ("anthropic-ratelimit-requests-", ""),
)


class Announced(NamedTuple):
    """One window: so many are left in it, of ``limit`` if that is said, for ``reset`` seconds."""

    name: str
    limit: int | None
    remaining: int
    reset: float


def announcements(headers: Mapping[str, str], *, now: float) -> list[Announced]:
    """All windows that an answer tells of, a few at most; ``now`` is in seconds of the epoch."""
    names = [name for name in headers if isinstance(name, str) and _TELLS.search(name)]
    if not names:
        return []
    said = {name.lower(): headers[name] for name in names}
    said = {name: value for name, value in said.items() if len(value or "") <= _LONGEST_VALUE}
    said = {name: value for name, value in said.items() if isinstance(value, str)}
    found = [*_structured(said), *_triples(said, _Clock(headers.get("Date"), now))]
    return [one for one in found if one.reset <= _LONGEST_WINDOW][:_MOST_WINDOWS]


def _structured(said: Mapping[str, str]) -> Iterator[Announced]:
    value = said.get("ratelimit")
    if value is None:
        return
    plain = _draft_07(value)
    if plain is not None:
        yield plain
        return
    quotas = {name: _count(told.get("q")) for name, told in _items(said.get("ratelimit-policy"))}
    for name, told in _items(value):
        remaining, reset = _count(told.get("r")), _count(told.get("t"))
        if remaining is not None and reset is not None:
            yield Announced(name, quotas.get(name), remaining, float(reset))


def _draft_07(value: str) -> Announced | None:
    told = dict(_PAIR.findall(value)) if _is_dictionary(value) else {}
    remaining, reset = _count(told.get("remaining")), _count(told.get("reset"))
    if remaining is None or reset is None:
        return None
    return Announced("", _count(told.get("limit")), remaining, float(reset))


def _is_dictionary(value: str) -> bool:
    return all(_PAIR.fullmatch(part) for part in _COMMA.split(value.strip()))


def _items(value: str | None) -> list[tuple[str, dict[str, str]]]:
    """Names and their parameters; nothing if the list is not well-formed to its end."""
    text, place, found = (value or "").strip(), 0, []
    while (item := _ITEM.match(text, place)) is not None:
        found.append((item[1].strip('"'), dict(_PAIR.findall(item[2]))))
        if item.end() == len(text):
            return found
        comma = _COMMA.match(text, item.end())
        if comma is None:
            break
        place = comma.end()
    return []


def _triples(said: Mapping[str, str], clock: _Clock) -> Iterator[Announced]:
    for before, behind in _TRIPLES:
        remaining = _count(said.get(f"{before}remaining{behind}"))
        after = said.get(f"{before}reset-after{behind}")
        reset = said.get(f"{before}reset{behind}") if after is None else after
        seconds = None if remaining is None else _reset(reset, clock)
        if remaining is None or seconds is None:
            continue
        limit = _COMMA.split(said.get(f"{before}limit{behind}", ""))[0]
        yield Announced("", _count(limit.partition(";")[0]), remaining, seconds)
        if before == "ratelimit-":  # the others would only say it again
            return


def _count(text: str | None) -> int | None:
    text = (text or "").strip()
    return int(text) if _COUNT.fullmatch(text) else None


def _reset(text: str | None, clock: _Clock) -> float | None:
    text = (text or "").strip()
    if not text:
        return None
    if _NUMBER.fullmatch(text):
        number = float(text)
        if number < _EPOCH:
            return number
        return clock.left(number / 1000 if number >= _EPOCH_MS else number)
    if (parts := _DURATION.fullmatch(text)) is not None:
        return sum(
            float(part or 0) * unit for part, unit in zip(parts.groups(), _UNITS, strict=True)
        )
    try:
        instant = datetime.fromisoformat(text.replace("Z", "+00:00"))
        return clock.left(instant.timestamp()) if instant.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


class _Clock:
    """The server's, if it has told a date; looked at only where an instant is told."""

    def __init__(self, date: str | None, now: float) -> None:
        self._date, self._now = date, now

    def left(self, until: float) -> float | None:
        """Seconds; what is over for longer than a clock is rounded was not meant."""
        now = _instant(self._date)
        left = until - (self._now if now is None else now)
        return max(0.0, left) if left >= -_ROUNDED else None


def _instant(date: str | None) -> float | None:
    """Of an HTTP date, in seconds of the epoch."""
    try:
        instant = parsedate_to_datetime(date or "")
        return instant.replace(tzinfo=instant.tzinfo or timezone.utc).timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
