"""The chart of the report: a panel for each of a few rows, a bar for each contender."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from tests.benchmarks.figures import Readings, middle_half
from tests.benchmarks.records import Record

__all__ = ["draw"]

# Read on white and on black alike, and the page shows through.
_INK, _OURS, _THEIRS = "#7d8590", "#2f81f7", "#9aa4af"
_PANELS = (
    ("get", "uncached GET: µs, less is better", False),
    ("hit", "cache hit: µs, less is better", False),
    ("threads", "GETs in 32 threads: calls per second, more is better", True),
    ("gather", "awaited GETs at once: calls per second, more is better", True),
)
_STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": _INK,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.edgecolor": _INK,
    "figure.constrained_layout.hspace": 0.1,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "benchmarks",  # the same readings give the same file
}


def draw(records: Mapping[str, Record], file: Path) -> None:
    """Write the SVG."""
    with matplotlib.rc_context(_STYLE):
        panels = [one for one in _PANELS if one[0] in records]
        figure = Figure(figsize=(9, 1.75 * max(1, (len(panels) + 1) // 2)), layout="constrained")
        for place, (row, title, is_throughput) in enumerate(panels, 1):
            axes = figure.add_subplot((len(panels) + 1) // 2, 2, place)
            _bars(axes, records[row].readings, is_throughput)
            axes.set_title(title, loc="left", fontsize=9)
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})


def _bars(axes: Any, readings: Readings, is_throughput: bool) -> None:
    def shown(seconds: float) -> float:
        return 1 / seconds if is_throughput else seconds * 1e6

    each = {who: [shown(one[who]["time"]) for one in readings] for who in readings[0]}
    names = sorted(each, key=lambda who: median(each[who]), reverse=is_throughput)
    values = [median(each[who]) for who in names]
    halves = [middle_half(each[who]) for who in names]
    low = [max(0.0, value - half[0]) for value, half in zip(values, halves, strict=True)]
    high = [max(0.0, half[1] - value) for value, half in zip(values, halves, strict=True)]
    axes.barh(
        names, values, xerr=(low, high), height=0.62,
        color=[_OURS if who.startswith("ours") else _THEIRS for who in names],
        error_kw={"ecolor": _INK, "elinewidth": 1},
    )  # fmt: skip
    for place, value in enumerate(values):
        axes.annotate(
            f"{value:,.0f}", (value + high[place], place), (5, 0),
            textcoords="offset points", va="center",
        )  # fmt: skip
    axes.invert_yaxis()
    axes.set_xlim(0, 1.2 * max(value + more for value, more in zip(values, high, strict=True)))
    axes.xaxis.set_visible(False)
    for side in ("top", "right", "bottom"):
        axes.spines[side].set_visible(False)
    axes.tick_params(left=False)
