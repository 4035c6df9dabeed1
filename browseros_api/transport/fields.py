"""Heads of requests, written in one go if there is nothing odd about them."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

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
_SMALL = 64 * 1024  # bytes of a body that are copied rather than sent on their own


def plain_request(request: PreparedRequest, host_field: bytes) -> list[bytes] | None:
    """The bytes of ``request``, in as few pieces as make sense; ``host_field`` is its first header.

    ``None`` if urllib3 and the standard library have to look at it: whatever they might refuse, add
    to, or treat in a way of their own, is their affair.
    """
    headers, body, method = request.headers, request.body, request.method
    if type(headers) is not CaseInsensitiveDict or method not in _METHODS:
        return None
    store = headers._store
    if "accept-encoding" not in store or "user-agent" not in store or "transfer-encoding" in store:
        return None
    if "content-length" not in store and (body is not None or method in _EXPECTING_BODY):
        return None
    values: list[Any] = [value for _, value in store.values()]
    if SKIP_HEADER in values or {*map(type, values)} != {str} or _ODD.search("".join(values)):
        return None
    names = [_before(name) for name, _ in store.values()]
    if "" in names:
        return None
    try:
        first = f"{method} {target(str(request.url))} HTTP/1.1\r\n".encode("ascii")
    except ValueError:
        return None
    lines = "\r\n".join([name + value for name, value in zip(names, values, strict=True)])
    host = b"" if "host" in store else host_field + b"\r\n"
    return _with_body(b"%b%b%b\r\n\r\n" % (first, host, lines.encode("latin-1")), body)


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


@lru_cache(maxsize=1024)
def _before(name: Any) -> str:
    """What comes before the value; empty if the name is an odd one."""
    return f"{name}: " if isinstance(name, str) and _NAME.fullmatch(name) else ""


class _Url(RequestEncodingMixin):
    def __init__(self, url: str) -> None:
        self.url = url


@lru_cache(maxsize=1024)
def target(url: str) -> str:
    """What is asked of the server: the path and query of ``url``, as urllib3 writes them."""
    return str(_encode_target(_Url(url).path_url))
