"""Leases that are renewed, on one daemon thread, as long as they are needed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from ..journal import LOGGER
from ..stores.entry import Store

__all__ = ["Renewals"]

_OFTEN = 3  # times while a lease lasts: two may fail


class Renewals:
    """The thread is there while there is anything to renew, and a moment longer."""

    def __init__(self, store: Store, *, seconds: float) -> None:
        self._store, self._seconds = store, seconds
        self.reset_after_fork()

    def reset_after_fork(self) -> None:
        """Leases are the parent's, and so is the thread."""
        self._lock = threading.Lock()
        self._held: dict[str, str] = {}  # holders, and the keys that they lead
        self._is_running = False

    @contextmanager
    def of(self, key: str, holder: str) -> Iterator[None]:
        """Within, the lease is renewed before it ends."""
        with self._lock:
            self._held[holder] = key
            is_running, self._is_running = self._is_running, True
        try:
            if not is_running:
                self._start()
            yield
        finally:
            with self._lock:
                self._held.pop(holder, None)

    def _start(self) -> None:
        try:
            threading.Thread(target=self._run, name="browseros_api-turns", daemon=True).start()
        except RuntimeError:  # too many threads: the lease is as long as it is
            with self._lock:
                self._is_running = False

    def _run(self) -> None:
        while True:
            time.sleep(self._seconds / _OFTEN)
            with self._lock:
                held = list(self._held.items())
                if not held:
                    self._is_running = False
                    return
            for holder, key in held:
                self._renew(key, holder)

    def _renew(self, key: str, holder: str) -> None:
        try:
            self._store.lease(key, holder, seconds=self._seconds)
            with self._lock:
                is_needed = holder in self._held
            if not is_needed:  # it was given back just before, and is ours again: nobody's it is
                self._store.release(key, holder, is_kept=True)
        except Exception as error:
            LOGGER.debug("a lease was not renewed: %s", type(error).__name__)
