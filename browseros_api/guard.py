"""The exchange's steps around whatever adapter is mounted.

Not in an adapter of ours, and not in ``send``: a user's own ``mount()``, or a mock, would silently
take the policies away, and ``send`` runs again for each redirect.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any, cast

import requests
from requests import PreparedRequest, Response
from requests.adapters import BaseAdapter, HTTPAdapter

from .abroad import leave_secrets
from .checks import duration
from .circuits import Circuits
from .deadlines import bind
from .engine import Engine
from .forks import look
from .lines import CheckedParts, check_lines
from .listeners import Listener
from .pipeline import Call, Companion, Exchange, Proceed, Step, compose
from .shortcut import is_all, is_sent_as_ever, prepared
from .transport.adapter import PoolingAdapter
from .transport.inherited import disown

if TYPE_CHECKING:
    from .policies.breakers import CircuitBreaker
    from .settings import Settings

__all__ = ["GuardedExchange", "Shown"]


class Shown:
    """A name under which something is shown, and which a subclass may use for its own ends."""

    def __init__(self, path: str) -> None:
        self._read = attrgetter(path)

    def __get__(self, session: Any, kind: type | None = None) -> Any:
        return self if session is None else self._read(session)


class _Finder(property):
    """On the class a function, as it is in requests: mocking libraries take it from there."""

    def __get__(self, session: Any, kind: type | None = None) -> Any:
        return GuardedExchange.find_adapter if session is None else super().__get__(session, kind)


class GuardedExchange(CheckedParts):
    """The part of a session that sends what is prepared."""

    _engine: Engine
    _find_adapter: Callable[[str], BaseAdapter] | None = None
    if TYPE_CHECKING:
        _hear: Step[Call]
        _ask: Proceed[Call]

    def _compose(self) -> None:
        engine, steps = self._engine, self._engine.call_steps(self._refuse)
        make = partial(engine.make, work=self._ask)
        self._call = compose([engine.meter.time, self._hear, *steps], make)
        self._again = compose(engine.call_steps(again=True), make)
        self._exchange = compose(engine.exchange_steps(), engine.wire.transmit)
        self._own_guard = _Guard(engine.adapter, self._exchange, engine)
        self._sent_by_hand = compose([engine.meter.time, *engine.call_steps()], self._send_counted)

    def _refuse(self, call: Call, proceed: Proceed[Call]) -> Response:
        """Refuse before anything is prepared what the endpoint's open circuit would refuse."""
        engine, question = self._engine, call.question
        if question is not None and engine.breakers.is_down(call.method, question.url):
            # Whoever was let through before may bring an answer for this call, too.
            request = None if call.key in engine.flights else prepared(cast(Any, self), call)
            if request is not None:
                engine.breakers.refuse(request)
        return proceed(call)

    def on(self, event: str, callback: Listener) -> Callable[[], None]:
        """Call ``callback`` with one object at each ``event`` from now on; see ``events``.

        In the thread of the call, with no lock held; what it raises is logged once.  Events are
        ``"call"``, ``"cache"``, ``"attempt"``, ``"retry"`` and ``"breaker"``.

        Returns:
            A function that ends it.
        """
        return self._engine.listeners.add(event, callback)

    def _accompany(self, companion: Companion | None) -> None:
        """From now on ``companion`` goes along with each call and each request; None: nobody."""
        self._engine.companion = companion
        self._compose()

    def send(
        self, request: PreparedRequest, *, deadline: float | None = None, **kwargs: Any
    ) -> Response:
        """Send a prepared request, as requests does; retried and guarded, but never shared.

        ``deadline`` is that of ``request``.
        """
        engine = self._engine
        for name in ("use_cache", "cache_ttl", "fallback", "hedge"):
            if name in kwargs:
                raise TypeError(f"{name}: what is sent by hand is neither kept nor shared")
        kwargs.setdefault("timeout", engine.settings.timeout)
        if engine.current is None or deadline is not None:
            look()
            return self._by_hand(self._call_by_hand(request, kwargs, deadline))
        response = cast(Response, super().send(request, **kwargs))  # type: ignore[misc]
        for hop in (*response.history, response):
            # requests took the time of the whole exchange: retries, delays and body included.
            if (seconds := hop.__dict__.pop("_answered_after", None)) is not None:
                hop.elapsed = timedelta(seconds=seconds)
        return response

    def _send_prepared(
        self, call: Call, request: PreparedRequest, options: dict[str, Any]
    ) -> Response:
        """The same for what was prepared for ``call``; often nothing follows from its answer."""
        adapter = self.find_adapter(str(request.url))
        is_usual = adapter is self._engine.adapter and is_sent_as_ever(cast(Any, self))
        if not is_usual or options["stream"]:
            return self.send(request, **options)
        check_lines(request)
        told = {name: value for name, value in options.items() if name != "allow_redirects"}
        response = self._exchange(Exchange(request, told, call, adapter=adapter))
        if not is_all(response):
            call.answer = response
            return self.send(request, **options)
        response.elapsed = timedelta(seconds=response.__dict__.pop("_answered_after"))
        response.connection = cast(HTTPAdapter, self._own_guard)
        return response

    def _call_by_hand(
        self, request: PreparedRequest, kwargs: dict[str, Any], deadline: float | None
    ) -> Call:
        settings = self._engine.settings
        call = Call(str(request.method), str(request.url), {"request": request, **kwargs})
        call.attempt_timeout, call.hedge = settings.attempt_timeout, cast(Any, settings.hedge)
        seconds = settings.deadline if deadline is None else duration("deadline", deadline)
        bind(call, seconds, self._engine.clock)
        return call

    def _by_hand(self, call: Call) -> Response:
        try:
            return self._sent_by_hand(call)
        except requests.RequestException as error:
            error.__dict__.setdefault("request_state", call.reached)
            raise

    def _send_counted(self, call: Call) -> Response:
        return self._engine.make(call, lambda call: self.send(**call.arguments))

    if TYPE_CHECKING:
        engine: Engine
        settings: Settings
        circuit_breaker: CircuitBreaker | None
        circuits: Circuits
    else:
        engine = Shown("_engine")
        settings = Shown("_engine.settings")
        circuit_breaker = Shown("_engine.breaker")
        circuits = Shown("_circuits")

    @property
    def _circuits(self) -> Circuits:
        return Circuits(self._engine)

    def _finder(self) -> Callable[[str], BaseAdapter]:
        """Finds the adapter for a URL; while this thread makes a call, with the engine around it.

        A property, since mocking libraries set this name on the instance and leave it there.
        """
        return self.find_adapter if self._engine.current is None else self._guarded_adapter

    def _set_finder(self, finder: Callable[[str], BaseAdapter]) -> None:
        own = (GuardedExchange.find_adapter, GuardedExchange._guarded_adapter)
        self._find_adapter = None if getattr(finder, "__func__", None) in own else finder

    def _unset_finder(self) -> None:
        self._find_adapter = None

    get_adapter: Any = _Finder(_finder, _set_finder, _unset_finder, _finder.__doc__)

    def find_adapter(self, url: str) -> BaseAdapter:
        """The adapter that is mounted for ``url``, as it is."""
        find = self._find_adapter or super().get_adapter  # type: ignore[misc]
        return cast(BaseAdapter, find(url))

    def _guarded_adapter(self, url: str) -> BaseAdapter:
        adapter = self.find_adapter(url)
        own = adapter is self._engine.adapter
        return self._own_guard if own else _Guard(adapter, self._exchange, self._engine)

    def rebuild_auth(self, prepared_request: PreparedRequest, response: Response) -> None:
        """On a redirect to another origin every secret stays behind."""
        super().rebuild_auth(prepared_request, response)  # type: ignore[misc]
        session = cast(requests.Session, self)
        here, there = str(response.request.url), str(prepared_request.url)
        if session.should_strip_auth(here, there):
            is_downgrade = here.lower().startswith("https:") and there.lower().startswith("http:")
            leave_secrets(prepared_request, is_downgrade=is_downgrade)

    def _leave_to_parent(self) -> None:
        """In a child after a fork: what threads of the parent hold or use is theirs."""
        for adapter in list(getattr(self, "adapters", {}).values()):
            if isinstance(adapter, HTTPAdapter) and not isinstance(adapter, PoolingAdapter):
                disown(adapter)
        jar: Any = getattr(self, "cookies", None)
        if hasattr(jar, "_cookies_lock"):  # each call takes it, for its Cookie header
            jar._cookies_lock = threading.RLock()


class _Guard(BaseAdapter):
    """An adapter with the exchange's steps around it, for one hop."""

    def __init__(self, adapter: BaseAdapter, steps: Proceed[Exchange], engine: Engine) -> None:
        self._adapter, self._steps, self._engine = adapter, steps, engine

    def send(self, request: PreparedRequest, **options: Any) -> Response:  # type: ignore[override]
        check_lines(request)
        call = self._engine.current or Call(str(request.method), str(request.url))
        if call.answer is not None:  # it was sent already, and has come to more than an answer
            response, call.answer = call.answer, None
            return response
        response = self._steps(Exchange(request, options, call, adapter=self._adapter))
        response.connection = cast(HTTPAdapter, self)  # digest auth sends through it
        return response

    def close(self) -> None:
        self._adapter.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._adapter, name)
