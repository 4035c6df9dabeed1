"""requests' Session, resilient: the door for scripts that use requests."""

from __future__ import annotations

import inspect
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, ClassVar, cast

import requests
from requests import PreparedRequest, Response
from requests.adapters import BaseAdapter, HTTPAdapter
from requests.hooks import dispatch_hook

from .engine import Engine
from .journal import is_secret
from .pipeline import Call, Exchange, Proceed, compose
from .policies.breakers import CircuitBreaker
from .settings import Settings, at_least, duration
from .transport.adapter import PoolingAdapter

__all__ = ["UNSET", "ResilienceMixin", "Session"]


class _Unset:
    """Nothing was said; ``None`` says something: no timeout."""

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Any = _Unset()


class ResilienceMixin:
    """Makes a ``requests.Session`` subclass resilient: put it first among the bases.

    Keyword arguments that are settings (see ``Settings``) configure the engine; all others go on
    to the class behind.
    """

    __attrs__: ClassVar[list[str]] = [*requests.Session.__attrs__, "settings", "circuit_breaker"]

    adapters: Any  # these come from requests.Session, which stands behind this class
    headers: Any
    hooks: Any

    def __init__(
        self, *args: Any, circuit_breaker: CircuitBreaker | None = None, **options: Any
    ) -> None:
        ours, theirs = Settings.split(options)
        self._start(self._made_engine(ours, circuit_breaker))
        super().__init__(*args, **theirs)
        self._mount_own()

    def _made_engine(self, options: dict[str, Any], breaker: CircuitBreaker | None) -> Engine:
        return Engine(Settings(**options), breaker=breaker)

    def _start(self, engine: Engine) -> None:
        self.engine = engine
        self.settings, self.circuit_breaker = engine.settings, engine.breaker
        self._is_nameable = _is_nameable(type(self))
        self._find_adapter: Callable[[str], BaseAdapter] | None = None
        self._call = compose([engine.meter.time, self._hear, *engine.call_steps()], self._ask)
        self._count = compose([engine.meter.time], self._ask_prepared)
        self._exchange = compose(engine.exchange_steps(), engine.transmit)

    def _mount_own(self) -> None:
        # A class behind may have mounted adapters of its own: those stay.
        for prefix in ("https://", "http://"):
            if type(self.adapters.get(prefix)) is HTTPAdapter:
                self.adapters[prefix] = self.engine.adapter

    # -- a call ----------------------------------------------------------------------------------

    def request(
        self,
        method: Any,
        url: Any,
        params: Any = None,
        data: Any = None,
        headers: Any = None,
        cookies: Any = None,
        files: Any = None,
        auth: Any = None,
        timeout: Any = UNSET,
        allow_redirects: bool = True,
        proxies: Any = None,
        hooks: Any = None,
        stream: Any = None,
        verify: Any = None,
        cert: Any = None,
        json: Any = None,
        *,
        use_cache: bool = True,
        cache_ttl: float | None = None,
        deadline: float | None = None,
        **others: Any,
    ) -> Response:
        """Send a request; everything that ``requests.Session.request`` takes, and:

        Args:
            timeout: as in requests; not given, the session's own (10 s to connect, 30 s a read).
            use_cache: False neither looks into the cache nor keeps the answer.
            cache_ttl: seconds to keep the answer, whatever the server says save ``no-store``.
            deadline: seconds that the whole call may take: waiting, every attempt, every sleep.

        Raises:
            requests.RequestException: as requests does; also ``PoolTimeout``,
                ``CircuitOpenError``, ``DeadlineExceeded``, which are subclasses of it.
        """
        return self.perform(self.plan(
            method=method, url=url, params=params, data=data, headers=headers, cookies=cookies,
            files=files, auth=auth, timeout=timeout, allow_redirects=allow_redirects,
            proxies=proxies, hooks=hooks, stream=stream, verify=verify, cert=cert, json=json,
            use_cache=use_cache, cache_ttl=cache_ttl, deadline=deadline, **others,
        ))  # fmt: skip

    def plan(
        self,
        *,
        use_cache: bool = True,
        cache_ttl: float | None = None,
        deadline: float | None = None,
        **arguments: Any,
    ) -> Call:
        """The call that ``request`` makes of these arguments."""
        settings = self.settings
        method = arguments["method"].upper()  # None has no such method: as in requests
        call = Call(str(method), str(arguments.get("url")), arguments, use_cache=use_cache)
        if arguments.get("timeout", UNSET) is UNSET:
            arguments["timeout"] = settings.timeout
        if cache_ttl is not None:
            call.cache_ttl = at_least("cache_ttl", cache_ttl)
        seconds = settings.deadline if deadline is None else duration("deadline", deadline)
        if seconds is not None:
            call.deadline = self.engine.clock() + seconds
        call.patience = _patience(arguments["timeout"], settings.attempt_timeout)
        if settings.idempotency_keys and method in ("POST", "PATCH"):
            self._give_idempotency_key(arguments)
        elif method in ("GET", "HEAD") and self._is_nameable:
            self._give_name(call)
        return call

    def perform(self, call: Call) -> Response:
        """Make a planned call."""
        try:
            return self._call(call)
        finally:
            if call.seat is not None:  # taken before, and never sat in: the cache had the answer
                self.engine.flights.leave(call)

    def answer(self, call: Call, find: Callable[[], Response]) -> Response:
        """End a planned call with an answer that needs no asking: counted and heard as any."""
        return compose([self.engine.meter.time, self._hear], lambda _: find())(call)

    def _give_idempotency_key(self, arguments: dict[str, Any]) -> None:
        given, own = arguments.get("headers") or {}, self.headers
        if not any(name.lower() == "idempotency-key" for name in (*given, *own)):
            arguments["headers"] = {**given, "Idempotency-Key": str(uuid.uuid4())}

    def _give_name(self, call: Call) -> None:
        session = cast(requests.Session, self)
        if _is_shareable(session, call.arguments):
            name = self.engine.identity.name(session, call.method, call.arguments)
            if name is not None:
                call.key, call.headers, call.resource = name.key, name.headers, name.resource

    def _hear(self, call: Call, proceed: Proceed[Call]) -> Response:
        """Let the session's hooks see each answer of each caller once, wherever it came from."""
        response = proceed(call)
        hooks = self._heard(call)
        if not hooks:
            return response
        told = {name: call.arguments.get(name) for name in ("timeout", "verify", "proxies", "cert")}
        for index, hop in enumerate(response.history):
            response.history[index] = dispatch_hook("response", hooks, hop, stream=False, **told)
        heard: Response = dispatch_hook("response", hooks, response, stream=False, **told)
        return heard

    def _heard(self, call: Call) -> Any:
        """The session's hooks, if they are to hear of this call here and not deep in requests."""
        hooks = self.hooks
        return hooks if call.key is not None and hooks and hooks.get("response") else None

    def _ask(self, call: Call) -> Response:
        """Ask: with everything that requests does between a call and an exchange."""
        arguments = call.arguments
        if self._heard(call):
            # Hooks of a call's own replace the session's: what is shared is the answer unheard.
            arguments = {**arguments, "hooks": {"response": [_deaf]}}
        with self.engine.making(call):
            asked = super().request(**arguments)  # type: ignore[misc]
        return cast(Response, asked)

    # -- an exchange -----------------------------------------------------------------------------

    def send(self, request: PreparedRequest, **kwargs: Any) -> Response:
        """Send a prepared request, as requests does; retried and guarded, but never shared."""
        kwargs.setdefault("timeout", self.settings.timeout)
        if self.engine.current is None:
            call = Call(str(request.method), str(request.url), {"request": request, **kwargs})
            if self.settings.deadline is not None:
                call.deadline = self.engine.clock() + self.settings.deadline
            return self._count(call)
        with self._guarding():
            response = cast(Response, super().send(request, **kwargs))  # type: ignore[misc]
        for hop in (*response.history, response):
            # requests took the time of the whole exchange: retries, delays and body included.
            if (seconds := hop.__dict__.pop("_answered_after", None)) is not None:
                hop.elapsed = timedelta(seconds=seconds)
        return response

    def _ask_prepared(self, call: Call) -> Response:
        with self.engine.making(call):
            return self.send(**call.arguments)

    @contextmanager
    def _guarding(self) -> Iterator[None]:
        thread = self.engine.thread
        before, thread.guarding = getattr(thread, "guarding", False), True
        try:
            yield
        finally:
            thread.guarding = before

    @property
    def get_adapter(self) -> Callable[[str], BaseAdapter]:
        """Finds the adapter for a URL; while a request is sent, with the engine around it.

        A property, since mocking libraries set this name on the instance and leave it there.
        """
        if getattr(self.engine.thread, "guarding", False):
            return self._guarded_adapter
        return self._adapter

    @get_adapter.setter
    def get_adapter(self, finder: Callable[[str], BaseAdapter]) -> None:
        own = getattr(finder, "__func__", None)
        is_ours = own in (ResilienceMixin._adapter, ResilienceMixin._guarded_adapter)
        self._find_adapter = None if is_ours else finder

    @get_adapter.deleter
    def get_adapter(self) -> None:
        self._find_adapter = None

    def _adapter(self, url: str) -> BaseAdapter:
        find = self._find_adapter or super().get_adapter  # type: ignore[misc]
        return cast(BaseAdapter, find(url))

    def _guarded_adapter(self, url: str) -> BaseAdapter:
        return _Guard(self._adapter(url), self._exchange, self.engine)

    def rebuild_auth(self, prepared_request: PreparedRequest, response: Response) -> None:
        """On a redirect to another origin every header that looks like a secret goes."""
        super().rebuild_auth(prepared_request, response)  # type: ignore[misc]
        session = cast(requests.Session, self)
        if session.should_strip_auth(str(response.request.url), str(prepared_request.url)):
            for name in [name for name in prepared_request.headers if is_secret(name)]:
                if name.lower() not in ("authorization", "cookie"):  # requests has seen to these
                    del prepared_request.headers[name]

    # -- what can be asked and told --------------------------------------------------------------

    def get_stats(self) -> dict[str, Any]:
        """Figures since the session was made; see the documentation for each."""
        return self.engine.read()

    def get_circuit_breaker_status(self) -> dict[str, dict[str, Any]]:
        """``{endpoint: {"state": ..., "failure_count": ..., "last_failure_time": ...}}``."""
        return self.engine.breakers.status()

    def clear_cache(self) -> None:
        """Forget every kept answer."""
        self.engine.cache.clear()

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name, None) for name in self.__attrs__}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self._start(Engine(state["settings"], breaker=state["circuit_breaker"]))
        for name, value in state.items():
            setattr(self, name, value)
        for prefix, adapter in self.adapters.items():
            if isinstance(adapter, PoolingAdapter):
                self.adapters[prefix] = self.engine.adapter


