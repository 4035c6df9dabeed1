"""From a URL to a store beyond the process."""

from __future__ import annotations

import os
from collections.abc import Callable
from urllib.parse import parse_qsl, urlencode, urlsplit

from ..checks import at_least, checked_keys
from ..settings import Settings
from .archive import Archive
from .entry import Store
from .front import Front
from .instants import Instants
from .redis import RedisShelf
from .redis_board import RedisBoard
from .seal import Seal
from .shelf import Shelf
from .sheltered import Sheltered
from .sqlite import SQLiteShelf

__all__ = ["board_beyond", "located", "store_beyond"]

_FRONT_BYTES = 8 * 1024 * 1024

# What redis-py calls it, for each scheme.
_REDIS = {
    "redis": "redis",
    "rediss": "rediss",
    "redis+unix": "unix",
    "valkey": "redis",
    "valkeys": "rediss",
    "valkey+unix": "unix",
}
# Options in a URL that are for redis-py; whatever else it could be told is for us to say.
_CONNECTING = frozenset(
    {"db", "ssl_ca_certs", "ssl_cert_reqs", "ssl_certfile", "ssl_check_hostname", "ssl_keyfile"}
)
_OURS = {"namespace": "browseros_api", "front": "1"}


def store_beyond(
    settings: Settings, *, clock: Callable[[], float], wall: Callable[[], float]
) -> Store:
    """See ``opening.open_store``."""
    instants = Instants(clock, wall=wall)
    keys = checked_keys("store_key", settings.store_key)
    seal = None if keys is None else Seal(keys)
    if settings.store.startswith("sqlite:"):
        return _archive(_sqlite(settings, instants), instants=instants, seal=seal)
    shelf, seconds = _redis(settings, instants)
    archive = _archive(shelf, instants=instants, seal=seal)
    if not seconds:
        return archive
    size = min(_FRONT_BYTES, settings.cache_max_bytes)
    return Front(archive, seconds=seconds, max_bytes=size, clock=clock)


def _archive(shelf: Shelf, *, instants: Instants, seal: Seal | None) -> Archive:
    return Archive(Sheltered(shelf, clock=instants.clock), instants=instants, seal=seal)


def _sqlite(settings: Settings, instants: Instants) -> SQLiteShelf:
    path = settings.store.removeprefix("sqlite://")
    if path == "/:memory:":
        raise ValueError("store must be 'memory://' to be in memory")
    if not path.startswith("/") or path.endswith("/") or set("?#") & set(path):
        raise ValueError(
            "store must be 'sqlite:///relative/path.db' or 'sqlite:////absolute/path.db'"
        )
    return SQLiteShelf(
        os.path.abspath(os.path.expanduser(path[1:])),
        instants=instants,
        max_bytes=settings.cache_max_bytes,
        timeout=settings.store_timeout,
    )


def _redis(settings: Settings, instants: Instants) -> tuple[RedisShelf, float]:
    """The shelf, and for how many seconds what was read there is used without asking."""
    address, namespace, seconds = located(settings.store)
    shelf = RedisShelf(
        address, namespace=namespace, instants=instants, timeout=settings.store_timeout
    )
    return shelf, seconds


def board_beyond(settings: Settings) -> RedisBoard:
    """Where the state of circuits is shared, on the server that is the store."""
    address, namespace, _ = located(settings.store)
    return RedisBoard(address, namespace=namespace, timeout=settings.store_timeout)


def located(store: str) -> tuple[str, str, float]:
    """Of the URL of a server: that for redis-py, the namespace, and the option ``front``."""
    try:
        url = urlsplit(store)
        _ = url.port  # read to be checked
    except ValueError:  # whose message may show a password
        raise ValueError("store must be like 'redis://host:6379/0'") from None
    options = dict(parse_qsl(url.query, keep_blank_values=True))
    if unknown := sorted(options.keys() - _CONNECTING - _OURS.keys()):
        allowed = ", ".join(sorted(_CONNECTING | _OURS.keys()))
        raise ValueError(f"store has no option {unknown[0]!r}; there are {allowed}")
    ours = {name: options.pop(name, default) for name, default in _OURS.items()}
    if not ours["namespace"]:
        raise ValueError("store: namespace must not be empty")
    try:
        seconds = at_least("front", float(ours["front"]))
    except ValueError:
        raise ValueError("store: front must be a number of seconds, or 0") from None
    query = f"?{urlencode(options)}" if options else ""
    return f"{_REDIS[url.scheme]}://{url.netloc}{url.path}{query}", ours["namespace"], seconds
