"""Bodies read to the end, inside the attempt, so that a truncated one is a failed attempt."""

from __future__ import annotations

from requests import Response
from requests.exceptions import ChunkedEncodingError, ContentDecodingError

from ..errors import ResponseTooLarge
from .results import read_at_once

__all__ = ["read_body", "skim_body"]

_CHUNK = 64 * 1024
_SKIMMED = 16 * 1024 * 1024  # of the body of a redirect that is followed: nobody may ever look


def read_body(response: Response, *, limit: int | None) -> None:
    """Read the decoded body into ``response.content``; at most ``limit`` bytes, if there is one."""
    try:
        if response._content_consumed or read_at_once(response, limit=limit):
            return
        if limit is None:
            response.content  # noqa: B018  (the property reads it)
        else:
            _read_at_most(response, limit)
    except BaseException:
        response.close()  # also on Ctrl-C: the connection is of no use to anybody
        raise


def _read_at_most(response: Response, limit: int) -> None:
    parts, size = [], 0
    for part in response.iter_content(_CHUNK):
        parts.append(part)
        size += len(part)
        if size > limit:
            raise ResponseTooLarge(
                f"the body is larger than max_response_bytes={limit}", response=response
            )
    response._content = b"".join(parts)
    response._content_consumed = True


def skim_body(response: Response, *, limit: int | None, follows: bool) -> None:
    """Read the body of a redirect, where it hardly matters what is wrong with it.

    requests itself reads it, even if the answer is to be a stream; it forgives a body that cannot
    be decoded and, if it ``follows``, one that is cut short.  Then only so much is read, too.
    """
    most = min(limit or _SKIMMED, _SKIMMED) if follows else limit
    try:
        read_body(response, limit=most)
    except (ChunkedEncodingError, ContentDecodingError, ResponseTooLarge) as error:
        if not follows and not isinstance(error, ContentDecodingError):
            raise
        response._content, response._content_consumed = b"", True
