"""Which pool serves which origin, asked of requests once and then remembered."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

from urllib3.poolmanager import PoolManager

from .foreign import IS_FOREIGN
from .trip import current_trip

__all__ = ["Route", "Routes"]

Route = tuple[Any, ...]

_BEGINNINGS = ("http://", "https://")
_MOST = 4096


class Routes:
    """The keys under which ``manager`` keeps its pools, by all that decides them.

    The pools stay with the manager alone: it may drop one, and knows which was used last.
    """

    def __init__(self, manager: PoolManager) -> None:
        self._manager = manager
        self._options = dict(manager.connection_pool_kw)
        self._keys: dict[Route, Any] = {}
        manager.key_fn_by_scheme = {
            scheme: partial(_noted, key_of) for scheme, key_of in manager.key_fn_by_scheme.items()
        }

    def route(self, url: Any, verify: Any, cert: Any) -> Route | None:
        """What decides which pool is used; ``None`` for what is too odd to tell."""
        if type(url) is not str or not url.startswith(_BEGINNINGS):
            return None
        end = url.find("/", 8)  # behind the two slashes, and at least one letter of a host
        if end < 0 or not (cert is None or isinstance(cert, (str, tuple))):
            return None
        if verify is True or verify is False:
            return url[:end], verify, None, cert
        if type(verify) is not str:
            return None
        is_folder = url.startswith("https") and os.path.isdir(verify)
        return url[:end], verify, is_folder, cert

    def pool(self, route: Route, manager: PoolManager) -> Any:
        """The pool, if it is known and still there."""
        if manager is not self._manager or manager.connection_pool_kw != self._options:
            return None  # somebody's own, or with other options by now
        key = self._keys.get(route)
        return None if key is None else manager.pools.get(key)

    def learn(self, route: Route, key: Any) -> None:
        """From now on ``route`` leads to the pool of this ``key``."""
        if key is not None and not IS_FOREIGN:  # whoever asks the fork for a pool has to use it
            if len(self._keys) >= _MOST:
                self._keys.clear()
            self._keys[route] = key


def _noted(key_of: Callable[[dict[str, Any]], Any], context: dict[str, Any]) -> Any:
    key = key_of(context)
    trip = current_trip()
    if trip is not None:
        trip.pool_key = key
    return key
