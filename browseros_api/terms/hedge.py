"""When something is asked twice."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..checks import duration, whole

__all__ = ["Hedge"]

_PERCENTILE = re.compile(r"p([1-9][0-9]?)")


@dataclass(frozen=True, kw_only=True)
class Hedge:
    """When a GET, HEAD or OPTIONS that is slow to be answered is asked a second time beside it.

    Attributes:
        after: seconds, or a percentile of how long the endpoint's good answers took lately.
        volume: how many of these there must be before a percentile of them counts.
        recent: how many of them, the latest, are looked at.
    """

    after: float | str = "p95"
    volume: int = 50
    recent: int = 500

    def __post_init__(self) -> None:
        _check_after("after", self.after)
        whole("volume", self.volume, least=1)
        whole("recent", self.recent, least=self.volume)

    @property
    def seconds(self) -> float | None:
        """What ``after`` is, unless it is a percentile."""
        return None if isinstance(self.after, str) else self.after

    @property
    def percent(self) -> int | None:
        """Which percentile it is, if it is one."""
        return int(self.after[1:]) if isinstance(self.after, str) else None

    @classmethod
    def of(cls, value: Hedge | float | str | None) -> Hedge | None:
        """The terms that ``value``, which may be only their ``after``, stands for."""
        if value is None or isinstance(value, Hedge):
            return value
        _check_after("hedge", value)
        return cls(after=value)


def _check_after(name: str, value: object) -> None:
    if isinstance(value, str):
        if not _PERCENTILE.fullmatch(value):
            raise ValueError(f'{name} must be seconds, or "p1" to "p99", not {value!r}')
    else:
        duration(name, value, optional=False)
