"""Answers whose bodies the caller reads, and the leases that last as long as they do."""

from __future__ import annotations

from typing import Any

import requests
from requests.exceptions import ChunkedEncodingError, ContentDecodingError
from urllib3.response import HTTPResponse

from .body import read_body
from .limiter import Lease

__all__ = ["lend", "read_whole"]


class _Lent(HTTPResponse):
    """The body of a stream: its end, its closing and its disappearance give the lease back."""

    lease: Lease  # the only reference to it

    def release_conn(self) -> None:
        super().release_conn()
        self.lease.release()

    def close(self) -> None:
        super().close()
        self.lease.release()


def lend(response: requests.Response, lease: Lease) -> bool:
    """Leave ``lease`` to the body of ``response``, if there is a connection behind it."""
    if type(response.raw) is not HTTPResponse or response.raw.connection is None:
        return False  # a mock, or read already
    raw: Any = response.raw
    # Naughty, but urllib3 offers no other place: callbacks on the object would make a cycle of it,
    # and an abandoned stream would keep its lease until the next garbage collection.
    raw.lease = lease
    raw.__class__ = _Lent
    return True


def read_whole(response: requests.Response, *, limit: int | None) -> None:
    """Read the whole body, of at most ``limit`` bytes; on any error the connection is closed.

    A redirect with a broken body is an answer all the same: requests reads such a body only to be
    rid of it.
    """
    try:
        read_body(response, limit=limit)
    except BaseException as error:
        response.close()
        is_broken = isinstance(error, (ChunkedEncodingError, ContentDecodingError))
        if not (is_broken and response.is_redirect):
            raise
