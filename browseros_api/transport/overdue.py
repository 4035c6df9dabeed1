"""What is said of a request for which the time of a watch was not enough."""

from __future__ import annotations

from requests import PreparedRequest

from ..errors import ConnectTimeout, ReadTimeout
from ..journal import masked_url, told_seconds
from .watch import Watch

__all__ = ["overdue"]


def overdue(
    request: PreparedRequest, watch: Watch, kind: type[ReadTimeout | ConnectTimeout]
) -> ReadTimeout | ConnectTimeout:
    """An error of that ``kind``."""
    seconds = watch.seconds
    said = (
        "was cut short" if seconds is None else f"took longer than {told_seconds(seconds)} in total"
    )
    return kind(f"{request.method} {masked_url(request.url or '')} {said}", request=request)
