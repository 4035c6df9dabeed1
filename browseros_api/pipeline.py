"""A call, an exchange, and how steps are strung together.

Every step, on both floors, is one verb: ``step(thing, proceed) -> Response``.  It may look at the
thing, go on with ``proceed(thing)`` never, once or several times, and look at what came back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from urllib.parse import urljoin

from requests import PreparedRequest, RequestException, Response
from requests.adapters import BaseAdapter

from .errors import NEVER_SENT, RequestState
from .replicas import Snapshot
from .spent import Spent
from .terms import UNSET, Hedge
from .tracing.trace import Trace

if TYPE_CHECKING:
    from .identity import Question

__all__ = [
    "SAFE_METHODS",
    "Call",
    "Companion",
    "Exchange",
    "Proceed",
    "Step",
    "changed_by",
    "compose",
]

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})

T = TypeVar("T")
Proceed = Callable[[T], Response]
Step = Callable[[T, Proceed[T]], Response]


class Companion(Protocol):
    """Somebody who goes along with each call, and with each request that is sent: two steps."""

    def call(self, call: Call, proceed: Proceed[Call]) -> Response: ...

    def send(self, exchange: Exchange, proceed: Proceed[Exchange]) -> Response: ...


@dataclass(slots=True, eq=False)
class Call:
    """One logical call: what the user asked for, however many requests it takes.

    ``key`` names the answer; ``None`` means that it is never shared (unsafe methods, bodies, files,
    streams, hooks of its own, options that cannot be named).  ``cache_key`` is what it is kept
    under, ``share`` whose answer it is if not the caller's own.  ``headers`` are those that will be
    sent, by lower-case name, ``asked`` is the URL as it will be sent, and ``resource`` that without
    its query, all only with a key.
    ``deadline`` is an instant of the session's clock, ``attempt_timeout`` the seconds that one
    attempt may take, ``patience`` the seconds of silence that the caller accepts (``None``: any).
    ``fallback`` is what its caller gets instead of an error, ``hedge`` when it is asked twice.
    ``question`` is who asks for what, if there are exact words for it, and ``extra`` a header that
    was added to those which were given.
    ``refreshes``: nobody waits for it; it is to renew an answer that is kept.
    ``reached`` is how far the last of its requests came that went out; ``spent``, where its time
    goes, with a deadline from the beginning.  ``trace`` is what happens to it, as soon as the cache
    has not had the answer; then ``variants`` are kept answers that were not for this call.
    The last group is written while the call runs, by the one thread that runs it.
    """

    method: str
    url: str
    arguments: dict[str, Any] = field(default_factory=dict)
    key: str | None = None
    cache_key: str | None = None
    share: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    resource: str = ""
    asked: str = ""
    use_cache: bool = True
    cache_ttl: float | None = None
    deadline: float | None = None
    attempt_timeout: float | None = None
    patience: float | None = None
    fallback: Any = UNSET
    hedge: Hedge | None = None
    question: Question | None = None
    extra: tuple[str, str] | None = None
    spent: Spent | None = None
    refreshes: bool = False

    began: float | None = None
    epoch: int = 0
    took_off: float | None = None
    kept_before: int = 0
    is_kept: bool = False
    attempts: int = 0
    reached: RequestState = NEVER_SENT
    from_cache: bool = False
    followed: bool = False
    followers: int = 0
    seat: Any = None
    answer: Response | None = None
    entry: Any = None
    variants: tuple[Any, ...] = ()
    trace: Trace | None = None
    snapshot: Snapshot | None = None
    again: Callable[[Call], Response] | None = None

    def frozen(self, response: Response) -> Snapshot:
        """Its answer, to be handed out to others: made once."""
        if self.snapshot is None:
            snapshot = Snapshot(response)
            self.snapshot = snapshot.anonymous() if self.share else snapshot
        return self.snapshot

    @property
    def is_safe(self) -> bool:
        """Whether the method changes nothing on the server (RFC 9110, 9.2.1)."""
        return self.method in SAFE_METHODS


@dataclass(slots=True, eq=False)
class Exchange:
    """One hop of a call: a prepared request, and what the adapter is to be told with it.

    ``refused_for`` is written when an attempt has failed: seconds for which the endpoint's circuit
    is now open.  ``circuit`` is the state of that when the attempt began.  ``reached`` is how far
    the latest attempt came.  ``options`` are the keyword arguments of ``adapter.send``: stream,
    timeout, verify and so on.  One that ``is_spare`` goes beside another: it waits for nothing.
    """

    request: PreparedRequest
    options: dict[str, Any]
    call: Call
    adapter: BaseAdapter | None = None
    endpoint: str = ""
    attempt: int = 0
    reached: RequestState = NEVER_SENT
    refused_for: float = 0.0
    circuit: str = ""
    is_spare: bool = False

    @property
    def streams(self) -> bool:
        """Whether the caller wants to read the body itself."""
        return bool(self.options.get("stream"))


def compose(steps: Iterable[Step[T]], end: Proceed[T]) -> Proceed[T]:
    """The steps, outermost first, around ``end``, as one function."""
    proceed = end
    for step in reversed(list(steps)):
        proceed = _around(step, proceed)
    return proceed


def _around(step: Step[T], proceed: Proceed[T]) -> Proceed[T]:
    def taken(thing: T) -> Response:
        return step(thing, proceed)

    return taken


def changed_by(call: Call, response: Response) -> set[str]:
    """The URLs, without their queries, that a successful unsafe call has changed.

    The one that was asked for first; an adapter may not say what it sent.  And those of the same
    origin that the answer names (RFC 9111, 4.4).
    """
    first = response.history[0] if response.history else response
    asked = str((call.url if first.request is None else first.request.url) or "")
    named = [first.headers.get("Location"), first.headers.get("Content-Location")]
    urls = [_joined(asked, place) for place in named if isinstance(place, str) and place]
    return {_resource(asked), *[_resource(url) for url in urls if _origin(url) == _origin(asked)]}


def _joined(asked: str, place: str) -> str:
    """What ``place`` means there, as requests would send it; nothing if it would not."""
    prepared = PreparedRequest()
    try:
        prepared.prepare_url(urljoin(asked, place), None)
    except (RequestException, ValueError):
        return ""
    return str(prepared.url)


def _origin(url: str) -> list[str]:
    return url.split("/", 3)[:3]


def _resource(url: str) -> str:
    return url.partition("#")[0].partition("?")[0]
