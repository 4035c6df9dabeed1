"""A timeline drawn as SVG: no script, nothing loaded, and the colours of the page around it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .lanes import Axis, Bar, Plan, said, spread
from .rows import told_time
from .svg import BAD, DULL, FOLLOWS, GOOD, KNOWN, POOR, opened, safe, text

__all__ = ["charted"]

_WIDTH, _LEFT, _RIGHT, _TOP, _BOTTOM = 860, 112, 20, 34, 46
_FEW, _FOLD = 24, 30.0

_COLOURS = {
    "good": GOOD, "poor": POOR, "bad": BAD, "hit": KNOWN, "stale": DULL, "follower": FOLLOWS,
    "unsent": BAD,
}  # fmt: skip
_LEGEND = {
    "good": "answered", "poor": "4xx", "bad": "failed", "hit": "from the cache", "stale": "stale",
    "follower": "followed", "unsent": "not sent",
}  # fmt: skip
# In a file of its own there is no text around it, whose colour it could take.
_STYLE = "<style>svg{color:#1f2328}@media (prefers-color-scheme:dark){svg{color:#e6edf3}}</style>"


def charted(calls: Sequence[dict[str, Any]], seconds: float, *, alone: bool = False) -> str:
    """``Timeline.calls`` as an ``svg`` element; ``alone``: as a file."""
    plan, words = spread(calls), said(calls, seconds)
    step = 20 if len(plan.lanes) <= _FEW else 12
    height = _TOP + (step * len(plan.lanes) + _BOTTOM if calls else 0)
    room = _WIDTH - _LEFT - _RIGHT
    axis = Axis(plan.bars, seconds, width=room, fold=_FOLD)
    rows = {lane: _TOP + step * index for index, lane in enumerate(plan.lanes)}
    parts = [opened(_WIDTH, height, f"timeline: {words}"), _STYLE if alone else ""]
    parts.append(text(8, 20, words, 'font-weight="600" font-size="13"'))
    if calls:
        foot = _TOP + step * len(rows)
        parts += [_lane(lane, y, step) for lane, y in rows.items()]
        parts += _scale(axis, seconds, foot)
        parts += [_link(axis, rows, step, *link) for link in plan.links]
        parts += [_bar(axis, rows[bar.lane], step, bar) for bar in plan.bars]
        parts += _legend(plan, height - 8)
    return "".join([*parts, "</svg>"])


def _lane(lane: str, y: int, step: int) -> str:
    line = (
        f'<line x1="{_LEFT}" y1="{y + step / 2}" x2="{_WIDTH - _RIGHT}" y2="{y + step / 2}" '
        f'stroke="currentColor" stroke-opacity="0.15"/>'
    )
    size = 12 if step > 12 else 10
    return text(8, y + step / 2 + 4, lane, f'opacity="0.75" font-size="{size}"') + line


def _scale(axis: Axis, seconds: float, foot: int) -> list[str]:
    """What the line below says: the beginning, what is folded, and the end."""
    style = 'opacity="0.65" font-size="11" text-anchor='
    found = [text(_LEFT, foot + 14, "0", f'{style}"start"')]
    for begin, end in axis.folds:
        x = _LEFT + axis.place((begin + end) / 2)
        found.append(
            f'<rect x="{x - _FOLD / 2:.1f}" y="{_TOP}" width="{_FOLD}" height="{foot - _TOP}" '
            f'fill-opacity="0.07"><title>no call for {told_time(end - begin)}</title></rect>'
        )
        found.append(text(x, foot + 14, f"…{told_time(end - begin)}", f'{style}"middle"'))
    found.append(text(_WIDTH - _RIGHT, foot + 14, told_time(seconds), f'{style}"end"'))
    if not axis.folds:
        for part in (0.25, 0.5, 0.75):
            x = _LEFT + axis.place(part * seconds)
            found.append(text(x, foot + 14, told_time(part * seconds), f'{style}"middle"'))
    return found


def _bar(axis: Axis, y: int, step: int, bar: Bar) -> str:
    colour, tip = _COLOURS[bar.kind], f"<title>{safe(bar.note.replace(chr(10), ': '))}</title>"
    x, end = (_LEFT + axis.place(at) for at in (bar.at, bar.at + bar.seconds))
    width = max(2.0, end - x)
    x = min(x, _WIDTH - _RIGHT - 2.0)
    if bar.kind in ("hit", "stale"):
        return f'<circle cx="{x:.1f}" cy="{y + step / 2}" r="3.5" fill="{colour}">{tip}</circle>'
    # What has failed is hollow: hue alone does not tell everybody.
    hollow = bar.kind in ("bad", "unsent", "follower")
    fill = f'fill="{colour}" fill-opacity="{0.2 if hollow else 1}"'
    edge = f' stroke="{colour}" stroke-width="1.5"' if hollow else ""
    return (
        f'<rect x="{x:.1f}" y="{y + 3}" width="{width:.1f}" height="{step - 6}" rx="2" '
        f"{fill}{edge}>{tip}</rect>"
    )


def _link(axis: Axis, rows: dict[str, int], step: int, before: Bar, after: Bar) -> str:
    """From an attempt that failed to the one that repeats it."""
    x1 = _LEFT + axis.place(before.at + before.seconds)
    x2 = _LEFT + axis.place(after.at)
    y1, y2 = (rows[bar.lane] + step / 2 for bar in (before, after))
    return (
        f'<path d="M{x1:.1f} {y1}C{(x1 + x2) / 2:.1f} {y1} {(x1 + x2) / 2:.1f} {y2} '
        f'{x2:.1f} {y2}" fill="none" stroke="{BAD}" stroke-dasharray="3 3" stroke-width="1.5"/>'
    )


def _legend(plan: Plan, y: int) -> list[str]:
    used = {bar.kind for bar in plan.bars}
    found, x = [], float(_LEFT)
    entries = [(_LEGEND[kind], _sample(kind)) for kind in _LEGEND if kind in used]
    if plan.links:
        line = f'<path d="M0 -4H14" stroke="{BAD}" stroke-dasharray="3 3" stroke-width="1.5"/>'
        entries.append(("asked again", line))
    for word, sample in entries:
        found.append(f'<g transform="translate({x:.0f} {y})">{sample}</g>')
        found.append(text(x + 19, y, word, 'opacity="0.75" font-size="11"'))
        x += 36 + 6.2 * len(word)
    return found


def _sample(kind: str) -> str:
    colour = _COLOURS[kind]
    if kind in ("hit", "stale"):
        return f'<circle cx="7" cy="-4" r="3.5" fill="{colour}"/>'
    edge = f'fill-opacity="0.2" stroke="{colour}"' if kind in ("bad", "unsent", "follower") else ""
    return f'<rect x="0" y="-9" width="14" height="9" rx="2" fill="{colour}" {edge}/>'
