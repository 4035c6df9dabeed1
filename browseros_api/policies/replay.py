"""Whether a request may be sent once more, and can be."""

from __future__ import annotations

from requests import PreparedRequest
from requests.utils import rewind_body

__all__ = ["is_idempotent", "is_replayable", "rewind"]

_IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"})  # RFC 9110, 9.2.2


def is_idempotent(request: PreparedRequest) -> bool:
    """Whether doing it twice is doing it once: by its method, or thanks to an Idempotency-Key."""
    if (request.method or "").upper() in _IDEMPOTENT:
        return True
    return bool(request.headers and request.headers.get("Idempotency-Key"))


def is_replayable(request: PreparedRequest) -> bool:
    """Whether its body is still there, or is a file of which requests noted where it began."""
    return _is_in_memory(request) or isinstance(getattr(request, "_body_position", None), int)


def rewind(request: PreparedRequest) -> Exception | None:
    """Set a replayable body back to its beginning; what that raised, if it failed."""
    if not _is_in_memory(request):
        try:
            rewind_body(request)
        except Exception as failure:  # a file of the caller's own making may raise anything
            return failure
    return None


def _is_in_memory(request: PreparedRequest) -> bool:
    return request.body is None or isinstance(request.body, (str, bytes))
