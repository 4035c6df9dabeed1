"""A generator that threads take from."""

from __future__ import annotations

import threading
from typing import Any

__all__ = ["END", "Source"]

END = object()


class Source:
    """A generator that is read in threads, and closed as soon as none of them is inside."""

    def __init__(self, results: Any) -> None:
        self._results, self._is_closed = results, False
        self._inside = threading.Lock()

    def take(self) -> Any:
        """The next result, or ``END``."""
        try:
            with self._inside:
                return next(self._results, END)
        finally:
            if self._is_closed:
                self.close()

    def close(self) -> None:
        """Close it now, or let the thread that is inside do so."""
        self._is_closed = True
        if self._inside.acquire(blocking=False):
            try:
                self._results.close()
            finally:
                self._inside.release()
