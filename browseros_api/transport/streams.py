"""Answers whose bodies the caller reads, and what lasts as long as they do: lease and deadline."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import requests
from urllib3.exceptions import HTTPError
from urllib3.response import HTTPResponse

from .limiter import Lease
from .watch import Watch

__all__ = ["bind", "lend"]


class _Lent(HTTPResponse):
    """The body of a stream: its end, its closing and its disappearance give the lease back."""

    lease: Lease  # the only reference to it

    def release_conn(self) -> None:
        super().release_conn()
        self.lease.release()

    def close(self) -> None:
        super().close()
        self.lease.release()


class _Bound(_Lent):
    """The same with a deadline: whoever reads then, or later, gets ``late()`` raised."""

    vigil: _Vigil  # the only reference to it
    late: Callable[[], Exception]
    _was_late = False

    def read(self, *args: Any, **options: Any) -> bytes:
        data: bytes = self._in_time(super().read, *args, **options)
        return data

    def read1(self, *args: Any, **options: Any) -> bytes:
        data: bytes = self._in_time(super().read1, *args, **options)
        return data

    def read_chunked(self, *args: Any, **options: Any) -> Generator[bytes, None, None]:
        parts = super().read_chunked(*args, **options)
        while (part := self._in_time(next, parts, None)) is not None:
            yield part

    def release_conn(self) -> None:
        super().release_conn()
        self.vigil.end()

    def close(self) -> None:
        super().close()
        self.vigil.end()

    def _in_time(self, read: Callable[..., Any], *args: Any, **options: Any) -> Any:
        watch, failure = self.vigil.watch, None
        if watch is None and not self._was_late:  # read to its end in time, or closed
            return read(*args, **options)
        if watch is not None and not watch.expired:
            watch.note("body")
            try:
                data = read(*args, **options)
            except (HTTPError, OSError) as error:
                if not watch.expired:
                    raise
                failure = error
            else:
                watch.note("rest")
                if watch.spent is not None:
                    watch.spent.fold()
                if not watch.expired:
                    return data
        self._was_late = True  # and stays so: what has come of the body must not look like all
        self.close()
        raise self.late() from failure


class _Vigil:
    """A watch that goes on until the body is over, or nobody has it any more."""

    watch: Watch | None = None

    def __init__(self, watch: Watch) -> None:
        self.watch = watch

    def end(self) -> None:
        watch, self.watch = self.watch, None
        if watch is not None:
            watch.release()

    __del__ = end


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


def bind(
    response: requests.Response, watch: Watch, *, until: float, late: Callable[[], Exception]
) -> None:
    """Let ``watch`` go on until ``until`` of ``time.monotonic``, for as long as the body lasts."""
    if type(response.raw) is not _Lent:
        return  # a mock, an adapter of somebody else's, or read already
    raw: Any = response.raw
    watch.extend(until)
    raw.vigil, raw.late = _Vigil(watch), late
    raw.__class__ = _Bound
