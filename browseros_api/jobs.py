"""Something to be done once, by whichever thread comes first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["Job", "taken"]

T = TypeVar("T")


class Job:
    """Something to be done once, or not at all if it is cancelled before its turn.

    ``tell(job)`` is called when it is over, by whoever has done or cancelled it; it must be quick,
    and raise nothing.
    """

    __slots__ = ("_tell", "_turn", "_work", "error", "is_cancelled", "is_over", "result")

    def __init__(self, work: Callable[[], Any], tell: Callable[[Job], object]) -> None:
        self._work, self._tell = work, tell
        self._turn = [True]  # taken by the first who comes
        self.result: Any = None
        self.error: BaseException | None = None
        self.is_cancelled = self.is_over = False

    def do(self) -> None:
        """Do it, unless that has been done or it is cancelled."""
        try:
            if taken(self._turn):
                try:
                    self.result = self._work()
                except BaseException as error:
                    self.error = error
                self.is_over = True
                self._tell(self)
        finally:
            del self  # an error must not be held by a frame that its traceback holds

    def cancel(self) -> bool:
        """Cancel it; False if its turn has come."""
        if not taken(self._turn):
            return False
        self.is_cancelled = self.is_over = True
        self._tell(self)
        return True


def taken(stack: list[T]) -> T | None:
    """The last one, taken away; one call, and so nobody comes between."""
    try:
        return stack.pop()
    except IndexError:
        return None
