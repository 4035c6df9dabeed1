"""The time that sessions go by, and sleeping in it: a test may let sleeps pass at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from time import monotonic

from .forks import reset_in_child

__all__ = ["instead_of_naps", "nap", "now", "replaced", "skip", "wall"]

_skipped = 0.0
_lock = threading.Lock()
_instead: Callable[[float], object] | None = None


def now() -> float:
    """``time.monotonic``, and what was skipped of it."""
    return monotonic() + _skipped


def wall() -> float:
    """``time.time``, and what was skipped of it; it may be set, forwards or backwards."""
    return time.time() + _skipped


def skip(seconds: float) -> None:
    """Let so much time have passed; for good, since this clock never runs backwards."""
    global _skipped  # noqa: PLW0603  (there is one time)
    with _lock:
        _skipped += seconds


def nap(seconds: float, closing: threading.Event) -> bool:
    """Sleep, but not longer than until ``closing`` is set; whether it is."""
    instead = _instead
    if instead is None:
        return closing.wait(seconds)
    instead(seconds)
    return closing.is_set()


def instead_of_naps() -> Callable[[float], object] | None:
    """What is called where there would be a sleep, if a test has replaced that."""
    return _instead


def replaced(instead: Callable[[float], object] | None) -> Callable[[float], object] | None:
    """Have ``instead`` called where there would be a sleep; returns what was called before."""
    global _instead  # as above
    before, _instead = _instead, instead
    return before


@reset_in_child
def _reset() -> None:
    global _lock  # noqa: PLW0603  (the parent may have held it)
    _lock = threading.Lock()
