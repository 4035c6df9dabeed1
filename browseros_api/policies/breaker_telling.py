"""Telling listeners what a circuit does: without its lock, in order, and whatever they raise."""

from __future__ import annotations

from collections import deque
from typing import Any

import pybreaker

from ..journal import LOGGER

__all__ = ["Telling"]


class Telling(pybreaker.CircuitBreaker):
    """The part of a circuit that tells; ``_changes`` are those that nobody has been told yet."""

    _changes: deque[tuple[Any, Any]]
    _is_telling = False

    def _tell(self, event: str, /, *details: Any, **more: Any) -> None:
        for listener in self.listeners:
            try:
                getattr(listener, event)(self, *details, **more)
            except Exception:
                LOGGER.exception("a listener of circuit %r failed", self.name)

    def _tell_changes(self) -> None:
        # One thread at a time, which keeps the order; it also tells what others, or the listeners
        # themselves, have changed meanwhile.
        while self._changes:
            with self._lock:
                if self._is_telling:
                    return
                self._is_telling = True
            try:
                while self._changes:
                    self._tell("state_change", *self._changes.popleft())
            finally:
                self._is_telling = False
