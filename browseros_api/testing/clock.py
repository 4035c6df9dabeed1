"""Time that passes only when a test says so, and waiting that gives up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

__all__ = ["FakeClock", "wait_until"]

T = TypeVar("T")


class FakeClock:
    """A clock and a sleep for whatever takes ``clock=`` and ``sleep=``; nothing waits.

        clock = FakeClock()
        session = Session(clock=clock, sleep=clock.sleep)
        ...
        clock.tick(60.0)                        # a minute later
        assert clock.slept == [1.0, 2.0, 4.0]   # what the code under test wanted to sleep

    All numbers are seconds.  It may be used from many threads.
    """

    def __init__(self, start: float = 1000.0) -> None:
        self.slept: list[float] = []
        self._now = start
        self._lock = threading.Lock()

    def __call__(self) -> float:
        """The time now, in seconds; as ``time.monotonic`` only differences mean something."""
        with self._lock:
            return self._now

    def tick(self, seconds: float) -> None:
        """Let ``seconds`` pass; it never runs backwards."""
        self._pass(seconds)

    def sleep(self, seconds: float) -> None:
        """Let ``seconds`` pass, and write them down in ``slept``."""
        self._pass(seconds, self.slept)

    def _pass(self, seconds: float, record: list[float] | None = None) -> None:
        if not isinstance(seconds, (int, float)):
            raise TypeError(f"seconds must be a number, not {seconds!r}")
        if not seconds >= 0:
            raise ValueError(f"seconds must be 0 or more, not {seconds!r}")
        with self._lock:
            self._now += seconds
            if record is not None:
                record.append(seconds)

    def __repr__(self) -> str:
        with self._lock:
            return f"<FakeClock {self._now} (slept {len(self.slept)} times)>"


def wait_until(
    condition: Callable[[], T], timeout: float = 5.0, message: str = "it did not come true"
) -> T:
    """Wait until ``condition()`` is true, and return what it returned.

        wait_until(lambda: server.hits("/users") == 3, message="three requests")

    ``timeout`` is in seconds; then ``AssertionError`` with ``message`` is raised.
    It returns as soon as the condition holds, asking after 0.5 ms and then ever more rarely.
    """
    deadline = time.monotonic() + timeout
    nap = 0.0005
    while not (value := condition()):
        if time.monotonic() >= deadline:
            raise AssertionError(f"{message} (waited {timeout:g} s, last answer {value!r})")
        time.sleep(nap)
        nap = min(nap * 1.5, 0.01)
    return value
