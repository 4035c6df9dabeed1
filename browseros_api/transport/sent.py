"""What an error tells about how far a request had come."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Iterator
from itertools import chain

import requests

__all__ = ["is_stale", "never_sent"]

# By name: urllib3 may be a fork, whose classes are not those that this module would import.
_BEFORE_ANYTHING = frozenset({"ConnectTimeoutError", "NameResolutionError", "NewConnectionError"})
_HUNG_UP = (
    http.client.RemoteDisconnected,
    ConnectionAbortedError,
    ConnectionResetError,
    BrokenPipeError,
    ssl.SSLEOFError,
    ssl.SSLZeroReturnError,
)


def never_sent(error: BaseException) -> bool:
    """Whether ``error`` tells that not one byte of the request was written.

    ``False`` means that it does not tell.
    """
    if isinstance(error, requests.ConnectTimeout):
        return True
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
