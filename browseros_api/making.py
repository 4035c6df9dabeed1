"""Which call a thread is making: the exchanges that come of it belong to it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from requests import Response

from .deadlines import BOUND, enter
from .here import HERE
from .pipeline import Call

__all__ = ["Making"]


class Making(threading.local):
    """The ``call`` that this thread is making."""

    call: Call | None = None

    def make(
        self, call: Call, work: Callable[[Call], Response], *, clock: Callable[[], float]
    ) -> Response:
        """What comes of ``work``, which makes ``call``; then the thread is as it was before.

        However it ends, be it by Ctrl-C in the middle of what was about to tidy up: otherwise a
        watch or a deadline that nobody ends would bind all that this thread does from then on.
        """
        before, bound = self.call, BOUND.get()
        watch, spent, trip = HERE.watch, HERE.spent, HERE.trip
        try:
            self.call = call
            if call.deadline is not None:  # calls made meanwhile, by hooks say, have no longer
                enter(call.deadline, clock)
            if call.spent is not None and call.spent.marks[-1][0] != "rest":  # it was in a queue
                call.spent.turn("rest")
            return work(call)
        finally:  # no function in Python is called here, so that no interrupt comes in between
            self.call = before
            HERE.watch, HERE.spent, HERE.trip = watch, spent, trip
            BOUND.set(bound)
