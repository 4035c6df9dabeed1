"""A call drawn as SVG: no script, nothing loaded, and the colours of the page around it."""

from __future__ import annotations

from html import escape
from typing import Any

from .rows import Row, caption, facts, rows, told_time

__all__ = ["pictured"]

_WIDTH, _LEFT, _RIGHT, _STEP, _BAR = 860, 190, 76, 20, 12
_CHAR = 6.9  # width of a character of the text, about

# Of middling lightness, so that they stand out from white and from black; neighbours in a call
# differ in hue for all common kinds of colour blindness.
_COLOURS = {
    "cache": "#8a8f98", "following": "#8e6fd1", "queue": "#8a8f98", "lookup": "#1f9e89",
    "connect": "#d9822b", "tls": "#b3589a", "send": "#5b8def", "server": "#2f9e44",
    "body": "#3b82d6", "sleep": "#8a8f98",
}  # fmt: skip
_GOOD, _BAD = "#2f9e44", "#d6483f"


def pictured(told: dict[str, Any]) -> str:
    """What ``Trace.to_dict`` gives, as an ``svg`` element."""
    head = facts(told)
    bars = list(rows(told)) if told["seconds"] > 0 else []
    top = 34 + 18 * len(head)
    height = top + (_STEP * len(bars) + 30 if bars else 0)
    title = f"{caption(told)}: {head[0][1]}"
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        f'width="{_WIDTH}" style="max-width:100%;height:auto" role="img" fill="currentColor" '
        f'font-family="ui-sans-serif,system-ui,sans-serif" font-size="12">',
        f"<title>{_safe(title)}</title>",
        _text(8, 20, _short(caption(told), 104), 'font-weight="600" font-size="13"'),
        _badge(told),
    ]
    for index, (name, value) in enumerate(head):
        y = 42 + 18 * index
        lines += [_text(20, y, name, 'opacity="0.65"'), _text(100, y, _short(value, 108))]
    if bars:
        lines += _grid(told["seconds"], top, height)
        for index, row in enumerate(bars):
            lines += _bar(row, told["seconds"], top + 6 + _STEP * index)
    return "".join([*lines, "</svg>"])


def _badge(told: dict[str, Any]) -> str:
    is_good = told["status"] is not None and told["status"] < 400
    return f'<rect x="8" y="32" width="4" height="12" rx="2" fill="{_GOOD if is_good else _BAD}"/>'


def _grid(whole: float, top: int, height: int) -> list[str]:
    found = []
    for part in range(5):
        x = _LEFT + (_WIDTH - _LEFT - _RIGHT) * part / 4
        line = f'<line x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{height - 22}" '
        found.append(f'{line}stroke="currentColor" stroke-opacity="0.15"/>')
        anchor = 'opacity="0.65" text-anchor="middle" font-size="11"'
        found.append(_text(x, height - 8, told_time(whole * part / 4) if part else "0", anchor))
    return found


def _bar(row: Row, whole: float, y: int) -> list[str]:
    space = _WIDTH - _LEFT - _RIGHT
    x = _LEFT + space * min(1.0, row.at / whole)
    width = max(2.0, space * min(1.0, row.seconds / whole))
    x = min(x, _LEFT + space - 2.0)
    weight = 'font-weight="600"' if row.kind == "attempt" else 'opacity="0.85"'
    label = _text(8 if row.kind == "attempt" else 20, y + 10, row.label.strip(), weight)
    tip = f"<title>{_safe(f'{row.label.strip()}: {told_time(row.seconds)} {row.note}')}</title>"
    if row.kind == "attempt":
        note = _text(_LEFT, y + 10, _short(row.note, 90), 'opacity="0.85"')
        line = f'<line x1="{x:.1f}" y1="{y + 15}" x2="{x + width:.1f}" y2="{y + 15}" '
        return [label, note, f'{line}stroke="currentColor" stroke-opacity="0.5">{tip}</line>']
    shape = f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{_BAR}" rx="2" '
    colour = _COLOURS.get(row.kind, "#8a8f98")
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
        _text(at[0], y + 10, took, f"{at[1]} font-size='11'"),
    ]


def _text(x: float, y: float, text: str, style: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y}" {style}>{_safe(text)}</text>'


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _safe(text: str) -> str:
    # XML knows no other control characters, not even escaped.
    return escape("".join(char if char.isprintable() else "?" for char in text))
