"""Leases that one daemon thread renews as long as they are needed, or gives back."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue

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
        self._over: SimpleQueue[tuple[str, str, bool]] = SimpleQueue()
        self._thread: threading.Thread | None = None

    @contextmanager
    def of(self, key: str, holder: str) -> Iterator[None]:
        """Within, the lease is renewed before it ends."""
        with self._lock:
            self._held[holder] = key
        try:
            self._start()
            yield
        finally:
            with self._lock:
                self._held.pop(holder, None)

    def give_back(self, key: str, holder: str, *, is_kept: bool) -> None:
        """Release a lease without waiting for the store: its holder has no time left."""
        self._over.put((key, holder, is_kept))
        self._start()

    def _start(self) -> None:
        with self._lock:
            if self._thread is not None and self._thread.is_alive():
                return  # else there is none, or an interrupt came before it ran
            self._thread = threading.Thread(
                target=self._run, name="browseros_api-turns", daemon=True
            )
            with suppress(RuntimeError):  # too many threads: the lease is as long as it is
                self._thread.start()

    def _run(self) -> None:
        while True:
            self._rest(time.monotonic() + self._seconds / _OFTEN)
            with self._lock:
                held = list(self._held.items())
                if not held and self._over.empty():
                    self._thread = None
                    return
            for holder, key in held:
                self._renew(key, holder)

    def _rest(self, until: float) -> None:
        """Give back what is over, until it is time to renew the others."""
        while (seconds := until - time.monotonic()) > 0:
            try:
                key, holder, is_kept = self._over.get(timeout=seconds)
            except Empty:
                return
            try:
                self._store.release(key, holder, is_kept=is_kept)
            except Exception as error:
                LOGGER.debug("a lease was not given back: %s", type(error).__name__)

    def _renew(self, key: str, holder: str) -> None:
        try:
            self._store.lease(key, holder, seconds=self._seconds)
            with self._lock:
                is_needed = holder in self._held
            if not is_needed:  # it was given back just before, and is ours again: nobody's it is
                self._store.release(key, holder, is_kept=True)
        except Exception as error:
            LOGGER.debug("a lease was not renewed: %s", type(error).__name__)
