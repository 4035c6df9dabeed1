"""What a session or client shows of itself: its figures, its circuits, and its latest calls."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from .checks import whole
from .forks import importing
from .journal import masked_url
from .tracing.timeline import Timeline

if TYPE_CHECKING:
    from .engine import Engine

__all__ = ["CircuitStates", "Figures", "Seen"]


class Figures(dict[str, Any]):
    """The dictionary that ``get_stats`` gives; a notebook shows it as a card."""

    def _repr_html_(self) -> str:
        with importing:
            from .cards.shown import figures_card  # noqa: PLC0415
        return figures_card(self)


class CircuitStates(dict[str, dict[str, Any]]):
    """The dictionary that ``get_circuit_breaker_status`` gives; a notebook shows it as a card."""

    def _repr_html_(self) -> str:
        with importing:
            from .cards.shown import circuits_card  # noqa: PLC0415
        return circuits_card(self, now=time.time())


class Seen:
    """The part of a session or client that can be looked at."""

    _engine: Engine

    def get_stats(self) -> dict[str, Any]:
        """Figures since it was made: the nine of the overview, and more."""
        return Figures(self._engine.read())

    def get_circuit_breaker_status(self) -> dict[str, dict[str, Any]]:
        """``{endpoint: {"state": ..., "failure_count": ..., "last_failure_time": ...}}``."""
        return CircuitStates(self._engine.breakers.status())

    def timeline(self, last: int = 100) -> Timeline:
        """The latest calls that have ended, at most 256, over the connections that they used."""
        return Timeline(self._engine.meter.recent(whole("last", last, least=1)))

    def _repr_html_(self) -> str:
        with importing:
            from .cards.shown import session_card  # noqa: PLC0415
        return session_card(**self._card())

    def _card(self) -> dict[str, Any]:
        """What its card is made of."""
        engine = self._engine
        about = masked_url(engine.settings.base_url or "")
        return {
            "title": type(self).__name__,
            "about": f"{about} (closed)" if engine.closing.is_set() else about,
            "figures": engine.read(),
            "circuits": engine.breakers.status(),
            "now": time.time(),
        }
