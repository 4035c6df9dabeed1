"""By when everything has to be over: what bounds a call, and what its caller is told."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar, Token
from types import TracebackType
from typing import NamedTuple, TypeVar

from requests import PreparedRequest, Response

from .checks import duration
from .errors import DeadlineExceeded, RequestState, mark
from .journal import masked_url
from .pipeline import Call, Proceed, Step
from .spent import Spent

__all__ = [
    "BOUND", "Deadline", "bind", "enter", "is_hurried", "late", "leave", "left", "unbound",
    "until_then",
]  # fmt: skip

D = TypeVar("D", bound="Deadline")
T = TypeVar("T")
_HURRY = 0.1  # seconds
Clock = Callable[[], float]


class _Bound(NamedTuple):
    until: float
    clock: Clock

    def remaining(self) -> float:
        return self.until - self.clock()


BOUND: ContextVar[_Bound | None] = ContextVar("browseros_api_deadline", default=None)


class Deadline:
    """Bounds what is done inside its ``with`` or ``async with`` block, for ``seconds`` from there.

    Each call that is made inside, by whichever session or client, is over by then; a bound around
    it, or of a call's own, counts as well if it is shorter.  Threads take part whose context is a
    copy: those of ``submit``, ``get_many`` and the awaited client do.
    """

    def __init__(self, seconds: float, *, clock: Clock) -> None:
        self.seconds = duration("deadline", seconds, optional=False)
        self._clock = clock
        self._inside: tuple[_Bound, Token[_Bound | None]] | None = None

    def remaining(self) -> float:
        """Seconds that are left, at least 0; inside the block only."""
        if self._inside is None:
            raise RuntimeError("a deadline begins when its with block does")
        return max(0.0, self._inside[0].remaining())

    def __enter__(self: D) -> D:
        if self._inside is not None:
            raise RuntimeError("a deadline is for one with block; make another one")
        until = _earliest(self.seconds, self._clock)
        assert until is not None
        token = enter(until, self._clock)
        self._inside = _Bound(until, self._clock), token
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._inside is not None
        token, self._inside = self._inside[1], None
        leave(token)

    async def __aenter__(self: D) -> D:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, traceback)

    def __repr__(self) -> str:
        return f"<Deadline [{self.seconds:g} s]>"


def enter(until: float, clock: Clock) -> Token[_Bound | None]:
    """From now on nothing here takes longer than to this instant of ``clock``; then ``leave``."""
    return BOUND.set(_Bound(until, clock))


def leave(token: Token[_Bound | None]) -> None:
    """As it was before ``enter``."""
    with suppress(ValueError):  # entered in another context, by a generator: it is gone with that
        BOUND.reset(token)


def left() -> float | None:
    """Seconds that are left here, at least 0; None without a bound."""
    around = BOUND.get()
    return None if around is None else max(0.0, around.remaining())


def is_hurried() -> bool:
    """Whether so little is left that whoever is slow now need not be slow."""
    here = left()
    return here is not None and here < _HURRY


def until_then(clock: Clock) -> Step[Call]:
    """A step within which the deadline of a call binds all that is done in this thread."""

    def bounded(call: Call, proceed: Proceed[Call]) -> Response:
        around = BOUND.get()
        try:
            if call.deadline is not None:
                enter(call.deadline, clock)
            return proceed(call)
        finally:
            BOUND.set(around)

    return bounded


def unbound(work: Callable[[], T]) -> T:
    """What comes of ``work``, which has to be done, however late it is."""
    around = BOUND.get()
    try:
        BOUND.set(None)
        return work()
    finally:
        BOUND.set(around)


def bind(call: Call, seconds: float | None, clock: Clock) -> None:
    """Let ``call`` take so long, but not longer than what it is made inside of."""
    call.deadline = _earliest(seconds, clock)
    if call.deadline is not None:
        call.spent = Spent(clock)


def _earliest(seconds: float | None, clock: Clock) -> float | None:
    around = BOUND.get()
    if around is None:
        return None if seconds is None else clock() + seconds
    left = around.remaining()
    return clock() + (left if seconds is None else min(left, seconds))


def late(
    call: Call, where: str, state: RequestState, *, request: PreparedRequest | None = None
) -> DeadlineExceeded:
    """What is raised once the deadline of ``call`` has passed; ``where`` ends that clause."""
    spent = {} if call.spent is None else call.spent.read()
    method, url = (call.method, call.url) if request is None else (request.method, request.url)
    told = Spent.told(spent)
    error = DeadlineExceeded(
        f"{method} {masked_url(str(url))}: deadline passed{where}" + (told and f" ({told})"),
        spent=spent,
        attempts=call.attempts,
        request=request,
    )
    return mark(error, state)
