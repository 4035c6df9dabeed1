"""What is remembered because it is cheaper than working it out again."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

__all__ = ["Memo"]

V = TypeVar("V")


class Memo(Generic[V]):
    """Values by their keys; when it is full it starts afresh, as nothing is lost but time.

    Single reads and writes of a dict are atomic: threads need no lock.
    """

    __slots__ = ("_known", "_most", "get")

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: dict[Any, V] = {}
        self.get = self._known.get

    def keep(self, key: Any, value: V) -> V:
        """Remember ``value``, and give it back."""
        if len(self._known) >= self._most:
            self._known.clear()
        self._known[key] = value
        return value

    def __len__(self) -> int:
        return len(self._known)
