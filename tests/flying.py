"""Callers in threads of their own, and a service that answers when it is told to."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, Queue
from typing import Any, Generic, TypeVar

import requests
from requests import Response

from browseros_api.pipeline import Call
from browseros_api.testing import wait_until

T = TypeVar("T")
PATIENCE = 20.0  # seconds after which a test gives up
URL = "http://api.test/things"


class Panic(BaseException):
    """What is no Exception, and nobody's wish to stop."""


class Caller(threading.Thread, Generic[T]):
    """A thread that does ``act``, and keeps what came of it."""

    def __init__(self, act: Callable[..., T], *args: Any, **kwargs: Any) -> None:
        super().__init__(daemon=True, name="caller")
        self._act = lambda: act(*args, **kwargs)
        self._value: T | None = None
        self._error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self._value = self._act()
        except BaseException as error:
            self._error = error

    def _ended(self) -> None:
        self.join(PATIENCE)
        assert not self.is_alive(), "a caller hangs"

    @property
    def value(self) -> Any:
        """What it returned."""
        self._ended()
        if self._error is not None:
            raise AssertionError(f"it failed: {self._error!r}") from self._error
        return self._value

    @property
    def error(self) -> BaseException:
        """What it raised."""
        self._ended()
        assert self._error is not None, f"it returned {self._value!r}"
        return self._error


def call_of(key: str | None = "key", **fields: Any) -> Call:
    """A call such as sessions plan."""
    timeout = {"timeout": fields.get("patience")}
    return Call("GET", URL, timeout, key=key, **{"resource": URL, **fields})


def response(body: bytes = b"{}", status: int = 200, **headers: str) -> Response:
    """An answer with its body read."""
    made = Response()
    made.status_code, made.url, made._content = status, URL, body
    made._content_consumed = True  # type: ignore[attr-defined]
    made.request = requests.Request("GET", URL).prepare()
    made.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    return made


class Question:
    """One execution: it lasts until it is answered."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.thread = threading.current_thread()
        self._outcome: Response | BaseException | None = None
        self._told = threading.Event()

    def answer(self, answer: Response | bytes = b"{}") -> None:
        self._outcome = response(answer) if isinstance(answer, bytes) else answer
        self._told.set()

    def fail(self, error: BaseException) -> None:
        self._outcome = error
        self._told.set()

    def outcome(self) -> Response:
        assert self._told.wait(PATIENCE), "nobody answers"
        if isinstance(self._outcome, BaseException):
            raise self._outcome
        assert self._outcome is not None
        return self._outcome


class Service:
    """What stands behind the flights: counts what it is asked, and waits for the answers."""

    def __init__(self) -> None:
        self.asked: list[Question] = []
        self._new: Queue[Question] = Queue()

    def __call__(self, call: Call) -> Response:
        question = Question(call)
        self.asked.append(question)
        self._new.put(question)
        return question.outcome()

    def question(self) -> Question:
        """The next one that comes, or has come."""
        try:
            return self._new.get(timeout=PATIENCE)
        except Empty:
            raise AssertionError("nobody asks") from None


def shows(thing: object, state: str) -> None:
    """Wait until ``repr(thing)`` tells this, such as ``"1 in the air, 3 followers"``."""
    wait_until(lambda: state in repr(thing), timeout=PATIENCE, message=f"{state}: {thing!r}")
