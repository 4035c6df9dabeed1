"""The client for ``await``: a thin facade over the blocking one.

Calls that must ask run on threads of the facade's own.  A hit is answered on the loop, a call that
follows one in the air only awaits its landing; hooks of the session are heard on a thread.  What is
cancelled gives up its place at once; a request on its way ends, its answer is kept or dropped.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
from functools import partial
from inspect import isawaitable
from typing import Any, TypeVar

from requests import RequestException, Response

from .circuits import Circuits
from .client import EnhancedAPIClient as BlockingClient
from .deadlines import Deadline, late
from .desk import desk_here
from .errors import NEVER_SENT
from .fallbacks import has_fallback, instead, plain
from .guard import Shown
from .listeners import Listener
from .looking import KeptAnswers
from .pipeline import Call
from .policies.breakers import CircuitBreaker
from .policies.flight import Landing
from .seeing import Seen
from .session import Session
from .source import END, Source
from .team import Team
from .tracing.trace import Trace
from .verbs import Verbs
from .watching import watched

__all__ = ["CircuitBreaker", "EnhancedAPIClient"]

C = TypeVar("C", bound="EnhancedAPIClient")


class EnhancedAPIClient(Seen, Verbs[Coroutine[Any, Any, Any]]):
    """``browseros_api.EnhancedAPIClient``, awaited: the same arguments, answers and errors.

    It belongs to no loop: calls may come from several, one after the other or at once.

    >>> async with EnhancedAPIClient("https://api.example.com") as client:   # doctest: +SKIP
    ...     users = await client.get("/users", params={"page": 1})
    """

    _engine: Any = Shown("_client.session.engine")

    def __init__(self, base_url: str, *args: Any, **options: Any) -> None:
        self._client = BlockingClient(base_url, *args, **options)
        # Not the client's own: calls submitted there may follow one that waits for a thread here.
        self._team = Team(self.session.settings.max_connections, "browseros_api")

    @property
    def blocking(self) -> BlockingClient:
        """The client underneath."""
        return self._client

    @property
    def base_url(self) -> str:
        """What endpoints are relative to, without a slash at its end."""
        return self._client.base_url

    @property
    def session(self) -> Session:
        """The session underneath: for cookies, auth, proxies, adapters."""
        return self._client.session

    async def start(self: C) -> C:
        """Nothing to do, everything starts when it is needed; an error if the client is closed."""
        self._client.start()
        return self

    async def close(self) -> None:
        """For good; it may be called again.

        Calls that wait for a thread or for their next attempt raise ``ClientClosed``.  Attempts
        that are on their way are not waited for: they end as they end.
        """
        self._client.close()
        self._team.dismiss()

    async def __aenter__(self: C) -> C:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def deadline(self, seconds: float) -> Deadline:
        """For a ``with`` or ``async with`` block, as ``Session.deadline``."""
        return self._client.deadline(seconds)

    def on(self, event: str, callback: Listener) -> Callable[[], None]:
        """As ``Session.on``; it is called in the thread, or the loop, where the event is."""
        return self._client.on(event, callback)

    @property
    def last_trace(self) -> Trace | None:
        """What happened to the call that was awaited last, if read before the next ``await``."""
        return self._client.last_trace

    # -- one call --------------------------------------------------------------------------------

    async def request(
        self, method: str, endpoint: str, params: Any = None, data: Any = None,
        headers: Mapping[str, str] | None = None, **arguments: Any,
    ) -> Any:  # fmt: skip
        """Make one call and decode its answer; see ``browseros_api.EnhancedAPIClient.request``."""
        client = self._client.start()
        given = {"params": params, "data": data, "headers": headers, **arguments}
        call = client._planned(method, endpoint, **given)
        try:
            return client._useful(await self._answered(call), call)
        except RequestException as error:
            client._latest.of_error(error)
            if not has_fallback(call, error):
                raise
            find = partial(instead, self.session.engine, call, error)
        value = await desk_here().result(self._team, find) if callable(call.fallback) else find()
        return plain(await value if isawaitable(value) else value)

    async def _answered(self, call: Call) -> Response:
        engine = self.session.engine  # a store that is far is asked on a thread
        if engine.cache.answers.is_near and (known := engine.cache.known(call)) is not None:
            return await self._heard(call, lambda: known)
        engine.meter.begin(call)
        engine.tracer.open(call)
        try:
            told = await self._told(call)
        except BaseException as error:
            self._give_up(call, engine.tracer.fail(call, error))
            raise
        if told is None:
            return await self._on_thread(call, self.session.perform, call)
        engine.flights.leave(call)
        follow = partial(engine.tracer.follow, proceed=lambda _: engine.flights.received(told))
        return await self._heard(call, lambda: engine.cache.lend(call, follow))

    async def _told(self, call: Call) -> Landing | None:
        """Await what serves this call as well, without a thread; None: it must ask for itself."""
        engine = self.session.engine
        if call.key is None or not engine.settings.enable_deduplication:
            return None
        seat = engine.flights.board(call)
        while not seat.leads:
            assert seat.landing is not None
            if call.spent is not None:
                call.spent.turn("following")
            if not await desk_here().until_done(seat.landing, engine.flights.bound(call)):
                raise engine.flights.gave_up(call)
            told = seat.landing.result()
            if told.leaves_alone(call):
                return None
            if engine.flights.is_served(call, told):
                return told
            # Not on a thread: followers could fill them all while the next leader waits for one.
            engine.flights.board_again(call, told)
        return None

    async def _heard(self, call: Call, find: Callable[[], Response]) -> Response:
        """End the call with an answer that needs no asking."""
        session = self.session
        if session.hooks and session.hooks.get("response"):
            return await self._on_thread(call, session.answer, call, find)
        return session.answer(call, find)

    async def _on_thread(
        self, call: Call, work: Callable[..., Response], *arguments: Any
    ) -> Response:
        if call.spent is not None:
            call.spent.turn("queue")
        response: Response = await desk_here().result(
            self._team, partial(work, *arguments), forgone=partial(self._give_up, call),
            seconds=self._left(call), late=partial(late, call, ", waiting in line", NEVER_SENT),
        )  # fmt: skip
        return response

    def _give_up(self, call: Call, error: BaseException | None = None) -> None:
        engine = self.session.engine
        engine.flights.leave(call)
        if call.began is not None:
            engine.meter.end(call, call.began, error)

    def _left(self, call: Call) -> float | None:
        return None if call.deadline is None else call.deadline - self.session.engine.clock()

    def get_many(self, endpoints: Iterable[Any], **arguments: Any) -> AsyncIterator[Any]:
        """GET many endpoints at once; as ``browseros_api.EnhancedAPIClient.get_many``."""
        return self._each(self._client.get_many(endpoints, **arguments))

    def paginate(self, endpoint: str, **arguments: Any) -> AsyncIterator[Any]:
        """Page after page, or item after item; as ``browseros_api.EnhancedAPIClient.paginate``."""
        return self._each(self._client.paginate(endpoint, **arguments))

    async def _each(self, results: Any) -> AsyncIterator[Any]:
        source = Source(results)
        try:
            while (one := await desk_here().result(self._team, source.take)) is not END:
                yield await one if isawaitable(one) else one  # of a fallback
        finally:
            source.close()

    async def watch(self, seconds: float | None = None, *, every: float = 0.5) -> None:
        """As ``Session.watch``; the loop goes on meanwhile, and cancelling ends it."""
        await watched(self._client, seconds, every)

    async def stats(self) -> dict[str, Any]:
        """As ``get_stats``; the loop goes on while a store that is not in memory is asked."""
        figures: dict[str, Any] = await self._aside(self._client.get_stats)
        return figures

    @property
    def circuits(self) -> Circuits:
        """The circuits of the endpoints: to look at, and to switch by hand."""
        return self._client.circuits

    @property
    def cache(self) -> KeptAnswers:
        """The answers that are kept: to look through, to forget, and to have explained."""
        return self._client.cache

    def cache_key(self, endpoint: str, **arguments: Any) -> str | None:
        """The key under which ``get(endpoint, **arguments)`` is kept; None if it is not shared."""
        return self._client.cache_key(endpoint, **arguments)

    async def clear_cache(self) -> None:
        """Forget every kept answer."""
        await self._aside(self._client.clear_cache)

    async def _get_cached(self, key: str | None) -> Any:
        return await self._aside(self._client._get_cached, key)

    async def get_cached(self, endpoint: str, **arguments: Any) -> Any:
        """What ``get`` would be answered from the cache; None if nothing."""
        return await self._aside(self._client.get_cached, endpoint, **arguments)

    async def _aside(self, work: Callable[..., Any], *arguments: Any, **more: Any) -> Any:
        """Do what takes microseconds if answers are kept in memory, and else a thread."""
        if self.session.engine.cache.answers.is_near:
            return work(*arguments, **more)
        return await desk_here().result(self._team, partial(work, *arguments, **more))

    def __repr__(self) -> str:
        return f"<aio.{repr(self._client)[1:]}"
