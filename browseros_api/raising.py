"""Raising an error that has been kept for a while."""

from __future__ import annotations

__all__ = ["AsItIs"]


class AsItIs:
    """What is raised inside this ``with`` block keeps the context that it has.

    Otherwise raising puts there what the caller is handling just now, if anything.
    """

    __slots__ = ("_context", "_error")

    def __init__(self, error: BaseException) -> None:
        self._error, self._context = error, error.__context__

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self._error.__context__ = self._context
        del self._error, self._context  # nothing is to hold an error beside those who handle it
