"""The latest calls of a session over time, and over the connections that they used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..forks import importing
from ..journal import masked_url, told_seconds
from .trace import Trace

__all__ = ["Recent", "Timeline"]

# When a call began, how long it took, its method, its URL, and its trace unless it was known.
Recent = tuple[float, float, str, str, Trace | None]


class Timeline:
    """The latest calls: ``print`` it, show it in a notebook, or write its ``svg`` to a file.

    It holds neither headers nor bodies, and secrets in URLs are masked.

    Attributes:
        calls: each as a dictionary, as JSON takes it, in the order in which they began; ``at``
            counts in seconds from the beginning of the first.
    """

    def __init__(self, recent: Sequence[Recent]) -> None:
        ordered = sorted(recent, key=lambda one: one[0])
        start = ordered[0][0] if ordered else 0.0
        self.calls: list[dict[str, Any]] = [_told(one, start) for one in ordered]

    @property
    def seconds(self) -> float:
        """From the beginning of the first to the end of the last."""
        return max((one["at"] + one["seconds"] for one in self.calls), default=0.0)

    @property
    def svg(self) -> str:
        """An SVG file of its own, whose colours are those that its reader prefers."""
        with importing:
            from .chart import charted  # noqa: PLC0415
        return charted(self.calls, self.seconds, alone=True)

    def to_dict(self) -> dict[str, Any]:
        """All of it, as JSON takes it."""
        return {"seconds": self.seconds, "calls": self.calls}

    def __len__(self) -> int:
        return len(self.calls)

    def __str__(self) -> str:
        with importing:
            from .strip import stripped  # noqa: PLC0415
        return stripped(self.calls, self.seconds)

    def _repr_html_(self) -> str:
        with importing:
            from .chart import charted  # noqa: PLC0415
        return charted(self.calls, self.seconds)

    def _repr_svg_(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        return f"<Timeline [{len(self)} calls in {told_seconds(self.seconds)}]>"


def _told(one: Recent, start: float) -> dict[str, Any]:
    began, seconds, method, url, trace = one
    shown = {"method": method, "url": masked_url(url), "at": began - start, "seconds": seconds}
    if trace is None:
        return {**shown, "status": None, "error": None, "cache": "hit", "dedup": "none",
                "attempts": []}  # fmt: skip
    return {
        **shown,
        "status": trace.status,
        "error": trace.error,
        "cache": trace.cache,
        "dedup": trace.dedup,
        "attempts": [_attempted(trace, attempt, start) for attempt in trace.attempts],
    }


def _attempted(trace: Trace, attempt: Any, start: float) -> dict[str, Any]:
    """An attempt, from the moment when it had a connection."""
    spans = trace.between(attempt.began, attempt.ended)
    waits = [span for span in spans if span.phase == "queue"]
    ended = attempt.began if attempt.ended is None else attempt.ended
    at = attempt.began + (waits[-1].at + waits[-1].seconds - spans[0].at if waits else 0.0)
    return {
        "number": attempt.number,
        "at": at - start,
        "seconds": max(0.0, ended - at),
        "waited": sum(span.seconds for span in waits),
        "status": attempt.status,
        "error": attempt.error,
        "state": attempt.state,
        "connection": attempt.connection,
        "decision": attempt.decision,
        "hedged": attempt.hedged,
        "hedge_won": attempt.hedge_won,
    }
