"""What the process environment says about requests: a cheap, exact way to see that it changed."""

from __future__ import annotations

import netrc  # noqa: F401  (requests would import it in its first call, see forks.importing)
import os
import sys
import time
from typing import Any

__all__ = ["SYSTEM_HAS_A_SAY", "Environment", "credentials", "has_changed", "said_of_ways"]

# There the system has settings of its own for proxies.
SYSTEM_HAS_A_SAY = sys.platform in ("darwin", "win32")

# Besides all whose names end with "_proxy", in any case.  REQUEST_METHOD: where it is set, the
# standard library takes itself for a CGI script and does not believe in HTTP_PROXY.
_DECIDES = frozenset(
    {"CURL_CA_BUNDLE", "HOME", "NETRC", "REQUESTS_CA_BUNDLE", "REQUEST_METHOD", "USERPROFILE"}
)
_OF_NETRC = frozenset({"HOME", "NETRC", "USERPROFILE"})  # these only say where it is
_FRESH = 0.0005  # seconds, less than a request takes
_Variables = tuple[tuple[str, str | None], ...]
_Stamp = tuple[str, int, int, int]
_Said = tuple[_Variables, tuple[_Stamp, ...]]


class Environment:
    """The variables and files that decide on proxies, CA bundle and netrc credentials.

    Fields are replaced together, never edited: a thread that races another only does work twice.
    Where no netrc file is, none is looked for again at once: at each system call another thread
    gets the interpreter, and of a thousand calls at the same time each would make two.
    """

    def __init__(self) -> None:
        self._none: tuple[float, _Said | None] = (0.0, None)  # no such file, at that time
        self._seen: tuple[Any, _Said, tuple[str, ...]] = (None, ((), ()), ())

    def says(self) -> _Said:
        """The variables that matter, and a stamp of each netrc file: equal means unchanged."""
        _, said, paths = self._look()
        now, (since, none) = time.monotonic(), self._none
        if none is said and now - since < _FRESH:
            return said
        for path in paths:
            if os.access(path, os.F_OK):  # half the price of a status that cannot be had
                return (said[0], tuple(_stamp(path) for path in paths))
        self._none = now, said
        return said

    def variables(self) -> _Variables:
        """The variables that matter to a request, with their values, in a fixed order."""
        return self._look()[1][0]

    def _look(self) -> tuple[Any, _Said, tuple[str, ...]]:
        # Comparing CPython's own encoded dictionary takes 0.4 us; ten os.environ.get take 12.
        current = getattr(os.environ, "_data", None)
        if current is None or current != self._seen[0]:
            copy = None if current is None else dict(current)  # first: a later change will be seen
            self._seen = (copy, (_variables(), ()), _netrc_paths())
        return self._seen


def _stamp(path: str) -> _Stamp:
    try:
        status = os.stat(path)
    except OSError:
        return (path, 0, 0, 0)
    return (path, status.st_ino, status.st_size, status.st_mtime_ns)


def _variables() -> _Variables:
    names = [name for name in os.environ if name in _DECIDES or name.lower().endswith("_proxy")]
    return tuple((name, os.environ.get(name)) for name in sorted(names))


def _netrc_paths() -> tuple[str, ...]:
    named = os.environ.get("NETRC")
    if named is not None:
        return (os.path.expanduser(named),)
    return tuple(os.path.expanduser(f"~/{name}") for name in (".netrc", "_netrc"))


def said_of_ways(said: _Said) -> _Variables:
    """The variables without those that only say where a netrc file is."""
    return tuple(pair for pair in said[0] if pair[0] not in _OF_NETRC)


def credentials(said: _Said) -> bytes | None:
    """The netrc file that requests reads, wherever it is; None: there is none, or nothing in it.

    Of all its machines: a redirect may lead to any of them.
    """
    for path, inode, *_ in said[1]:
        if inode:
            try:
                with open(path, "rb") as file:
                    return file.read().strip() or None
            except OSError:
                return None  # nor can requests read it
    return None


def has_changed(said: _Said) -> bool:
    """Whether a netrc file that there was is another one by now, or has gone."""
    return any(_stamp(stamp[0]) != stamp for stamp in said[1])
