"""How often, and how many at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, Literal

from ..checks import at_least, duration, one_of, whole

__all__ = ["AdaptiveLimit", "Bulkhead", "Heed", "RateLimit", "checked_rates"]

Per = Literal["host", "endpoint"]
_PER: tuple[Per, Per] = ("host", "endpoint")


@dataclass(frozen=True)
class RateLimit:
    """How often something may be asked: each attempt counts.

    Attributes:
        rate: such as ``"10/second"`` or ``"100 per 15 minutes"``; ``"5/second;90/minute"`` is both.
        per: whether a host or an endpoint has that rate.
        wait: whether what comes too early waits, or how many seconds at most; else it is refused.
    """

    rate: str
    _: KW_ONLY
    per: Per = "host"
    wait: bool | float = True

    def __post_init__(self) -> None:
        if not isinstance(self.rate, str):
            raise TypeError(f"rate must be a str such as '10/second', not {self.rate!r}")
        one_of("per", self.per, _PER)
        _check_wait(self.wait)


@dataclass(frozen=True)
class Bulkhead:
    """How many requests of an endpoint may be under way at once.

    Attributes:
        at_once: so many, attempts and not calls.
        wait: whether the next one waits, as long as ``pool_timeout``, or how many seconds at most;
            else it is refused.
    """

    at_once: int
    _: KW_ONLY
    wait: bool | float = True

    def __post_init__(self) -> None:
        whole("at_once", self.at_once, least=1)
        _check_wait(self.wait)


@dataclass(frozen=True, kw_only=True)
class Heed:
    """How servers are obeyed that announce what they allow, or ask to be left alone.

    Attributes:
        per: whether a host or an endpoint is meant by what is announced.
        low: the part of a window's calls that is left when the rest is spread over its time.
        longest: seconds that a call waits at most; what would have to wait longer is refused.
    """

    per: Per = "host"
    low: float = 0.1
    longest: float = 60.0

    def __post_init__(self) -> None:
        one_of("per", self.per, _PER)
        if at_least("low", self.low) > 1:
            raise ValueError(f"low must be at most 1, not {self.low!r}")
        at_least("longest", self.longest)


@dataclass(frozen=True, kw_only=True)
class AdaptiveLimit:
    """How many requests of a host are under way at once, as far as it bears them.

    Attributes:
        least: where the limit ends when it shrinks.
        most: where it ends when it grows.
        initial: where it begins.
        decrease: what it is multiplied by when the host is overloaded.
        tolerance: how many times the latency of good days is a sign of that.
        wait: as that of a ``Bulkhead``.
    """

    least: int = 1
    most: int = 100
    initial: int = 10
    decrease: float = 0.7
    tolerance: float = 3.0
    wait: bool | float = True

    def __post_init__(self) -> None:
        whole("least", self.least, least=1)
        whole("initial", self.initial, least=self.least)
        whole("most", self.most, least=self.initial)
        if not 0 < at_least("decrease", self.decrease) < 1:
            raise ValueError(f"decrease must be between 0 and 1, not {self.decrease!r}")
        at_least("tolerance", self.tolerance, least=1.0)
        _check_wait(self.wait)


def _check_wait(value: object) -> None:
    if not isinstance(value, bool):
        duration("wait", value, optional=False)


def checked_rates(value: Any) -> Any:
    """The setting ``rate_limit``, if it is a rate, its terms, or a mapping of URL patterns to them.

    What a rate says is read later, by the library that knows.
    """
    if isinstance(value, Mapping):
        for pattern, rate in value.items():
            if not isinstance(pattern, str) or ("://" not in pattern and pattern != "*"):
                raise ValueError(
                    "rate_limit must be a mapping of URL patterns, such as "
                    f"'https://api.example.com/*', and not of {pattern!r}"
                )
            _check_rate(rate)
        return dict(value)
    if value is not None:
        _check_rate(value)
    return value


def _check_rate(rate: object) -> None:
    if not isinstance(rate, (str, RateLimit)):
        raise TypeError(
            "rate_limit must be a rate such as '10/second', a RateLimit, "
            f"or a mapping of URL patterns to them, not {rate!r}"
        )
