"""The short way through requests, for calls like those that it has prepared before."""

from __future__ import annotations

from typing import Any

import requests
from requests import PreparedRequest, Response, sessions

from .askers import Askers
from .keys import Unnamable, frozen
from .lines import CheckedParts
from .pipeline import Call
from .preparing import STOCK, is_untouched, merged_cookies

__all__ = ["is_all", "is_sent_as_ever", "known_settings", "options", "prepared"]

_IN_MEMORY = (bytes, str, dict, list, tuple, type(None))


def prepared(session: requests.Session, call: Call) -> PreparedRequest | None:
    """What requests would prepare for ``call``; None: it must be asked."""
    question = call.question
    if question is None or question.template is None or not _is_usual(session):
        return None
    given = call.arguments.get
    if given("files") or given("hooks"):
        return None
    data, json, template = given("data"), given("json"), question.template
    if not data and json is None and call.extra is None and question.jars is None:
        return template.request(question.url)
    if not template.takes_more or type(data) not in _IN_MEMORY:
        return None
    cookies = None if question.jars is None else merged_cookies(session, given("cookies"))
    body = {"data": data, "json": json}
    return template.request_with(question.url, **body, extra=call.extra, cookies=cookies)


def _is_usual(session: requests.Session) -> bool:
    """Whether nobody has put a hook or a tool of his own in, be it while the session lives."""
    own = getattr(session.prepare_request, "__func__", None)
    hooks = session.hooks
    return own in _PREPARE and not (hooks and any(hooks.values())) and is_untouched()


# Ours looks at files only, of which there are none here, and goes on to requests'.
_PREPARE = (STOCK.prepare_request, CheckedParts.prepare_request)


def options(session: requests.Session, call: Call, request: PreparedRequest) -> dict[str, Any]:
    """With what requests would send ``request``, which it was prepared for ``call``."""
    given = call.arguments.get
    known = None if call.question is None else call.question.settings
    if known is None or _MERGE in vars(session):
        own = (given("stream"), given("verify"), given("cert"))
        merged: dict[str, Any] = getattr(session, _MERGE)(request.url, given("proxies") or {}, *own)
    else:
        merged = {**known, "proxies": known["proxies"].copy()}
    merged["timeout"] = given("timeout")
    merged["allow_redirects"] = given("allow_redirects", True)
    return merged


_MERGE = "merge_environment_settings"


def known_settings(
    session: requests.Session, askers: Askers, url: Any, *given: Any
) -> dict[str, Any] | None:
    """What requests would make of the session's settings and these; None: it must be asked.

    ``given`` are stream, verify and cert.
    """
    if not isinstance(url, str) or not is_untouched():
        return None
    try:
        known = askers.of(session).settings(url, *map(frozen, given))
    except (Unnamable, TypeError):
        return None
    return None if known is None else {**known, "proxies": known["proxies"].copy()}


# What requests does with an answer.  Where somebody has put something else in its place, that is to
# see each answer.
_ENDS = (
    *((STOCK, name) for name in ("send", "resolve_redirects", "get_redirect_target")),
    *((sessions, name) for name in ("dispatch_hook", "extract_cookies_to_jar")),
)


def _ends() -> tuple[Any, ...]:
    return tuple([getattr(owner, name) for owner, name in _ENDS])


_ORIGINAL_ENDS = _ends()


def is_sent_as_ever(session: requests.Session) -> bool:
    """Whether it is requests alone that sends, and does what follows from an answer."""
    return "send" not in vars(session) and _ends() == _ORIGINAL_ENDS


def is_all(response: Response) -> bool:
    """Whether nothing follows from the answer, which has been read: no cookie, no redirect."""
    store = getattr(response.headers, "_store", _CONSEQUENTIAL)
    return _CONSEQUENTIAL.isdisjoint(store) and not response.history


_CONSEQUENTIAL = frozenset({"location", "set-cookie", "set-cookie2"})
