"""Who asks: a session's say in its requests, as it was at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests
from requests.auth import HTTPBasicAuth, HTTPDigestAuth, HTTPProxyAuth
from requests.cookies import RequestsCookieJar
from requests.hooks import default_hooks
from requests.structures import CaseInsensitiveDict
from requests.utils import get_netrc_auth

from .environment import SYSTEM_HAS_A_SAY, Environment, credentials, has_changed, said_of_ways
from .keys import NEVER_SELECTS, Unnamable, digest, effective_headers, frozen, thawed
from .memo import Memo
from .naming import makes_somebody, says_what
from .preparing import STOCK, Template

__all__ = ["UNNAMED", "Asker", "Askers", "Voice", "frozen_auth", "is_plain"]

_MOST = 256  # askers, and templates and settings of each
_EMPTY = frozen({})


@dataclass(frozen=True, slots=True)
class Voice:
    """By what a caller is known: the headers that it will send, and two seals.

    Both are digests.  ``seal`` is of all of it, save what never selects an answer, such as the
    User-Agent; ``whose`` only of what makes the caller somebody and says what is asked for.
    Where the answer is shared under a name, that stands in the place of who asks.
    """

    headers: Mapping[str, str]
    seal: str
    whose: str


class Asker:
    """What of a session, and of the environment, goes into requests; but for cookies and auth.

    It is made of ``raw`` alone, so that what another thread is changing in the session meanwhile
    cannot be taken for what it said before.
    """

    __slots__ = ("_settings", "_templates", "_voices", "_way", "session", "trusted")

    def __init__(self, raw: tuple[Any, ...]) -> None:
        headers, params, stream, *self._way, self.trusted = raw
        # Of requests' own class, and nobody else's: what it prepares is what requests prepares.
        stand_in = self.session = STOCK.__new__(STOCK)
        stand_in.headers = _thawed_headers(headers)
        stand_in.params, stand_in.stream = thawed(params), thawed(stream)
        stand_in.cert, stand_in.proxies, stand_in.verify = map(thawed, self._way)
        stand_in.auth, stand_in.cookies, stand_in.hooks = None, RequestsCookieJar(), default_hooks()
        stand_in.trust_env = self.trusted is not None
        self._templates: Memo[Template] = Memo(_MOST)
        self._settings: Memo[dict[str, Any]] = Memo(_MOST)
        self._voices: Memo[Voice] = Memo(_MOST)

    def template(self, method: str, url: str, headers: Any, auth: Any) -> Template:
        """What a request without a body is, save its URL; ``headers`` and ``auth`` are frozen."""
        key = (method, tuple(url.split("/", 3)[:3]), headers, auth)
        known = self._templates.get(key)
        if known is None:
            given = {"headers": thawed(headers), "auth": _thawed_auth(auth)}
            known = self._templates.keep(key, Template(self.session, method, url, **given))
        return known

    def voice(
        self, url: Any, headers: Any, auth: Any, way: tuple[Any, ...], *, share: str | None
    ) -> Voice:
        """Who asks for ``url``; ``headers``, ``auth`` and ``way``, how it travels, are frozen."""
        if auth is None and not share and self.trusted and self.trusted[1]:
            found = get_netrc_auth(url)
            auth = None if found is None else ("netrc", found)
        key = (headers, auth, way, share)
        return self._voices.get(key) or self._voices.keep(key, self._sealed(*key))

    def _sealed(self, headers: Any, auth: Any, way: tuple[Any, ...], share: str | None) -> Voice:
        redirects, cert, *travels = way
        own_cert, *own_travels = self._way
        sent = effective_headers(self.session.headers, thawed(headers))
        says = None if self.trusted is None else said_of_ways(self.trusted)
        who: tuple[Any, ...] = (share, says)
        if share:
            sent = {name: value for name, value in sent.items() if not makes_somebody(name)}
        else:
            who = (None, auth, cert, own_cert, says, self._netrc())
        selecting = {name: value for name, value in sent.items() if name not in NEVER_SELECTS}
        fixed = {n: v for n, v in selecting.items() if makes_somebody(n) or says_what(n)}
        common = (who, travels, own_travels)
        return Voice(sent, digest(selecting, redirects, common), digest(fixed, common))

    def _netrc(self) -> bytes | None:
        """All of it: redirects may need what it says of others."""
        if self.trusted is None:
            return None
        content = credentials(self.trusted)
        if self.has_changed():
            raise Unnamable("a netrc file that is just being changed")
        return content

    def has_changed(self) -> bool:
        """Whether its netrc file is another one by now: then so may be whose answer it gets."""
        return self.trusted is not None and has_changed(self.trusted)

    def settings(self, url: str, *given: Any) -> dict[str, Any] | None:
        """What requests is to tell the adapter; ``given`` are stream, verify and cert, frozen.

        None where only requests can tell, at the time.
        """
        if SYSTEM_HAS_A_SAY:
            return None
        key = (tuple(url.split("/", 3)[:3]), given)
        known = self._settings.get(key)
        if known is None:
            asked = (url, {}, *map(thawed, given))
            known = self._settings.keep(key, STOCK.merge_environment_settings(self.session, *asked))
        return known


class Askers:
    """The askers of late: equal sessions have the same one."""

    def __init__(self) -> None:
        self._environment = Environment()
        self._known: Memo[Asker] = Memo(_MOST)

    def of(self, session: requests.Session) -> Asker:
        """Who asks if ``session`` does; ``Unnamable`` is raised if that cannot be said exactly."""
        headers, cert = session.headers, session.cert
        raw = (
            tuple(headers._store.values())
            if type(headers) is CaseInsensitiveDict
            else ("map", frozen(headers)),
            _EMPTY if session.params == {} else frozen(session.params),
            frozen(session.stream),
            None if cert is None else frozen(cert),
            _EMPTY if session.proxies == {} else frozen(session.proxies),
            frozen(session.verify),
            self._environment.says() if session.trust_env else None,
        )
        known = self._known.get(raw)
        return self._known.keep(raw, Asker(raw)) if known is None else known


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
    is_static = kind not in (HTTPDigestAuth.__name__, *UNNAMED)
    return is_static and all(type(part) in (str, bytes) for part in parts)


UNNAMED = ("unnamed",)  # stands for credentials of which nobody can tell whose they are
_KINDS = {kind.__name__: kind for kind in (HTTPBasicAuth, HTTPProxyAuth, HTTPDigestAuth)}


def frozen_auth(auth: Any, *, lenient: bool = False) -> tuple[Any, ...] | None:
    """The credentials that requests would make of ``auth``.

    Where they have no name, ``Unnamable`` is raised; ``lenient``: that is ``UNNAMED``.
    """
    if auth is None:
        return None
    if isinstance(auth, tuple) and len(auth) == 2:
        return ("basic", *[frozen(part) for part in auth])
    if type(auth) in _KINDS.values():
        return (type(auth).__name__, frozen(auth.username), frozen(auth.password))
    if lenient:
        return UNNAMED
    raise Unnamable(f"auth of type {type(auth).__name__}")  # it may change who asks at any time


def _thawed_auth(auth: tuple[Any, ...] | None) -> Any:
    """What was frozen."""
    if auth is None:
        return None
    kind, *parts = auth
    name, password = map(thawed, parts)
    return (name, password) if kind == "basic" else _KINDS[kind](name, password)
