"""How long to wait before asking again: by a formula, or because the server says so."""

from __future__ import annotations

import math
from collections.abc import Callable

from ..waits import retry_after

__all__ = ["delay", "retry_after"]

_SPREAD = 0.2  # the whole width of the proportional jitter: 10 % either way


def delay(
    attempt: int,
    *,
    base: float,
    cap: float,
    random: Callable[[], float],
    jitter: str = "proportional",
) -> float:
    """Seconds to wait after ``attempt`` (from 0): ``base``, doubled each time, up to ``cap``.

    ``random`` gives numbers from 0 to 1.  Proportional jitter is added after the cap, and so may
    pass it by 10 %; with ``"full"`` the delay is anything between 0 and what it would have been.
    """
    try:
        exact = min(math.ldexp(base, attempt), cap)
    except OverflowError:
        exact = cap
    if jitter == "full":
        return exact * random()
    return exact + exact * _SPREAD * (random() - 0.5)