class Session(ResilienceMixin, requests.Session):
    """A ``requests.Session`` with one engine around every call.

    >>> with Session(max_retries=5) as session:      # doctest: +SKIP
    ...     session.get("https://api.example.com/users").json()
    """


class _Guard(BaseAdapter):
    """An adapter with the exchange's steps around it.  It is made for one hop."""

    def __init__(self, adapter: BaseAdapter, steps: Proceed[Exchange], engine: Engine) -> None:
        self._adapter, self._steps, self.engine = adapter, steps, engine

    def send(self, request: PreparedRequest, **options: Any) -> Response:  # type: ignore[override]
        call = self.engine.current or Call(str(request.method), str(request.url))
        response = self._steps(Exchange(request, options, call, adapter=self._adapter))
        response.connection = cast(HTTPAdapter, self)  # digest auth sends through it
        return response

    def close(self) -> None:
        self._adapter.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._adapter, name)


_KNOWN = frozenset(inspect.signature(requests.Session.request).parameters)


def _is_shareable(session: requests.Session, arguments: Mapping[str, Any]) -> bool:
    """Whether the call has nothing about it that is one caller's alone."""
    given = arguments.get
    return arguments.keys() <= _KNOWN and not (
        given("data")
        or given("files")
        or given("hooks")
        or given("json") is not None
        or (session.stream if given("stream") is None else given("stream"))
    )


def _patience(timeout: Any, bound: float | None) -> float | None:
    """Seconds of silence that a caller accepts, of requests' ``timeout`` and an attempt's bound."""
    read = timeout[-1] if isinstance(timeout, tuple) and timeout else timeout
    if isinstance(read, (int, float)):
        return read if bound is None else min(read, bound)
    return bound


def _is_nameable(kind: type) -> bool:
    """Whether nothing below or above us changes requests on their way, so that names are exact."""
    line = kind.__mro__
    behind = line[line.index(ResilienceMixin) + 1 :]
    changes = [
        *[_first(line, name) for name in ("prepare_request", "merge_environment_settings")],
        *[_first(behind, name) for name in ("request", "send")],
        *[_first(line[: line.index(ResilienceMixin) + 1], "send")],
    ]
    return all(owner in (requests.Session, ResilienceMixin) for owner in changes)


def _first(line: tuple[type, ...], name: str) -> type | None:
    return next((owner for owner in line if name in owner.__dict__), None)


def _deaf(response: Response, **_: Any) -> None:
    """A hook that hears nothing."""
