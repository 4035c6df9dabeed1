"""What the process environment says about requests: a cheap, exact way to see that it changed."""

from __future__ import annotations

import netrc  # noqa: F401  (requests would import it in its first call, see forks.importing)
import os
import sys
from collections.abc import Callable
from typing import Any

from requests import Session

from .keys import Unnamable, frozen

__all__ = ["Environment", "MergedSettings"]

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


class MergedSettings:
    """What requests makes of a session's settings, a request's and the environment's, remembered.

    It is a function of what the key below holds and of nothing else, save on macOS and Windows,
    where the system has settings of its own.  requests scans the whole environment twice for it.
    """

    _MOST = 1024  # origins and settings remembered; then it starts afresh

    def __init__(self) -> None:
        self._environment = Environment()
        self._known: dict[Any, dict[str, Any]] = {}  # read and written in single, atomic steps

    def of(
        self,
        session: Session,
        merge: Callable[..., Any],
        asked: tuple[Any, Any, Any, Any, Any],
    ) -> dict[str, Any]:
        """``merge(*asked)``, where ``asked`` is ``(url, proxies, stream, verify, cert)``."""
        url, proxies, *given = asked
        if proxies or not isinstance(url, str) or sys.platform in ("darwin", "win32"):
            return dict(merge(*asked))
        try:
            own = (session.proxies, session.stream, session.verify, session.cert)
            trusted = self._environment.variables() if session.trust_env else None
            key = (tuple(url.split("/", 3)[:3]), frozen(given), frozen(own), trusted)
        except Unnamable:
            return dict(merge(*asked))
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= self._MOST:
                self._known.clear()
            known = self._known[key] = dict(merge(*asked))
        return {**known, "proxies": known["proxies"].copy()}
