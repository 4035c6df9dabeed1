"""How long a server asks to be left alone."""

from __future__ import annotations

import re
import sys
from datetime import timezone
from email.utils import parsedate_to_datetime

__all__ = ["retry_after"]

_SECONDS = re.compile(r"[0-9]+(\.[0-9]+)?")  # some servers send fractions, which RFC 9110 has not


def retry_after(value: str | None, *, now: float) -> float | None:
    """Seconds that a ``Retry-After`` of this ``value`` asks for; ``None`` if it says nothing.

    Seconds or a date in any of the three forms of RFC 9110, section 5.6.7; ``now`` is in seconds
    since the epoch.  A date in the past asks for 0; what cannot be read, or is negative, says
    nothing.  Whatever comes, the result is finite and not negative.
    """
    text = (value or "").strip()
    if _SECONDS.fullmatch(text):
        return min(float(text), sys.float_info.max)
    try:
        date = parsedate_to_datetime(text)
        if date.tzinfo is None:  # the asctime form has no zone: it is UTC, as every HTTP date is
            date = date.replace(tzinfo=timezone.utc)
        return min(max(0.0, date.timestamp() - now), sys.float_info.max)
    except (ValueError, TypeError, IndexError, OverflowError):  # all of them, over its versions
        return None
