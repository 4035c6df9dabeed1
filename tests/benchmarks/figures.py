"""What a row's readings say: medians, their ratio, its spread, and whether that is enough."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median, quantiles

__all__ = ["Figure", "Finding", "Growth", "Own", "Ratio", "Readings", "middle_half"]

# One mapping for each round: who was measured, and what of it ("time" is seconds per call).
Readings = Sequence[Mapping[str, Mapping[str, float]]]


@dataclass(frozen=True)
class Finding:
    """A figure as it was found, and between what the middle half of the rounds lies."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One number of a row.

    ``target`` is what it has to be and ``aim`` what is to follow; without either it is for
    information.  ``at_least`` says in which direction they are bounds.
    """

    name: str
    target: float | None = None
    aim: float | None = None
    at_least: bool = False

    def found(self, readings: Readings) -> Finding:
        """What the readings make of it."""
        raise NotImplementedError

    def by_processor(self, readings: Readings) -> Finding | None:
        """The same in processor time, which other programs on the machine hardly change."""
        return None

    def meets(self, value: float, bound: float | None) -> bool:
        """Whether ``value`` is good enough for ``bound``; anything is for None."""
        if bound is None:
            return True
        return value >= bound if self.at_least else value <= bound

    def verdict(self, value: float) -> str:
        """In a word or two."""
        if not self.meets(value, self.target):
            return "missed"
        if self.aim is not None and self.meets(value, self.aim):
            return "aim met"
        return "" if self.target is None else "target met"


@dataclass(frozen=True, kw_only=True)
class Ratio(Figure):
    """The median of one contender divided by that of another; the spread is of rounds' ratios."""

    over: str
    under: str
    of: str = "time"

    def found(self, readings: Readings) -> Finding:
        over, under = (_column(readings, who, self.of) for who in (self.over, self.under))
        each = [one / other for one, other in zip(over, under, strict=True)]
        return Finding(median(over) / median(under), *middle_half(each))

    def by_processor(self, readings: Readings) -> Finding | None:
        return replace(self, of="cpu").found(readings)


@dataclass(frozen=True, kw_only=True)
class Own(Figure):
    """The median, or with ``by=max`` the worst, of what one contender has found itself."""

    who: str
    of: str
    by: Callable[[Sequence[float]], float] = median

    def found(self, readings: Readings) -> Finding:
        each = _column(readings, self.who, self.of)
        return Finding(self.by(each), *middle_half(each))


@dataclass(frozen=True, kw_only=True)
class Growth(Figure):
    """The highest of the rounds after the first, divided by the first."""

    who: str
    of: str

    def found(self, readings: Readings) -> Finding:
        first, *later = _column(readings, self.who, self.of)
        each = [one / first for one in later] or [1.0]
        return Finding(max(each), *middle_half(each))


def middle_half(values: Sequence[float]) -> tuple[float, float]:
    """The lower and the upper quartile."""
    if len(values) == 1:
        return values[0], values[0]
    low, _, high = quantiles(values, n=4, method="inclusive")
    return low, high


def _column(readings: Readings, who: str, of: str) -> list[float]:
    return [one[who][of] for one in readings]
