"""One daemon thread for everything that is due at some time: overdue sockets, idle connections.

It is started by the first appointment, shared by the whole process, and started anew after a fork.
Appointments are kept as weakly as their makers choose: the timer holds the callback, nothing else.
"""

from __future__ import annotations

import heapq
import itertools
import os
import threading
import time
from collections.abc import Callable

from .journal import LOGGER

__all__ = ["TIMER", "Appointment", "Timer"]

_CROWDED = 256  # below this many appointments, cancelled ones are not worth sweeping


class Appointment:
    """Something that will be done at ``due`` (of ``time.monotonic``) unless it is cancelled."""

    __slots__ = ("_timer", "callback", "due")

    def __init__(self, timer: Timer, due: float, callback: Callable[[], object]) -> None:
        self.due = due
        self.callback: Callable[[], object] | None = callback
        self._timer = timer

    def cancel(self) -> None:
        """Make it void; a callback that is running already runs to its end."""
        if self.callback is not None:
            self.callback = None
            self._timer._forget_one()


class Timer:
    """A heap of appointments and the thread that keeps them."""

    def __init__(self) -> None:
        self._start_afresh()

    def _start_afresh(self) -> None:
        self._changed = threading.Condition(threading.RLock())  # RLock: finalizers may call in
        self._heap: list[tuple[float, int, Appointment]] = []
        self._numbers = itertools.count()
        self._cancelled = 0
        self._thread: threading.Thread | None = None

    def after(self, seconds: float, callback: Callable[[], object]) -> Appointment:
        """Have ``callback``, which must be quick, called on the timer's thread in ``seconds``."""
        return self.at(time.monotonic() + seconds, callback)

    def at(self, due: float, callback: Callable[[], object]) -> Appointment:
        """The same, at an instant of ``time.monotonic``."""
        appointment = Appointment(self, due, callback)
        with self._changed:
            first = not self._heap or due < self._heap[0][0]
            heapq.heappush(self._heap, (due, next(self._numbers), appointment))
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="browseros_api-timer", daemon=True
                )
                self._thread.start()
            elif first:
                self._changed.notify()
        return appointment

    def _forget_one(self) -> None:
        with self._changed:
            self._cancelled += 1
            if self._cancelled > _CROWDED and self._cancelled * 2 > len(self._heap):
                self._heap = [entry for entry in self._heap if entry[2].callback is not None]
                heapq.heapify(self._heap)
                self._cancelled = 0

    def _run(self) -> None:
        while True:
            callback = self._next_due()
            try:
                callback()
            except Exception:
                LOGGER.exception("an appointment failed")
            del callback  # or its maker would live until the next one is due

    def _next_due(self) -> Callable[[], object]:
        with self._changed:
            while True:
                if not self._heap:
                    self._changed.wait()
                    continue
                due, _, appointment = self._heap[0]
                callback = appointment.callback  # read once: cancel() may clear it at any time
                if callback is None:
                    heapq.heappop(self._heap)
                    self._cancelled = max(0, self._cancelled - 1)
                elif (left := due - time.monotonic()) > 0:
                    del appointment, callback
                    self._changed.wait(left)
                else:
                    heapq.heappop(self._heap)
                    appointment.callback = None
                    return callback


TIMER = Timer()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=TIMER._start_afresh)
