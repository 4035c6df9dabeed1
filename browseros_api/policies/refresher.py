"""Answers that are asked for in the background, while callers have the stale ones."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from ..journal import LOGGER

__all__ = ["Refresher"]

_MOST_THREADS = 4
_MOST_WAITING = 256  # more would be refreshed late; their callers will come again
_IDLE = 2.0  # seconds after which a thread is given back


class Refresher:
    """Runs one job a key at a time, on few daemon threads that go when there is nothing to do.

    A daemon thread keeps no interpreter from exiting, and nobody waits for it.
    """

    def __init__(self) -> None:
        self._start_afresh()

    def _start_afresh(self) -> None:
        self._lock = threading.Lock()  # entered itself: see the timer's
        self._changed = threading.Condition(self._lock)
        self._waiting: deque[tuple[str, Callable[[], object]]] = deque()
        self._keys: set[str] = set()  # waiting or running
        self._threads = self._idle = 0
        self._is_closed = False

    reset_after_fork = _start_afresh

    def begin(self, key: str, job: Callable[[], object]) -> bool:
        """Have ``job`` done soon; not if one of this key is under way, or too many are waiting."""
        with self._lock:
            if self._is_closed or key in self._keys or len(self._waiting) >= _MOST_WAITING:
                return False
            self._keys.add(key)
            self._waiting.append((key, job))
            if self._idle >= len(self._waiting) or self._threads >= _MOST_THREADS:
                self._changed.notify()
                return True
            self._threads += 1
        try:
            threading.Thread(target=self._work, name="browseros_api-refresh", daemon=True).start()
        except RuntimeError:  # too many threads, or the interpreter is about to exit
            with self._lock:
                self._threads -= 1
                self._drop_if_stranded()
            return False
        return True

    def _drop_if_stranded(self) -> None:
        """Without any thread the jobs would wait for ever, and their keys be refreshed never."""
        if not self._threads:
            self._waiting.clear()
            self._keys.clear()

    def _work(self) -> None:
        while (found := self._next()) is not None:
            key, job = found
            try:
                job()
            except (
                BaseException
            ) as error:  # the stale answer stays, and its next reader tries again
                LOGGER.debug("a refresh failed: %s", type(error).__name__)
            finally:
                with self._lock:
                    self._keys.discard(key)
            del found, job  # or a session that is dropped would live as long as this thread

    def _next(self) -> tuple[str, Callable[[], object]] | None:
        with self._lock:
            self._idle += 1
            try:
                if not self._waiting and not self._is_closed:
                    self._changed.wait(_IDLE)
                if self._waiting:
                    return self._waiting.popleft()
                self._threads -= 1
                return None
            finally:
                self._idle -= 1

    def close(self) -> None:
        """For good: what has not begun never will."""
        with self._lock:
            self._is_closed = True
            self._waiting.clear()
            self._keys.clear()
            self._changed.notify_all()
