"""Cards for notebooks: of a session or client, its figures, its circuits, and what it keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..journal import masked_url
from ..tracing.rows import told_bytes, told_time
from ..tracing.svg import safe, short
from .facts import STATES, facts, latencies, lines, told_age, told_circuit, worst_first
from .pieces import bars, card, light, pairs, table, tiles

__all__ = ["MOST", "answers_card", "circuits_card", "figures_card", "session_card"]

MOST = 20  # rows of a table


def session_card(
    title: str, about: str, figures: Mapping[str, Any], circuits: Mapping[str, Any], *, now: float
) -> str:
    """Of ``get_stats`` and ``get_circuit_breaker_status``; ``now``: seconds since the epoch."""
    return card(title, about, [*_figures(figures), _circuits(circuits, now) if circuits else ""])


def figures_card(figures: Mapping[str, Any]) -> str:
    """Of ``get_stats``."""
    flat: dict[str, Any] = {}
    for name, value in figures.items():
        flat.update(value if isinstance(value, Mapping) else {name: value})
    rest = "".join(
        f'<tr><td style="padding:0 14px 0 0">{safe(name)}</td><td>{safe(_told(value))}</td></tr>'
        for name, value in flat.items()
    )
    fold = (
        '<details style="margin-top:8px;font-size:12px"><summary style="cursor:pointer">every '
        f"figure</summary><table>{rest}</table></details>"
    )
    return card("Statistics", "since the beginning", [*_figures(figures), fold])


def circuits_card(circuits: Mapping[str, Any], *, now: float) -> str:
    """Of ``get_circuit_breaker_status``."""
    counts = [sum(one["state"] == state for one in circuits.values()) for state in STATES]
    told = [f"{count} {word}" for count, word in zip(counts, STATES.values(), strict=True) if count]
    about = ", ".join(told) or "no endpoint was asked yet"
    return card("Circuits", about, [_circuits(circuits, now)] if circuits else [])


def answers_card(answers: Sequence[Any], *, count: int, size: int, hit_rate: float | None) -> str:
    """Of the first of the ``count`` answers that are kept."""
    about = f"{count:,} key{'' if count == 1 else 's'}, {told_bytes(size)}"
    if hit_rate is not None:
        about += f"; {hit_rate:.1%} of the calls were answered from it"
    rows = [
        [
            safe(short(one.url, 200)), safe(str(one.status)), safe(told_bytes(one.size)),
            safe(told_age(one.age)), _freshness(one.fresh_for),
        ]
        for one in answers
    ]  # fmt: skip
    parts = [table(rows, ("URL", "status", "size", "age", "fresh for"))] if rows else []
    return card("Answers that are kept", about, [*parts, _more(count - len(answers))])


def _freshness(seconds: float) -> str:
    if seconds > 0:
        return light("closed", told_age(seconds))
    return light("half_open", f"stale since {told_age(-seconds)}")


def _figures(figures: Mapping[str, Any]) -> list[str]:
    took = latencies(figures)
    most = max((seconds for _, seconds in took), default=1.0)
    drawn = [(f"latency {name}", seconds / most, told_time(seconds)) for name, seconds in took]
    return [tiles(facts(figures)), bars(drawn), pairs(lines(figures))]


def _circuits(circuits: Mapping[str, Any], now: float) -> str:
    worst = worst_first(circuits)
    rows = [
        [safe(short(masked_url(name), 200)), light(state["state"], told_circuit(state, now=now))]
        for name, state in worst[:MOST]
    ]
    return table(rows, ("endpoint", "circuit")) + _more(len(worst) - MOST)


def _more(count: int) -> str:
    if count <= 0:
        return ""
    return f'<div style="opacity:.7;margin-top:6px">and {count:,} more</div>'


def _told(value: Any) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.4g}" if isinstance(value, float) else str(value)
