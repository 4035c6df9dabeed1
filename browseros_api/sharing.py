"""Whose answers calls get on purpose: names that take the place of who asks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import translate
from typing import Any

__all__ = ["Sharing", "checked_share", "checked_shares"]

_DETOURS = re.compile(r"/\.\.?(?:/|$)|%2e|%2f|%5c|\\", re.IGNORECASE)


def checked_share(value: Any) -> str:
    """A call's ``share=``, if it is a name."""
    if not isinstance(value, str):
        raise TypeError(f"share must be a str that names whose answer it is, not {value!r}")
    if not value:
        raise ValueError("share must be a name, not ''")
    return value


def checked_shares(value: Any) -> dict[str, str]:
    """A copy of the setting ``share``, if it maps URL patterns to names."""
    if not isinstance(value, Mapping):
        raise TypeError(f"share must be a mapping of URL patterns to names, not {value!r}")
    for pattern, name in value.items():
        if not isinstance(pattern, str) or "://" not in pattern:
            raise ValueError(
                "share must be a mapping of URL patterns, such as "
                f"'https://api.example.com/public/*', and not of {pattern!r}"
            )
        checked_share(name)
    return dict(value)


class Sharing:
    """Finds the name for a URL: that of the first pattern which fits.

    ``*`` stands for any text, ``?`` for one character.  The query does not count.  A URL that may
    lead elsewhere than it looks, such as one with ``..`` in it, fits none.
    """

    def __init__(self, patterns: Mapping[str, str] | None) -> None:
        self._patterns = [
            (re.compile(translate(pattern)), name) for pattern, name in (patterns or {}).items()
        ]

    def __bool__(self) -> bool:
        return bool(self._patterns)

    def name(self, url: str) -> str | None:
        """The name under which answers of this prepared URL are shared; None: who asks matters."""
        place = url.partition("#")[0].partition("?")[0]
        if _DETOURS.search(place):
            return None
        return next((name for pattern, name in self._patterns if pattern.match(place)), None)
