"""Errors are of the classes that callers catch, travel between processes, and multiply."""

from __future__ import annotations

import asyncio
import inspect
import pickle
import socket
import sys
import traceback
from collections.abc import Callable

import pybreaker
import pytest
import requests
from urllib3.exceptions import ReadTimeoutError

import browseros_api
from browseros_api import EnhancedAPIClient, Session, errors
from browseros_api.errors import (
    BodyTimeout,
    CircuitOpenError,
    ClientClosed,
    ConnectTimeout,
    DeadlineExceeded,
    PaginationError,
    PoolTimeout,
    ReadTimeout,
    ResponseTooLarge,
    as_timeout,
    clone,
    without_history,
)
from browseros_api.testing import ApiServer, Reply

OURS = [
    *(BodyTimeout, CircuitOpenError, ClientClosed, ConnectTimeout, DeadlineExceeded),
    *(PaginationError, PoolTimeout, ReadTimeout, ResponseTooLarge),
]
TIMEOUTS = [BodyTimeout, ConnectTimeout, DeadlineExceeded, PoolTimeout, ReadTimeout]


def test_all_classes_are_known_here_and_public() -> None:
    defined = [
        kind for _, kind in inspect.getmembers(errors, inspect.isclass)
        if kind.__module__ == errors.__name__ and not kind.__name__.startswith("_")
    ]  # fmt: skip
    assert {kind.__name__ for kind in defined} == {kind.__name__ for kind in OURS}
    assert all(getattr(browseros_api, kind.__name__) is kind for kind in defined)
    assert all(kind.__name__ in (errors.__doc__ or "") for kind in defined)


@pytest.mark.parametrize(
    ("kind", "bases"),
    [
        (BodyTimeout, (requests.ConnectionError, TimeoutError)),
        (CircuitOpenError, (requests.ConnectionError, pybreaker.CircuitBreakerError)),
        (ConnectTimeout, (requests.ConnectTimeout, requests.ConnectionError, requests.Timeout)),
        (PoolTimeout, (ConnectTimeout,)),
        (ReadTimeout, (requests.ReadTimeout, requests.Timeout)),
        (DeadlineExceeded, (requests.Timeout,)),
        (ResponseTooLarge, (requests.RequestException,)),
        (ClientClosed, (RuntimeError,)),
    ],
)
def test_the_tree(kind: type[Exception], bases: tuple[type[Exception], ...]) -> None:
    assert all(issubclass(kind, base) for base in bases)


@pytest.mark.parametrize("kind", TIMEOUTS)
def test_every_timeout_is_one_by_whatever_name(kind: type[Exception]) -> None:
    assert issubclass(kind, TimeoutError)
    assert issubclass(kind, asyncio.TimeoutError)  # another class on Python 3.10
    assert issubclass(kind, socket.timeout)
    assert issubclass(kind, requests.RequestException)


def test_what_is_no_timeout_is_not_called_one() -> None:
    others = [CircuitOpenError, ResponseTooLarge, ClientClosed]
    assert not any(issubclass(kind, (TimeoutError, requests.Timeout)) for kind in others)
    assert not issubclass(DeadlineExceeded, requests.ConnectionError)
    assert not issubclass(ClientClosed, requests.RequestException)


# -- travelling -----------------------------------------------------------------------------------


def _made(kind: type[Exception]) -> Exception:
    if not issubclass(kind, requests.RequestException):
        return kind("what", "happened")
    request = requests.Request("GET", "https://api.example.com/users").prepare()
    response = requests.Response()
    response.status_code, response._content, response.request = 503, b"late", request
    return kind("what", "happened", request=request, response=response)


def _circuit_open() -> CircuitOpenError:
    request = requests.Request("GET", "https://api.example.com/users").prepare()
    cause = requests.ReadTimeout("silence", request=request)
    return CircuitOpenError(
        "open", endpoint="/users", retry_after=12.5, last_error=cause, request=request
    )


@pytest.mark.parametrize("kind", [kind for kind in OURS if kind is not CircuitOpenError])
@pytest.mark.parametrize("copied", [lambda one: pickle.loads(pickle.dumps(one)), clone])
def test_an_error_travels_with_all_that_it_tells(
    kind: type[Exception], copied: Callable[[Exception], Exception]
) -> None:
    error = _made(kind)
    copy = copied(error)
    assert type(copy) is kind
    assert copy is not error
    assert (copy.args, str(copy)) == (error.args, str(error))
    if isinstance(copy, requests.RequestException):
        assert copy.request is not None
        assert copy.request.url == "https://api.example.com/users"
        assert copy.response is not None
        assert (copy.response.status_code, copy.response.text) == (503, "late")


@pytest.mark.parametrize("copied", [lambda one: pickle.loads(pickle.dumps(one)), clone])
def test_a_refusal_travels_with_all_that_it_tells(
    copied: Callable[[CircuitOpenError], CircuitOpenError],
) -> None:
    copy = copied(_circuit_open())
    assert (str(copy), copy.endpoint, copy.retry_after) == ("open", "/users", 12.5)
    assert isinstance(copy.last_error, requests.ReadTimeout)
    assert copy.request is not None


