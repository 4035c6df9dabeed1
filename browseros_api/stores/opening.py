"""From a URL to a store."""

from __future__ import annotations

from collections.abc import Callable

from ..naps import wall
from ..settings import Settings
from .entry import Store
from .memory import MemoryStore

__all__ = ["is_server", "open_store"]


def is_server(store: str) -> bool:
    """Whether this URL of a store names a server, where more than answers can be shared."""
    return store.startswith(("redis", "valkey"))


def open_store(
    settings: Settings, *, clock: Callable[[], float], wall: Callable[[], float] = wall
) -> Store:
    """The store that ``settings.store`` names; no file and no connection is opened before its use.

    Raises:
        ValueError: the URL, or ``store_key``, is not of a kind that is allowed.
        ImportError: a library is missing; the message names the extra.
    """
    if settings.store == "memory://":
        return MemoryStore(
            max_entries=settings.cache_max_entries,
            max_bytes=settings.cache_max_bytes,
            clock=clock,
        )
    from .beyond import store_beyond  # noqa: PLC0415  (what few need is not loaded for all)

    return store_beyond(settings, clock=clock, wall=wall)
