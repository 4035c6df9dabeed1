"""Whether a request that met a dead connection may be sent again, unasked."""

from __future__ import annotations

import requests
from requests.exceptions import UnrewindableBodyError
from requests.utils import rewind_body

from .sent import is_stale
from .trip import Trip

__all__ = ["is_replaceable"]

_IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"})


def is_replaceable(
    trip: Trip, request: requests.PreparedRequest, error: requests.ConnectionError
) -> bool:
    """Whether only an idle connection had died, and nobody minds if the request comes twice.

    Its body, if it is a file, is then at its beginning again.
    """
    return (
        trip.reused
        and not trip.is_answered
        and (request.method or "").upper() in _IDEMPOTENT
        and is_stale(error)
        and _is_rewound(request)
    )


def _is_rewound(request: requests.PreparedRequest) -> bool:
    if request.body is None or isinstance(request.body, (str, bytes, bytearray)):
        return True
    if not isinstance(request._body_position, int):
        return False  # a generator, or a file that cannot tell where it is
    try:
        rewind_body(request)
    except UnrewindableBodyError:
        return False
    return True
