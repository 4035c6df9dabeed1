"""A bar that shows how far a batch is, in a terminal and in a notebook."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

__all__ = ["Bar", "bar_maker"]


class Bar:
    """A tqdm bar with its rate, and with what ``retried`` has counted since, and what has failed.

    ``make`` gives the bar that is drawn.
    """

    def __init__(self, make: Callable[[], Any], retried: Callable[[], int]) -> None:
        self._retried, self._before = retried, retried()
        self._failed, self._told = 0, ""
        self._bar = make()

    def count(self, *, has_failed: bool) -> None:
        """One more is over."""
        self._failed += has_failed
        self._tell()
        self._bar.update()

    def close(self) -> None:
        """It is drawn a last time, and stays."""
        self._tell()
        self._bar.close()

    def _tell(self) -> None:
        retries = self._retried() - self._before
        counts = (retries, "retry" if retries == 1 else "retries"), (self._failed, "failed")
        told = ", ".join(f"{count} {word}" for count, word in counts if count)
        if told != self._told:
            self._told = told
            self._bar.set_postfix_str(told, refresh=False)


def bar_maker(total: int | None, retried: Callable[[], int]) -> Callable[[], Bar]:
    """What makes the bar of a batch of ``total`` calls, if anybody knows how many there are."""
    try:
        from tqdm.auto import tqdm  # noqa: PLC0415  (an extra)
    except ImportError:
        raise ImportError(
            "progress=True needs tqdm: pip install 'browseros-api[progress]'"
        ) from None
    return partial(Bar, partial(tqdm, total=total, unit="call"), retried)
