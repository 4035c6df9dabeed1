"""The card of a session or client in a terminal, drawn by rich."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from ..journal import masked_url
from ..tracing.rows import told_time
from .facts import Fact, facts, latencies, lines, told_circuit, worst_first

__all__ = ["panel"]

_BAR = 40  # columns
_MOST = 20  # circuits
_LIGHTS = {"closed": "green", "half_open": "yellow", "open": "red"}


def panel(
    title: str, about: str, figures: Mapping[str, Any], circuits: Mapping[str, Any], *, now: float
) -> RenderableType:
    """Of ``get_stats`` and ``get_circuit_breaker_status``; ``now``: seconds since the epoch."""
    parts: list[RenderableType] = [_tiles(facts(figures)), "", _rows(figures)]
    if circuits:
        parts += ["", _circuits(circuits, now)]
    head = Text.assemble((title, "bold"), " ", (about, "dim"))
    return Panel(Group(*parts), title=head, title_align="left", subtitle="Ctrl-C ends it")


def _tiles(found: list[Fact]) -> Table:
    grid = Table.grid(expand=True, padding=(0, 2, 0, 0))
    for _ in found:
        grid.add_column(no_wrap=True)
    grid.add_row(*(Text(one.name, "dim") for one in found))
    grid.add_row(*(Text(one.value, "bold red" if one.is_bad else "bold") for one in found))
    grid.add_row(*(Text(one.more, "dim") for one in found))
    return grid


def _rows(figures: Mapping[str, Any]) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    took = latencies(figures)
    most = max((seconds for _, seconds in took), default=1.0)
    for name, seconds in took:
        bar = Text("━" * max(1, round(_BAR * seconds / most)), "blue")
        grid.add_row(
            Text(f"latency {name}", "dim"), bar.append(f" {told_time(seconds)}", "default")
        )
    for name, words in lines(figures):
        grid.add_row(Text(name, "dim"), Text(words))
    return grid


def _circuits(circuits: Mapping[str, Any], now: float) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    for name, state in worst_first(circuits)[:_MOST]:
        lamp = Text("● ", _LIGHTS.get(state["state"], "yellow"))
        words = lamp.append(told_circuit(state, now=now), "default")
        grid.add_row(Text(masked_url(name)), words)
    if (more := len(circuits) - _MOST) > 0:
        grid.add_row(Text(f"and {more:,} more", "dim"))
    return grid
