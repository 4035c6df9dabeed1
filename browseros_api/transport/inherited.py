"""What a forked child does with connections that are its parent's: it closes its copies, unused.

Without taking any lock: a thread that is not in the child may have held it.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from typing import Any

from requests.adapters import HTTPAdapter

__all__ = ["close_copy", "disown"]

_managers: list[Any] = []  # kept: the finalizers of their pools wait for locks


def close_copy(sock: Any) -> None:
    """Close this process's copy of ``sock``, whoever reads from it.

    The connection is none the poorer: no FIN is sent, and no farewell of TLS.
    """
    while sock is not None and not isinstance(sock, socket.socket):
        sock = getattr(sock, "socket", None)  # TLS inside TLS is not a socket itself, but has one
    if sock is not None:
        with contextlib.suppress(OSError):
            # Its close() would wait for the answers that are being read from it, and a TLS socket
            # would go on to use its descriptor, which may be another's by then.
            sock._real_close()  # type: ignore[attr-defined]


def disown(adapter: HTTPAdapter) -> None:
    """Let an adapter that is not ours start anew, as if it had been pickled and loaded."""
    with contextlib.suppress(Exception):  # it is somebody's own, and may be one in name only
        for connection in _idle_connections(adapter):
            close_copy(getattr(connection, "sock", None))
        _managers.append((adapter.poolmanager, adapter.proxy_manager))
        adapter.proxy_manager = {}
        adapter.init_poolmanager(
            adapter._pool_connections, adapter._pool_maxsize, block=adapter._pool_block
        )


def _idle_connections(adapter: HTTPAdapter) -> Iterator[Any]:
    for manager in (adapter.poolmanager, *adapter.proxy_manager.values()):
        for pool in list(manager.pools._container.values()):
            yield from filter(None, list(getattr(pool.pool, "queue", ())))
