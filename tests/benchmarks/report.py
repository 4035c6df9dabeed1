"""What was found, in words: for the terminal and for the documentation."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from tests.benchmarks.figures import Readings
from tests.benchmarks.rows import Row

__all__ = ["printed"]


def printed(name: str, row: Row, readings: Readings) -> str:
    """A row for the terminal: each contender's median, then the figures."""
    return "\n".join(_lines(name, row, readings))


def _lines(name: str, row: Row, readings: Readings) -> Iterator[str]:
    yield f"{name}: {row.title.replace('`', '')}"
    for who in row.contenders:
        time, cpu = (median(one[who][of] for one in readings) for of in ("time", "cpu"))
        yield f"    {who:<28}{time * 1e6:12,.1f} µs   cpu {cpu * 1e6:10,.1f} µs"
    for figure in row.figures:
        found = figure.found(readings)
        mark = "ok" if figure.meets(found.value, figure.target) else "MISSED"
        yield (
            f"  {figure.name:<40} {found.value:.3g}  ({found.low:.3g} to {found.high:.3g})"
            f"  target {figure.target}  aim {figure.aim}  {mark}"
        )
