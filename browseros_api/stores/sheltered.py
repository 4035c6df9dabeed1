"""A shelf that may be down, slow or full, and then costs nothing but what is on it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from ..deadlines import is_hurried, left, unbound
from ..journal import LOGGER
from .shelf import Label, Shelf, Turn

__all__ = ["Sheltered"]

T = TypeVar("T")

_PAUSES = (0.5, 30.0)  # seconds without it after a failure: at first, and at most
_RELAPSE = 60.0  # seconds: failing again so soon, it was never well
_MOST_OWED = 1024

_Duty = tuple[str, ...]  # the name of a method, and its arguments


class Sheltered:
    """After a failure the shelf is left alone for a while, longer after each further one.

    Nobody waits for it beyond the deadline; what must be forgotten is forgotten all the same.

    Meanwhile nothing is read or kept.  Then one thread tries, and the others go on without.  What
    was to be forgotten is remembered, and done before anything is read again.
    """

    def __init__(self, shelf: Shelf, *, clock: Callable[[], float]) -> None:
        self.kind, self.place = shelf.kind, shelf.place
        self._shelf = shelf
        self._clock = clock
        self._errors = 0
        self._start_afresh()

    def _start_afresh(self) -> None:
        self._lock = threading.Lock()
        self._owed: OrderedDict[_Duty, None] = OrderedDict()
        self._is_down = False
        self._is_tried = False  # by one thread, when the pause is over
        self._pause = 0.0
        self._since = float("-inf")  # when it went down or came back

    # -- what goes through -----------------------------------------------------------------------

    def read(self, key: str, *, is_use: bool) -> list[tuple[str, bytes]]:
        """As the shelf has it; nothing while it is down."""
        return self._asked(lambda: self._shelf.read(key, is_use=is_use), otherwise=[])

    def write(self, label: Label, record: bytes) -> bool:
        """Whether it was kept."""
        return self._asked(lambda: self._shelf.write(label, record), otherwise=False)

    def drop(self, key: str, variant: str | None = None) -> bool:
        """At once, or as soon as it is back."""
        duty = ("drop", key) if variant is None else ("drop", key, variant)
        return self._asked(lambda: self._shelf.drop(*duty[1:]), otherwise=False, duty=duty)

    def forget(self, resource: str) -> int:
        """At once, or as soon as it is back."""
        forget = self._shelf.forget
        return self._asked(lambda: forget(resource), otherwise=0, duty=("forget", resource))

    def lease(self, key: str, holder: str, *, seconds: float) -> Turn:
        """While it is down, nobody waits for anybody."""
        lease = self._shelf.lease
        return self._asked(lambda: lease(key, holder, seconds=seconds), otherwise=Turn.GO)

    def release(self, key: str, holder: str, *, is_kept: bool) -> bool:
        """If it is down, the lease ends by itself."""
        release = self._shelf.release
        return self._asked(lambda: release(key, holder, is_kept=is_kept), otherwise=False)

    def clear(self) -> None:
        """At once, or as soon as it is back."""
        self._asked(self._shelf.clear, otherwise=None, duty=("clear",))

    def expire(self) -> int:
        """As the shelf has it."""
        return self._asked(self._shelf.expire, otherwise=0)

    def keys(self) -> Iterator[str]:
        """As the shelf has it; nothing while it is down."""
        none: list[str] = []
        return iter(self._asked(lambda: [*self._shelf.keys()], otherwise=none))

    def measure(self) -> tuple[int, int]:
        """As the shelf has it; nothing while it is down."""
        return self._asked(self._shelf.measure, otherwise=(0, 0))

    def figures(self) -> dict[str, Any]:
        """Whether it is there, and how often it was not."""
        with self._lock:
            return {"store_state": "down" if self._is_down else "up", "store_errors": self._errors}

    def close(self) -> None:
        """Give back files and connections, as far as there are any."""
        try:
            self._shelf.close()
        except Exception as error:
            LOGGER.info("the store %s was not closed properly (%s)", self.place, error)

    def reset_after_fork(self) -> None:
        """In a child: what is owed is the parent's to do."""
        self._start_afresh()
        self._shelf.reset_after_fork()

    # -- whether it does -------------------------------------------------------------------------

    def _asked(self, work: Callable[[], T], *, otherwise: T, duty: _Duty | None = None) -> T:
        if duty is None and left() == 0:
            return otherwise
        if self._is_down and not self._is_back() and (duty is None or self._is_owed(duty)):
            return otherwise
        is_unfair = duty is None and is_hurried()
        try:
            return work() if duty is None else unbound(work)
        except Exception as error:  # whatever a store does wrong is not the caller's fault
            if not is_unfair:
                self._failed(error, duty)
            return otherwise

    def _is_owed(self, duty: _Duty) -> bool:
        """Remember ``duty``, if the shelf is down."""
        with self._lock:
            if self._is_down:
                self._owe(duty)
            return self._is_down

    def _owe(self, duty: _Duty) -> None:
        if duty == ("clear",) or len(self._owed) >= _MOST_OWED:
            self._owed.clear()
            duty = ("clear",)
        self._owed[duty] = None

    def _failed(self, error: BaseException, duty: _Duty | None) -> None:
        with self._lock:
            now = self._clock()
            self._errors += 1
            if duty is not None:
                self._owe(duty)
            if self._is_down and not self._is_tried:  # others were under way when it went down
                return
            is_new = not self._is_down and now - self._since > _RELAPSE
            least, most = _PAUSES
            self._pause = least if is_new else min(max(2 * self._pause, least), most)
            self._is_down, self._is_tried, self._since = True, False, now
        if is_new:
            what = f"{type(error).__name__}: {error}"
            LOGGER.warning("the store %s fails; calls go on without it (%s)", self.place, what)

    def _is_back(self) -> bool:
        """Whether it is this thread's turn to try, and all that is owed could be done."""
        with self._lock:
            if not self._is_down:
                return True
            if self._is_tried or self._clock() - self._since < self._pause:
                return False
            self._is_tried = True
        duty: _Duty | None = None
        try:
            self._shelf.read("", is_use=False)
            while (duty := self._next_duty()) is not None:
                getattr(self._shelf, duty[0])(*duty[1:])
        except BaseException as error:
            self._failed(error, duty)
            if not isinstance(error, Exception):
                raise
            return False
        LOGGER.info("the store %s is back", self.place)
        return True

    def _next_duty(self) -> _Duty | None:
        """What is owed first; if there is nothing more, the shelf is back."""
        with self._lock:
            if self._owed:
                return self._owed.popitem(last=False)[0]
            self._is_down, self._is_tried, self._since = False, False, self._clock()
            return None
