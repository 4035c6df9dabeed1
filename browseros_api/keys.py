"""Names for calls: two calls have one key exactly if they may share one answer.

A key is the SHA-256 of a canonical form in which every part carries its type and length, so that
no two different calls can run together where a delimiter falls.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

__all__ = [
    "ALL_COOKIES",
    "NEVER_SELECTS",
    "REDIRECTS",
    "Unnamable",
    "canonical",
    "digest",
    "effective_headers",
    "fingerprint",
    "frozen",
    "thawed",
]

# Stands among a call's headers for every cookie that its session could send on redirects, wherever
# they lead; no real header can have this name.
ALL_COOKIES = ":cookies"

# Stands among them for whether redirects are to be followed.
REDIRECTS = ":redirects"

# Request headers that never choose the answer: what only identifies software, transport or tracing.
NEVER_SELECTS = frozenset(
    {
        "accept-encoding",
        "b3",
        "baggage",
        "cache-control",
        "correlation-id",
        "date",
        "idempotency-key",
        "newrelic",
        "pragma",
        "request-id",
        "sentry-trace",
        "traceparent",
        "tracestate",
        "user-agent",
        "x-amzn-trace-id",
        "x-b3-flags",
        "x-b3-parentspanid",
        "x-b3-sampled",
        "x-b3-spanid",
        "x-b3-traceid",
        "x-cloud-trace-context",
        "x-correlation-id",
        "x-datadog-parent-id",
        "x-datadog-sampling-priority",
        "x-datadog-trace-id",
        "x-request-id",
    }
)


class Unnamable(Exception):
    """Something that makes the caller somebody cannot be put into words: share nothing."""


def canonical(value: Any) -> bytes:
    """``value`` as bytes that no other value has: type, length, content, all the way down."""
    kind = type(value)
    if kind is str:  # first what there is most of: a name takes 4 us instead of 5
        return _sized(b"s", value.encode("utf-8", "surrogatepass"))
    if kind is tuple:
        return _sized(b"t", b"".join([canonical(part) for part in value]))
    if value is None:
        return b"n;"
    if isinstance(value, bool):
        return b"b1;" if value else b"b0;"
    if isinstance(value, str):
        return _sized(b"s", value.encode("utf-8", "surrogatepass"))
    if isinstance(value, (bytes, bytearray)):
        return _sized(b"y", bytes(value))
    if isinstance(value, (int, float)):
        return _sized(b"d" if isinstance(value, int) else b"f", repr(value).encode())
    if isinstance(value, Mapping):
        return _sized(b"m", b"".join(sorted(canonical(pair) for pair in value.items())))
    if isinstance(value, (tuple, list)):
        return _sized(b"t", b"".join(canonical(part) for part in value))
    raise Unnamable(f"{type(value).__name__} has no canonical form")


def _sized(tag: bytes, content: bytes) -> bytes:
    return b"%s%d:%s" % (tag, len(content), content)


def digest(*parts: Any) -> str:
    """The SHA-256 of the parts' canonical form, in hexadecimal."""
    return hashlib.sha256(canonical(parts)).hexdigest()


@lru_cache(4096)
def fingerprint(name: str, value: str | None) -> str | None:
    """What stands for a header's value where the value itself may not be; None for no header.

    Values that mean the same have the same: white space around the members of a list is nothing,
    nor is the order of those that have a weight each (RFC 9110, 5.6.1 and 12.4.2).
    """
    if value is None:
        return None
    members = [part.strip() for part in value.split(",")]
    if name in _WEIGHTED:
        members = sorted({part.lower().replace(" ", "") for part in members if part})
    return digest(members)[:32]


_WEIGHTED = frozenset({"accept", "accept-charset", "accept-encoding", "accept-language"})


def effective_headers(
    defaults: Mapping[str, Any] | None, given: Mapping[str, Any] | None
) -> dict[str, str]:
    """The headers that will be sent, by lower-case name: ``None`` removes a default.

    Values that are neither text nor bytes are left to requests, which refuses them.
    """
    merged: dict[str, Any] = {}
    for headers in (defaults, given):
        for name, value in _items(headers):
            merged[_text(name).lower()] = value
    return {name: _text(value) for name, value in merged.items() if value is not None}


def _items(headers: Mapping[str, Any] | None) -> Iterable[tuple[Any, Any]]:
    return headers.items() if headers else ()


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, str):
        return value
    raise Unnamable(f"a header of type {type(value).__name__}")


def frozen(value: Any) -> Any:
    """``value`` as something hashable whose equality is exact, or ``Unnamable`` is raised.

    Only plain ``str``, ``bytes``, ``int`` and ``None`` are taken as they are: ``True == 1 == 1.0``
    for a dictionary, yet they are three different query strings.
    """
    kind = type(value)
    if kind is str or kind is int or value is None or kind is bytes:
        return value
    if kind is bool:
        return _TRUE if value else _FALSE
    if kind is list or kind is tuple:
        return (kind.__name__, *[frozen(part) for part in value])
    if kind is float:
        return ("float", repr(value))
    if isinstance(value, Mapping):
        return ("map", *[(frozen(name), frozen(part)) for name, part in value.items()])
    raise Unnamable(f"{kind.__name__} cannot be named")


_TRUE, _FALSE = ("bool", "True"), ("bool", "False")


def thawed(value: Any) -> Any:
    """What was ``frozen``; of a mapping, a dict with the same items."""
    if type(value) is not tuple:
        return value
    kind, *parts = value
    if kind == "map":
        names = {thawed(name): thawed(part) for name, part in parts}
        if len(names) < len(parts):
            raise Unnamable("a mapping that has a name twice")
        return names
    if kind == "bool":
        return value == _TRUE
    if kind == "float":
        return float(parts[0])
    return [thawed(part) for part in parts] if kind == "list" else tuple(map(thawed, parts))
