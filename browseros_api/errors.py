"""What can go wrong, and of what kind each error is.

    requests.RequestException            what the network or a server did
    ├── ConnectionError
    │   ├── CircuitOpenError             also pybreaker.CircuitBreakerError
    │   └── BodyTimeout                  the body fell silent, or came too slowly
    ├── ConnectTimeout                   (a ConnectionError and a Timeout)
    │   └── PoolTimeout                  no connection became free in time
    ├── Timeout
    │   ├── ReadTimeout
    │   └── DeadlineExceeded             the whole call took too long
    ├── LimitExceeded                    a limit of the session's own: nothing was sent
    │   ├── RateLimited                  it would be too early
    │   └── BulkheadFull                 too many are under way
    ├── ResponseTooLarge                 more than max_response_bytes
    └── PaginationError                  pages in a circle, to another origin, without an end
    RuntimeError
    └── ClientClosed                     what the caller did: a closed client was used

Every timeout is a ``TimeoutError`` too, and on Python 3.10, where it is another class, an
``asyncio.TimeoutError``.  Whatever has a class in requests is raised as that class or a subclass.
What limits raise is in ``refusals``.

Each ``RequestException`` that leaves a session or a client has a ``request_state``: how far the
last request of the call came that went out at all.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

import pybreaker
import requests

if sys.version_info >= (3, 11):
    _TimeoutError = TimeoutError
else:
    from asyncio import TimeoutError as _AsyncioTimeout

    class _TimeoutError(TimeoutError, _AsyncioTimeout):
        """Both of the classes that one may catch on Python 3.10."""


__all__ = [
    "MAYBE_PROCESSED",
    "NEVER_SENT",
    "PROCESSED",
    "BodyTimeout",
    "CircuitOpenError",
    "ClientClosed",
    "ConnectTimeout",
    "DeadlineExceeded",
    "PaginationError",
    "PoolTimeout",
    "ReadTimeout",
    "RequestState",
    "ResponseTooLarge",
    "as_timeout",
    "clone",
    "let_go",
    "mark",
    "without_history",
]

E = TypeVar("E", bound=BaseException)

RequestState = Literal["never-sent", "maybe-processed", "processed"]

NEVER_SENT: RequestState = "never-sent"  # not one byte of it was written
MAYBE_PROCESSED: RequestState = "maybe-processed"  # bytes were written, and no answer began
PROCESSED: RequestState = "processed"  # the head of an answer to it has come


def mark(error: E, state: RequestState) -> E:
    """The same error, which now tells how far its request came."""
    error.__dict__["request_state"] = state
    return error


class ConnectTimeout(requests.ConnectTimeout, _TimeoutError):
    """No connection could be made in time: the server has seen nothing."""


class ReadTimeout(requests.ReadTimeout, _TimeoutError):
    """The server did not answer in time: it may have acted all the same."""


class BodyTimeout(requests.ConnectionError, _TimeoutError):
    """The answer began, but its body did not arrive in time."""


class PoolTimeout(ConnectTimeout):
    """Every connection was in use for the whole of ``pool_timeout`` seconds."""


class DeadlineExceeded(requests.Timeout, _TimeoutError):
    """The call as a whole (waiting, attempts, sleeps) passed its ``deadline``.

    Attributes:
        spent: seconds of the call by phase, the longest first; see ``spent.Phase``.
        attempts: how many attempts were begun.
    """

    def __init__(
        self,
        *args: object,
        spent: Mapping[str, float] | None = None,
        attempts: int = 0,
        request: requests.PreparedRequest | None = None,
        response: requests.Response | None = None,
    ) -> None:
        super().__init__(*args, request=request, response=response)
        self.spent = dict(spent or {})
        self.attempts = attempts


class ResponseTooLarge(requests.RequestException):
    """The decoded body is larger than the caller allows; what was read of it is dropped."""


class PaginationError(requests.RequestException):
    """Pages that cannot be followed: in a circle, to another origin, too many, or not as said."""


class CircuitOpenError(requests.ConnectionError, pybreaker.CircuitBreakerError):
    """The endpoint's circuit is open: nothing was sent.

    Attributes:
        endpoint: name of the endpoint, as in ``get_circuit_breaker_status()``.
        retry_after: seconds until the breaker lets a trial call through.
        last_error: the failure that opened the circuit, if it was an exception.
    """

    def __init__(
        self,
        *args: object,
        endpoint: str = "",
        retry_after: float = 0.0,
        last_error: BaseException | None = None,
        request: requests.PreparedRequest | None = None,
    ) -> None:
        super().__init__(*args, request=request)
        self.endpoint = endpoint
        self.retry_after = retry_after
        self.last_error = last_error


class ClientClosed(RuntimeError):
    """The client was closed, before the call or while it was waiting."""


_WITH_TIMEOUT: dict[type[requests.RequestException], type[requests.RequestException]] = {
    requests.ConnectTimeout: ConnectTimeout,
    requests.ReadTimeout: ReadTimeout,
    requests.Timeout: ReadTimeout,  # as raised by mocks; it may have reached the server
}


def as_timeout(error: requests.RequestException) -> requests.RequestException:
    """The same error, as a class that is a ``TimeoutError`` too where it tells of a timeout.

    Subclasses that somebody else has made are left as they are.
    """
    kind = _WITH_TIMEOUT.get(type(error))
    if type(error) is requests.ConnectionError and _tells_of_a_read_timeout(error):
        kind = BodyTimeout
    if kind is None:
        return error
    told = _rebuilt(error, kind)
    told.__cause__, told.__context__ = error.__cause__, error.__context__
    told.__suppress_context__ = error.__suppress_context__
    return told


def clone(error: E) -> E:
    """A fresh exception that tells the same, so that each waiter can raise one of its own.

    One exception object raised in many threads would collect all their tracebacks.
    """
    try:
        copy = _rebuilt(error, type(error))
    except Exception:  # a class with a constructor of its own mind: better the same than none
        return error
    copy.__cause__ = error
    return copy


def without_history(error: E, *, depth: int = 5) -> E:
    """A copy to be kept: a traceback, also of an error within, holds all that its callers hold."""

    def pale(part: Any) -> Any:
        is_error = isinstance(part, BaseException) and depth > 0
        return without_history(part, depth=depth - 1) if is_error else part

    try:
        copy = _rebuilt(error, type(error))
    except Exception:  # as above
        return error
    copy.args = tuple(map(pale, copy.args))
    copy.__dict__.update({name: pale(part) for name, part in copy.__dict__.items()})
    return copy


def let_go(error: BaseException) -> None:
    """Empty the frames of an error that goes no further, and of those behind it.

    Errors of urllib3 and http.client stand in their own frames, and these hold those of their
    callers with whatever comes to be there afterwards: the answer of the next attempt would live,
    and keep its connection, until the garbage is collected.
    """
    seen: set[int] = set()
    behind: BaseException | None = error
    while behind is not None and id(behind) not in seen:
        seen.add(id(behind))
        traceback.clear_frames(behind.__traceback__)  # those that still run are left alone
        behind = behind.__cause__ or behind.__context__


def _rebuilt(error: BaseException, kind: type[E]) -> E:
    """An exception of ``kind`` with all that ``error`` has been given, but no history."""
    copy = kind.__new__(kind, *error.args)
    # Not its own __init__, which may want other arguments, or do something; but that of the class
    # from C, which fills in what is neither in args nor in __dict__ (errno, a Unicode error's end).
    builtin: Any = next(base for base in kind.__mro__ if base.__module__ == "builtins")
    builtin.__init__(copy, *error.args)
    copy.args = error.args
    copy.__dict__.update(error.__dict__)
    if "__notes__" in copy.__dict__:
        copy.__dict__["__notes__"] = list(copy.__dict__["__notes__"])
    if isinstance(error, OSError) and isinstance(copy, OSError) and error.filename is not None:
        copy.filename = error.filename  # it is in neither
    return copy


def _tells_of_a_read_timeout(error: requests.RequestException) -> bool:
    # urllib3's ReadTimeoutError, which requests wraps when the *body* stalls; by name, since
    # urllib3 may be a fork whose classes are not those that this module would import.
    return any(type(reason).__name__ == "ReadTimeoutError" for reason in error.args)
