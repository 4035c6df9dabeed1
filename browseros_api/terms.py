"""Settings that belong together: each is the terms on which one policy works."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from inspect import signature
from typing import Any

from requests import Response

from .checks import at_least, duration, fraction, whole

__all__ = ["UNSET", "CircuitTerms", "Hedge", "RetryBudget", "check_fallback"]

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
class CircuitTerms:
    """What opens a circuit beside failures in a row, for how long, and who hears of it.

    Attributes:
        failure_rate: the part of the calls from which on failures open it; ``None``: any.
        slow_call_rate: the part of the calls from which on slow ones open it; ``None``: any.
        slow_call: seconds from which on a call is slow, with waiting for a connection and the
            whole answer; ``None``: none is.
        window: seconds of calls that both parts are taken of.
        minimum_calls: calls there must be in the window before a part of them means anything.
        longest_recovery: the time that it stays open doubles with each time that a trial fails,
            up to so many seconds; ``None``: it is the same each time.
        jitter: up to this part of that time is taken away by chance.
        metrics_only: it counts and changes its state, but lets everything through.
        host_failures: calls in a row that did not reach their host, whatever the endpoint, after
            which a session leaves the host alone; ``None``: any number.
        listeners: pybreaker listeners, told of calls and changes.
    """

    failure_rate: float | None = None
    slow_call_rate: float | None = None
    slow_call: float | None = None
    window: float = 30.0
    minimum_calls: int = 20
    longest_recovery: float | None = None
    jitter: float = 0.0
    metrics_only: bool = False
    host_failures: int | None = None
    listeners: Iterable[Any] = ()

    def __post_init__(self) -> None:
        for name in ("failure_rate", "slow_call_rate"):
            if getattr(self, name) is not None:
                fraction(name, getattr(self, name), or_0=False)
        fraction("jitter", self.jitter)
        duration("slow_call", self.slow_call)
        duration("window", self.window, optional=False)
        duration("longest_recovery", self.longest_recovery)
        whole("minimum_calls", self.minimum_calls, least=1)
        if self.host_failures is not None:
            whole("host_failures", self.host_failures, least=1)
        if not isinstance(self.metrics_only, bool):
            raise TypeError(f"metrics_only must be True or False, not {self.metrics_only!r}")
        if self.slow_call_rate is not None and self.slow_call is None:
            raise ValueError(
                f"slow_call_rate ({self.slow_call_rate:g}) needs slow_call, in seconds"
            )
        try:
            object.__setattr__(self, "listeners", tuple(self.listeners))
        except TypeError:
            what = f"an iterable of pybreaker listeners, not {self.listeners!r}"
            raise TypeError(f"listeners must be {what}") from None

    @property
    def counts_calls(self) -> bool:
        """Whether each call is counted, and not failures in a row alone."""
        return self.metrics_only or (self.failure_rate, self.slow_call) != (None, None)


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
