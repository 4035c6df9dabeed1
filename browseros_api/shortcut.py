"""The short way through requests, for calls like those that it has prepared before."""

from __future__ import annotations

import requests
from requests import PreparedRequest

from .pipeline import Call
from .preparing import STOCK, is_untouched

__all__ = ["prepared"]

_PREPARE = STOCK.prepare_request
_IN_MEMORY = (bytes, str, dict, list, tuple, type(None))


def prepared(session: requests.Session, call: Call) -> PreparedRequest | None:
    """What requests would prepare for ``call``; None: it must be asked."""
    question = call.question
    if question is None or question.template is None or not _is_usual(session):
        return None
    given = call.arguments.get
    if given("files") or given("hooks") or given("proxies"):
        return None
    data, json, template = given("data"), given("json"), question.template
    if not data and json is None and call.extra is None:
        return template.request(question.url)
    if template.takes_body and type(data) in _IN_MEMORY:
        return template.request_with(question.url, data=data, json=json, extra=call.extra)
    return None


def _is_usual(session: requests.Session) -> bool:
    """Whether nobody has put a hook or a tool of his own in, be it while the session lives."""
    own = getattr(session.prepare_request, "__func__", None)
    hooks = session.hooks
    return own is _PREPARE and not (hooks and any(hooks.values())) and is_untouched()
