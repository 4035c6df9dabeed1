"""Pieces of a card: plain HTML in the colours of the page around it, without a script."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..tracing.svg import BAD, GOOD, KNOWN, POOR, safe
from .facts import Fact

__all__ = ["bars", "card", "light", "pairs", "table", "tiles"]

_LINE = "var(--jp-border-color2,rgba(128,128,128,.35))"
_DULL = "opacity:.7"
_LIGHTS = {"closed": GOOD, "half_open": POOR, "open": BAD}


def card(title: str, about: str, parts: Iterable[str]) -> str:
    """All of it, under a title.  Text has the colour of the page, light or dark as that may be."""
    head = f'<b>{safe(title)}</b> <span style="{_DULL}">{safe(about)}</span>'
    return (
        '<div style="font:13px/1.45 ui-sans-serif,system-ui,sans-serif;max-width:760px;'
        f"color:var(--jp-content-font-color1,inherit);border:1px solid {_LINE};border-radius:8px;"
        f'padding:12px 16px;margin:4px 0"><div style="margin-bottom:8px">{head}</div>'
        f"{''.join(parts)}</div>"
    )


def tiles(facts: Sequence[Fact]) -> str:
    """Figures side by side; where there is no room, in more than one row."""
    cells = []
    for one in facts:
        colour = f";color:{BAD}" if one.is_bad else ""
        tip = f' title="{safe(one.why)}"' if one.why else ""
        cells.append(
            f'<div style="flex:1 0 92px"{tip}>'
            f'<div style="{_DULL};font-size:12px">{safe(one.name)}</div>'
            f'<div style="font-size:20px;line-height:1.3;font-weight:600{colour}">'
            f"{safe(one.value)}</div>"
            f'<div style="{_DULL};font-size:11px">{safe(one.more)}</div></div>'
        )
    return f'<div style="display:flex;flex-wrap:wrap;gap:10px 14px">{"".join(cells)}</div>'


def bars(values: Sequence[tuple[str, float, str]]) -> str:
    """Name, part of the whole from 0 to 1, and what is written beside it."""
    rows = "".join(
        f'<div style="display:flex;align-items:center;gap:8px"><span style="flex:0 0 84px;{_DULL}">'
        f'{safe(name)}</span><span style="flex:1;height:7px"><span style="display:block;'
        f'height:7px;border-radius:3px;background:{KNOWN};width:{100 * part:.1f}%"></span></span>'
        f'<span style="flex:0 0 84px">{safe(words)}</span></div>'
        for name, part, words in values
    )
    return f'<div style="margin-top:10px">{rows}</div>' if rows else ""


def pairs(rows: Sequence[tuple[str, str]]) -> str:
    """Names, and what is said of them."""
    lines = "".join(
        f'<div style="display:flex;gap:8px"><span style="flex:0 0 84px;{_DULL}">{safe(name)}</span>'
        f"<span>{safe(words)}</span></div>"
        for name, words in rows
    )
    return f'<div style="margin-top:10px">{lines}</div>'


def table(rows: Sequence[Sequence[str]], heads: Sequence[str] = ()) -> str:
    """Rows of HTML that is safe already."""
    place = f"text-align:left;padding:2px 14px 2px 0;border:0;border-top:1px solid {_LINE};"
    cell = f"{place}background:none;vertical-align:top;overflow-wrap:anywhere"
    head = "".join(f'<th style="{cell};font-weight:400;{_DULL}">{safe(one)}</th>' for one in heads)
    lines = ["".join(f'<td style="{cell}">{one}</td>' for one in row) for row in rows]
    body = "".join(f'<tr style="background:none">{line}</tr>' for line in [head, *lines] if line)
    style = "border-collapse:collapse;width:100%;margin:10px 0 0;font-size:12px;border:0"
    return f'<table style="{style}">{body}</table>'


def light(state: str, words: str) -> str:
    """A lamp, and what it means: its colour alone does not tell everybody."""
    colour = _LIGHTS.get(state, POOR)
    lamp = "display:inline-block;width:9px;height:9px;border-radius:50%;margin-right:6px"
    return f'<span style="{lamp};background:{colour}"></span>{safe(words)}'
