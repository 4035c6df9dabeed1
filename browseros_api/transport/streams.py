"""Answers whose bodies the caller reads, and the leases that last as long as they do."""

from __future__ import annotations

from typing import Any

import requests
from urllib3.response import HTTPResponse

from .limiter import Lease

__all__ = ["lend"]


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
