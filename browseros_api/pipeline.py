"""A call, an exchange, and how steps are strung together.

Every step, on both floors, is one verb: ``step(thing, proceed) -> Response``.  It may look at the
thing, go on with ``proceed(thing)`` never, once or several times, and look at what came back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from requests import PreparedRequest, Response

__all__ = ["Call", "Exchange", "Proceed", "Step", "compose"]

T = TypeVar("T")
Proceed = Callable[[T], Response]
Step = Callable[[T, Proceed[T]], Response]


@dataclass(slots=True, eq=False)
class Call:
    """One logical call: what the user asked for, however many requests it takes.

    ``key`` names the answer; ``None`` means that it is never shared (unsafe methods, bodies, files,
    streams, hooks of its own, options that cannot be named).  ``deadline`` is an instant of the
    session's clock, ``patience`` the seconds of silence that the caller accepts.
    The last group is written while the call runs, by the one thread that runs it.
    """

    method: str
    url: str
    arguments: dict[str, Any] = field(default_factory=dict)
    key: str | None = None
    use_cache: bool = True
    cache_ttl: float | None = None
    deadline: float | None = None
    patience: float | None = None
    idempotency_key: str | None = None

    attempts: int = 0
    from_cache: bool = False
    followed: bool = False


@dataclass(slots=True, eq=False)
class Exchange:
    """One hop of a call: a prepared request, and what the adapter is to be told with it.

    ``options`` are the keyword arguments of ``adapter.send``: stream, timeout, verify, cert, proxies.
    """

    request: PreparedRequest
    options: dict[str, Any]
    call: Call
    endpoint: str = ""
    attempt: int = 0

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
