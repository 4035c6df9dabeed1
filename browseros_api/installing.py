"""requests made resilient where it stands, for scripts and notebooks that nobody wants to change.

    Session            in requests and in requests.sessions: a class of ours
    request            in requests and in requests.api: a function of ours

The rest of requests follows, as it looks these up when it is called: ``get`` and the other verbs
call ``request``, ``session()`` makes a ``Session``.
"""

from __future__ import annotations

import threading
from types import ModuleType, TracebackType
from typing import Any

import requests
from requests import Response

from .api import Borrowed
from .forks import reset_in_child
from .session import Session
from .settings import Settings

__all__ = ["Installation", "install", "uninstall"]


class Installation:
    """What ``install`` has put in the place of requests' own; as a context manager, for a while."""

    def __init__(self, options: dict[str, Any]) -> None:
        Settings.check_names(options)
        self.options = options
        self.session_class = _session_class(options)
        self._owner = self.session_class()
        self._borrowed = type("Borrowed", (Borrowed, self.session_class), {})
        self._ours: list[tuple[ModuleType, str, Any]] = [
            (requests, "Session", self.session_class),
            (requests.sessions, "Session", self.session_class),
            (requests, "request", _request),
            (requests.api, "request", _request),
        ]
        self._before: list[Any] = []

    def put(self) -> None:
        """Put ours in place."""
        self._before = [getattr(module, name) for module, name, _ in self._ours]
        for module, name, ours in self._ours:
            setattr(module, name, ours)

    def remove(self, later: Installation | None) -> None:
        """Put back what stood there, or leave that to the one who came later and stands there now.

        What somebody else has put on top is left alone.
        """
        for index, (module, name, ours) in enumerate(self._ours):
            if later is not None:
                if later._before[index] is ours:
                    later._before[index] = self._before[index]
            elif getattr(module, name) is ours:
                setattr(module, name, self._before[index])

    def request(self, method: str, url: str, **arguments: Any) -> Response:
        """One call, with a cookie jar of its own; all share one engine."""
        with self._borrowed(self._owner) as session:
            response: Response = session.request(method=method, url=url, **arguments)
            return response

    def close(self) -> None:
        """Close the idle connections of the functions."""
        self._owner.close()

    def __enter__(self) -> Installation:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _take_out(self)

    def __repr__(self) -> str:
        state = "in place" if self in _installed else "removed"
        return f"<Installation [{', '.join(self.options) or 'no options'} | {state}]>"


_lock = threading.Lock()
_installed: list[Installation] = []  # latest last


def install(**options: Any) -> Installation:
    """Make ``requests.Session``, ``requests.get`` and so on resilient, in the whole process.

    Sessions that exist stay as they are, and so does a class that was imported from requests
    before.  Use it as a context manager, or call ``uninstall``.

    Args:
        options: settings (see ``Settings``) of every session that is made meanwhile; the latest
            ``install`` counts, with its own options only.

    Raises:
        TypeError, ValueError: there is no such setting, or it cannot have that value.

    >>> with install(max_retries=5):                                  # doctest: +SKIP
    ...     requests.get("https://api.example.com/users")
    """
    installation = Installation(options)
    with _lock:
        installation.put()
        _installed.append(installation)
    return installation


def uninstall() -> None:
    """Undo the latest ``install``; nothing happens if there is none.

    Sessions that were made meanwhile stay resilient.
    """
    _take_out(None)


def _take_out(chosen: Installation | None) -> None:
    with _lock:
        if chosen is None and _installed:
            chosen = _installed[-1]
        if chosen is None or chosen not in _installed:
            return
        place = _installed.index(chosen)
        del _installed[place]
        chosen.remove(_installed[place] if place < len(_installed) else None)
    chosen.close()


def _request(method: str, url: str, **kwargs: Any) -> Response:
    """``requests.request``, for as long as the session class that stands in requests is ours."""
    kind = requests.sessions.Session
    for installation in _installed[-1:]:
        if kind is installation.session_class:
            return installation.request(method, url, **kwargs)
    with kind() as session:  # somebody's who came after us, or stock again
        return session.request(method=method, url=url, **kwargs)


def _session_class(options: dict[str, Any]) -> type[Session]:
    """A class of its own each time: what a script changes in it is gone with it."""

    class Installed(Session):
        """``requests.Session``, resilient."""

        def __init__(self, *args: Any, **given: Any) -> None:
            super().__init__(*args, **{**options, **given})

        def __reduce_ex__(self, protocol: Any) -> Any:
            if type(self) is not Installed:  # but one that can be found by its name
                return super().__reduce_ex__(protocol)
            return _revived, (self.__getstate__(),)

    # It goes by the name under which it is found, so that references to it can be pickled.
    Installed.__name__ = Installed.__qualname__ = "Session"
    Installed.__module__ = "requests.sessions"
    return Installed


def _revived(state: dict[str, Any]) -> Session:
    session = Session.__new__(Session)
    session.__setstate__(state)
    return session


@reset_in_child
def _reset() -> None:
    global _lock  # noqa: PLW0603  (in a child process; the parent may have held it)
    _lock = threading.Lock()
