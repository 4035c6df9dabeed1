"""Endpoints as labels of metrics: few enough of them, and none is a URL."""

from __future__ import annotations

__all__ = ["OTHERS", "Labels"]

OTHERS = "(others)"


class Labels:
    """The first ``most`` endpoints have labels of their own; those that come later share one.

    Without a lock: threads that come with new endpoints at once may each have one beyond that.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: set[str] = set()

    def of(self, endpoint: str) -> str:
        """The label of this endpoint."""
        if endpoint not in self._known:
            if len(self._known) >= self._most:
                return OTHERS
            self._known.add(endpoint)
        return endpoint
