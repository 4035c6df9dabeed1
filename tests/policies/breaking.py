"""Services that are ill, a listener that writes down what it hears, and what breakers do then."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pybreaker
import pytest

from browseros_api.errors import CircuitOpenError
from browseros_api.policies.breakers import CircuitBreaker

PATIENCE = 10


class Boom(Exception):
    """What a service does when it is ill."""


class Panic(BaseException):
    """What is no Exception, and nobody's wish to stop."""


class Diary(pybreaker.CircuitBreakerListener):
    """Writes down what a listener is told."""

    def __init__(self) -> None:
        self.changes: list[tuple[str, str]] = []
        self.events: list[str] = []

    def before_call(self, cb: Any, func: Any, *args: Any, **kwargs: Any) -> None:
        self.events.append(f"before {func.__name__}{args}{kwargs}")

    def failure(self, cb: Any, exc: BaseException) -> None:
        self.events.append(f"failure {exc}")

    def success(self, cb: Any) -> None:
        self.events.append("success")

    def state_change(self, cb: Any, old_state: Any, new_state: Any) -> None:
        self.changes.append((old_state.name, new_state.name))
        self.events.append(f"{old_state.name} -> {new_state.name}")


class Preempted(pybreaker.CircuitMemoryStorage):
    """Lets other threads run wherever it is read or written."""

    pause = 0.0001

    @property
    def counter(self) -> int:
        time.sleep(self.pause)
        return super().counter

    @property
    def success_counter(self) -> int:
        time.sleep(self.pause)
        return super().success_counter

    def increment_counter(self) -> None:
        before = self.counter
        time.sleep(self.pause)
        self._fail_counter = before + 1

    def increment_success_counter(self) -> None:
        before = self.success_counter
        time.sleep(self.pause)
        self._success_counter = before + 1


def fail(breaker: CircuitBreaker, error: BaseException | None = None) -> None:
    """One call that fails, with the error that its caller sees."""
    error = error or Boom("ill")

    def broken() -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        breaker.call(broken)
    assert caught.value is error


def succeed(breaker: CircuitBreaker) -> None:
    """One call that works."""
    assert breaker.call(lambda: "fine") == "fine"


def trip(breaker: CircuitBreaker) -> None:
    """Open it the ordinary way."""
    for _ in range(breaker.failure_threshold):
        fail(breaker)
    assert breaker.state == "open"


def refused(breaker: CircuitBreaker) -> CircuitOpenError:
    """The refusal of a call that is not let through."""
    ran: list[int] = []
    with pytest.raises(CircuitOpenError) as caught:
        breaker.call(ran.append, 1)
    assert ran == []
    return caught.value


def together(count: int, func: Callable[[], object]) -> list[object]:
    """What ``func`` returned or raised in each of ``count`` threads that started as one."""
    start, outcomes = threading.Barrier(count), []

    def run() -> None:
        start.wait(PATIENCE)
        try:
            outcomes.append(func())
        except Exception as error:
            outcomes.append(error)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert len(outcomes) == count
    return outcomes
