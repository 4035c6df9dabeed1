"""Settings that belong together: each is the terms on which one policy works."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from inspect import signature
from typing import Any

from requests import Response

from .checks import at_least, duration, whole

__all__ = ["UNSET", "Hedge", "RetryBudget", "check_fallback"]

_PERCENTILE = re.compile(r"p([1-9][0-9]?)")


class _Unset:
    """Nothing was said; ``None`` says something: no timeout, say."""

    def __repr__(self) -> str:
        return "UNSET"

    def __reduce__(self) -> str:
        return "UNSET"  # there is one, also where settings were pickled


UNSET: Any = _Unset()


@dataclass(frozen=True, kw_only=True)
class RetryBudget:
    """How many retries a host gets, of all calls of a session together.

    Attributes:
        ratio: of a retry, for each call.
        per_second: retries, for each second from one good answer of the host to the next.
        reserve: what a host has at first, and so many can be saved at most.
    """

    ratio: float = 0.2
    per_second: float = 10.0
    reserve: int = 100

    def __post_init__(self) -> None:
        at_least("ratio", self.ratio)
        at_least("per_second", self.per_second)
        whole("reserve", self.reserve, least=1)


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


def check_fallback(value: Any) -> None:
    """Raise unless it can be used instead of an answer, or is a function that makes such."""
    if value is UNSET or isinstance(value, (Response, str, bytes)):
        return
    if not callable(value):
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise TypeError(
                "fallback must be a function, a Response, str, bytes or JSON, "
                f"not {type(value).__name__}: {error}"
            ) from None
        return
    try:
        expected = signature(value)
    except (TypeError, ValueError):  # one of those that do not tell
        return
    try:
        expected.bind(None, None)
    except TypeError:
        raise TypeError(
            f"fallback must be a function of (error, asked), not of {expected}"
        ) from None
