"""What comes over the wire or out of a store, fed with anything: what must hold all the same.

A target tells whether it could make anything of its input.
"""

from __future__ import annotations

import http.client
import io
import json
import math
import struct
import zlib
from collections.abc import Callable
from typing import Any

from requests import PreparedRequest, Response
from requests.structures import CaseInsensitiveDict

from browseros_api.bare import restored
from browseros_api.bodies import decoded as decoded_body
from browseros_api.errors import PaginationError
from browseros_api.pages import Place, checked_next
from browseros_api.pipeline import Call
from browseros_api.policies.announced import announcements
from browseros_api.policies.backoff import retry_after
from browseros_api.policies.demands import Demands
from browseros_api.policies.directives import directives, instant, members, seconds, tags
from browseros_api.policies.freshness import age_of, lived_by_rfc, lived_by_ttl
from browseros_api.policies.offcuts import offcut
from browseros_api.replicas import Snapshot
from browseros_api.stores.record import decoded, encoded
from browseros_api.transport.heads import plain_head

__all__ = ["TARGETS"]

_NOW = 1.8e9  # epoch seconds
_LIMITS = (
    *("RateLimit", "RateLimit-Policy", "Date"),
    *("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"),
    *("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"),
)


def _text(data: bytes) -> str:
    """As http.client gives values of fields."""
    return data.decode("latin-1")


def _fields(names: tuple[str, ...], data: bytes) -> dict[str, str]:
    """One in each line; there is none where that is empty."""
    said = zip(names, _text(data).split("\n"), strict=False)
    return {name: value for name, value in said if value}


def _answer(headers: dict[str, str], body: bytes = b"") -> Response:
    answer = Response()
    answer.status_code, answer.url = 200, "http://127.0.0.1/x"
    answer.headers = CaseInsensitiveDict(headers)
    answer._content = body
    answer._content_consumed = True  # type: ignore[attr-defined,unused-ignore]
    answer.request = PreparedRequest()
    answer.request.prepare(method="GET", url=answer.url)
    return answer


def retry_after_field(data: bytes) -> bool:
    """Whatever it is, it asks for a time that can be waited for, or for nothing."""
    told = retry_after(_text(data), now=_NOW)
    assert told is None or (math.isfinite(told) and told >= 0)
    return told is not None


def cache_fields(data: bytes) -> bool:
    """A life is made of numbers, whichever fields say what; a prohibition is never missed."""
    names = ("Cache-Control", "Expires", "Date", "Age", "Last-Modified", "Vary", "Pragma")
    headers = _fields(names, data)
    answer = _answer(headers)
    lives = (
        lived_by_rfc(answer, own=None, spare=5.0, now=_NOW),
        lived_by_ttl(answer, own=None, default=300.0, spare=5.0, now=_NOW),
    )
    for life in lives:
        assert not math.isnan(life.fresh + life.kept + life.age)
        assert life.age >= 0
    assert age_of(answer, now=_NOW) >= 0
    words = {word.strip() for word in headers.get("Cache-Control", "").lower().split(",")}
    if "no-store" in words and '"' not in headers["Cache-Control"]:
        assert all(life.kept <= 0 for life in lives)
    return any(life.kept > 0 for life in lives)


def words_of_fields(data: bytes) -> bool:
    """Lists, numbers and dates are what they are, or none."""
    text = _text(data)
    for name, argument in directives(text).items():
        assert name == name.lower()
        assert isinstance(argument, str)
    assert all(member == member.strip().lower() for member in members(text))
    assert all(isinstance(tag, str) for tag in tags(text))
    number, date = seconds(text), instant(text, now=_NOW)
    assert number is None or 0 <= number <= 2**31
    assert date is None or math.isfinite(date)
    return bool(directives(text)) or number is not None or date is not None


def limits_of_servers(data: bytes) -> bool:
    """What is announced can be gone by: so many are left, for a time that will be over."""
    found = announcements(CaseInsensitiveDict(_fields(_LIMITS, data)), now=_NOW)
    for one in found:
        assert one.remaining >= 0
        assert one.limit is None or one.limit >= 0
        assert 0 <= one.reset < math.inf
    return bool(found)


def links_to_pages(data: bytes) -> bool:
    """They lead to a place, or nowhere, or say that they cannot be followed."""
    try:
        place = checked_next("link")(Place("/x"), [], _answer({"Link": _text(data)}))
    except PaginationError:
        return False
    assert place is None or isinstance(place.endpoint, str)
    return place is not None


def demands_of_requests(data: bytes) -> bool:
    """Of a kept answer one gets the whole, a part that is one, or nothing."""
    names = ("range", "if-none-match", "if-modified-since", "cache-control", "pragma", "if-range")
    headers = _fields(names, data)
    body = bytes(range(64))
    snapshot = Snapshot(_answer({"ETag": '"v1"', "Last-Modified": _text(data[:40])}, body))
    call = Call("GET", "http://127.0.0.1/x", headers=headers)
    told = offcut(call, Demands.of(headers), snapshot)
    if told is None:
        return False
    assert told.status_code in (200, 206, 304)
    assert told.content in body
    assert (told.status_code == 200) == (told.content == body and told.status_code != 206)
    return told.status_code != 200


def records_of_stores(data: bytes) -> bool:
    """What is read is what would be written; anything else is nothing, be its checksum right."""
    size, _, rest = data.partition(b"\n")
    length = int(size) if size.isdigit() and len(size) < 9 else len(rest)
    checked = struct.pack(">I", length) + rest
    is_read = False
    for raw in (data, struct.pack(">BI", 1, zlib.crc32(checked)) + checked):
        record = decoded(raw)
        if record is not None:
            assert decoded(encoded(record)) == record
            snapshot = restored(record.hops, tuple(name for name, _ in record.chosen_by))
            assert snapshot.replica(from_cache=True).content == record.hops[-1].body
            is_read = True
    return is_read


def heads_of_answers(data: bytes) -> bool:
    """What is read in one go is what the standard library reads."""
    head = plain_head(data, "GET")
    if head is None:
        return False
    answer = http.client.HTTPResponse(_Sock(data), method="GET")  # type: ignore[arg-type]
    answer.begin()
    assert (answer.status, answer.reason) == (head.status, head.reason)
    assert [(n, v.strip()) for n, v in answer.getheaders()] == [
        (n, v.strip()) for n, v in head.lines
    ]
    assert answer.chunked == (head.length is None)
    if head.length is not None:
        assert answer.length == head.length
    return True


def bodies_of_answers(data: bytes) -> bool:
    """A body is decoded, or it is a JSONDecodeError."""
    kind, _, body = data.partition(b"\n")
    answer = _answer({"Content-Type": _text(kind)}, body)
    try:
        told = decoded_body(answer)
    except json.JSONDecodeError:
        return False
    assert told is None or body
    return told is not None


class _Sock:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, _: str) -> Any:
        return io.BytesIO(self._data)


TARGETS: dict[str, Callable[[bytes], bool]] = {
    "retry-after": retry_after_field,
    "cache": cache_fields,
    "words": words_of_fields,
    "limits": limits_of_servers,
    "links": links_to_pages,
    "demands": demands_of_requests,
    "records": records_of_stores,
    "heads": heads_of_answers,
    "bodies": bodies_of_answers,
}
