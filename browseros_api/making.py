"""Which call a thread is making: the exchanges that come of it belong to it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from .deadlines import enter, leave
from .pipeline import Call

__all__ = ["Here", "Making"]


class Here(threading.local):
    """What this thread is making."""

    call: Call | None = None


class Making:
    """Within this ``with`` block the thread makes ``call``."""

    __slots__ = ("_before", "_call", "_clock", "_here", "_token")

    def __init__(self, here: Here, call: Call, clock: Callable[[], float]) -> None:
        self._here, self._call, self._clock = here, call, clock

    def __enter__(self) -> None:
        call = self._call
        self._before, self._here.call = self._here.call, call
        self._token = None
        if call.deadline is not None:  # calls made meanwhile, by hooks say, have no longer
            self._token = enter(call.deadline, self._clock)
        if call.spent is not None:
            call.spent.turn("rest")

    def __exit__(self, *_: object) -> None:
        self._here.call = self._before
        if self._token is not None:
            leave(self._token)
