"""The breakers of many: each is made when first asked for, and those used last are kept."""

from __future__ import annotations

import copy
import threading
from collections import OrderedDict

from ..listeners import Listeners
from .breaker_patterns import Herald
from .circuit_breaker import CircuitBreaker

__all__ = ["Registry"]


class Registry:
    """Breakers by name, each a copy of ``pattern``, which is none of them."""

    def __init__(self, pattern: CircuitBreaker, *, most: int) -> None:
        self._pattern, self._most = pattern, most
        self._breakers: OrderedDict[str, CircuitBreaker] = OrderedDict()  # latest used last
        self._herald: Herald | None = None
        self._is_heard = False
        self.reset_after_fork()

    def reset_after_fork(self) -> None:
        """Nobody holds the lock."""
        self._lock = threading.Lock()

    def of(self, name: str) -> CircuitBreaker:
        """The one breaker of this name."""
        with self._lock:
            breaker = self._breakers.get(name)
            if breaker is not None:
                self._breakers.move_to_end(name)
                return breaker
        fresh = copy.copy(self._pattern)  # without the lock: its class may be somebody's own
        fresh.name = name
        with self._lock:
            breaker = self._breakers.setdefault(name, fresh)
            if breaker is fresh:  # who has begun to listen meanwhile, listens to it as well
                self._tune(fresh)
        self._make_room(name)
        return breaker

    def hear(self, listeners: Listeners) -> None:
        """Tell the listeners of each change, if any of them wants to hear of it."""
        with self._lock:
            if listeners.hear_breakers == self._is_heard:
                return
            self._is_heard = listeners.hear_breakers
            self._herald = self._herald or Herald(listeners)
            for breaker in (self._pattern, *self._breakers.values()):
                self._tune(breaker)

    def _tune(self, breaker: CircuitBreaker) -> None:
        herald = self._herald
        if herald is None or self._is_heard == (herald in breaker.listeners):
            return
        change = breaker.add_listener if self._is_heard else breaker.remove_listener
        change(herald)

    def known(self, name: str) -> CircuitBreaker | None:
        """The breaker of this name, if there is one; looking does not count as use."""
        return self._breakers.get(name)

    def all(self) -> dict[str, CircuitBreaker]:
        """Those that there are now."""
        with self._lock:
            return dict(self._breakers)

    def _make_room(self, latest: str) -> None:
        now = self._pattern.clock()
        with self._lock:
            while len(self._breakers) > self._most:
                others = [(k, one) for k, one in self._breakers.items() if k != latest]
                # What lets calls through does what a new one would do; the rest know something,
                # and of those the one goes that refuses no longer soonest, isolated ones last.
                idle = (name for name, breaker in others if breaker.wait_at(now) == 0)
                name = next(idle, None) or min(others, key=lambda other: other[1].wait_at(now))[0]
                del self._breakers[name]
