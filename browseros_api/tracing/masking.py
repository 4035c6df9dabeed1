"""What of headers may be shown."""

from __future__ import annotations

from collections.abc import Iterable

from ..journal import MASK, is_secret, masked_url
from ..naming import makes_somebody

__all__ = ["masked_pairs"]

_ADDRESSES = frozenset({"content-location", "link", "location", "origin", "referer", "refresh"})


def masked_pairs(headers: Iterable[tuple[object, object]]) -> list[tuple[str, str]]:
    """Names and values, without those that make the caller somebody, and with URLs masked."""
    return [(name, _masked(name, value)) for name, value in _as_text(headers)]


def _as_text(headers: Iterable[tuple[object, object]]) -> Iterable[tuple[str, str]]:
    for pair in headers:
        name, value = (
            part.decode("latin-1") if isinstance(part, bytes) else str(part) for part in pair
        )
        yield name, value


def _masked(name: str, value: str) -> str:
    lower = name.lower()
    if is_secret(name) or makes_somebody(lower):
        return MASK
    return masked_url(value) if lower in _ADDRESSES else value
