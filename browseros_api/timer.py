"""One daemon thread for everything that is due at some time: overdue sockets, idle connections.

It is started by the first appointment, shared by the whole process, and started anew after a fork.
Appointments are kept as weakly as their makers choose: the timer holds the callback, nothing else.
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from .forks import reset_in_child
from .journal import LOGGER

__all__ = ["TIMER", "Appointment", "Timer"]

_CROWDED = 256  # below this many appointments, cancelled ones are not worth sweeping


class Appointment:
    """Something that will be done at ``due`` (of ``time.monotonic``) unless it is cancelled."""

    __slots__ = ("callback", "due")

    def __init__(self, due: float, callback: Callable[[], object]) -> None:
        self.due = due
        self.callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        """Make it void; a callback that is running already runs to its end."""
        self.callback = None  # and no lock: finalizers cancel, too, wherever they happen to run


class Timer:
    """A heap of appointments and the thread that keeps them."""

    def __init__(self) -> None:
        self._start_afresh()

    def _start_afresh(self) -> None:
        self._lock = threading.RLock()  # finalizers may call in
        # Only to wait and to notify.  Of what is entered in Python, as a Condition is, an interrupt
        # may come between having the lock and being inside: nobody would ever give it back.
        self._changed = threading.Condition(self._lock)
        self._heap: list[tuple[float, int, Appointment]] = []
        self._crowded = _CROWDED
        self._numbers = itertools.count()
        self._thread: threading.Thread | None = None

    def after(self, seconds: float, callback: Callable[[], object]) -> Appointment:
        """Have ``callback``, which must be quick, called on the timer's thread in ``seconds``."""
        return self.at(time.monotonic() + seconds, callback)

    def at(self, due: float, callback: Callable[[], object]) -> Appointment:
        """The same, at an instant of ``time.monotonic``."""
        appointment = Appointment(due, callback)
        with self._lock:
            if len(self._heap) >= self._crowded:
                self._sweep()
            entry = (due, next(self._numbers), appointment)
            heapq.heappush(self._heap, entry)
            if self._heap[0] is entry:
                # All: of one that was interrupted there may be a waiter left who waits no more, or
                # who has been told and not heard of it yet; then it will look by itself.
                with suppress(RuntimeError):
                    self._changed.notify_all()
            is_kept = self._thread is not None or self._start()
        if not is_kept:
            LOGGER.warning("no thread could be started: what is due will be late")
        return appointment

    def _sweep(self) -> None:
        """Let go of what is cancelled; next when there are twice as many as are left now."""
        entries, self._heap = self._heap, []
        live = [entry for entry in entries if entry[2].callback is not None]
        self._heap.extend(live)  # not assigned: a finalizer may have called in
        heapq.heapify(self._heap)
        self._crowded = max(_CROWDED, 2 * len(live))

    def _start(self) -> bool:
        thread = threading.Thread(target=self._run, name="browseros_api-timer", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            # The interpreter is about to exit: better a last request without a bound by the wall
            # clock than none.  Should there only be too many threads, the next call tries again.
            return False
        self._thread = thread
        return True

    def _run(self) -> None:
        while True:
            callback = self._next_due()
            try:
                callback()
            except BaseException:  # were it SystemExit: the bounds of all calls hang on this thread
                LOGGER.exception("an appointment failed")
            del callback  # or its maker would live until the next one is due

    def _next_due(self) -> Callable[[], object]:
        with self._lock:
            while True:
                if not self._heap:
                    self._changed.wait()
                    continue
                entry = heapq.heappop(self._heap)
                due, _, appointment = entry
                callback = appointment.callback  # read once: cancel() may clear it at any time
                if callback is None:
                    continue
                left = due - time.monotonic()
                if left <= 0:
                    appointment.callback = None
                    return callback
                heapq.heappush(self._heap, entry)
                del entry, appointment, callback
                self._changed.wait(min(left, threading.TIMEOUT_MAX))


TIMER = Timer()
reset_in_child(TIMER._start_afresh)
