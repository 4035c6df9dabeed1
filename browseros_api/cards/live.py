"""A card that stays in its place while what it tells changes."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

__all__ = ["live"]


@contextlib.contextmanager
def live(html: Callable[[], str], told: Callable[[], dict[str, Any]]) -> Iterator[Any]:
    """What is yielded draws it anew: the page ``html``, or in a terminal what is ``told`` of it."""
    if _is_notebook():
        display = import_module("IPython.display")
        handle = display.display(display.HTML(html()), display_id=True)
        yield lambda: handle.update(display.HTML(html()))
        return
    try:
        from rich.live import Live  # noqa: PLC0415  (an extra)

        from .screen import panel  # noqa: PLC0415
    except ImportError:
        raise ImportError(
            "watch() in a terminal needs rich: pip install 'browseros-api[terminal]'"
        ) from None
    with Live(panel(**told()), auto_refresh=False) as screen:
        yield lambda: screen.update(panel(**told()), refresh=True)
    if not screen.console.is_terminal:
        screen.console.line()  # nothing was drawn over, and its last line is not ended


def _is_notebook() -> bool:
    """Whether this is a kernel, which shows HTML; IPython in a terminal does not."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None
