"""What a terminal is told in colour, and everybody else without."""

from __future__ import annotations

import os
import sys
from typing import Any

__all__ = ["Paint", "complain", "is_terminal", "spark", "table"]

_BARS = "▁▂▃▄▅▆▇█"
_CODES = {"red": 31, "green": 32, "yellow": 33, "blue": 34, "bold": 1, "dim": 2}


def is_terminal(stream: Any) -> bool:
    """Whether somebody looks at it, on something that can do more than print lines."""
    try:
        return bool(stream.isatty()) and os.environ.get("TERM") != "dumb"
    except (AttributeError, ValueError):  # none at all, or one that is closed
        return False


class Paint:
    """Colours for ``stream``, unless it is piped or NO_COLOR is set (see no-color.org)."""

    def __init__(self, stream: Any = None) -> None:
        is_wanted = not os.environ.get("NO_COLOR")
        self._is_on = is_wanted and is_terminal(sys.stdout if stream is None else stream)

    def __call__(self, colour: str, text: str) -> str:
        """``text`` in red, green, yellow, blue, bold or dim."""
        return f"\x1b[{_CODES[colour]}m{text}\x1b[0m" if self._is_on else text


def spark(values: list[float | None]) -> str:
    """A line of bars, the highest for the greatest value; where there is none, a cross."""
    most = max((value for value in values if value is not None), default=0.0) or 1.0
    top = len(_BARS) - 1
    return "".join("×" if one is None else _BARS[round(top * one / most)] for one in values)


def table(rows: list[list[str]]) -> str:
    """Columns of the width that they need; the last is not filled up."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def complain(command: str, text: object) -> None:
    """One line for whoever runs the command."""
    print(f"browseros-api {command}: {text}", file=sys.stderr)
