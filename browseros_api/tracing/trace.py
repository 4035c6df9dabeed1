"""What happened to one logical call, however many requests it took."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from http.client import responses
from typing import Any, NamedTuple

from requests import Response

from ..errors import CircuitOpenError
from ..forks import importing
from ..journal import masked_url
from ..spent import Phase, Spent
from .attempt import Attempt, size_of
from .masking import masked_pairs

__all__ = ["Span", "Trace", "told_freshness"]


class Span(NamedTuple):
    """A stretch of a call's time; ``at`` counts from its beginning.  Seconds."""

    phase: Phase
    at: float
    seconds: float


class Trace:
    """What happened to a call; ``print`` it, show it in a notebook, or write it to a file.

    It holds no body.  Secrets in URLs and headers are masked wherever it is shown or pickled.

    Attributes:
        method: of the call.
        cache: ``"hit"``, ``"stale"``, ``"revalidated"``, ``"miss"``, ``"bypass"`` or ``"off"``.
        cache_reason: why, in one sentence.
        dedup: ``"leader"`` (of ``followers`` that got the same), ``"follower"`` or ``"none"``.
        attempts: the requests that were made for it, in their order.
        status: of the answer; None: it has none.
        error: name of the class of what was raised instead.
        age: seconds since the origin made the answer, if it came from the cache.
        bytes_received: of the answer's body, decoded; None where nobody knows.
        span: its span's name on the wire (W3C ``traceparent``), if spans are made; else None.
    """

    dedup, followers = "none", 0
    status: int | None = None
    error: str | None = None
    age = wall = 0.0  # the latter in seconds since the epoch, when it began
    bytes_received: int | None = None
    span: str | None = None
    _ended: float | None = None
    _parts: Any = None  # of an answer that somebody else has fetched: has its headers

    def __init__(self, method: str, url: str, spent: Spent | None, why: tuple[str, str]) -> None:
        self.method, self._url, self._spent = method, url, spent
        self.cache, self.cache_reason = why
        self.attempts: list[Attempt] = []

    @classmethod
    def of_hit(cls, hit: tuple[str, str, float], *, status: int, age: float, parts: Any) -> Trace:
        """The trace of an answer that was known; ``hit``: method, URL, and how long it is fresh."""
        method, url, life = hit
        left = life - age
        why = "hit" if left > 0 else "stale", f"a hit: it is {told_freshness(left)}"
        trace = cls(method, url, None, why)
        trace.status, trace.age, trace.bytes_received, trace._parts = status, age, 0, parts
        trace.wall = time.time()
        return trace

    # -- while the call runs ---------------------------------------------------------------------

    def succeed(self, response: Response, *, at: float) -> None:
        """It has ended with an answer."""
        own = response.__dict__
        self._ended, self.status = at, response.status_code
        self.bytes_received = size_of(own.get("_content"))
        if own.get("from_cache"):
            self.age = own.get("age", 0.0)
            if own.get("stale"):
                self.lend(response)
            elif self.attempts:
                self.cache, self.cache_reason = "revalidated", "the origin says: it has not changed"
            else:
                self.cache, self.cache_reason = "hit", "a hit: it has just come"
        if "_snapshot" in own:
            self._parts = own["_snapshot"].parts

    def lend(self, response: Response) -> Response:
        """In need an answer is used whose time is over: this one, which has this trace then."""
        own = response.__dict__
        own["trace"] = self
        self.status, self.age, self.error = own["status_code"], own.get("age", 0.0), None
        self.cache, self.cache_reason = "stale", "asking has failed, and what is kept may serve"
        return response

    def fail(self, error: BaseException, *, at: float) -> None:
        """It has ended with an error."""
        self._ended, self.error = at, type(error).__name__

    def decide(self, decision: str, delay: float = 0.0) -> None:
        """This is what is made of the latest attempt, which has failed."""
        if self.attempts:
            self.attempts[-1].decision, self.attempts[-1].delay = decision, delay

    # -- what can be asked -----------------------------------------------------------------------

    @property
    def url(self) -> str:
        """What was asked for, with secrets masked."""
        return masked_url(self._url)

    @property
    def started(self) -> datetime:
        """When it began; of a hit, when its trace was first looked at."""
        return datetime.fromtimestamp(self.wall, timezone.utc)

    @property
    def seconds(self) -> float:
        """How long it took, or has taken so far; 0 for a hit: that is not measured."""
        if self._spent is None:
            return 0.0
        return max(0.0, self._until - self._spent.marks[0][1])

    @property
    def breaker(self) -> str:
        """The circuit of its endpoint when it was last asked: closed, half_open, open, or empty."""
        if self.error == CircuitOpenError.__name__:
            return "open"
        return self.attempts[-1].breaker if self.attempts else ""

    @property
    def bytes_sent(self) -> int:
        """Of the bodies of all its attempts, as far as anybody knows."""
        return sum(one.bytes_sent or 0 for one in self.attempts if one.is_sent)

    @property
    def phases(self) -> list[Span]:
        """What its time went to, one after the other; what took none is left out."""
        if self._spent is None:
            return []
        return self.between(self._spent.marks[0][1], self._until)

    def between(self, began: float, ended: float | None) -> list[Span]:
        """The phases between two instants of the clock."""
        assert self._spent is not None
        begin, end = self._spent.marks[0][1], self._until if ended is None else ended
        spans: list[Span] = []
        for phase, since, until in self._spent.stretches(max(end, self._spent.marks[-1][1])):
            first, last = max(since, began), min(until, end)
            if last <= first:
                continue
            at, seconds = first - begin, last - first
            if spans and spans[-1].phase == phase:
                at, seconds = spans[-1].at, spans[-1].seconds + seconds
                spans.pop()
            spans.append(Span(phase, at, seconds))
        return spans

    @property
    def _until(self) -> float:
        if self._ended is not None:
            return self._ended
        assert self._spent is not None
        return self._spent.marks[-1][1]

    # -- how it is shown -------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """All of it, as JSON takes it; times count in seconds from the beginning."""
        return {
            "method": self.method,
            "url": self.url,
            "started": self.started.isoformat(),
            "seconds": self.seconds,
            "status": self.status,
            "error": self.error,
            "cache": self.cache,
            "cache_reason": self.cache_reason,
            "age": self.age,
            "dedup": self.dedup,
            "followers": self.followers,
            "breaker": self.breaker,
            "bytes_sent": self.bytes_sent,
            "bytes_received": self.bytes_received,
            "headers": [] if self._parts is None else masked_pairs(self._parts.headers.items()),
            "phases": [span._asdict() for span in self.phases],
            "attempts": [self._told(one) for one in self.attempts],
        }

    def _told(self, one: Attempt) -> dict[str, Any]:
        assert self._spent is not None
        spans = self.between(one.began, one.ended)
        used = {span.phase for span in spans}
        ended = self._until if one.ended is None else one.ended
        return {
            "number": one.number,
            "method": one.method,
            "url": one.url,
            "at": one.began - self._spent.marks[0][1],
            "seconds": ended - one.began,
            "status": one.status,
            "reason": one.reason or responses.get(one.status or 0, ""),
            "error": one.error,
            "state": one.state,
            "connection": "new" if "connect" in used else "reused" if "send" in used else None,
            "connection_number": one.connection,
            "breaker": one.breaker,
            "opened": one.opened,
            "decision": one.decision,
            "delay": one.delay,
            "hedged": one.hedged,
            "hedge_won": one.hedge_won,
            "bytes_sent": one.bytes_sent,
            "bytes_received": one.bytes_received,
            "http_version": f"HTTP/{one.version / 10}" if isinstance(one.version, int) else "",
            "request_headers": one.request_headers,
            "response_headers": one.response_headers,
            "phases": [span._asdict() for span in spans],
        }

    def to_har(self) -> dict[str, Any]:
        """An HTTP archive (HAR 1.2), which the network panel of a browser opens."""
        with importing:
            from .har import archived  # noqa: PLC0415
        return archived(self.to_dict())

    def __str__(self) -> str:
        with importing:
            from .waterfall import drawn  # noqa: PLC0415
        return drawn(self.to_dict())

    def _repr_html_(self) -> str:
        with importing:
            from .picture import pictured  # noqa: PLC0415
        return pictured(self.to_dict())

    def __repr__(self) -> str:
        outcome = self.error if self.status is None else self.status
        return f"<Trace [{self.method} {self.url}: {outcome}, {self.cache}]>"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_url": self.url, "_parts": None}


def told_freshness(left: float) -> str:
    """So many seconds that an answer is still fresh, in words."""
    return f"fresh for another {left:.0f} s" if left > 0 else f"stale for {-left:.0f} s"
