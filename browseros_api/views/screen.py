"""The live screen of ``monitor``, drawn by rich."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ..journal import masked_url
from .paint import spark
from .rounds import Rounds, Watched

__all__ = ["drawn", "live"]

_WIDE = 110  # columns of a terminal that has room for everything
_MANY, _FEW = 30, 10  # bars of the spark line
_LIGHTS = {"closed": "green", "half_open": "yellow", "open": "red"}


@contextlib.contextmanager
def live(rounds: Rounds) -> Iterator[Callable[[], None]]:
    """A screen that stays in its place; what is yielded draws it anew."""
    with Live(drawn(rounds.watched), auto_refresh=False) as screen:
        yield lambda: screen.update(drawn(rounds.watched), refresh=True)


def drawn(watched: list[Watched]) -> RenderableType:
    """A row for each URL, in as many columns as there is room for."""
    return _Rows(watched)


class _Rows:
    def __init__(self, watched: list[Watched]) -> None:
        self._watched = watched

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> Iterator[Table]:
        """As rich asks for it."""
        table = Table(
            title="Ctrl-C ends it", title_justify="right", title_style="dim", expand=True,
            box=SIMPLE_HEAD,
        )  # fmt: skip
        width = options.max_width
        shown = [column for column in _COLUMNS if width >= column.least]
        for column in shown:
            table.add_column(column.title, **column.options)
        for one in self._watched:
            table.add_row(*(column.cell(one, width) for column in shown))
        yield table


class _Column(NamedTuple):
    """``least`` columns of the terminal there must be for it; ``cell`` is told how many."""

    title: str
    least: int
    cell: Callable[[Watched, int], Text]
    options: dict[str, Any] = {}  # noqa: RUF012  (of a tuple: nobody changes it)


def _state(one: Watched) -> Text:
    if not one.calls:
        return Text("...", "dim")
    return Text("up", "green") if one.is_up else Text("DOWN", "bold red")


def _url(one: Watched) -> Text:
    url = Text(masked_url(one.url))
    return url.append(f"\n{one.said}", "red") if one.said else url


def _bars(one: Watched, width: int) -> Text:
    count = _FEW if width < _WIDE else _MANY
    return Text(spark([*one.latencies][-count:]).ljust(count), "cyan")


_RIGHT: dict[str, Any] = {"justify": "right", "no_wrap": True}
_COLUMNS = (
    _Column("state", 0, lambda one, _: _state(one)),
    _Column("URL", 0, lambda one, _: _url(one), {"overflow": "fold", "ratio": 1}),
    _Column("success", 0, lambda one, _: Text(f"{one.success_rate:.1%}" * bool(one.calls)), _RIGHT),
    _Column("now", 0, lambda one, _: Text(_milliseconds(one.latest)), _RIGHT),
    _Column("median", _WIDE, lambda one, _: Text(_milliseconds(one.typical)), _RIGHT),
    _Column("latency", 70, _bars, {"no_wrap": True}),
    _Column("breaker", 50, lambda one, _: Text(one.breaker.replace("_", "-"), _LIGHTS[one.breaker]),
            {"no_wrap": True}),
)  # fmt: skip


def _milliseconds(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f} ms"
