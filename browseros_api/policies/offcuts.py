"""Answers that are made of a kept one, or of none: 206, 304, 504, and those to HEAD."""

from __future__ import annotations

import re
from collections.abc import Mapping

from requests import Request, Response

from ..pipeline import Call
from ..replicas import Snapshot
from .demands import Demands
from .directives import instant, tags

__all__ = ["offcut", "unanswerable"]

_RANGE = re.compile(r"bytes=(?:(\d+)-(\d*)|-(\d+))", re.IGNORECASE | re.ASCII)
# The fields of a 304 (RFC 9110, 15.4.5), and the validator that not all servers replace by a tag.
_OF_A_304 = frozenset(
    {
        *("cache-control", "content-location", "date", "etag", "expires", "vary"),
        *("last-modified", "age"),
    }
)


def offcut(call: Call, demands: Demands | None, snapshot: Snapshot) -> Snapshot | None:
    """What ``call`` is to get of the answer that is kept; None: only the origin can tell."""
    if demands is not None and demands.is_own:
        headers = demands.headers
        if "range" in headers:
            return _part(snapshot, headers["range"]) if call.method == "GET" else None
        if _is_known(snapshot.headers, headers):
            return _not_modified(snapshot)
    if call.method == "HEAD":
        return snapshot.altered(headers=snapshot.headers, content=b"")
    return snapshot


# -- 304 -------------------------------------------------------------------------------------------


def _is_known(ours: Mapping[str, str], asked: Mapping[str, str]) -> bool:
    """Whether the caller has the very answer that is kept (RFC 9110, 13.1.2 and 13.1.3).

    Where nobody says when it was changed, it was when it was made (RFC 9111, 4.3.2).
    """
    if "if-none-match" in asked:
        wanted = tags(asked["if-none-match"])
        own = {_opaque(tag) for tag in tags(ours.get("ETag"))}
        return wanted == ["*"] or any(_opaque(tag) in own for tag in wanted)
    changed = ours.get("Last-Modified") or ours.get("Date")
    return _is_as_new(changed, asked.get("if-modified-since"))


def _opaque(tag: str) -> str:
    return tag.removeprefix("W/")


def _is_as_new(changed: str | None, known: str | None) -> bool:
    ours, theirs = (instant(date) for date in (changed, known))
    return ours is not None and theirs is not None and ours <= theirs


def _not_modified(snapshot: Snapshot) -> Snapshot:
    headers = {n: v for n, v in snapshot.headers.items() if n.lower() in _OF_A_304}
    return snapshot.altered(headers=headers, status=(304, "Not Modified"), content=b"")


# -- 206 -------------------------------------------------------------------------------------------


def _part(snapshot: Snapshot, wanted: str) -> Snapshot | None:
    """One range of bytes; of a coded body we have not the bytes that ranges are about."""
    match = _RANGE.fullmatch(wanted.strip())
    if match is None or snapshot.status_code != 200 or "Content-Encoding" in snapshot.headers:
        return None
    whole = snapshot.content
    first, last = _bounds(match, len(whole))
    if first > last:
        return None  # the origin will say 416
    headers = {
        **{n: v for n, v in snapshot.headers.items() if n.lower() != "content-length"},
        "Content-Range": f"bytes {first}-{last}/{len(whole)}",
        "Content-Length": str(last + 1 - first),
    }
    part = whole[first : last + 1]
    return snapshot.altered(headers=headers, status=(206, "Partial Content"), content=part)


def _bounds(match: re.Match[str], length: int) -> tuple[int, int]:
    start, end, suffix = match.groups()
    if suffix is not None:
        return max(0, length - int(suffix)), length - 1 if int(suffix) else -1
    return int(start), min(int(end), length - 1) if end else length - 1


# -- 504 -------------------------------------------------------------------------------------------


def unanswerable(call: Call) -> Response:
    """What a call gets that may not be sent, and of which nothing is kept (RFC 9111, 5.2.1.7)."""
    response = Response()
    response.status_code, response.reason, response.url = 504, "Gateway Timeout", call.url
    response._content, response._content_consumed = b"", True
    response.request = Request(call.method, call.url).prepare()
    response.__dict__.update(from_cache=False, stale=False, age=0.0)
    return response
