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
from requests.structures import CaseInsensitiveDict

from .askers import UNNAMED, Askers, frozen_auth, is_plain
from .keys import ALL_COOKIES, REDIRECTS, Unnamable, digest, frozen, thawed
from .memo import Memo
from .preparing import Template, merged_cookies, prepared_url
from .sharing import Sharing
from .ways import Ways

__all__ = ["Identity", "Name", "Question"]

_MEMO = 4096  # questions remembered at least; more where the cache holds more


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
    share: str | None


class Question:
    """Who asks for what, word for word, but for a body.

    ``url`` is as it will be sent, ``template`` what requests makes of the rest, and ``settings``
    what it tells the adapter; the two are None where only requests can tell, at the time.
    ``share`` names whose answer it is, instead of all that makes the caller somebody.
    """

    __slots__ = (
        *("asker", "auth", "headers", "jars", "method", "way"),
        *("name", "settings", "share", "template", "url"),
    )

    def __init__(self, raw: _Raw) -> None:
        self.method, url, params, self.headers, self.auth, self.jars, *way, self.share = raw
        redirects, (proxies, verify, cert, stream), number, self.asker = way
        self.way = (redirects, cert, proxies, verify, number)
        self.url = prepared_url(url, thawed(params), self.asker.session.params)
        self.name: Name | None = None
        self.template: Template | None = None
        self.settings: dict[str, Any] | None = None
        if isinstance(url, str) and is_plain(self.auth):
            self.template = self.asker.template(self.method, url, self.headers, self.auth)
        if not proxies:
            self.settings = self.asker.settings(self.url, stream, verify, cert)


class Identity:
    """Knows questions, and the names of those that may be shared."""

    def __init__(
        self, own: type[BaseAdapter] = HTTPAdapter, *, remembered: int = _MEMO,
        by_rfc: bool = False, share: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        self.askers = Askers()
        self._by_rfc = by_rfc
        self._sharing = Sharing(share)
        self._ways = Ways(own)
        self._known: Memo[Question] = Memo(max(remembered, _MEMO))

    def question(
        self, session: requests.Session, method: str, arguments: Mapping[str, Any],
        *, share: str | None = None,
    ) -> Question | None:  # fmt: skip
        """What ``session.request(**arguments)`` asks; None: it has no exact words."""
        try:
            raw = self._raw(session, method, arguments, share)
            return self._known.get(raw) or self._known.keep(raw, self._asked(raw))
        except (Unnamable, *_UNREADABLE):
            return None

    def _asked(self, raw: _Raw) -> Question:
        question = Question(raw)
        if question.share is None and self._sharing:
            question.share = self._sharing.name(question.url)
        if question.auth == UNNAMED and not question.share:
            raise Unnamable("auth that has no name")
        return question

    def name(
        self, session: requests.Session, method: str, arguments: Mapping[str, Any],
        *, share: str | None = None,
    ) -> Name | None:  # fmt: skip
        """The name of ``session.request(**arguments)``; None: it is shared with nobody."""
        question = self.question(session, method, arguments, share=share)
        return None if question is None else self.name_of(question, session, arguments)

    def name_of(
        self, question: Question, session: requests.Session, arguments: Mapping[str, Any]
    ) -> Name | None:
        """The name of this question, which ``session`` has just been asked with ``arguments``."""
        if question.name is not None:
            return question.name
        try:
            name = _named(question, session, arguments, by_rfc=self._by_rfc)
            if _jars(session.cookies, arguments.get("cookies")) == question.jars:
                question.name = name
            return name
        except (Unnamable, *_UNREADABLE):
            return None

    def _raw(
        self, session: requests.Session, method: str, arguments: Mapping[str, Any],
        share: str | None,
    ) -> _Raw:  # fmt: skip
        given = arguments.get
        url, params, headers, auth = given("url"), given("params"), given("headers"), given("auth")
        auth = session.auth if auth is None else auth
        options = (given("proxies"), given("verify"), given("cert"), given("stream"))
        return (
            method,
            url if type(url) is str else frozen(url),
            None if params is None else frozen(params),
            None if headers is None else frozen(headers),
            None if auth is None else frozen_auth(auth, lenient=bool(share or self._sharing)),
            _jars(session.cookies, given("cookies")),
            frozen(given("allow_redirects", True)),
            options if options == _NOT_GIVEN else tuple(map(frozen, options)),
            self._ways.number(session, url),
            self.askers.of(session),
            share,
        )


_NOT_GIVEN = (None, None, None, None)
_Raw = tuple[Any, ...]

# All that decides where a cookie is sent, and what it looks like there.
_EVERYTHING = attrgetter(
    *("version", "name", "value", "port", "port_specified", "domain", "domain_specified"),
    *("domain_initial_dot", "path", "path_specified", "secure", "expires", "discard"),
)

# What bad input raises, of which requests will say what is wrong with it, and cookies that another
# thread is changing (RuntimeError).
_UNREADABLE = (AttributeError, TypeError, ValueError, RuntimeError, requests.RequestException)


def _named(
    question: Question, session: requests.Session, arguments: Mapping[str, Any], *, by_rfc: bool
) -> Name:
    asked = question.url.partition("#")[0]
    words = (question.headers, question.auth, question.way)
    voice = question.asker.voice(arguments["url"], *words, share=question.share)
    headers, cookie = voice.headers, None
    if question.jars is not None and not question.share:
        cookie, known = _cookies(session, arguments, headers)
        headers = {**headers, ALL_COOKIES: known}
    key = cache_key = digest("2", question.method, asked, cookie, voice.seal)
    if by_rfc:
        headers = {**headers, REDIRECTS: repr(question.way[0])}
        cache_key = digest("rfc", "2", asked, cookie, voice.whose)
    kept_under = cache_key if by_rfc or question.method == "GET" else None
    return Name(key, kept_under, headers, asked.partition("?")[0], asked, question.share)


def _jars(own: Any, given: Any) -> tuple[Any, ...] | None:
    """The cookies of a session and of a call that have not expired; None if there are none."""
    if not given and (not getattr(own, "_cookies", own) or next(iter(own), None) is None):
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
    merged = merged_cookies(session, arguments.get("cookies"))
    prepared = requests.PreparedRequest()
    prepared.prepare_url(arguments["url"], None)
    prepared.headers = CaseInsensitiveDict(headers)
    prepared.prepare_cookies(merged)
    sent = prepared.headers.get("Cookie")
    known = sorted((one.domain, one.path, one.name, str(one.value), one.secure) for one in merged)
    return sent.decode("latin-1") if isinstance(sent, bytes) else sent, digest(known)
