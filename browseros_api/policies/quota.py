"""What is left of what a server allows, as far as it has said so; and when there will be more.

Requests that are under way are taken off what it has announced: it may not have counted them.  When
a window, or the time to be left alone, is over, one request goes first, and tells how it is now.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable

from .announced import Announced
from .waiting import Hall, Line, Perhaps

__all__ = ["Quota", "Ticket"]

_SLACK = 1.5  # seconds that two announcements of one window may differ, since they are rounded
_TRIAL = 1.0  # seconds that the others wait for the one that goes first
_SHORTEST = 1.0  # seconds of a window in which nothing is left, if 0 are said: they were rounded


class _Window:
    __slots__ = ("is_presumed", "limit", "remaining", "until")

    def __init__(self, limit: int, remaining: int, until: float) -> None:
        self.limit, self.remaining, self.until = limit, remaining, until
        self.is_presumed = False


class Ticket:
    """A request that may go: ``due`` is when, by the clock, so that what is left lasts."""

    __slots__ = ("due", "is_trial")

    def __init__(self) -> None:
        self.is_trial = False
        self.due = -math.inf


class Quota:
    """Of one place, and for one who asks; ``flying`` are the tickets of what is under way."""

    def __init__(self, hall: Hall, *, low: float, longest: float) -> None:
        self.line: Line = hall.line()
        self._low, self._longest = low, longest
        self._windows: dict[str, _Window] = {}
        self._closed_until = -math.inf
        self.flying: set[Ticket] = set()
        self._trial: Ticket | None = None
        self._trial_until = -math.inf
        self._paced = -math.inf  # when the last one that was held back may go
        self._lock = threading.Lock()

    @property
    def is_idle(self) -> bool:
        """Whether it can be forgotten for another."""
        return not self.flying and not len(self.line)

    def reset_after_fork(self) -> None:
        """In a child: what is under way belongs to the parent."""
        self._lock = threading.Lock()
        self.flying, self._trial = set(), None
        self.line.reset_after_fork()

    # -- before ----------------------------------------------------------------------------------

    def hold(self, now: float) -> float:
        """Seconds for which the server has asked to be left alone."""
        return max(0.0, self._closed_until - now)

    def foresee(self, now: float) -> float:
        """Seconds at least that somebody waits who is not the first."""
        with self._lock:
            return self._shut(now) or math.inf

    def take(self, ticket: Ticket, now: float) -> float:
        """Take a ticket, and 0; or the seconds after which to ask again."""
        with self._lock:
            seconds = self._shut(now)
            if seconds > 0:
                return seconds
            if self._trial is not None and now < self._trial_until:
                return Perhaps(self._trial_until - now)
            if self._is_over(now):
                self._begin_trial(ticket, now)
            ticket.due = self._due(now)
            self.flying.add(ticket)
            return 0.0

    def _shut(self, now: float) -> float:
        """Seconds until anything may go at all; what is under way may have been counted or not."""
        until = at_most = self._closed_until
        for window in self._windows.values():
            if window.remaining < 1:
                until = max(until, window.until)
            elif window.remaining - len(self.flying) < 1:
                at_most = max(at_most, window.until)
        return max(0.0, until - now) or Perhaps(max(0.0, at_most - now))

    def _is_over(self, now: float) -> bool:
        ends = [window.until for window in self._windows.values()]
        if self._closed_until > -math.inf:
            ends.append(self._closed_until)
        return any(end <= now for end in ends)

    def _begin_trial(self, ticket: Ticket, now: float) -> None:
        """What was known is over; it goes first, and the others wait a moment for what it brings.

        Should that take longer, no more of them go than the window before had room for.
        """
        for window in self._windows.values():
            if window.until <= now:
                window.remaining, window.is_presumed = window.limit, True
                window.until = now + self._longest
        self._closed_until = self._paced = -math.inf
        ticket.is_trial = True
        self._trial, self._trial_until = ticket, now + _TRIAL

    def _due(self, now: float) -> float:
        """When little is left, it is spread over the time that is left."""
        due = now
        for window in self._windows.values():
            if window.is_presumed:  # nobody has said how long it is
                continue
            left = window.remaining - len(self.flying)
            if left <= self._low * window.limit and window.until > now:
                gap = (window.until - max(now, self._paced)) / (left + 1)
                due = max(due, min(max(now, self._paced) + max(0.0, gap), window.until))
        if due > now:
            due = min(due, now + self._longest)
            self._paced = due
        return due

    # -- after -----------------------------------------------------------------------------------

    def learn(self, told: Iterable[Announced], *, asked: float | None, now: float) -> None:
        """An answer has told of windows, and ``asked`` to be left alone for so many seconds."""
        with self._lock:
            for one in told:
                self._note(one, now)
            if asked is not None:
                self._closed_until = max(self._closed_until, now + asked)

    def _note(self, one: Announced, now: float) -> None:
        left, reset = one.remaining, one.reset
        if not left and not reset:
            reset = _SHORTEST
        until, known = now + reset, self._windows.get(one.name)
        is_known = known is not None and not known.is_presumed and known.until > now
        if known is not None and is_known and abs(until - known.until) <= _SLACK:
            known.remaining = min(known.remaining, left)
        elif until > now:
            limit = max(left, one.limit or 0, 0 if known is None else known.limit)
            self._windows[one.name] = _Window(limit, left, until)
        else:
            self._windows.pop(one.name, None)

    def land(self, ticket: Ticket) -> None:
        """The request has come to an end, whatever that was."""
        with self._lock:
            self.flying.discard(ticket)
            if self._trial is ticket:
                self._trial = None
                told = self._windows.items()
                self._windows = {name: one for name, one in told if not one.is_presumed}
        self.line.stir()
