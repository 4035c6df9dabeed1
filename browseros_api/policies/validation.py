"""Asking whether an answer has changed, instead of for all of it (RFC 9111, 4.3)."""

from __future__ import annotations

from collections.abc import Mapping

from requests import Response

from ..replicas import Snapshot
from ..stores.entry import Entry
from .directives import directives, seconds
from .freshness import is_strict
from .keeping import of_the_connection

__all__ = [
    "conditions",
    "is_comparable",
    "is_unchanged",
    "renewed",
    "window",
]

_OF_THE_BODY = frozenset(
    {"content-encoding", "content-length", "content-md5", "content-range", "etag"}
)
_VALIDATED = frozenset({200, 203, 204})  # statuses that a 304 may stand for


def conditions(entry: Entry) -> dict[str, str]:
    """The fields that make a request for it conditional; none if there is nothing to go by."""
    snapshot = entry.snapshot
    if snapshot.has_history or snapshot.status_code not in _VALIDATED:
        return {}
    headers = snapshot.headers
    found = {
        "If-None-Match": headers.get("ETag"),
        "If-Modified-Since": headers.get("Last-Modified"),
    }
    return {name: value for name, value in found.items() if value}


def renewed(snapshot: Snapshot, response: Response) -> Snapshot:
    """The answer that is kept, with the fields that ``response``, a 304 or to HEAD, has anew.

    Not those that tell what the body is, which stays as it was.  A 304 that names another entity
    tag than was asked about is believed: some servers tell those of coded and of plain bodies apart
    in one answer, and not in the next.
    """
    unwanted = of_the_connection(response.headers) | _OF_THE_BODY
    news = {n: v for n, v in response.headers.items() if n.lower() not in unwanted}
    replaced = {"age", *(name.lower() for name in news)}
    ours = {n: v for n, v in snapshot.headers.items() if n.lower() not in replaced}
    return snapshot.altered(headers={**ours, **news})


def is_comparable(response: Response) -> bool:
    """Whether an answer to HEAD tells what GET would get: it is there, or it is no more."""
    status = response.status_code
    return not response.history and (200 <= status < 300 or status in (404, 410))


def is_unchanged(snapshot: Snapshot, response: Response) -> bool:
    """Whether an answer to HEAD is about the one that is kept (RFC 9111, 4.3.5)."""
    ours, news = snapshot.headers, response.headers
    return response.status_code == snapshot.status_code and all(
        name not in news or name not in ours or news[name] == ours[name]
        for name in ("Content-Length", "ETag", "Last-Modified")
    )


def window(headers: Mapping[str, str], directive: str) -> float:
    """Seconds for which the server lets an answer be used stale; negative if it does not."""
    said = seconds(directives(headers.get("Cache-Control")).get(directive))
    return -1.0 if said is None or is_strict(headers) else float(said)
