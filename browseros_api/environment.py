"""What the process environment says about requests: a cheap, exact way to see that it changed."""

from __future__ import annotations

import os
from typing import Any

__all__ = ["Environment"]

# Besides all whose names end with "_proxy", in any case.  REQUEST_METHOD: where it is set, the
# standard library takes itself for a CGI script and does not believe in HTTP_PROXY.
_DECIDES = frozenset(
    {"CURL_CA_BUNDLE", "HOME", "NETRC", "REQUESTS_CA_BUNDLE", "REQUEST_METHOD", "USERPROFILE"}
)
_Variables = tuple[tuple[str, str | None], ...]


class Environment:
    """The variables and files that decide on proxies, CA bundle and netrc credentials.

    Fields are replaced together, never edited: a thread that races another only does work twice.
    """

    def __init__(self) -> None:
        self._seen: tuple[Any, _Variables, tuple[str, ...]] = (None, (), ())

    def variables(self) -> _Variables:
        """The variables that matter to a request, with their values, in a fixed order."""
        return self._look()[1]

    def netrc_stamp(self) -> tuple[tuple[str, int, int, int], ...]:
        """The netrc files that exist, as they are on the disk: equal means unchanged."""
        found = []
        for path in self._look()[2]:
            try:
                status = os.stat(path)
            except OSError:
                continue
            found.append((path, status.st_ino, status.st_size, status.st_mtime_ns))
        return tuple(found)

    def _look(self) -> tuple[Any, _Variables, tuple[str, ...]]:
        # Comparing CPython's own encoded dictionary takes 0.4 us; ten os.environ.get take 12.
        current = getattr(os.environ, "_data", None)
        if current is None or current != self._seen[0]:
            copy = None if current is None else dict(current)  # first: a later change will be seen
            self._seen = (copy, _variables(), _netrc_paths())
        return self._seen


def _variables() -> _Variables:
    names = [name for name in os.environ if name in _DECIDES or name.lower().endswith("_proxy")]
    return tuple((name, os.environ.get(name)) for name in sorted(names))


def _netrc_paths() -> tuple[str, ...]:
    named = os.environ.get("NETRC")
    if named is not None:
        return (os.path.expanduser(named),)
    return tuple(os.path.expanduser(f"~/{name}") for name in (".netrc", "_netrc"))
