"""What a thread is at on the network, of whichever session."""

from __future__ import annotations

import threading
from typing import Any

from .spent import Spent

__all__ = ["HERE"]


class _Here(threading.local):
    """``watch`` binds what this thread does, ``spent`` is told of it, ``trip`` is on its way.

    Whoever begins one of them ends it.  An interrupt may come before the end has begun; so whoever
    makes a call puts all of them back as they were.
    """

    watch: Any = None
    spent: Spent | None = None
    trip: Any = None


HERE = _Here()
