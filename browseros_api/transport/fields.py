"""Heads of requests, written in one go if there is nothing odd about them."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import chain
from typing import Any, NamedTuple

from requests import PreparedRequest
from requests.models import RequestEncodingMixin
from requests.structures import CaseInsensitiveDict
from urllib3.util import SKIP_HEADER
from urllib3.util.url import _encode_target

__all__ = ["plain_request", "target"]

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"})
_EXPECTING_BODY = frozenset({"POST", "PUT", "PATCH"})  # urllib3 adds a length if there is none
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110, section 5.1: a token
_ODD = re.compile(r"[^\t -~\x80-\xff]")  # section 5.5: control characters, and what is not Latin-1
# A path, and a query that is not empty, of characters that urllib3 leaves as they are.
_PLAIN = re.compile(r"https?://[\w.:-]+(/[\w.~/-]*(?:\?[\w.~=&+-]+)?)", re.ASCII)
_SMALL = 64 * 1024  # bytes of a body that are copied rather than sent on their own


def plain_request(request: PreparedRequest, host_field: str) -> list[bytes] | None:
    """The bytes of ``request``, in as few pieces as make sense; ``host_field`` is its first header.

    ``None`` if urllib3 and the standard library have to look at it: whatever they might refuse, add
    to, or treat in a way of their own, is their affair.
    """
    headers, body, method = request.headers, request.body, request.method
    if type(headers) is not CaseInsensitiveDict or not headers._store or method not in _METHODS:
        return None
    names, values = zip(*headers._store.values(), strict=True)
    form = _form(names)
    if form is None or (not form.has_length and (body is not None or method in _EXPECTING_BODY)):
        return None
    try:
        text = "".join(values)
        first = f"{method} {target(str(request.url))} HTTP/1.1\r\n"
    except (TypeError, ValueError):
        return None
    if SKIP_HEADER in text or _ODD.search(text):
        return None
    host = "" if form.has_host else host_field
    lines = chain.from_iterable(zip(form.names, values, strict=True))
    return _with_body("".join([first, host, *lines, "\r\n\r\n"]).encode("latin-1"), body)


class _Form(NamedTuple):
    """What comes before the values of some headers, and which of them matter here."""

    names: list[str]
    has_host: bool
    has_length: bool


@lru_cache(maxsize=1024)
def _form(names: tuple[Any, ...]) -> _Form | None:
    if not all(isinstance(name, str) and _NAME.fullmatch(name) for name in names):
        return None
    lower = {name.lower() for name in names}
    if not lower >= {"accept-encoding", "user-agent"} or "transfer-encoding" in lower:
        return None
    separators = ["", *["\r\n"] * (len(names) - 1)]
    before = [f"{end}{name}: " for end, name in zip(separators, names, strict=True)]
    return _Form(before, "host" in lower, "content-length" in lower)


def _with_body(head: bytes, body: Any) -> list[bytes] | None:
    if body is None:
        return [head]
    if type(body) is str:
        body = body.encode()
    elif type(body) is not bytes:
        return None
    if not body:
        return [head]
    return [head + body] if len(body) <= _SMALL else [head, body]


class _Url(RequestEncodingMixin):
    def __init__(self, url: str) -> None:
        self.url = url


@lru_cache(maxsize=1024)
def target(url: str) -> str:
    """What is asked of the server: the path and query of ``url``, as urllib3 writes them."""
    plain = _PLAIN.fullmatch(url)
    return str(_encode_target(_Url(url).path_url)) if plain is None else plain[1]
