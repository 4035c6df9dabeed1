"""Answers kept so that many readers can have one each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from requests import PreparedRequest, Response
from requests.cookies import RequestsCookieJar
from requests.structures import CaseInsensitiveDict
from requests.utils import get_encoding_from_headers

from .copying import copied, copied_headers
from .keys import ALL_COOKIES, REDIRECTS, fingerprint
from .naming import makes_somebody
from .tracing.trace import Trace

__all__ = ["OVERHEAD", "Replica", "Snapshot"]

# What is the same for every reader and cannot be changed in place.
_SHARED = ("_content", "_content_consumed", "status_code", "url", "encoding", "reason", "elapsed")
# Measured cost of a snapshot besides its body and headers: jars, request, dictionaries, names.
OVERHEAD = 6 * 1024


class Replica(Response):
    """A reader's own copy of an answer that somebody else fetched.

    What a reader could change in place (headers, cookies, history, request) is copied when it is
    first looked at: most readers look at none of it.

    ``trace`` is what happened to its call; made when it is first looked at, if it was known.
    ``from_cache``: it was kept, and used without asking, or after the origin had said that it has
    not changed.  ``stale``: its time was over.  ``age``: seconds since the origin made it.
    ``from_fallback``: it was given by the caller, and stands in for an error.
    """

    __attrs__ = [*Response.__attrs__, "from_cache", "stale", "age", "from_fallback"]  # noqa: RUF012  (is pickled)

    from_cache: bool = False
    stale: bool = False
    age: float = 0.0
    from_fallback: bool = False
    _snapshot: Snapshot
    _hit: tuple[str, str, float] | None = None

    def __getattr__(self, name: str) -> Any:
        snapshot = self.__dict__.get("_snapshot")
        if snapshot is None or name not in _COPIES:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        value = _COPIES[name](snapshot, self)
        self.__dict__[name] = value
        return value

    def close(self) -> None:
        """Nothing is open: the body is here and the connection went back long ago."""


class Snapshot:
    """An answer with its body read, frozen.

    Written once, by the thread that fetched it, before anybody else can see it.
    """

    __slots__ = ("_answer", "_choosers", "_history", "_next", "_state", "size")

    _answer: Any  # _Parts, or the like of a snapshot that was restored

    def __init__(self, response: Response, *, is_hop: bool = False) -> None:
        self._state = {name: getattr(response, name) for name in _SHARED}
        self._answer = _Parts(response)
        redirects = [] if is_hop else response.history
        self._history = tuple(Snapshot(hop, is_hop=True) for hop in redirects)
        self._choosers = _choosers(response)
        self._next = copied(getattr(response, "_next", None))  # pickling loses it
        body = self._state["_content"]
        headers = sum(len(name) + len(str(value)) for name, value in response.headers.items())
        hops = sum(hop.size for hop in self._history)
        self.size: int = len(body or b"") + headers + hops + OVERHEAD

    @property
    def status_code(self) -> int:
        """The answer's status."""
        status: int = self._state["status_code"]
        return status

    @property
    def headers(self) -> Mapping[str, str]:
        """The answer's own headers: to look at."""
        headers: Mapping[str, str] = self._answer.headers
        return headers

    @property
    def content(self) -> bytes:
        """Its body."""
        return self._state["_content"] or b""

    @property
    def url(self) -> str | None:
        """The URL that was asked for, as far as it is known."""
        first = self._history[0] if self._history else self
        url: str | None = first._state["url"]
        return url

    @property
    def parts(self) -> Any:
        """What has its ``headers``, and not its body."""
        return self._answer

    @property
    def has_history(self) -> bool:
        """Whether there were redirects on the way to it."""
        return bool(self._history)

    def altered(
        self, *, headers: Mapping[str, str], status: tuple[int, str] | None = None,
        content: bytes | None = None,
    ) -> Snapshot:  # fmt: skip
        """The same answer with other headers, and maybe with another status or body."""
        copy = Snapshot.__new__(Snapshot)
        body = self.content if content is None else content
        copy._state = {**self._state, "_content": body}
        if status is not None:
            copy._state["status_code"], copy._state["reason"] = status
        copy._answer = _Parts.__new__(_Parts)
        copy._answer.headers = CaseInsensitiveDict(headers)
        copy._state["encoding"] = get_encoding_from_headers(copy._answer.headers)
        for part in ("cookies", "request", "connection"):
            setattr(copy._answer, part, getattr(self._answer, part))
        copy._history, copy._next = self._history, self._next
        copy._choosers = tuple(sorted({*self._choosers, *_varied(copy._answer.headers)}))
        copy.size = self.size - len(self.content) + len(body)
        return copy

    def anonymous(self) -> Snapshot:
        """The same answer, without what its requests say of whoever asked."""
        copy = self.altered(headers=self.headers)
        copy._answer.request = _anonymous(self._answer.request)
        copy._history = tuple(hop.anonymous() for hop in self._history)
        copy._next = _anonymous(self._next)
        return copy

    def chosen_by(self, headers: Mapping[str, str]) -> tuple[tuple[str, str | None], ...]:
        """What chose this answer, of a call's ``headers`` that are not in its key, in digests.

        Two calls of one key may share the answer only if this is the same for both.
        """
        if not self._choosers:
            return ()
        return tuple((name, fingerprint(name, headers.get(name))) for name in self._choosers)

    def replica(
        self, *, from_cache: bool = False, stale: bool = False, age: float | None = None,
        hit: tuple[str, str, float] | None = None,
    ) -> Replica:  # fmt: skip
        """A copy of the answer that its reader may change as it likes.

        ``hit`` is what ``Trace.of_hit`` is made of.
        """
        copy = Replica.__new__(Replica)
        own = copy.__dict__
        own.update(self._state)
        own["_snapshot"] = self
        own["from_cache"] = from_cache
        own["raw"] = None
        own["_hit"] = hit
        if stale:
            own["stale"] = True
        if age is not None:
            own["age"] = age
        return copy


