"""The client for ``await``: a thin facade over the blocking one.

Calls that must ask run on threads of the facade's own.  A hit is answered on the loop without a
thread, and a call that follows one in the air only awaits its landing.  A cancelled ``await`` gives
up its place at once; a request that is already on its way in a thread is not torn down, its answer
is kept or dropped.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, TypeVar

from requests import Response

from .client import EnhancedAPIClient as BlockingClient
from .errors import ClientClosed
from .pipeline import Call
from .policies.breakers import CircuitBreaker
from .verbs import Verbs

__all__ = ["CircuitBreaker", "EnhancedAPIClient"]

C = TypeVar("C", bound="EnhancedAPIClient")
_END = object()


class EnhancedAPIClient(Verbs[Any]):
    """``browseros_api.EnhancedAPIClient``, awaited: the same arguments, answers and errors.

    >>> async with EnhancedAPIClient("https://api.example.com") as client:   # doctest: +SKIP
    ...     users = await client.get("/users", params={"page": 1})
    """

    def __init__(self, base_url: str, *args: Any, **options: Any) -> None:
        self._client = BlockingClient(base_url, *args, **options)
        self._executor = ThreadPoolExecutor(
            self._client.session.settings.max_connections, thread_name_prefix="browseros_api-aio"
        )

    @property
    def blocking(self) -> BlockingClient:
        """The client underneath."""
        return self._client

    async def start(self: C) -> C:
        """Nothing to do, everything starts when it is needed; an error if the client is closed."""
        self._client.start()
        return self

    async def close(self) -> None:
        """For good; does not wait for requests that are on their way in threads."""
        self._client.close()
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def __aenter__(self: C) -> C:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def request(self, method: str, endpoint: str, **arguments: Any) -> Any:
        """Make one call and decode its answer; see ``browseros_api.EnhancedAPIClient.request``."""
        client = self._client.start()
        call = client._planned(method, endpoint, **arguments)
        return client._useful(await self._answered(call))

    async def _answered(self, call: Call) -> Response:
        session = self._client.session
        engine = session.engine
        known = engine.cache.known(call)
        if known is not None:
            call.from_cache = True
            return session.answer(call, lambda: known.replica(from_cache=True))
        call.began = engine.meter.begin()
        if call.key is None or not engine.settings.enable_deduplication:
            return await self._ask(call)
        if engine.flights.board(call).leads:
            return await self._ask(call)
        return await self._follow(call)

    async def _ask(self, call: Call) -> Response:
        """Make the call on a thread."""
        try:
            job = self._executor.submit(copy_context().run, self._perform, call)
        except RuntimeError:
            self._give_up(call)
            raise ClientClosed(f"this client of {self._client.base_url} is closed") from None
        job.add_done_callback(lambda done: self._give_up(call) if done.cancelled() else None)
        return await asyncio.wrap_future(job)

    def _perform(self, call: Call) -> Response:
        try:
            return self._client.session.perform(call)
        except StopIteration as error:  # a Future cannot carry it: the await would hang
            raise RuntimeError("a hook or auth object raised StopIteration") from error

    async def _follow(self, call: Call) -> Response:
        """Await the landing of the call in the air; take a thread only if one has to ask after all."""
        session, flights = self._client.session, self._client.session.engine.flights
        try:
            landing = asyncio.wrap_future(flights.landing(call))
            told = await asyncio.wait_for(landing, flights.bound(call))
        except asyncio.TimeoutError:
            self._give_up(call)
            raise flights.gave_up(call) from None
        except BaseException:
            self._give_up(call)
            raise
        if told.is_answer:
            flights.leave(call)
            return session.answer(call, lambda: flights.received(call, told))
        if told.alone:
            flights.leave(call)
            call.key = None
        return await self._ask(call)

    def _give_up(self, call: Call) -> None:
        engine = self._client.session.engine
        engine.flights.leave(call)
        if call.began is not None:
            engine.meter.end(call, call.began, succeeded=False)

    async def get_many(self, endpoints: Iterable[Any], **arguments: Any) -> AsyncIterator[Any]:
        """GET many endpoints at once; as ``browseros_api.EnhancedAPIClient.get_many``."""
        results = self._client.get_many(endpoints, **arguments)
        loop = asyncio.get_running_loop()
        try:
            while True:
                one = await loop.run_in_executor(self._executor, next, results, _END)
                if one is _END:
                    return
                yield one
        finally:
            close = getattr(results, "close", None)
            if close is not None:
                close()

    # -- what can be asked and told --------------------------------------------------------------

    def get_stats(self) -> dict[str, Any]:
        """Figures since the client was made: the nine of the overview, and more."""
        return self._client.get_stats()

    def get_circuit_breaker_status(self) -> dict[str, dict[str, Any]]:
        """``{endpoint: {"state": ..., "failure_count": ..., "last_failure_time": ...}}``."""
        return self._client.get_circuit_breaker_status()

    def cache_key(self, endpoint: str, **arguments: Any) -> str | None:
        """The key under which ``get(endpoint, **arguments)`` is kept; None if it is not shared."""
        return self._client.cache_key(endpoint, **arguments)

    async def clear_cache(self) -> None:
        """Forget every kept answer."""
        self._client.clear_cache()

    async def _get_cached(self, key: str | None) -> Any:
        return self._client._get_cached(key)

    async def get_cached(self, endpoint: str, **arguments: Any) -> Any:
        """What ``get`` would be answered from the cache; None if nothing."""
        return self._client.get_cached(endpoint, **arguments)
