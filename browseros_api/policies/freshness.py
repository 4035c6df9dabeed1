"""Whether an answer may be used again, and for how long: what its headers say (RFC 9111)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timezone
from email.utils import parsedate_to_datetime
from typing import Any

from requests import Response

__all__ = ["allowed_ttl", "directives", "is_keepable", "is_whole", "said_ttl"]

# Final answers that may be kept at all.  206 is part of an answer; 404 and 410 are kept only if
# the server itself says for how long, so that polling for something to appear goes on working.
_KEEPABLE = frozenset({200, 203, 204, 404, 410})
_ONLY_IF_SAID = frozenset({404, 410})
_NEGATIVE_TTL = 60.0
_LONGEST = 2**31  # seconds

_DIRECTIVE = re.compile(r'([^\s,;=]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,;]*)))?')


def directives(value: str | None) -> dict[str, str]:
    """A Cache-Control header as ``{directive: argument}``; what cannot be read is left out."""
    found: dict[str, str] = {}
    for match in _DIRECTIVE.finditer(value or ""):
        name, quoted, plain = match.groups()
        found.setdefault(name.lower(), quoted if quoted is not None else plain or "")
    return found


# -- for how long ----------------------------------------------------------------------------------


def said_ttl(headers: Mapping[str, str], *, now: float) -> float | None:
    """Seconds for which the server says that the answer stays fresh; None if it says nothing.

    ``now`` is the wall clock in epoch seconds.  RFC 9111, 4.2.1 and 4.2.3: max-age before Expires,
    less the age that the answer has already; what is unreadable counts as stale.
    """
    control = directives(headers.get("Cache-Control"))
    if "no-cache" in control:
        return 0.0
    date = _instant(headers.get("Date", ""))
    if "max-age" in control:
        lifetime = float(_seconds(control["max-age"]) or 0)
    elif "Expires" in headers:
        expires = _instant(headers["Expires"])
        lifetime = 0.0 if expires is None else expires - (now if date is None else date)
    elif "Cache-Control" not in headers and headers.get("Pragma", "").lower() == "no-cache":
        return 0.0
    else:
        return None
    apparent = 0 if date is None else int(now - date)  # a Date has no fractions: nor has this
    counted = _seconds(headers.get("Age", "").partition(",")[0].strip()) or 0  # junk: ignored, 5.1
    return max(0.0, lifetime - max(apparent, counted))


def allowed_ttl(
    response: Response, *, own: float | None = None, default: float | None, now: float
) -> float:
    """Seconds for which the answer may be kept: as long as its least lasting hop allows.

    ``own`` is the caller's word, which goes before the server's; ``default`` holds for hops whose
    server says nothing: ``None`` if those may not be kept.
    """
    return min(_hop_ttl(hop, own, default, now) for hop in (*response.history, response))


def _hop_ttl(hop: Response, own: float | None, default: float | None, now: float) -> float:
    if hop.status_code in _ONLY_IF_SAID:
        bound = _NEGATIVE_TTL if own is None else min(own, _NEGATIVE_TTL)
        return min(said_ttl(hop.headers, now=now) or 0.0, bound)
    if own is not None:
        return own
    said = said_ttl(hop.headers, now=now)
    return said if said is not None else default or 0.0


def _seconds(value: str) -> int | None:
    # Delta-seconds beyond what can be meant are capped (RFC 9111, 1.2.2).
    if not (value.isascii() and value.isdecimal()):
        return None
    digits = value.lstrip("0") or "0"
    return min(int(digits), _LONGEST) if len(digits) <= len(str(_LONGEST)) else _LONGEST


def _instant(value: str) -> float | None:
    try:
        date = parsedate_to_datetime(value)
        if date.tzinfo is None:  # the asctime form has no zone: it is UTC, as every HTTP date is
            date = date.replace(tzinfo=timezone.utc)
        return date.timestamp()
    except (TypeError, ValueError, IndexError, OverflowError):
        return None


# -- whether at all --------------------------------------------------------------------------------


def is_keepable(response: Response) -> bool:
    """Whether the answer, and each redirect on the way to it, may be kept by a private cache."""
    return response.status_code in _KEEPABLE and all(
        _allows_keeping(hop.headers) and is_whole(hop) for hop in (*response.history, response)
    )


def _allows_keeping(headers: Mapping[str, str]) -> bool:
    return (
        all(type(value) is str for value in headers.values())  # an adapter may have made them up
        and "no-store" not in directives(headers.get("Cache-Control"))
        and "Set-Cookie" not in headers
        and "*" not in headers.get("Vary", "")
        and not _is_dubious(headers)
    )


def _is_dubious(headers: Mapping[str, str]) -> bool:
    """Whether the headers contradict each other about where the body ends (RFC 9112, 6.3)."""
    length = headers.get("Content-Length")
    if length is None:
        return False
    return "Transfer-Encoding" in headers or not length.strip().isdecimal()


def is_whole(response: Response) -> bool:
    """Whether the body was read, and decoding it came to the end that the coding itself marks.

    A body that was cut before it was sent has a Content-Length that fits and raises nothing: only
    the decoder knows.  What is coded and has no decoder that can tell is taken for cut.
    """
    if not isinstance(response._content, bytes):
        return False  # a redirect whose body was broken
    coding = response.headers.get("Content-Encoding", "").strip().lower()
    return coding in ("", "identity") or _is_finished(getattr(response.raw, "_decoder", None))


def _is_finished(decoder: Any) -> bool:
    """Whether a decoder of urllib3 (2.0 to 2.8) is at its end; these fields are its own affair."""
    chain = getattr(decoder, "_decoders", None)
    if chain is not None:
        return all(map(_is_finished, chain))
    engine = getattr(decoder, "_obj", None)
    ask = getattr(engine, "is_finished", None)  # brotli's; those of zlib and zstandard have a flag
    return (ask() if callable(ask) else getattr(engine, "eof", None)) is True
