"""What hedges need of the transport: sockets that can be cut, and room for one more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from .journal import Journal
from .pipeline import Exchange, Step
from .policies.budget import Budget
from .policies.hedges import Hedges
from .settings import Settings
from .transport.adapter import PoolingAdapter
from .transport.watch import Watch

__all__ = ["hedges_of"]


def hedges_of(
    settings: Settings,
    *,
    clock: Callable[[], float],
    journal: Journal,
    endpoint_of: Callable[[str, str], str],
    budget: Budget | None,
    limits: Sequence[Step[Exchange]],
) -> Hedges:
    """Those of one session."""
    return Hedges(
        settings,
        clock=clock,
        journal=journal,
        watch=partial(Watch, None, can_be_cut=True),
        can_race=_can_race,
        endpoint_of=endpoint_of,
        budget=budget,
        limits=limits,
    )


def _can_race(exchange: Exchange) -> bool:
    """Whether what its adapter sends can be cut, and nobody waits there for a connection."""
    adapter = exchange.adapter
    return isinstance(adapter, PoolingAdapter) and not adapter.is_crowded
