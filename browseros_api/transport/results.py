"""What urllib3 and requests would make of an answer whose head was an ordinary one."""

from __future__ import annotations

from collections import OrderedDict
from datetime import timedelta
from functools import lru_cache
from typing import Any

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from requests.cookies import RequestsCookieJar, extract_cookies_to_jar
from requests.structures import CaseInsensitiveDict
from requests.utils import get_encoding_from_headers
from urllib3._collections import HTTPHeaderDict
from urllib3.response import HTTPResponse

from .answer import Answer
from .heads import Head

__all__ = ["CAN_WRAP", "built", "read_at_once", "wrapped"]

# What each of theirs begins with, by their own constructors.  None of these values can be changed
# in place, except for those under ``_OWN``, of which each gets its own.
_RESPONSE = vars(Response())
_RAW = vars(HTTPResponse(version=11, preload_content=False, decode_content=False))
_OWN = {"cookies", "headers", "history", "_decoded_buffer"}
_FIXED = (bool, int, str, timedelta, type(None))
_BUFFER: Any = type(_RAW.get("_decoded_buffer"))
_WITH_VERSION = "version_string" in _RAW  # since urllib3 2.2
_WITH_SHUTDOWN = "_sock_shutdown" in _RAW  # since urllib3 2.3


def _are_as_ever() -> bool:
    values = {**_RESPONSE, **_RAW}
    return values.keys() <= _KNOWN and all(
        name in _OWN or isinstance(value, _FIXED) for name, value in values.items()
    )


_KNOWN = {
    *("_content", "_content_consumed", "_next", "cookies", "elapsed", "encoding", "headers"),
    *("history", "raw", "reason", "request", "status_code", "url"),
    *("_body", "_connection", "_decoded_buffer", "_decoder", "_decoder_initialized", "_fp"),
    *("_fp_bytes_read", "_has_decoded_content", "_original_response", "_pool", "_request_url"),
    *("_retries", "_sock_shutdown", "_uncached_read_occurred", "auto_close", "chunk_left"),
    *("chunked", "decode_content", "enforce_content_length", "length_remaining", "msg", "status"),
    *("version", "version_string"),
}
CAN_WRAP = _are_as_ever()  # or what is unknown would be left as it began


def wrapped(
    answer: Answer, *, connection: Any, pool: Any, retries: Any, request_url: str
) -> HTTPResponse:
    """urllib3's response around ``answer``, which has a head, as its constructor would make it."""
    head = answer.head
    assert head is not None
    raw = HTTPResponse.__new__(HTTPResponse)
    own = raw.__dict__
    own.update(_RAW)
    own.update(
        headers=HTTPHeaderDict(),
        status=head.status,
        reason=head.reason,
        chunked=answer.chunked,
        length_remaining=answer.length,
        _fp=answer,
        _original_response=answer,
        _connection=connection,
        _pool=pool,
        _retries=retries,
        _request_url=request_url,
        _decoded_buffer=_BUFFER(),
    )
    raw.headers._container = head.fields  # its own from now on
    if _WITH_VERSION:
        own["version_string"] = connection._http_vsn_str
    if _WITH_SHUTDOWN:
        own["_sock_shutdown"] = connection.sock.shutdown
    return raw


def built(adapter: HTTPAdapter, request: PreparedRequest, raw: Any) -> Response | None:
    """requests' response around ``raw``, if that was wrapped here; otherwise ``None``."""
    answer = getattr(raw, "_original_response", None)
    head = answer.head if type(answer) is Answer else None
    if head is None:
        return None
    fields = head.fields
    kind = fields.get("content-type")
    response = Response.__new__(Response)
    response.__dict__ = {
        **_RESPONSE,
        "headers": _headers(head),
        "history": [],
        "cookies": RequestsCookieJar(),
        "status_code": head.status,
        "encoding": None if kind is None else _encoding(", ".join(kind[1:])),
        "raw": raw,
        "reason": head.reason,
        "url": request.url,
        "request": request,
        "connection": adapter,
    }
    if "set-cookie" in fields or "set-cookie2" in fields:
        extract_cookies_to_jar(response.cookies, request, raw)
    return response


def _headers(head: Head) -> CaseInsensitiveDict[str]:
    headers: CaseInsensitiveDict[str] = CaseInsensitiveDict.__new__(CaseInsensitiveDict)
    fields, lines = head.fields, head.lines
    if len(fields) == len(lines):
        headers._store = OrderedDict(zip(fields, lines, strict=True))
    else:
        headers._store = OrderedDict(
            [(name, (entry[0], ", ".join(entry[1:]))) for name, entry in fields.items()]
        )
    return headers


@lru_cache(maxsize=256)
def _encoding(kind: str) -> str | None:
    return get_encoding_from_headers(CaseInsensitiveDict({"content-type": kind}))


def read_at_once(response: Response, *, limit: int | None) -> bool:
    """Read the body of ``response``, if it is there already, not too large, and not encoded."""
    raw = response.raw
    answer = getattr(raw, "_original_response", None)
    if type(answer) is not Answer or not answer.is_at_hand:
        return False
    if "content-encoding" in raw.headers or (limit is not None and answer.length > limit):
        return False
    body: bytes = answer.read()
    answer.close()
    raw._fp_bytes_read, raw.length_remaining = len(body), 0
    raw.release_conn()
    response._content, response._content_consumed = body, True
    return True
