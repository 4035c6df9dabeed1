"""What urllib3 and requests would make of an answer whose head was an ordinary one."""

from __future__ import annotations

from collections import OrderedDict
from functools import lru_cache
from typing import Any

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from requests.cookies import extract_cookies_to_jar
from requests.structures import CaseInsensitiveDict
from requests.utils import get_encoding_from_headers
from urllib3._collections import HTTPHeaderDict
from urllib3.response import HTTPResponse

from .answer import Answer
from .heads import Head

__all__ = ["built", "read_at_once", "wrapped"]

_OPTIONS = HTTPResponse.__init__.__code__.co_varnames  # they differ between versions


def wrapped(answer: Answer, *, connection: Any, **options: Any) -> HTTPResponse:
    """urllib3's response around ``answer``, which has a head."""
    head = answer.head
    assert head is not None
    headers = HTTPHeaderDict()
    headers._container = head.fields  # its own from now on
    if "version_string" in _OPTIONS:
        options["version_string"] = connection._http_vsn_str
    if "sock_shutdown" in _OPTIONS:
        options["sock_shutdown"] = connection.sock.shutdown
    return HTTPResponse(
        body=answer,
        headers=headers,
        status=head.status,
        version=answer.version,
        reason=head.reason,
        preload_content=False,
        decode_content=False,
        original_response=answer,
        request_method=answer._method,
        connection=connection,
        **options,
    )


def built(adapter: HTTPAdapter, request: PreparedRequest, raw: Any) -> Response | None:
    """requests' response around ``raw``, if that was wrapped here; otherwise ``None``."""
    answer = getattr(raw, "_original_response", None)
    head = answer.head if type(answer) is Answer else None
    if head is None:
        return None
    response = Response()
    response.status_code = head.status
    response.headers = _headers(head)
    kind = head.fields.get("content-type")
    response.encoding = None if kind is None else _encoding(", ".join(kind[1:]))
    response.raw = raw
    response.reason = head.reason
    response.url = str(request.url)
    if "set-cookie" in head.fields or "set-cookie2" in head.fields:
        extract_cookies_to_jar(response.cookies, request, raw)
    response.request = request
    response.connection = adapter
    return response


def _headers(head: Head) -> CaseInsensitiveDict[str]:
    headers: CaseInsensitiveDict[str] = CaseInsensitiveDict.__new__(CaseInsensitiveDict)
    headers._store = OrderedDict(
        [(name, (entry[0], ", ".join(entry[1:]))) for name, entry in head.fields.items()]
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
    raw._fp_bytes_read, raw.length_remaining = len(body), 0
    raw.release_conn()
    response._content, response._content_consumed = body, True
    return True
