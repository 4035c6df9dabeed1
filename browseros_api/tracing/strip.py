"""A timeline drawn in plain text, as wide as the terminal."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import Any

from .lanes import Axis, Bar, said, spread
from .rows import told_time
from .waterfall import can_print, clipped, printable

__all__ = ["stripped"]

_LABEL, _LEAST, _MOST = 15, 20, 160  # columns

# For each kind of bar its character, one where there is ASCII only, and what it means.
_MARKS = {
    "follower": ("░", ":", "followed"), "good": ("█", "#", "answered"), "poor": ("▓", "%", "4xx"),
    "bad": ("×", "x", "failed"), "stale": ("○", "o", "stale"), "hit": ("•", "*", "from the cache"),
    "unsent": ("!", "!", "not sent"),
}  # fmt: skip
_AGAIN = ("↻", "r", "asked again")


def stripped(
    calls: Sequence[dict[str, Any]], seconds: float, *,
    width: int | None = None, plain: bool | None = None,
) -> str:  # fmt: skip
    """``Timeline.calls``, as lines of at most ``width`` columns; ``plain`` is ASCII."""
    if width is None:
        width = shutil.get_terminal_size().columns
    if plain is None:
        plain = not can_print("█░▓×○•↻…│µ")
    width = min(max(width, _LABEL + _LEAST), _MOST)
    words, plan = said(calls, seconds), spread(calls)
    if not calls:
        return words
    columns = width - _LABEL - 3
    axis = Axis(plan.bars, seconds, width=columns, fold=3)
    edge = "|" if plain else "│"
    lines = [words, ""]
    for lane in plan.lanes:
        drawn = _row([bar for bar in plan.bars if bar.lane == lane], axis, columns, plain=plain)
        lines.append(f"{lane:<{_LABEL}} {edge}{drawn}{edge}")
    lines += [_foot(axis, seconds, columns), *_legend(plan.bars, columns, plain=plain)]
    text = "\n".join(clipped(printable(line), width) for line in lines)
    return text.replace("µ", "u").replace("…", "~") if plain else text


def _row(bars: list[Bar], axis: Axis, columns: int, *, plain: bool) -> str:
    cells = [" "] * columns
    order = list(_MARKS)
    for bar in sorted(bars, key=lambda bar: order.index(bar.kind)):  # what matters most, last
        first = min(int(axis.place(bar.at)), columns - 1)
        last = min(int(axis.place(bar.at + bar.seconds)), columns - 1)
        if bar.kind in ("hit", "stale"):
            last = first
        cells[first : last + 1] = [_MARKS[bar.kind][plain]] * (last + 1 - first)
        if bar.number > 1 and (last > first or bar.kind == "good"):
            cells[first] = _AGAIN[plain]
    return "".join(cells)


def _foot(axis: Axis, seconds: float, columns: int) -> str:
    """The beginning, what is folded, and the end; where words would overlap, the later one."""
    cells = ["0", *" " * (columns - 1)]
    for begin, end in axis.folds:
        _write(cells, int(axis.place(begin)), f"…{told_time(end - begin)}")
    whole = told_time(seconds)
    _write(cells, columns - len(whole), whole)
    return " " * (_LABEL + 2) + "".join(cells)


def _write(cells: list[str], at: int, words: str) -> None:
    at = max(0, min(at, len(cells) - len(words)))
    cells[at : at + len(words)] = words
    if at and cells[at - 1] != " ":
        cells[at - 1] = " "


def _legend(bars: Sequence[Bar], columns: int, *, plain: bool) -> list[str]:
    used = {bar.kind for bar in bars}
    found = [_MARKS[kind] for kind in _MARKS if kind in used]
    if any(bar.number > 1 for bar in bars):
        found.append(_AGAIN)
    lines = [""]
    for mark in found:
        words = f"{mark[plain]} {mark[2]}  "
        if len(lines[-1]) + len(words) > columns + 2:
            lines.append("")
        lines[-1] += words
    return [" " * (_LABEL + 2) + line.rstrip() for line in lines]