def test_errors_of_real_calls_travel(api_server: ApiServer) -> None:
    api_server.route("/broken", Reply(body=b"{", content_type="application/json"))
    api_server.route("/missing", Reply(404, json={"why": "gone"}))
    api_server.route("/silent", Reply(silent=True))
    api_server.route("/cut", Reply(body=b"x" * 100, truncate=50))
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}"
    found: dict[str, BaseException] = {}
    with EnhancedAPIClient(api_server.base_url, max_retries=0) as client:
        for path in ("/broken", "/missing", "/silent", "/cut"):
            with pytest.raises(requests.RequestException) as caught:
                client.get(path, timeout=0.2 if path == "/silent" else 20)
            found[path] = caught.value
    with EnhancedAPIClient(nobody, max_retries=0) as client:
        with pytest.raises(requests.ConnectionError) as caught:
            client.get("/")
        found["/"] = caught.value
    for path, error in found.items():
        copy = pickle.loads(pickle.dumps(error))
        assert type(copy) is type(error)
        # urllib3's errors lose the name of their pool on the way.
        assert path == "/" or str(copy) == str(error)
    missing = pickle.loads(pickle.dumps(found["/missing"]))
    assert missing.response.json() == {"why": "gone"}


# -- multiplying ----------------------------------------------------------------------------------


class Picky(Exception):
    """Of another constructor than its args tell."""

    def __init__(self, code: int, *, hint: str) -> None:
        super().__init__(f"{code}: {hint}")
        self.hint = hint


class Unique(Exception):
    """Cannot be made from its args at all."""

    def __new__(cls, code: int, *, hint: str) -> Unique:
        return super().__new__(cls)

    def __init__(self, code: int, *, hint: str) -> None:
        super().__init__(f"{code}: {hint}")


def _unicode_error() -> UnicodeEncodeError:
    with pytest.raises(UnicodeEncodeError) as caught:
        "€".encode("latin-1")
    return caught.value


@pytest.mark.parametrize(
    "error",
    [
        ValueError("a", 1),
        KeyError("name"),
        Picky(5, hint="why"),
        StopIteration(3),
        FileNotFoundError(2, "No such file", "/etc/x"),
        requests.ConnectionError(104, "reset"),
        requests.JSONDecodeError("bad", "{", 1),
        requests.HTTPError("404"),
        _unicode_error(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_clone_tells_the_same(error: Exception) -> None:
    copy = clone(error)
    assert copy is not error
    assert type(copy) is type(error)
    assert (str(copy), copy.args) == (str(error), error.args)
    assert vars(copy) == vars(error)
    assert copy.__cause__ is error
    assert traceback.format_exception_only(type(copy), copy) == traceback.format_exception_only(
        type(error), error
    )


def test_a_clone_of_what_cannot_be_cloned_is_itself() -> None:
    error = Unique(5, hint="why")
    assert clone(error) is error


def test_raising_clones_leaves_no_trace_on_the_original() -> None:
    error = requests.ConnectionError("down")
    for _ in range(3):
        with pytest.raises(requests.ConnectionError) as caught:
            raise clone(error)
        assert len(traceback.extract_tb(caught.value.__traceback__)) == 1
    assert error.__traceback__ is None


def test_a_copy_to_be_kept_tells_the_same_and_holds_no_frames() -> None:
    within = Unique(5, hint="why")
    try:
        try:
            raise ValueError("inner")
        except ValueError as inner:
            raise requests.ConnectionError(inner, within) from inner
    except requests.ConnectionError as raised:
        error = raised
    copy = without_history(error)
    assert (type(copy), str(copy)) == (requests.ConnectionError, str(error))
    assert copy.__traceback__ is copy.__cause__ is copy.__context__ is None
    assert type(copy.args[0]) is ValueError
    assert copy.args[0].__traceback__ is None
    assert copy.args[1] is within  # it cannot be copied
    assert error.args[0].__traceback__ is not None


def test_notes_are_not_shared() -> None:
    if sys.version_info < (3, 11):
        pytest.skip("no notes before Python 3.11")
    error = ValueError("a")
    error.add_note("one")
    copy = clone(error)
    copy.add_note("two")
    assert error.__notes__ == ["one"]
    assert copy.__notes__ == ["one", "two"]


# -- timeouts -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (requests.ConnectTimeout("slow"), ConnectTimeout),
        (requests.ReadTimeout("slow"), ReadTimeout),
        (requests.Timeout("slow"), ReadTimeout),
        (requests.ConnectionError(ReadTimeoutError(None, "/", "slow")), BodyTimeout),
    ],
)
def test_timeouts_of_requests_become_timeout_errors(
    error: requests.RequestException, kind: type[Exception]
) -> None:
    error.request, error.__cause__ = object(), ValueError("why")  # type: ignore[assignment]
    told = as_timeout(error)
    assert type(told) is kind
    assert isinstance(told, type(error))
    assert isinstance(told, TimeoutError)
    assert (told.args, told.request) == (error.args, error.request)
    assert told.__cause__ is error.__cause__


class OwnTimeout(requests.ReadTimeout):
    """Of somebody's own adapter."""


@pytest.mark.parametrize(
    "error",
    [
        requests.ConnectionError("refused"),
        requests.ConnectionError(OSError("reset")),
        requests.exceptions.ChunkedEncodingError("cut"),
        requests.exceptions.SSLError("expired"),
        OwnTimeout("slow"),
        PoolTimeout("busy"),
        DeadlineExceeded("late"),
    ],
)
def test_everything_else_is_left_as_it_is(error: requests.RequestException) -> None:
    assert as_timeout(error) is error


@pytest.mark.parametrize("caught", [TimeoutError, asyncio.TimeoutError, requests.ReadTimeout])
def test_a_real_timeout_is_caught_by_any_of_its_names(
    caught: type[Exception], api_server: ApiServer
) -> None:
    api_server.route("/silent", Reply(silent=True))
    with Session(max_retries=0) as session, pytest.raises(caught):
        session.get(api_server.url("/silent"), timeout=0.05)
