"""A call drawn in plain text, as wide as the terminal."""

from __future__ import annotations

import shutil
import sys
from typing import Any

from .rows import Row, caption, facts, rows, told_time

__all__ = ["can_print", "clipped", "drawn", "printable"]

_LABEL, _TIME, _LEAST, _MOST = 26, 8, 20, 160  # columns

_BLOCKS = {"attempt": "─", "sleep": "·", "queue": "░", "following": "░", "cache": "░"}
_PLAIN = {"attempt": "-", "sleep": ".", "queue": ":", "following": ":", "cache": ":"}


def drawn(told: dict[str, Any], *, width: int | None = None, plain: bool | None = None) -> str:
    """What ``Trace.to_dict`` gives, as lines of at most ``width`` columns; ``plain`` is ASCII."""
    if width is None:
        width = shutil.get_terminal_size().columns
    if plain is None:
        plain = not can_print("─·░█│µ")
    width = min(max(width, _LABEL + _TIME + _LEAST), _MOST)
    lines = [caption(told), *(f"  {name:<11}{value}" for name, value in facts(told))]
    bars = list(rows(told))
    if bars and told["seconds"] > 0:
        lines += ["", *(_line(row, told["seconds"], width, plain=plain) for row in bars)]
        lines.append(_axis(told["seconds"], width))
    text = "\n".join(clipped(printable(line), width) for line in lines)
    return text.replace("µ", "u") if plain else text


def _line(row: Row, whole: float, width: int, *, plain: bool) -> str:
    columns = width - _LABEL - _TIME - 4
    first = min(int(columns * row.at / whole), columns - 1)
    count = min(max(1, round(columns * row.seconds / whole)), columns - first)
    block = _PLAIN.get(row.kind, "#") if plain else _BLOCKS.get(row.kind, "█")
    edge = "|" if plain else "│"
    label = f"{row.label}: {row.note}" if row.note else row.label
    if len(label) > _LABEL:
        return f"{label}\n" + _line(row._replace(label="", note=""), whole, width, plain=plain)
    bar = (" " * first + block * count).ljust(columns)
    return f"{label:<{_LABEL}} {told_time(row.seconds):>{_TIME}} {edge}{bar}{edge}"


def _axis(whole: float, width: int) -> str:
    end = told_time(whole)
    columns = width - _LABEL - _TIME - 4
    return " " * (_LABEL + _TIME + 3) + "0" + end.rjust(columns - 1)


def clipped(text: str, width: int) -> str:
    """With no line of more than ``width`` columns."""
    return "\n".join(
        line if len(line) <= width else f"{line[: width - 3]}..." for line in text.split("\n")
    )


def printable(text: str) -> str:
    """Without control characters: a URL that a server gave must not move the cursor."""
    return "".join(char if char.isprintable() or char == "\n" else "?" for char in text)


def can_print(blocks: str) -> bool:
    """Whether the terminal, or whatever is in its place, takes these characters."""
    try:
        blocks.encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
