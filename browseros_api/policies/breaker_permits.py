"""Permits to make a call, those of trial calls, which are few and must come back, and refusals."""

from __future__ import annotations

import math
import weakref

import pybreaker

from ..errors import CircuitOpenError, clone

__all__ = ["Permit", "Trials", "refusal", "without_cause"]


class Permit:
    """The right to make one call; settling or forgiving it, whichever comes first, spends it."""

    __slots__ = ("__weakref__", "since", "state")

    def __init__(
        self, state: pybreaker.CircuitBreakerState | None = None, since: float = 0.0
    ) -> None:
        self.state = state  # None: spent, or of a call that is not counted
        self.since = since


class Trials:
    """The trial calls that are under way, oldest first.

    One whose permit nobody holds any more, since its thread has died, say, or it was interrupted
    before it began, will never be settled: its place is free at once.
    """

    def __init__(self) -> None:
        self._places: dict[weakref.ref[Permit], None] = {}

    def begin(self, permit: Permit) -> None:
        """Give it a place."""
        self._places = {weakref.ref(one): None for one in (*self.running(), permit)}

    def end(self, permit: Permit) -> None:
        """Its place is free, if it had one."""
        if self._places:
            self._places.pop(weakref.ref(permit), None)

    def clear(self) -> None:
        """All places are free."""
        self._places.clear()

    def running(self) -> list[Permit]:
        """The permits that are out."""
        return [permit for place in [*self._places] if (permit := place()) is not None]

    def __len__(self) -> int:
        return len(self.running())


def refusal(
    name: str, why_open: str, wait: float, last_error: BaseException | None
) -> CircuitOpenError:
    """The error of a call that gets no permit, of a circuit that is open, or else on trial."""
    message = f"circuit for {name!r} is " if name else "circuit is "
    message += why_open or "on trial, and no more calls are let through"
    if wait < math.inf:
        message += f"; next trial in {wait:.1f} s{'' if why_open else ' at the latest'}"
    return CircuitOpenError(message, endpoint=name, retry_after=wait, last_error=last_error)


def without_cause(error: BaseException) -> BaseException:
    """A copy to be remembered while the circuit is open.

    A traceback would for so long keep alive the variables of everybody whom the error has passed.
    """
    copy = clone(error)
    if copy is not error:  # there are classes that cannot be copied
        copy.__cause__ = None
    return copy
