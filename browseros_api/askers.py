"""Who asks: a session's say in its requests, as it was at one moment."""

from __future__ import annotations

from typing import Any

import requests
from requests.auth import HTTPBasicAuth, HTTPDigestAuth, HTTPProxyAuth
from requests.cookies import RequestsCookieJar
from requests.hooks import default_hooks
from requests.structures import CaseInsensitiveDict

from .environment import Environment
from .keys import Unnamable, frozen, thawed
from .preparing import STOCK, Template

__all__ = ["Asker", "Askers", "frozen_auth", "is_plain"]

_MOST_ASKERS = 256
_MOST_TEMPLATES = 256  # of each of them
_EMPTY = frozen({})


class Asker:
    """What of a session, and of the environment, goes into requests; but for cookies and auth.

    It is made of ``raw`` alone, so that what another thread is changing in the session meanwhile
    cannot be taken for what it said before.
    """

    __slots__ = ("_templates", "session", "trusted", "way")

    def __init__(self, raw: tuple[Any, ...]) -> None:
        headers, params, *self.way, self.trusted = raw
        # Of requests' own class, and nobody else's: what it prepares is what requests prepares.
        stand_in = self.session = STOCK.__new__(STOCK)
        stand_in.headers = _thawed_headers(headers)
        stand_in.params = thawed(params)
        stand_in.auth, stand_in.cookies, stand_in.hooks = None, RequestsCookieJar(), default_hooks()
        stand_in.trust_env = self.trusted is not None
        self._templates: dict[Any, Template] = {}

    def template(self, method: str, url: str, headers: Any, auth: Any) -> Template:
        """What a request without a body is, save its URL; ``headers`` and ``auth`` are frozen."""
        key = (method, tuple(url.split("/", 3)[:3]), headers, auth)
        known = self._templates.get(key)
        if known is None:
            if len(self._templates) >= _MOST_TEMPLATES:
                self._templates.clear()
            given = {"headers": thawed(headers), "auth": _thawed_auth(auth)}
            known = self._templates[key] = Template(self.session, method, url, **given)
        return known


class Askers:
    """The askers of late: equal sessions have the same one."""

    def __init__(self) -> None:
        self._environment = Environment()
        # Single reads and writes of a dict are atomic; when it is full it starts afresh.
        self._known: dict[tuple[Any, ...], Asker] = {}

    def of(self, session: requests.Session) -> Asker:
        """Who asks if ``session`` does; ``Unnamable`` is raised if that cannot be said exactly."""
        headers = session.headers
        raw = (
            tuple(headers._store.values())
            if type(headers) is CaseInsensitiveDict
            else ("map", frozen(headers)),
            _EMPTY if session.params == {} else frozen(session.params),
            _EMPTY if session.proxies == {} else frozen(session.proxies),
            frozen(session.verify),
            frozen(session.cert),
            self._trusted() if session.trust_env else None,
        )
        known = self._known.get(raw)
        if known is None:
            if len(self._known) >= _MOST_ASKERS:
                self._known.clear()
            known = self._known[raw] = Asker(raw)
        return known

    def _trusted(self) -> tuple[Any, ...]:
        return (self._environment.variables(), self._environment.netrc_stamp())


def _thawed_headers(headers: tuple[Any, ...]) -> Any:
    if headers and headers[0] == "map":
        return thawed(headers[1])
    if not all(type(part) in (str, bytes, type(None)) for pair in headers for part in pair):
        raise Unnamable("headers that are neither text nor bytes")
    return CaseInsensitiveDict(headers)


def is_plain(auth: tuple[Any, ...] | None) -> bool:
    """Whether these credentials, frozen, give the same header each time, and no warning."""
    if auth is None:
        return True
    kind, *parts = auth
    return kind != HTTPDigestAuth.__name__ and all(type(part) in (str, bytes) for part in parts)


_KINDS = {kind.__name__: kind for kind in (HTTPBasicAuth, HTTPProxyAuth, HTTPDigestAuth)}


def frozen_auth(auth: Any) -> tuple[Any, ...] | None:
    """The credentials that requests would make of ``auth``, or ``Unnamable`` is raised."""
    if auth is None:
        return None
    if isinstance(auth, tuple) and len(auth) == 2:
        return ("basic", *[frozen(part) for part in auth])
    if type(auth) in _KINDS.values():
        return (type(auth).__name__, frozen(auth.username), frozen(auth.password))
    raise Unnamable(f"auth of type {type(auth).__name__}")  # it may change who asks at any time


def _thawed_auth(auth: tuple[Any, ...] | None) -> Any:
    """What was frozen."""
    if auth is None:
        return None
    kind, *parts = auth
    name, password = map(thawed, parts)
    return (name, password) if kind == "basic" else _KINDS[kind](name, password)
