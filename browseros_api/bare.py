"""Answers without anything of whoever asked for them: what of a snapshot may leave the process.

The one other file that knows what a snapshot is made of.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from requests import PreparedRequest
from requests.cookies import RequestsCookieJar
from requests.structures import CaseInsensitiveDict

from .replicas import OVERHEAD, Snapshot

__all__ = ["Bare", "asked_as", "bared", "requests_of", "restored"]


class Bare(NamedTuple):
    """An answer, or a redirect on the way to it.

    ``url`` is None where it is that of the call that asks, ``elapsed`` is in seconds, ``following``
    are method and URL of the request that would come next (``response.next``).
    """

    status_code: int
    reason: str | None
    url: str | None
    method: str
    headers: Sequence[tuple[str, str]]
    encoding: str | None
    elapsed: float
    following: tuple[str, str] | None
    body: bytes


def bared(snapshot: Snapshot) -> list[Bare]:
    """The redirects, and then the answer; ``ValueError`` if that would not be all of it."""
    return [_bared(one) for one in (*snapshot._history, snapshot)]


def _bared(snapshot: Snapshot) -> Bare:
    state, parts = snapshot._state, snapshot._answer
    body, (method, url) = state["_content"], _line(parts.request)
    if not isinstance(body, bytes) or len(parts.cookies) or state["url"] != url:
        raise ValueError("it has no body, it has cookies, or its request is not what it seems")
    return Bare(
        status_code=state["status_code"],
        reason=state["reason"],
        url=url,
        method=method,
        headers=[*parts.headers.items()],
        encoding=state["encoding"],
        elapsed=state["elapsed"].total_seconds(),
        following=None if snapshot._next is None else _line(snapshot._next),
        body=body,
    )


def _line(request: Any) -> tuple[str, str]:
    if not isinstance(request, PreparedRequest):
        raise ValueError("there is no request, or it is what some mock thinks is one")
    return str(request.method), str(request.url)


def requests_of(snapshot: Snapshot) -> list[Any]:
    """The requests of the redirects and of the answer: to look at, never to change."""
    return [one._answer.request for one in (*snapshot._history, snapshot)]


def restored(bares: Sequence[Bare], choosers: tuple[str, ...]) -> Snapshot:
    """The snapshot of which ``bares`` were told, and the names of the headers that chose it."""
    *hops, answer = bares
    snapshot = Snapshot.__new__(Snapshot)
    snapshot._state = {
        "_content": answer.body,
        "_content_consumed": True,
        "status_code": answer.status_code,
        "url": answer.url,
        "encoding": answer.encoding,
        "reason": answer.reason,
        "elapsed": timedelta(seconds=answer.elapsed),
    }
    snapshot._answer = _Remains(answer.method, answer.url, answer.headers)
    snapshot._history = tuple(restored([hop], ()) for hop in hops)
    snapshot._choosers = choosers
    snapshot._next = None if answer.following is None else _request(*answer.following)
    headers = sum(len(name) + len(value) for name, value in answer.headers)
    before = sum(hop.size for hop in snapshot._history)
    snapshot.size = len(answer.body) + headers + before + OVERHEAD
    return snapshot


def asked_as(snapshot: Snapshot, url: str) -> Snapshot:
    """The same; if it was restored without the URL that was asked for, that is this."""
    if snapshot._history:
        first, *others = snapshot._history
        named = asked_as(first, url)
        return snapshot if named is first else _changed(snapshot, _history=(named, *others))
    if snapshot._state["url"] is not None:
        return snapshot
    answer = snapshot._answer
    return _changed(snapshot, _state={**snapshot._state, "url": url}, _answer=answer.asked_as(url))


def _changed(snapshot: Snapshot, **parts: Any) -> Snapshot:
    copy = Snapshot.__new__(Snapshot)
    for name in Snapshot.__slots__:
        setattr(copy, name, parts[name] if name in parts else getattr(snapshot, name))
    return copy


class _Remains:
    """The changeable parts of an answer, made when they are asked for; see ``replicas._Parts``."""

    __slots__ = ("_headers", "_method", "_url")

    connection = None

    def __init__(self, method: str, url: str | None, headers: Sequence[tuple[str, str]]) -> None:
        self._method, self._url, self._headers = method, url, headers

    def asked_as(self, url: str) -> _Remains:
        return _Remains(self._method, url, self._headers)

    @property
    def headers(self) -> CaseInsensitiveDict[str]:
        headers: Any = CaseInsensitiveDict.__new__(CaseInsensitiveDict)
        # What its constructor does, but five times faster.
        headers._store = OrderedDict((pair[0].lower(), pair) for pair in self._headers)
        return headers  # type: ignore[no-any-return]

    @property
    def cookies(self) -> RequestsCookieJar:
        return RequestsCookieJar()

    @property
    def request(self) -> PreparedRequest:
        return _request(self._method, self._url)


def _request(method: str, url: str | None) -> PreparedRequest:
    request = PreparedRequest()
    request.method, request.url = method, url
    request.headers = CaseInsensitiveDict()
    request._cookies = RequestsCookieJar()
    return request
