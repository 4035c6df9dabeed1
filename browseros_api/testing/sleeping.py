"""Sleeps that are over at once, for sessions and clients that are as they are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..naps import replaced, skip

__all__ = ["Sleeps", "no_sleep"]


class Sleeps:
    """What was slept.

    Attributes:
        slept: seconds of each sleep, in the order in which they began.
    """

    def __init__(self) -> None:
        self.slept: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)
        skip(seconds)

    def __repr__(self) -> str:
        return f"<Sleeps {self.slept}>"


@contextmanager
def no_sleep() -> Iterator[Sleeps]:
    """Inside, no session or client waits between attempts or for a rate, whenever it was made::

        with no_sleep() as sleeps:
            client.get("/flaky")
        assert sleeps.slept == [1.0, 2.0]

    To them the time has passed: a deadline comes nearer, an answer grows older, a circuit recovers.
    Those that were made with a ``clock`` or a ``sleep`` of their own go by these.  It is for one
    test at a time, as it holds for the whole process.
    """
    sleeps = Sleeps()
    before = replaced(sleeps)
    try:
        yield sleeps
    finally:
        replaced(before)
