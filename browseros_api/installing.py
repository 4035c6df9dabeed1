"""requests made resilient where it stands, for scripts and notebooks that nobody wants to change."""

from __future__ import annotations

import threading
from types import ModuleType
from typing import Any

import requests

from . import api
from .session import Session

__all__ = ["Installation", "install", "uninstall"]

_FUNCTIONS = ("delete", "get", "head", "options", "patch", "post", "put", "request")
_lock = threading.Lock()
_installed: list[Installation] = []


class Installation:
    """What ``install`` has changed; leaving it as a context manager changes it back."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._session_class = _configured(options)
        self._owner: Session | None = None
        self._before: list[tuple[ModuleType, str, Any]] = []

    def _replace(self, module: ModuleType, name: str, value: Any) -> None:
        self._before.append((module, name, getattr(module, name)))
        setattr(module, name, value)

    def start(self) -> Installation:
        """Put ours in the place of requests' own."""
        made = self._session_class
        self._owner = api.share(made())
        for module in (requests, requests.sessions):
            self._replace(module, "Session", made)
            self._replace(module, "session", made)
        for name in _FUNCTIONS:
            for module in (requests, requests.api):
                self._replace(module, name, getattr(api, name))
        return self

    def stop(self) -> None:
        """Put everything back; sessions that were made meanwhile stay what they are."""
        for module, name, value in reversed(self._before):
            setattr(module, name, value)
        self._before.clear()
        api.share(self._owner)

    def __enter__(self) -> Installation:
        return self

    def __exit__(self, *_: object) -> None:
        uninstall()


def install(**options: Any) -> Installation:
    """Make ``requests.Session``, ``requests.get`` and so on resilient, in the whole process.

    Sessions that exist already, and names that were imported from requests before, stay stock.
    Use it as a context manager, or call ``uninstall()``.

    Args:
        options: settings (see ``Settings``) of every session that is made meanwhile.

    >>> with install(max_retries=5):                                  # doctest: +SKIP
    ...     requests.get("https://api.example.com/users")
    """
    installation = Installation(options)
    with _lock:
        _installed.append(installation.start())
    return installation


def uninstall() -> None:
    """Undo the latest ``install``; nothing happens if there is none."""
    with _lock:
        if _installed:
            _installed.pop().stop()


def _configured(options: dict[str, Any]) -> type[Session]:
    if not options:
        return Session

    class ConfiguredSession(Session):
        """``Session`` with other defaults."""

        def __init__(self, *args: Any, **given: Any) -> None:
            super().__init__(*args, **{**options, **given})

    return ConfiguredSession
