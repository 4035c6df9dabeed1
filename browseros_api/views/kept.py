"""What a store holds, as text: a list, one answer closely, and figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..journal import masked_headers
from ..looking import KeptAnswer

__all__ = ["listed", "shown", "told"]

_KEY = 12  # characters of a key that are shown: enough to name it
_HEAD = ("KEY", "STATUS", "SIZE", "AGE", "FRESH", "URL")


def listed(answers: Iterable[KeptAnswer]) -> str:
    """A table, one line for each."""
    rows = [_HEAD, *[_row(answer) for answer in answers]]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD) - 1)]
    lines = (
        "  ".join([*[cell.ljust(width) for cell, width in zip(row, widths, strict=False)], row[-1]])
        for row in rows
    )
    return "\n".join(lines)


def _row(answer: KeptAnswer) -> tuple[str, ...]:
    varied = f"  (varies on {', '.join(answer.varies_on)})" if answer.varies_on else ""
    return (
        answer.key[:_KEY],
        str(answer.status),
        _bytes(answer.size),
        _seconds(answer.age),
        _seconds(answer.fresh_for) if answer.fresh_for > 0 else "stale",
        answer.url + varied,
    )


def shown(answer: KeptAnswer, headers: Mapping[str, str], body: bytes) -> str:
    """One answer: what is known of it, its headers, and what kind of body it has."""
    fresh = answer.fresh_for
    facts = {
        "key": answer.key,
        "url": answer.url,
        "status": answer.status,
        "age": _seconds(answer.age),
        "fresh": f"for another {_seconds(fresh)}" if fresh > 0 else f"not since {_seconds(-fresh)}",
        "kept": f"for another {_seconds(answer.kept_for)}",
        "varies on": ", ".join(answer.varies_on) or "nothing",
    }
    width = max(map(len, facts))
    lines = [f"{name.ljust(width)}  {value}" for name, value in facts.items()]
    lines += ["", *[f"{n}: {v}" for n, v in masked_headers(headers.items()).items()]]
    return "\n".join([*lines, "", f"{_bytes(len(body))} of body"])


def told(figures: Mapping[str, Any]) -> str:
    """Figures, one line for each."""
    width = max(map(len, figures))
    return "\n".join(f"{name.ljust(width)}  {value}" for name, value in figures.items())


def _bytes(number: int) -> str:
    size = float(number)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"


def _seconds(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
