"""The ways to make a call through a circuit, and what counts as its failure.

    breaker.call(fetch, "/users")           await breaker.call(fetch_async, "/users")
    @breaker                                @breaker
    def fetch(path): ...                    async def fetch_async(path): ...
    with breaker: ...                       async with breaker: ...

Each of them is admitted, runs, is judged, and is settled.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from types import TracebackType
from typing import Any, TypeVar

from .breaker_states import Circuit, Permit, Refusal

__all__ = ["BadResult", "Passage"]

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

_WISHES_TO_STOP = (KeyboardInterrupt, SystemExit, GeneratorExit)

# What this thread or task is inside of, innermost last: many may be inside of one breaker at once,
# and a ``with`` statement gives ``__exit__`` nothing else to tell them apart by.
_INSIDE: ContextVar[tuple[tuple[Passage, Permit], ...]] = ContextVar("inside", default=())


class BadResult(Exception):
    """Stands, as a circuit's last error, for a result that ``is_failure`` calls a failure."""


class Passage(Circuit):
    """A circuit that calls can be made through."""

    is_failure: Callable[[Any], bool] | None = None

    def call(self, func: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:  # type: ignore[override]
        """``func(*args, **kwargs)``, or ``CircuitOpenError`` without calling it.

        What a coroutine function, or any other that returns an awaitable, comes to in the end is
        what counts; a coroutine function is admitted when it is awaited.
        """
        if inspect.iscoroutinefunction(func):
            return self._awaited(func, args, kwargs)  # type: ignore[return-value]
        return self._passed(func, args, kwargs)

    def _passed(self, func: Callable[..., T], args: Any, kwargs: Any) -> T:
        permit = self.admit()
        try:
            if self._listeners:
                self._tell("before_call", func, *args, **kwargs)
            result = func(*args, **kwargs)
        except BaseException as error:
            self.settle(permit, error)
            raise
        if hasattr(type(result), "__await__"):
            return self._concluded(permit, result)  # type: ignore[arg-type,return-value]
        self._conclude(permit, result)
        return result

    async def _awaited(self, func: Callable[..., Awaitable[T]], args: Any, kwargs: Any) -> T:
        return await self._passed(func, args, kwargs)

    async def _concluded(self, permit: Permit, pending: Awaitable[T]) -> T:
        try:
            result = await pending
        except BaseException as error:
            self.settle(permit, error)
            raise
        self._conclude(permit, result)
        return result

    def _conclude(self, permit: Permit, result: object) -> None:
        if self.is_failure is None:
            self.settle(permit, None)
            return
        try:
            failure = BadResult(f"{result!r:.200}") if self.is_failure(result) else None
        except BaseException:  # it could not be judged
            self.forgive(permit)
            raise
        self.settle(permit, failure)

    def is_system_error(self, exception: BaseException) -> bool:
        """Whether ``exception`` is a failure of the service, and not excluded."""
        if isinstance(exception, (*_WISHES_TO_STOP, Refusal)) or _is_cancellation(exception):
            return False
        # pybreaker's own takes a class that has a metaclass for a predicate, which covers all.
        exclusions: tuple[Any, ...] = self.excluded_exceptions
        return not any(
            isinstance(exception, one) if isinstance(one, type) else one(exception)
            for one in exclusions
        )

    def __call__(self, func: F) -> F:  # type: ignore[override]
        """``func``, guarded; the decorator ``@breaker``."""
        if not callable(func):
            raise TypeError(f"a breaker decorates functions, not {func!r}")

        def now(*args: Any, **kwargs: Any) -> Any:
            return self._passed(func, args, kwargs)

        async def when_awaited(*args: Any, **kwargs: Any) -> Any:
            return await self._passed(func, args, kwargs)

        guarded = when_awaited if inspect.iscoroutinefunction(func) else now
        return functools.wraps(func)(guarded)  # type: ignore[return-value]

    def __enter__(self) -> Permit:
        permit = self.admit()
        _INSIDE.set((*_INSIDE.get(), (self, permit)))
        return permit

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        inside = _INSIDE.get()
        for place in reversed(range(len(inside))):
            breaker, permit = inside[place]
            if breaker is self:
                _INSIDE.set(inside[:place] + inside[place + 1 :])
                self.settle(permit, error)
                return

    async def __aenter__(self) -> Permit:
        return self.__enter__()

    async def __aexit__(self, *raised: Any) -> None:
        self.__exit__(*raised)

    def calling(self) -> Passage:  # type: ignore[override]
        """The same as the breaker itself, in a ``with`` statement: pybreaker's name for it."""
        return self

    def call_async(self, func: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """The same as ``call``: pybreaker's name for it, where coroutines are Tornado's."""
        return self.call(func, *args, **kwargs)


def _is_cancellation(exception: BaseException) -> bool:
    # Nothing can be cancelled before somebody has imported asyncio, which takes its time.
    kind = getattr(sys.modules.get("asyncio.exceptions"), "CancelledError", ())
    return isinstance(exception, kind)
