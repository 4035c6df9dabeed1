"""The adapter that sends: bounded, pooled, and exact about what happened."""

from __future__ import annotations

import threading
import time
import weakref
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

from ..errors import ConnectTimeout, PoolTimeout, ReadTimeout, let_go
from ..forks import look, reset_in_child
from ..settings import Settings
from .body import read_body
from .connections import SOCKET_OPTIONS
from .limiter import Lease
from .origin import origin
from .overdue import overdue
from .pools import Fleet
from .replacing import is_replaceable
from .results import built
from .routes import Routes
from .short_way import sent
from .streams import lend
from .trip import Trip, finish, start
from .watch import Watch, current_watch, turn

__all__ = ["PoolingAdapter"]

_FEWEST_POOLS = 64


class PoolingAdapter(HTTPAdapter):
    """An ``HTTPAdapter`` whose connections are limited, shared and closed in time.

    A call holds a lease while it needs a connection: until its body has been read, and for a
    stream until that ends, is closed or is dropped.  A connection that was used before and turns
    out to be dead is replaced once, if the request may be repeated.  Inside a ``Watch`` nothing
    takes longer than that allows.

    Raises what ``HTTPAdapter`` raises, and ``PoolTimeout``, ``ConnectTimeout`` and
    ``ReadTimeout`` of this package.  ``pool_connections`` is the number of hosts whose pools are
    kept (default: more than there are connections), ``pool_maxsize`` the number of idle
    connections kept for each; with ``pool_block`` it limits those in use, too.
    """

    __attrs__ = [*HTTPAdapter.__attrs__, "settings"]  # noqa: RUF012

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        pool_connections: int | None = None,
        pool_maxsize: int | None = None,
        max_retries: Any = 0,
        pool_block: bool = False,
    ) -> None:
        if settings is not None and not isinstance(settings, Settings):
            raise TypeError(f"settings must be Settings, not {settings!r}")
        self.settings = settings or Settings()
        most = self.settings.max_connections
        super().__init__(
            pool_connections=pool_connections or max(2 * most, _FEWEST_POOLS),
            pool_maxsize=pool_maxsize or most,
            max_retries=max_retries,
            pool_block=pool_block,
        )

    def init_poolmanager(
        self, connections: int, maxsize: int, block: bool = False, **pool_kwargs: Any
    ) -> None:
        """Start with no connections."""
        settings = self.settings
        per_host = settings.max_connections_per_host or settings.max_connections
        self._fleet = Fleet(
            total=settings.max_connections,
            per_host=min(per_host, maxsize) if block else per_host,
            keepalive=settings.keepalive_timeout,
            dns_ttl=settings.dns_cache_ttl,
            clock=settings.clock,
        )
        self._pool_classes = self._fleet.pool_classes()
        self._pool_kwargs = pool_kwargs
        self._lock = threading.Lock()
        self._stale_replaced = 0
        super().init_poolmanager(
            connections, maxsize, block=block, **{"socket_options": SOCKET_OPTIONS, **pool_kwargs}
        )
        # Assigned, not changed: the mapping that was there is that of all pool managers.
        self.poolmanager.pool_classes_by_scheme = self._pool_classes
        self._routes = Routes(self.poolmanager)
        _adapters.add(self)

    def proxy_manager_for(self, proxy: Any, **proxy_kwargs: Any) -> Any:
        """The manager of connections through ``proxy``; that of a SOCKS proxy is urllib3's own."""
        with self._lock:
            manager = self.proxy_manager.get(proxy)
            if manager is None:
                if str(proxy).lower().startswith("socks"):
                    return super().proxy_manager_for(proxy, **proxy_kwargs)
                proxy_kwargs.setdefault("socket_options", SOCKET_OPTIONS)
                manager = super().proxy_manager_for(proxy, **proxy_kwargs)
                manager.pool_classes_by_scheme = self._pool_classes
            return manager

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> requests.Response:
        """Send ``request``; unless it is to be a stream, the answer comes with its body read."""
        look()
        watch = current_watch()
        if watch is not None and watch.expired:
            raise overdue(request, watch, ConnectTimeout)
        trip = Trip(self._lease(request, watch))
        is_lent = False
        try:
            start(trip)
            turn("send")
            response = self._exchange(
                trip, request, stream=stream, timeout=timeout,
                verify=verify, cert=cert, proxies=proxies,
            )  # fmt: skip
            is_lent = lend(response, trip.lease)
        except requests.RequestException as error:
            trip.tell(error)
            raise
        finally:
            finish(trip)
            if not is_lent:
                trip.lease.release()
        return response

    def close(self) -> None:
        """Close all connections that are idle; it can be used again."""
        super().close()
        self._fleet.idle.close()

    def reset_after_fork(self) -> None:
        """In a child process: start anew; the connections of the parent are left to the parent."""
        self._fleet.abandon()
        self.proxy_manager = {}
        PoolingAdapter.init_poolmanager(  # not a subclass's, whose options are among these
            self,
            self._pool_connections,
            self._pool_maxsize,
            block=self._pool_block,
            **self._pool_kwargs,
        )

    @property
    def is_crowded(self) -> bool:
        """Whether somebody waits for a connection."""
        return bool(self._fleet.limiter.waiting)

    def statistics(self) -> dict[str, int]:
        """How many connections and look-ups there were, and how many there are now."""
        fleet = self._fleet
        return {
            "connections_opened": fleet.census.opened,
            "connections_open": fleet.census.open(),
            "connections_in_use": fleet.limiter.in_use,
            "connections_idle": len(fleet.idle),
            "waiting": fleet.limiter.waiting,
            "dns_lookups": fleet.dns.lookups,
            "dns_hits": fleet.dns.hits,
            "stale_replaced": self._stale_replaced,
        }

    def __repr__(self) -> str:
        now = self.statistics()
        return (
            f"<{type(self).__name__} [Requests: {now['connections_in_use']} active, "
            f"{now['waiting']} waiting | Connections: {now['connections_open']} open, "
            f"{now['connections_idle']} idle]>"
        )

    def _exchange(
        self, trip: Trip, request: requests.PreparedRequest, *, stream: bool, **options: Any
    ) -> requests.Response:
        watch = current_watch()
        try:
            began = time.perf_counter()
            response = self._answer(trip, request, stream=stream, **options)
            trip.has_head = True
            response.__dict__["_answered_after"] = time.perf_counter() - began
            # The body of a redirect is left: whoever follows it need not care for its end.
            if not (stream or response.is_redirect):
                read_body(response, limit=self.settings.max_response_bytes)
            if watch is None or not watch.expired:
                return response
        except (requests.RequestException, HTTPError) as error:
            if watch is None or not watch.expired:
                raise
            kind = ReadTimeout if trip.is_connected else ConnectTimeout
            raise overdue(request, watch, kind) from error
        response.close()  # it may look whole, and be cut
        raise overdue(request, watch, ReadTimeout)

    def _answer(
        self, trip: Trip, request: requests.PreparedRequest, **options: Any
    ) -> requests.Response:
        try:
            return sent(self, self._routes, trip, request, options, super().send)
        except requests.ConnectionError as error:
            watch = current_watch()
            if not is_replaceable(trip, request, error) or (watch and watch.expired):
                raise
            let_go(error)
        with self._lock:
            self._stale_replaced += 1
        trip.wants_fresh = True
        return super().send(request, **options)

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
        """requests' response to ``req`` around urllib3's."""
        return built(self, req, resp) or super().build_response(req, resp)

    def _lease(self, request: requests.PreparedRequest, watch: Watch | None) -> Lease:
        patience = self.settings.pool_timeout
        if watch is not None:
            patience = watch.clip(patience)
        try:
            return self._fleet.limiter.acquire(origin(request.url or ""), timeout=patience)
        except PoolTimeout as error:
            error.request = request
            raise


_adapters: weakref.WeakSet[PoolingAdapter] = weakref.WeakSet()


@reset_in_child
def _reset_all() -> None:
    for adapter in list(_adapters):
        adapter.reset_after_fork()
