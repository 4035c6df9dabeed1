"""How long an answer may be used again: what its headers say (RFC 9111)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from requests import Response

__all__ = ["allowed_ttl", "directives", "is_keepable", "said_ttl"]

# Final answers that may be kept at all.  206 is part of an answer; 404 and 410 are kept only if
# the server itself says for how long, so that polling for something to appear goes on working.
_KEEPABLE = frozenset({200, 203, 204, 404, 410})
_ONLY_IF_SAID = frozenset({404, 410})
_NEGATIVE_TTL = 60.0

_DIRECTIVE = re.compile(r'([^\s,;=]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,;]*)))?')


def directives(value: str | None) -> dict[str, str]:
    """A Cache-Control header as ``{directive: argument}``; what cannot be read is left out."""
    found: dict[str, str] = {}
    for match in _DIRECTIVE.finditer(value or ""):
        name, quoted, plain = match.groups()
        found.setdefault(name.lower(), quoted if quoted is not None else plain or "")
    return found


def said_ttl(headers: Mapping[str, str], *, now: float) -> float | None:
    """Seconds for which the server says that the answer stays fresh; None if it says nothing.

    ``now`` is the wall clock in epoch seconds.  RFC 9111, 4.2.1 and 4.2.3: max-age before Expires,
    less the age the answer had already; what is contradictory or unreadable counts as stale.
    """
    control = directives(headers.get("Cache-Control"))
    if "no-cache" in control:
        return 0.0
    if "max-age" in control:
        lifetime = _seconds(control["max-age"])
    elif "Expires" in headers:
        expires, date = _instant(headers["Expires"]), _instant(headers.get("Date", ""))
        lifetime = 0.0 if expires is None else expires - (now if date is None else date)
    elif "Cache-Control" not in headers and headers.get("Pragma", "").lower() == "no-cache":
        return 0.0
    else:
        return None
    return max(0.0, lifetime - _seconds(headers.get("Age", "0")))


def is_keepable(response: Response) -> bool:
    """Whether the answer, and each redirect on the way to it, may be kept by a private cache."""
    return response.status_code in _KEEPABLE and all(
        _allows_keeping(hop.headers) for hop in (*response.history, response)
    )


def _allows_keeping(headers: Mapping[str, str]) -> bool:
    return (
        "no-store" not in directives(headers.get("Cache-Control"))
        and "Set-Cookie" not in headers
        and headers.get("Vary", "").strip() != "*"
        and not _is_dubious(headers)
    )


def _is_dubious(headers: Mapping[str, str]) -> bool:
    """Whether the headers contradict each other about where the body ends (RFC 9112, 6.3)."""
    length = headers.get("Content-Length")
    if length is None:
        return False
    return "Transfer-Encoding" in headers or not length.strip().isdecimal()


def allowed_ttl(response: Response, *, default: float | None, now: float) -> float:
    """Seconds for which the answer may be kept: as long as its least lasting hop allows.

    ``default`` holds for hops whose server says nothing; ``None`` if those may not be kept.
    """
    return min(_hop_ttl(hop, default, now) for hop in (*response.history, response))


def _hop_ttl(hop: Response, default: float | None, now: float) -> float:
    said = said_ttl(hop.headers, now=now)
    if hop.status_code in _ONLY_IF_SAID:
        return min(said or 0.0, _NEGATIVE_TTL)
    return said if said is not None else default or 0.0


def _seconds(value: str) -> float:
    # Delta-seconds beyond what can be meant are capped (RFC 9111, 1.2.2); junk is stale.
    return float(min(int(value), 2**31)) if value.isascii() and value.isdecimal() else 0.0


def _instant(value: str) -> float | None:
    try:
        return parsedate_to_datetime(value).timestamp()
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
