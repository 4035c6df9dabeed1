"""Every case that a plain connection can carry, in one table."""

from __future__ import annotations

from tests.faults import (
    codings,
    documents,
    endings,
    framing,
    heads,
    recoveries,
    redirects,
    statuses,
)
from tests.faults.case import Case

__all__ = ["CASES"]

_ROOMS = (endings, framing, heads, statuses, redirects, codings, documents, recoveries)

CASES: dict[str, Case] = {case.name: case for room in _ROOMS for case in room.CASES}
