"""Who asks for what: the name of a call, from its raw arguments and the session they are asked in.

Everything that makes the caller somebody goes into the name: headers, cookies, credentials, netrc,
client certificate, proxies.  What has no exact name makes the call unnamable, and then it is shared
with nobody.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookiejar import CookieJar
from operator import attrgetter
from typing import Any

import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from requests.auth import HTTPBasicAuth, HTTPDigestAuth, HTTPProxyAuth
from requests.cookies import RequestsCookieJar, cookiejar_from_dict, merge_cookies
from requests.sessions import merge_setting
from requests.structures import CaseInsensitiveDict
from requests.utils import get_netrc_auth

from .environment import Environment
from .keys import (
    ALL_COOKIES,
    NEVER_SELECTS,
    REDIRECTS,
    Unnamable,
    digest,
    effective_headers,
    frozen,
)
from .naming import makes_somebody, says_what
from .sharing import Sharing
from .ways import Ways

__all__ = ["Identity", "Name"]

_MEMO = 4096  # names remembered at least; more where the cache holds more


@dataclass(frozen=True, slots=True)
class Name:
    """A call's key, the one its answer is kept under, its headers, and its URL.

    ``asked`` is the URL as it is sent, ``resource`` the same without its query.

    Among the headers, ``ALL_COOKIES`` stands for the cookies that only a redirect could ask for,
    ``REDIRECTS`` for whether they are followed.  Those that say who asks are missing where the
    answer is shared.
    """

    key: str
    cache_key: str | None
    headers: Mapping[str, str]
    resource: str
    asked: str


class Identity:
    """Names calls, and remembers the names of those asked before."""

    def __init__(
        self, own: type[BaseAdapter] = HTTPAdapter, *, remembered: int = _MEMO,
        by_rfc: bool = False, share: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        self._ways = Ways(own)
        self._by_rfc = by_rfc
        self._sharing = Sharing(share)
        self._environment = Environment()
        self._remembered = max(remembered, _MEMO)
        # Raw arguments to names.  Single reads and writes of a dict are atomic; when it is full it
        # starts afresh, since a name lost only costs computing it again.
        self._names: dict[Any, Name] = {}

    def name(
        self, session: requests.Session, method: str, arguments: Mapping[str, Any],
        *, share: str | None = None,
    ) -> Name | None:  # fmt: skip
        """The name of ``session.request(**arguments)``; None: it is shared with nobody.

        ``share`` names whose answer it is, instead of all that makes the caller somebody.
        """
        try:
            if share is None and self._sharing:
                share = self._sharing.name(_prepared_url(session, arguments))
            raw = self._raw(session, method, arguments, share)
            known = self._names.get(raw)
            if known is None:
                known = _named(session, method, arguments, raw, by_rfc=self._by_rfc)
                if len(self._names) >= self._remembered:
                    self._names.clear()
                self._names[raw] = known
            return known
        except (Unnamable, *_UNREADABLE):
            return None

    def _raw(
        self, session: requests.Session, method: str, arguments: Mapping[str, Any],
        share: str | None,
    ) -> _Raw:  # fmt: skip
        given = arguments.get
        who = _shared_by(share) if share else _own(session, arguments)
        return (
            method,
            frozen(given("url")),
            frozen(given("params")),
            frozen(session.params) if session.params else None,
            _frozen_headers(session.headers),
            frozen(given("headers")),
            who,
            frozen(given("allow_redirects", True)),
            (
                *[frozen(given(name)) for name in ("proxies", "verify")],
                *[frozen(own) for own in (session.proxies, session.verify)],
                self._way(session, given("url")),
            ),
            self._trusted(with_netrc=not share) if session.trust_env else None,
        )

    def _way(self, session: requests.Session, url: Any) -> int:
        find = getattr(session, "find_adapter", session.get_adapter)
        return self._ways.number(session.adapters, find, url)

    def _trusted(self, *, with_netrc: bool) -> tuple[Any, ...]:
        stamp = self._environment.netrc_stamp() if with_netrc else ()
        return (self._environment.variables(), stamp)


_Raw = tuple[Any, ...]

# All that decides where a cookie is sent, and what it looks like there.
_EVERYTHING = attrgetter(
    *("version", "name", "value", "port", "port_specified", "domain", "domain_specified"),
    *("domain_initial_dot", "path", "path_specified", "secure", "expires", "discard"),
)

# What bad input raises, of which requests will say what is wrong with it, and cookies that another
# thread is changing (RuntimeError).
_UNREADABLE = (AttributeError, TypeError, ValueError, RuntimeError, requests.RequestException)


def _own(session: requests.Session, arguments: Mapping[str, Any]) -> tuple[Any, ...]:
    """What makes the caller somebody, besides its headers: share, auth, cookies, certificates."""
    given = arguments.get
    auth = _named_auth(session.auth if given("auth") is None else given("auth"))
    jars = _jars(session.cookies, given("cookies"))
    return (None, auth, jars, frozen(given("cert")), frozen(session.cert))


def _shared_by(share: str) -> tuple[Any, ...]:
    return (share, None, None, None, None)


def _prepared_url(session: requests.Session, arguments: Mapping[str, Any]) -> str:
    prepared = requests.PreparedRequest()
    params = merge_setting(arguments.get("params") or {}, session.params)
    prepared.prepare_url(arguments["url"], params)
    return str(prepared.url).partition("#")[0]


def _named(
    session: requests.Session, method: str, arguments: Mapping[str, Any], raw: _Raw,
    *, by_rfc: bool,
) -> Name:  # fmt: skip
    *_, (share, auth, jars, *certs), redirects, way, trusted = raw
    asked = _prepared_url(session, arguments)
    headers = effective_headers(session.headers, arguments.get("headers"))
    if share:
        headers = {name: value for name, value in headers.items() if not makes_somebody(name)}
    elif trusted and trusted[1] and auth is None:
        # The stamp of the file is in the key too: redirects may need what it says of other hosts.
        auth = ("netrc", get_netrc_auth(arguments["url"]))
    selecting = {name: value for name, value in headers.items() if name not in NEVER_SELECTS}
    cookie = None
    if jars is not None:
        cookie, headers[ALL_COOKIES] = _cookies(session, arguments, headers)
    who = (share, auth, cookie, certs, way, trusted)
    key = cache_key = digest("1", method, asked, selecting, redirects, who)
    if by_rfc:
        headers[REDIRECTS] = repr(redirects)
        fixed = {n: v for n, v in selecting.items() if makes_somebody(n) or says_what(n)}
        cache_key = digest("rfc", "1", asked, fixed, who)
    is_kept = by_rfc or method == "GET"
    return Name(key, cache_key if is_kept else None, headers, asked.partition("?")[0], asked)


def _frozen_headers(headers: Any) -> Any:
    store = getattr(headers, "_store", None)  # requests' own mapping: ten times faster than items()
    return tuple(store.values()) if store is not None else frozen(headers)


def _named_auth(auth: Any) -> tuple[Any, ...] | None:
    if auth is None:
        return None
    if isinstance(auth, tuple) and len(auth) == 2:
        return ("basic", *[frozen(part) for part in auth])
    if type(auth) in (HTTPBasicAuth, HTTPProxyAuth, HTTPDigestAuth):
        return (type(auth).__name__, frozen(auth.username), frozen(auth.password))
    raise Unnamable(f"auth of type {type(auth).__name__}")  # it may change who asks at any time


def _jars(own: Any, given: Any) -> tuple[Any, ...] | None:
    """The cookies of a session and of a call that have not expired; None if there are none."""
    if not given and next(iter(own), None) is None:
        return None
    now = int(time.time())  # as the standard library has it
    return tuple(
        tuple(_EVERYTHING(cookie) for cookie in jar if not cookie.is_expired(now))
        if isinstance(jar, CookieJar)
        else frozen(jar)
        for jar in (own, given)
    )


def _cookies(
    session: requests.Session, arguments: Mapping[str, Any], headers: Mapping[str, str]
) -> tuple[str | None, str]:
    """The Cookie header that requests will send, and what stands for all cookies there are.

    Only those that belong to the URL are sent; which they are, a Host header may change.
    """
    given = arguments.get("cookies") or {}
    if not isinstance(given, CookieJar):
        given = cookiejar_from_dict(given)
    merged = merge_cookies(merge_cookies(RequestsCookieJar(), session.cookies), given)
    prepared = requests.PreparedRequest()
    prepared.prepare_url(arguments["url"], None)
    prepared.headers = CaseInsensitiveDict(headers)
    prepared.prepare_cookies(merged)
    sent = prepared.headers.get("Cookie")
    known = sorted((one.domain, one.path, one.name, str(one.value), one.secure) for one in merged)
    return sent.decode("latin-1") if isinstance(sent, bytes) else sent, digest(known)
