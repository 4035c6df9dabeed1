"""A call drawn as SVG: no script, nothing loaded, and the colours of the page around it."""

from __future__ import annotations

from typing import Any

from .rows import Row, caption, facts, rows, told_time
from .svg import BAD, DULL, FOLLOWS, GOOD, KNOWN, POOR, opened, safe, short, text

__all__ = ["pictured"]

_WIDTH, _LEFT, _RIGHT, _STEP, _BAR = 860, 190, 76, 20, 12
_CHAR = 6.9  # width of a character of the text, about

# Neighbours in a call differ in hue for all common kinds of colour blindness.
_COLOURS = {
    "cache": DULL, "following": FOLLOWS, "queue": DULL, "lookup": "#1f9e89", "connect": POOR,
    "tls": "#b3589a", "send": "#5b8def", "server": GOOD, "body": KNOWN, "sleep": DULL,
    "hedge": FOLLOWS,
}  # fmt: skip


def pictured(told: dict[str, Any]) -> str:
    """What ``Trace.to_dict`` gives, as an ``svg`` element."""
    head = facts(told)
    bars = list(rows(told)) if told["seconds"] > 0 else []
    top = 34 + 18 * len(head)
    height = top + (_STEP * len(bars) + 30 if bars else 0)
    title = f"{caption(told)}: {head[0][1]}"
    lines = [
        opened(_WIDTH, height, title),
        text(8, 20, short(caption(told), 104), 'font-weight="600" font-size="13"'),
        _badge(told),
    ]
    for index, (name, value) in enumerate(head):
        y = 42 + 18 * index
        lines += [text(20, y, name, 'opacity="0.65"'), text(100, y, short(value, 108))]
    if bars:
        lines += _grid(told["seconds"], top, height)
        for index, row in enumerate(bars):
            lines += _bar(row, told["seconds"], top + 6 + _STEP * index)
    return "".join([*lines, "</svg>"])


def _badge(told: dict[str, Any]) -> str:
    is_good = told["status"] is not None and told["status"] < 400
    return f'<rect x="8" y="32" width="4" height="12" rx="2" fill="{GOOD if is_good else BAD}"/>'


def _grid(whole: float, top: int, height: int) -> list[str]:
    found = []
    for part in range(5):
        x = _LEFT + (_WIDTH - _LEFT - _RIGHT) * part / 4
        line = f'<line x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{height - 22}" '
        found.append(f'{line}stroke="currentColor" stroke-opacity="0.15"/>')
        anchor = 'opacity="0.65" text-anchor="middle" font-size="11"'
        found.append(text(x, height - 8, told_time(whole * part / 4) if part else "0", anchor))
    return found


def _bar(row: Row, whole: float, y: int) -> list[str]:
    space = _WIDTH - _LEFT - _RIGHT
    x = _LEFT + space * min(1.0, row.at / whole)
    width = max(2.0, space * min(1.0, row.seconds / whole))
    x = min(x, _LEFT + space - 2.0)
    weight = 'font-weight="600"' if row.kind == "attempt" else 'opacity="0.85"'
    label = text(8 if row.kind == "attempt" else 20, y + 10, row.label.strip(), weight)
    tip = f"<title>{safe(f'{row.label.strip()}: {told_time(row.seconds)} {row.note}')}</title>"
    if row.kind == "attempt":
        note = text(_LEFT, y + 10, short(row.note, 90), 'opacity="0.85"')
        line = f'<line x1="{x:.1f}" y1="{y + 15}" x2="{x + width:.1f}" y2="{y + 15}" '
        return [label, note, f'{line}stroke="currentColor" stroke-opacity="0.5">{tip}</line>']
    shape = f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{_BAR}" rx="2" '
    colour = _COLOURS.get(row.kind, DULL)
    style = (
        f'fill="{colour}" fill-opacity="0.25" stroke="{colour}" stroke-dasharray="3 2">'
        if row.kind in ("sleep", "queue", "following")
        else f'fill="{colour}">'
    )
    took = told_time(row.seconds)
    fits = x + width + 6 + _CHAR * len(took) <= _WIDTH - 4
    at = (x + width + 6, "") if fits else (x - 6, 'text-anchor="end"')
    return [
        label,
        f"{shape}{style}{tip}</rect>",
        text(at[0], y + 10, took, f"{at[1]} font-size='11'"),
    ]
