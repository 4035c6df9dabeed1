"""A bound, by the wall clock, of everything that is done on the network inside a ``with`` block."""

from __future__ import annotations

import socket
import threading
import time
from types import TracebackType
from typing import Any

from ..here import HERE
from ..spent import Phase, Spent
from ..timer import TIMER, Appointment
from .severing import copy_of, shut, wire_of

__all__ = ["Watch", "current_watch", "turn"]


def current_watch() -> Watch | None:
    """The innermost watch that binds this thread, if there is one."""
    watch: Watch | None = HERE.watch
    return watch


def turn(phase: Phase) -> None:
    """What this thread does now is ``phase`` of the call that it makes."""
    spent = HERE.spent
    if spent is not None:  # as ``spent.turn`` does; here it counts, at each step of each request
        spent.marks.append((phase, spent.clock()))


class Watch:
    """Shuts the sockets that its thread uses inside it as soon as ``until`` has come.

    ``until`` is an instant of ``time.monotonic``; ``None`` binds nothing.  The blocked call then
    ends with some error, or with an answer cut short: ask ``expired``.  Watches nest, and the
    strictest one counts.  A body belongs to it if it is read inside the block, or if the watch was
    extended; then it goes on until it is released.

    ``spent`` is turned inside it, by what the transport does: see ``turn``.
    One that ``can_be_cut`` is given no instant: it binds until some thread cuts it, if any does.

    Only what is held can be shut, and letting go excludes shutting: once ``let_go`` has returned,
    no timer of this watch will touch that socket any more.
    """

    __slots__ = (
        "_appointment",
        "_binding",
        "_fired",
        "_held",
        "_is_extended",
        "_lock",
        "_outer",
        "_spent_outside",
        "_verdict",
        "can_be_cut",
        "seconds",
        "spent",
        "until",
    )

    def __init__(
        self, until: float | None, spent: Spent | None = None, *, can_be_cut: bool = False
    ) -> None:
        self.until = until
        self.can_be_cut = can_be_cut
        self.spent = spent
        self.seconds: float | None = None
        self._binding: Watch | None = None
        self._outer: Watch | None = None
        self._verdict: bool | None = None
        self._is_extended = False

    def __enter__(self) -> Watch:
        self._spent_outside, HERE.spent = HERE.spent, self.spent
        outer = self._outer = current_watch()
        if self.can_be_cut:
            self.until = None if outer is None else outer.until
        elif self.until is None or (
            outer is not None and outer.until is not None and outer.until <= self.until
        ):
            self._binding = outer
            if outer is not None:
                self.until, self.seconds, self.can_be_cut = _terms(outer)
            return self
        else:
            self.can_be_cut = outer is not None and outer.can_be_cut
        self.seconds = None if self.until is None else self.until - time.monotonic()
        self._binding = self
        self._fired = False
        self._appointment: Appointment | None = None
        self._held: dict[object, tuple[socket.socket, bool]] = {}
        self._lock = threading.RLock()  # a finalizer that lets go may run while it is held
        HERE.watch = self
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.note("rest")
        HERE.spent = self._spent_outside
        if self._binding is self:
            HERE.watch = self._outer
        if not self._is_extended:
            self.release()

    def extend(self, until: float) -> None:
        """Go on until this instant, also after the block: until ``release``."""
        self._is_extended, self.until = True, until
        if self._binding is not self:
            return  # what it would hold is held by the one around it
        if self._appointment is not None:
            self._appointment.cancel()
        self._appointment = TIMER.at(until, self._fire)

    def release(self) -> None:
        """It is over: nothing is held, and whether it came in time is said for good."""
        self._verdict = self.expired
        if self._binding is self and self._appointment is not None:
            self._appointment.cancel()
            with self._lock:
                held, self._held = self._held, {}
            for sock, is_copy in held.values():
                if is_copy:
                    sock.close()
        self._binding = self._outer  # who is bound by nobody else is no circle for the collector

    def cut(self) -> None:
        """Its time is over now; from any thread, for one that can be cut."""
        self._fire()

    def note(self, phase: Phase) -> None:
        """What is done for its call now is ``phase``."""
        if self.spent is not None:
            self.spent.turn(phase)

    @property
    def expired(self) -> bool:
        """Whether the time was over before the block was left."""
        if self._verdict is not None:
            return self._verdict
        if self._is_extended:
            was_shut = self._binding is self and self._fired
            return was_shut or time.monotonic() >= (self.until or 0.0)
        binding = self._binding
        if binding is None:
            return False
        return binding._is_over if binding._verdict is None else binding._verdict

    @property
    def _is_over(self) -> bool:
        if self._fired or (self.until is not None and time.monotonic() >= self.until):
            return True
        return self.can_be_cut and self._outer is not None and self._outer._is_over

    def remaining(self) -> float | None:
        """Seconds that are left, at least 0; ``None`` without a bound."""
        return None if self.until is None else max(0.0, self.until - time.monotonic())

    def clip(self, seconds: float | None) -> float | None:
        """``seconds``, but not more than are left."""
        left = self.remaining()
        if left is None or (seconds is not None and seconds <= left):
            return seconds
        return left

    def hold(self, owner: object, sock: Any, *, as_copy: bool = False) -> None:
        """Shut ``sock``, which ``owner`` uses now, when time is over (or at once, if it is).

        ``as_copy`` holds a descriptor of its own, for a socket that others may close any time.
        """
        watch = self._binding
        while watch is not None:
            watch._hold(owner, copy_of(sock) if as_copy else wire_of(sock), as_copy)
            watch = watch._outer

    def let_go(self, owner: object) -> bool:
        """Forget what ``owner`` uses; tells whether it may have been shut before."""
        was_shut = False
        watch = self._binding
        while watch is not None:
            was_shut |= watch._let_go(owner)
            watch = watch._outer
        return was_shut

    def _hold(self, owner: object, sock: socket.socket | None, is_copy: bool) -> None:
        if sock is None:
            return
        if self._verdict is not None:  # left already
            if is_copy:
                sock.close()
            return
        if self._appointment is None and self.until is not None:
            self._appointment = TIMER.at(self.until, self._fire)
        with self._lock:
            before = self._held.get(owner)
            self._held[owner] = (sock, is_copy)
            if self._fired:
                shut(sock)
        if before is not None and before[1]:
            before[0].close()

    def _let_go(self, owner: object) -> bool:
        with self._lock:
            held = self._held.pop(owner, None)
        if held is None:
            return False
        if held[1]:
            held[0].close()
        return self._fired

    def _fire(self) -> None:
        with self._lock:
            self._fired = True
            for sock, _ in list(self._held.values()):
                shut(sock)


def _terms(watch: Watch) -> tuple[float | None, float | None, bool]:
    return watch.until, watch.seconds, watch.can_be_cut