def _choosers(response: Response) -> tuple[str, ...]:
    choosers = {name for hop in (*response.history, response) for name in _varied(hop.headers)}
    if response.history:  # the key holds the cookies for one URL: here there may have been others
        choosers.add(ALL_COOKIES)
    if response.history or response.is_redirect:
        choosers.add(REDIRECTS)
    return tuple(sorted(choosers))


def _anonymous(request: Any) -> Any:
    copy = copied(request)
    if isinstance(copy, PreparedRequest):
        copy._cookies = RequestsCookieJar()
        for name in [name for name in copy.headers if makes_somebody(name.lower())]:
            del copy.headers[name]
    return copy


def _varied(headers: Mapping[str, str]) -> set[str]:
    names = str(headers.get("Vary", "")).lower().split(",")
    return {name.strip() for name in names} - {"", "*"}


class _Parts:
    """The changeable parts of an answer, as they were, never handed out themselves."""

    __slots__ = ("connection", "cookies", "headers", "request")

    def __init__(self, response: Response) -> None:
        self.headers = response.headers.copy()
        self.cookies = response.cookies.copy()
        self.request = copied(response.request)
        self.connection = getattr(response, "connection", None)


def _headers(snapshot: Snapshot, replica: Replica) -> CaseInsensitiveDict[str]:
    headers: CaseInsensitiveDict[str] = copied_headers(snapshot._answer.headers)
    if replica.from_cache and "age" in replica.__dict__:
        headers["Age"] = str(int(replica.age))  # RFC 9111, 5.1
    return headers


def _replicas(hops: tuple[Snapshot, ...], from_cache: bool) -> list[Replica]:
    """Copies of redirects; the history of each are those before it, as in requests."""
    copies: list[Replica] = []
    for hop in hops:
        copy = hop.replica(from_cache=from_cache)
        copy.history = [*copies]
        copies.append(copy)
    return copies


def _traced(snapshot: Snapshot, replica: Replica) -> Trace | None:
    """None for a redirect on the way, which is a part of a call."""
    hit, parts = replica._hit, snapshot.parts
    if hit is None:
        return None
    return Trace.of_hit(hit, status=snapshot.status_code, age=replica.age, parts=parts)


_COPIES: dict[str, Callable[[Snapshot, Replica], Any]] = {
    "headers": _headers,
    "cookies": lambda snapshot, _: snapshot._answer.cookies.copy(),
    "connection": lambda snapshot, _: snapshot._answer.connection,
    "request": lambda snapshot, _: copied(snapshot._answer.request),
    "history": lambda snapshot, replica: _replicas(snapshot._history, replica.from_cache),
    "trace": _traced,
    "_next": lambda snapshot, _: copied(snapshot._next),
}
