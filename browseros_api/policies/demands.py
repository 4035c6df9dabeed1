"""What a request says about answers that are kept: its Cache-Control, conditions and ranges."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ..stores.entry import Entry
from .directives import directives, seconds
from .freshness import is_strict

__all__ = ["PARTICULAR", "PLAIN", "Demands"]

# Without any of these a request takes what is fresh.
PARTICULAR = frozenset(
    {
        *("cache-control", "pragma", "range", "if-range", "if-match", "if-none-match"),
        *("if-modified-since", "if-unmodified-since"),
    }
)
_FOR_THE_ORIGIN = frozenset({"if-range", "if-match", "if-unmodified-since"})
_OWN = frozenset({"if-none-match", "if-modified-since", "range"})


@dataclass(frozen=True, slots=True)
class Demands:
    """The directives in seconds, and what else decides (RFC 9111, 5.2.1 and 4.3.2).

    ``is_own``: it has conditions of its own, or wants a part: it gets what the origin says to that.
    """

    headers: Mapping[str, str]
    no_cache: bool = False
    no_store: bool = False
    only_if_cached: bool = False
    max_age: float | None = None
    min_fresh: float = 0.0
    max_stale: float = -1.0
    stale_if_error: float = -1.0
    is_own: bool = False

    @classmethod
    def of(cls, headers: Mapping[str, str], *, by_rfc: bool = True) -> Demands:
        """The demands of a request with these headers, named in lower case.

        In TTL mode conditions and ranges are none: they are in the key, as all that selects.
        """
        is_for_origin = by_rfc and not _FOR_THE_ORIGIN.isdisjoint(headers)
        control = directives(headers.get("cache-control"))
        pragma = "" if control else headers.get("pragma", "")
        stale = control.get("max-stale")
        return cls(
            headers,
            no_cache="no-cache" in control
            or "no-store" in control
            or "no-cache" in pragma.lower()
            or is_for_origin,
            no_store="no-store" in control or is_for_origin,
            only_if_cached="only-if-cached" in control,
            max_age=float(seconds(control["max-age"]) or 0) if "max-age" in control else None,
            min_fresh=float(seconds(control.get("min-fresh")) or 0),
            max_stale=math.inf if stale == "" else float(_or_less(seconds(stale))),
            stale_if_error=float(_or_less(seconds(control.get("stale-if-error")))),
            is_own=is_for_origin or (by_rfc and not _OWN.isdisjoint(headers)),
        )

    def accept(self, entry: Entry, *, now: float, window: float = -1.0) -> bool:
        """Whether the entry will do at the instant ``now``.

        ``window``: seconds for which the server lets it be used stale (stale-while-revalidate).
        """
        if self.no_cache or not self._is_young_enough(entry, now):
            return False
        left = entry.fresh_until - now
        if left > 0 or self.min_fresh:
            return left > 0 and left >= self.min_fresh
        allowed = self.max_stale if self.max_age is not None else max(self.max_stale, window)
        return -left <= allowed and not is_strict(entry.snapshot.headers)

    def _is_young_enough(self, entry: Entry, now: float) -> bool:
        if self.max_age is None:
            return True
        if self.max_age == 0:  # a reload: of no avail where it says that it never changes, RFC 8246
            return "immutable" in directives(entry.snapshot.headers.get("Cache-Control"))
        return now - entry.born <= self.max_age


def _or_less(value: int | None) -> int:
    return -1 if value is None else value


PLAIN = Demands({})
