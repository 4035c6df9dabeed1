"""How long an answer is used without asking, and how long it is worth keeping (RFC 9111, 4.2)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from requests import Response

from .directives import directives, instant, seconds

__all__ = ["Life", "age_of", "is_strict", "lived_by_rfc", "lived_by_ttl", "said_lifetime"]

_TTL_STATUSES = frozenset({200, 203, 204})
_MISSING = frozenset({404, 410})
_MISSING_TTL = 60.0  # seconds: polling for something to appear goes on working

# May be kept although the server says nothing about it (RFC 9110, 15.1; 206 is not kept at all).
_BY_DEFAULT = frozenset({200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501})
_HEURISTIC = 0.1  # of the time since the last change, as RFC 9111, 4.2.2 suggests
_LONGEST_GUESS = 86_400.0

_TO_VALIDATE = 86_400.0  # seconds that an answer stays after it was fresh, for being asked about
_TO_SPARE = 3600.0  # the same for one that cannot be: some callers take what is stale


@dataclass(frozen=True, slots=True)
class Life:
    """Seconds from now: for how long an answer is fresh, and is kept; and the age it has already.

    Not positive: it is not fresh, since so long; it is not worth keeping.
    """

    fresh: float
    kept: float
    age: float = 0.0


# -- in TTL mode -----------------------------------------------------------------------------------


def lived_by_ttl(
    response: Response, *, own: float | None, default: float, spare: float, now: float
) -> Life:
    """The life of an answer: as long as its least lasting hop allows.

    ``own`` is the caller's word, which goes before the server's; ``default`` holds for hops whose
    server says nothing; ``spare`` are the seconds for which what is stale may serve in need.
    """
    hops = (*response.history, response)
    fresh = min(_ttl(hop, own, default, now) for hop in hops)
    kept = fresh if fresh <= 0 or any(is_strict(hop.headers) for hop in hops) else fresh + spare
    return Life(fresh, kept, age_of(response, now=now))


def _ttl(hop: Response, own: float | None, default: float, now: float) -> float:
    if hop.status_code in _MISSING:
        return _missing_ttl(hop, own, now)
    if own is not None:
        return own
    said = _said_left(hop, now)
    return max(0.0, default if said is None else said)


def _missing_ttl(hop: Response, own: float | None, now: float) -> float:
    """Only if the server itself says for how long, and not for long."""
    bound = _MISSING_TTL if own is None else min(own, _MISSING_TTL)
    return min(max(0.0, _said_left(hop, now) or 0.0), bound)


def _said_left(hop: Response, now: float) -> float | None:
    control = directives(hop.headers.get("Cache-Control"))
    if "no-cache" in control or _is_held(hop.headers):
        return 0.0
    said = said_lifetime(hop.headers, now=now)
    return None if said is None else said - age_of(hop, now=now)


# -- by the RFC ------------------------------------------------------------------------------------


def lived_by_rfc(response: Response, *, own: float | None, spare: float, now: float) -> Life:
    """The life of an answer: as its server has allowed it, or ``own``, the caller's word."""
    hops = (*response.history, response)
    fresh = min(_left(hop, own, now) for hop in hops)
    return Life(fresh, _kept(hops, fresh, spare), age_of(response, now=now))


def _left(hop: Response, own: float | None, now: float) -> float:
    """Seconds left of its lifetime; minus infinity if it may not even be kept."""
    if own is not None and hop.status_code in _MISSING:
        return _missing_ttl(hop, own, now)
    if own is not None and (hop.status_code in _TTL_STATUSES or hop.is_redirect):
        return own
    left = _lifetime(hop, now) - age_of(hop, now=now)
    return min(left, 0.0) if _is_held(hop.headers) else left


def _lifetime(hop: Response, now: float) -> float:
    said = said_lifetime(hop.headers, now=now)
    if said is not None:
        return said
    control = directives(hop.headers.get("Cache-Control"))
    if hop.status_code in _BY_DEFAULT or "public" in control:
        return _guessed(hop.headers, now)
    return 0.0 if "private" in control else float("-inf")


def _guessed(headers: Mapping[str, str], now: float) -> float:
    changed = instant(headers.get("Last-Modified"), now=now)
    if changed is None:
        return 0.0
    date = instant(headers.get("Date"), now=now)
    since = (now if date is None else date) - changed
    return max(0.0, min(_HEURISTIC * since, _LONGEST_GUESS))


def _kept(hops: tuple[Response, ...], fresh: float, spare: float) -> float:
    """For how long it may still be of use: to validate, or stale as the server or we allow it."""
    headers = hops[-1].headers
    is_alone = len(hops) == 1  # what the last hop says is not said of the others
    kept = fresh
    if not any(is_strict(hop.headers) for hop in hops):
        control = directives(headers.get("Cache-Control")) if is_alone else {}
        windows = [seconds(control.get(name)) or 0 for name in _WINDOWS]
        kept += max(spare, *windows, _TO_SPARE if fresh > 0 else 0.0)
    has_validator = is_alone and ("ETag" in headers or "Last-Modified" in headers)
    if has_validator and math.isfinite(fresh):
        kept = max(kept, max(fresh, 0.0) + _TO_VALIDATE)
    return kept


_WINDOWS = ("stale-while-revalidate", "stale-if-error")  # RFC 5861
_WHOLLY = ("", "?")  # no-cache without the names of fields, or with what cannot be read


# -- what the headers say --------------------------------------------------------------------------


def said_lifetime(headers: Mapping[str, str], *, now: float) -> float | None:
    """Seconds from its making for which the server says it is fresh; None if it says nothing.

    max-age before Expires; what is unreadable counts as over (RFC 9111, 4.2.1).  ``now`` is the
    wall clock in epoch seconds.  ``s-maxage`` is for caches that are shared: not read.
    """
    control = directives(headers.get("Cache-Control"))
    if "max-age" in control:
        return float(seconds(control["max-age"]) or 0)
    if "Expires" not in headers:
        return None
    expires = instant(headers["Expires"], now=now)
    date = instant(headers.get("Date"), now=now)
    return 0.0 if expires is None else expires - (now if date is None else date)


def age_of(response: Response, *, now: float) -> float:
    """Seconds since the origin made the answer, at the least, when it arrived (RFC 9111, 4.2.3)."""
    headers = response.headers
    date = instant(headers.get("Date"), now=now)
    apparent = 0 if date is None else int(now - date)  # a Date has no fractions: nor has this
    counted = seconds(headers.get("Age", "").partition(",")[0].strip())  # junk: ignored, 5.1
    delay = int(response.elapsed.total_seconds())
    return float(max(0, apparent, (counted or 0) + delay))


def is_strict(headers: Mapping[str, str]) -> bool:
    """Whether the answer must never be used stale (RFC 9111, 4.2.4)."""
    return "must-revalidate" in directives(headers.get("Cache-Control")) or _is_held(headers)


def _is_held(headers: Mapping[str, str]) -> bool:
    """Whether it must be validated before each use; not where only some of its fields must."""
    control = directives(headers.get("Cache-Control"))
    if control or "Expires" in headers:
        return control.get("no-cache") in _WHOLLY
    return headers.get("Pragma", "").lower() == "no-cache"  # of old servers (RFC 9111, 5.4)
