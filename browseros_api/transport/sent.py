"""What an error tells about how far a request had come."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Iterator
from itertools import chain

import requests
from requests import exceptions

from ..errors import (
    MAYBE_PROCESSED,
    NEVER_SENT,
    PROCESSED,
    BodyTimeout,
    CircuitOpenError,
    RequestState,
    ResponseTooLarge,
)
from ..refusals import LimitExceeded

__all__ = ["is_stale", "never_sent", "state_of"]

# By name: urllib3 may be a fork, whose classes are not those that this module would import.
_BEFORE_ANYTHING = frozenset({"ConnectTimeoutError", "NameResolutionError", "NewConnectionError"})
_BEFORE_SENDING = (
    requests.ConnectTimeout,
    CircuitOpenError,
    LimitExceeded,
    exceptions.InvalidSchema,
    exceptions.InvalidURL,
    exceptions.MissingSchema,
)
_WHILE_READING = (
    BodyTimeout,
    ResponseTooLarge,
    exceptions.ChunkedEncodingError,
    exceptions.ContentDecodingError,
)
_HUNG_UP = (
    http.client.RemoteDisconnected,
    ConnectionAbortedError,
    ConnectionResetError,
    BrokenPipeError,
    ssl.SSLEOFError,
    ssl.SSLZeroReturnError,
)


def state_of(error: BaseException) -> RequestState:
    """How far its request came, as far as ``error`` tells; what does not tell may have happened.

    Our own adapter knows and says it; of errors of others the classes must do.
    """
    told: RequestState | None = getattr(error, "request_state", None)
    if told is not None:
        return told
    if isinstance(error, _WHILE_READING) or getattr(error, "response", None) is not None:
        return PROCESSED
    if isinstance(error, _BEFORE_SENDING) or _tells_of_no_connection(error):
        return NEVER_SENT
    return MAYBE_PROCESSED


def never_sent(error: BaseException) -> bool:
    """Whether ``error`` tells that not one byte of the request was written."""
    return state_of(error) == NEVER_SENT


def _tells_of_no_connection(error: BaseException) -> bool:
    return any(
        not _BEFORE_ANYTHING.isdisjoint(kind.__name__ for kind in type(cause).__mro__)
        or _is_refused_tunnel(cause)
        for cause in _causes(error)
    )


def is_stale(error: BaseException) -> bool:
    """Whether ``error`` tells that the other side had hung up."""
    return not isinstance(error, requests.Timeout) and any(
        isinstance(cause, _HUNG_UP) for cause in _causes(error)
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """``error`` and what it wraps: requests and urllib3 keep that in arguments and attributes."""
    todo, seen = [error], set[int]()
    while todo:
        cause = todo.pop()
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        wrapped = (getattr(cause, "reason", None), getattr(cause, "original_error", None))
        todo += [inner for inner in chain(cause.args, wrapped) if isinstance(inner, BaseException)]


def _is_refused_tunnel(cause: BaseException) -> bool:
    # A proxy that answered CONNECT with anything but 200: http.client says so in words only.
    return isinstance(cause, OSError) and any(
        isinstance(text, str) and text.startswith("Tunnel connection failed") for text in cause.args
    )
