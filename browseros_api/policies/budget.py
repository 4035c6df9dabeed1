"""How much more than its calls a host may be asked, so that a bad hour is not made worse by all.

A dead host is not asked four times as often as a live one because each call is tried four times:
beyond a reserve it gets one retry for five calls.  Seconds count as well, but only from one good
answer to the next: a host that answers gets all the retries that a script could want.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from ..terms import RetryBudget

__all__ = ["Budget"]

_MOST_HOSTS = 1024
_FORGOTTEN = 60.0  # seconds after which a host that was left alone has its whole reserve again


class _Purse:
    """What is left for one host; ``since`` is when it last answered, ``seen`` when it was asked."""

    __slots__ = ("retries", "seen", "since")

    def __init__(self, retries: float, now: float) -> None:
        self.retries, self.since, self.seen = retries, now, now


class Budget:
    """The budgets of the hosts that fail just now; every other host has its whole reserve.

    Attributes:
        refused: retries that there was nothing left for, of all hosts since the beginning.
    """

    def __init__(self, terms: RetryBudget, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._terms, self._clock = terms, clock
        self._purses: OrderedDict[str, _Purse] = OrderedDict()  # latest used last
        self.refused = 0
        self.reset_lock()

    def reset_lock(self) -> None:
        """A new lock, for a child process whose parent may have held the old one."""
        self._lock = threading.Lock()

    def earn(self, url: str, *, calls: int, answered: bool) -> None:
        """Its host was asked; ``calls`` is 0 if that was a retry, ``answered`` if it went well."""
        if not self._purses:  # all is well, as it mostly is
            return
        terms, host, now = self._terms, _host(url), self._clock()
        with self._lock:
            purse = self._known(host, now)
            if purse is None:
                return
            purse.retries += calls * terms.ratio
            if answered:
                purse.retries += (now - purse.since) * terms.per_second
                purse.since = now
            if purse.retries >= terms.reserve:
                del self._purses[host]

    def spend(self, url: str) -> bool:
        """Whether its host may be asked once more than it was; that is then counted."""
        host, now = _host(url), self._clock()
        with self._lock:
            purse = self._known(host, now)
            if purse is None:
                purse = self._purses[host] = _Purse(float(self._terms.reserve), now)
                if len(self._purses) > _MOST_HOSTS:
                    self._purses.popitem(last=False)
            if purse.retries < 1:
                self.refused += 1
                return False
            purse.retries -= 1
            return True

    def _known(self, host: str, now: float) -> _Purse | None:
        purse = self._purses.get(host)
        if purse is None:
            return None
        if now - purse.seen > _FORGOTTEN:
            del self._purses[host]
            return None
        purse.seen = now
        self._purses.move_to_end(host)
        return purse

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.reset_lock()

    def __repr__(self) -> str:
        with self._lock:
            return f"<Budget [{len(self._purses)} hosts fail | {self.refused} retries refused]>"


def _host(url: str) -> str:
    """Without the user, who may have a password."""
    return urlsplit(url).netloc.rpartition("@")[2].lower()
