"""What has changed since when: what took off before a change is out of date on arrival."""

from __future__ import annotations

import threading
from collections import OrderedDict

__all__ = ["Changes"]

_REMEMBERED = 1024  # resources


class Changes:
    """Counts changes, and remembers which resources the latest of them were of."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.epoch = 0
        self._latest: OrderedDict[str, int] = OrderedDict()  # resource -> epoch of its last change
        self._oldest = 0  # changes up to this epoch are remembered no more

    def note(self, resource: str) -> None:
        """Something has changed there."""
        with self._lock:
            self.epoch += 1
            self._latest[resource] = self.epoch
            self._latest.move_to_end(resource)
            if len(self._latest) > _REMEMBERED:
                self._oldest = self._latest.popitem(last=False)[1]

    def note_all(self) -> None:
        """Everything may have changed."""
        with self._lock:
            self.epoch += 1
            self._oldest = self.epoch
            self._latest.clear()

    def has_none(self, resource: str, *, since: int) -> bool:
        """Whether nothing was changed there after the epoch ``since``."""
        with self._lock:
            return self._latest.get(resource, self._oldest) <= since
