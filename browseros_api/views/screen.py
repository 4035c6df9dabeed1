"""The live screen of ``monitor``, drawn by rich."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from rich.live import Live
from rich.table import Table
from rich.text import Text

from ..journal import masked_url
from .paint import spark
from .rounds import Rounds, Watched

__all__ = ["drawn", "live"]

_WIDTH = 30  # bars of the spark line
_LIGHTS = {"closed": "green", "half_open": "yellow", "open": "red"}


@contextlib.contextmanager
def live(rounds: Rounds) -> Iterator[Callable[[], None]]:
    """A screen that stays in its place; what is yielded draws it anew."""
    with Live(drawn(rounds.watched), auto_refresh=False) as screen:
        yield lambda: screen.update(drawn(rounds.watched), refresh=True)


def drawn(watched: list[Watched]) -> Table:
    """A row for each URL."""
    table = Table(title="Ctrl-C ends it", title_justify="right", title_style="dim", expand=True)
    table.add_column("state")
    table.add_column("URL", overflow="fold", ratio=1)
    for name in ("success", "now", "median"):
        table.add_column(name, justify="right")
    table.add_column("latency", min_width=_WIDTH, no_wrap=True)
    table.add_column("breaker")
    for one in watched:
        table.add_row(*_cells(one))
    return table


def _cells(one: Watched) -> list[Text]:
    if not one.calls:
        state = Text("...", "dim")
    else:
        state = Text("up", "green") if one.is_up else Text("DOWN", "bold red")
    url = Text(masked_url(one.url))
    if one.said:
        url.append(f"\n{one.said}", "red")
    return [
        state,
        url,
        Text(f"{one.success_rate:.1%}" if one.calls else ""),
        Text(_milliseconds(one.latest)),
        Text(_milliseconds(one.typical)),
        Text(spark([*one.latencies][-_WIDTH:]), "cyan"),
        Text(one.breaker.replace("_", "-"), _LIGHTS[one.breaker]),
    ]


def _milliseconds(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f} ms"
