"""requests' Session, resilient: the door for scripts that use requests."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, cast

import requests
from requests import Response
from requests.adapters import HTTPAdapter
from requests.hooks import dispatch_hook

from .deadlines import Deadline
from .engine import Engine
from .fallbacks import answered
from .forks import look
from .guard import GuardedExchange, Shown
from .looking import KeptAnswers, as_requested
from .pipeline import Call, Proceed, compose
from .plans import UNSET, for_both, is_exact, planned
from .policies.breakers import CircuitBreaker
from .settings import Settings
from .shortcut import known_settings, options, prepared
from .transport.adapter import PoolingAdapter
from .watching import Watched

__all__ = ["UNSET", "ResilienceMixin", "Session"]


class ResilienceMixin(Watched, GuardedExchange):
    """Makes a ``requests.Session`` subclass resilient: put it first among the bases.

    Keyword arguments that are settings (see ``Settings``) configure the engine; all others go on
    to the class behind, and so do settings that are arguments of that class, too.
    """

    __attrs__: ClassVar[list[str]] = [*requests.Session.__attrs__, "_settings", "_breaker"]

    adapters: Any  # these come from requests.Session, which stands behind this class
    headers: Any
    hooks: Any

    if TYPE_CHECKING:
        cache: KeptAnswers
    else:
        cache = Shown("_answers")

    if TYPE_CHECKING:  # requests names every keyword of its verbs, and request() here takes more
        get: Callable[..., Response]
        options: Callable[..., Response]
        head: Callable[..., Response]
        post: Callable[..., Response]
        put: Callable[..., Response]
        patch: Callable[..., Response]
        delete: Callable[..., Response]

    def __init__(
        self, *args: Any, circuit_breaker: CircuitBreaker | None = None, **options: Any
    ) -> None:
        ours, theirs = Settings.split(options)
        theirs.update(for_both(super().__init__, ours))
        self._start(self._made_engine(ours, circuit_breaker))
        super().__init__(*args, **theirs)
        for prefix in ("https://", "http://"):
            if type(self.adapters.get(prefix)) is HTTPAdapter:  # any other was mounted on purpose
                self.adapters[prefix] = self._engine.adapter

    def _made_engine(self, options: dict[str, Any], breaker: CircuitBreaker | None) -> Engine:
        return Engine(Settings(**options), breaker=breaker)

    def _start(self, engine: Engine) -> None:
        self._engine = engine
        engine.session = engine.session or weakref.ref(self)
        self._settings, self._breaker = engine.settings, engine.breaker
        self._is_exact = is_exact(type(self), ResilienceMixin)
        self._compose()

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
        share: str | None = None,
        fallback: Any = UNSET,
        hedge: Any = UNSET,
        **others: Any,
    ) -> Response:
        """Send a request; everything that ``requests.Session.request`` takes, and:

        Args:
            timeout: as in requests; not given, the session's own (10 s to connect, 30 s a read).
            use_cache: False neither looks into the cache nor keeps the answer.
            cache_ttl: seconds to keep the answer, whatever the server says save ``no-store``.
            deadline: seconds that the whole call may take: waiting, every attempt, every sleep.
            share: names whose answer it is, for all who give the same name, whoever they are.
            fallback: what to use instead of an error, or a function of ``(error, asked)``.
            hedge: when to ask a second time beside it: seconds, "p95" or ``Hedge``; None: never.

        Raises:
            requests.RequestException: as requests does; also ``PoolTimeout``,
                ``CircuitOpenError``, ``DeadlineExceeded``, which are subclasses of it.
        """
        arguments = {
            "method": method, "url": url, "params": params, "data": data, "headers": headers,
            "cookies": cookies, "files": files, "auth": auth, "timeout": timeout,
            "allow_redirects": allow_redirects, "proxies": proxies, "hooks": hooks,
            "stream": stream, "verify": verify, "cert": cert, "json": json, **others,
        }  # fmt: skip
        call = self.plan(
            arguments, use_cache=use_cache, cache_ttl=cache_ttl, deadline=deadline, share=share,
            fallback=fallback, hedge=hedge,
        )  # fmt: skip
        return self.perform(call) if call.fallback is UNSET else answered(self, call)

    def plan(self, arguments: dict[str, Any], **ours: Any) -> Call:
        """The call that ``request`` would make, of these and of what is ours."""
        look()
        call = planned(cast(Any, self), self._engine, arguments, is_exact=self._is_exact, **ours)
        call.again = self._again
        return call

    def perform(self, call: Call) -> Response:
        """Make a planned call."""
        try:
            return self._call(call)
        except requests.RequestException as error:
            error.__dict__.setdefault("request_state", call.reached)
            raise
        finally:
            if call.seat is not None:  # taken before, and never sat in: the cache had the answer
                self._engine.flights.leave(call)

    def answer(self, call: Call, find: Callable[[], Response]) -> Response:
        """End a planned call with an answer that needs no asking: counted and heard as any."""
        return compose([self._engine.meter.time, self._hear], lambda _: find())(call)

    def merge_environment_settings(
        self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any
    ) -> Any:
        """As in requests; the environment is read again only when it has changed."""
        known = None
        if self._is_exact and proxies == {}:  # a class around us may go by something else as well
            askers, session = self._engine.identity.askers, cast(requests.Session, self)
            known = known_settings(session, askers, url, stream, verify, cert)
        if known is not None:
            return known
        merge = super().merge_environment_settings  # type: ignore[misc]
        return merge(url, proxies, stream, verify, cert)

    def _hear(self, call: Call, proceed: Proceed[Call]) -> Response:
        """Let the session's hooks see each answer of each caller once, wherever it came from."""
        response = proceed(call)
        hooks = self._heard_here(call)
        if not hooks:
            return response
        told = {name: call.arguments.get(name) for name in ("timeout", "verify", "proxies", "cert")}
        for index, hop in enumerate(response.history):
            response.history[index] = dispatch_hook("response", hooks, hop, stream=False, **told)
        return dispatch_hook("response", hooks, response, stream=False, **told)

    def _heard_here(self, call: Call) -> Any:
        """The session's hooks, if they are to hear of this call here and not deep in requests."""
        hooks = self.hooks
        return hooks if hooks and hooks.get("response") and call.key is not None else None

    def _ask(self, call: Call) -> Response:
        """Ask: with everything that requests does between a call and an exchange."""
        session, arguments = cast(requests.Session, self), call.arguments
        request = prepared(session, call)
        if request is not None:
            return self._send_prepared(call, request, options(session, call, request))
        if self._heard_here(call):
            # Hooks of a call's own replace the session's: what is shared is the answer unheard.
            arguments = {**arguments, "hooks": {"response": [_deaf]}}
        return cast(Response, super().request(**arguments))  # type: ignore[misc]

    # -- what can be asked and told --------------------------------------------------------------

    def deadline(self, seconds: float) -> Deadline:
        """For a ``with`` block: what is asked inside is answered in so many seconds, or fails."""
        return Deadline(seconds, clock=self._engine.clock)

    @property
    def _answers(self) -> KeptAnswers:
        return KeptAnswers(self._engine, as_requested(self.plan))

    def clear_cache(self) -> None:
        """Forget every kept answer."""
        self._engine.cache.keeper.clear()

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name, None) for name in self.__attrs__}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self._start(Engine(state["_settings"], breaker=state["_breaker"]))
        for name, value in state.items():
            setattr(self, name, value)
        for prefix, adapter in self.adapters.items():
            if isinstance(adapter, PoolingAdapter):
                self.adapters[prefix] = self._engine.adapter


class Session(ResilienceMixin, requests.Session):
    """A ``requests.Session`` with one engine around every call.

    >>> with Session(max_retries=5) as session:      # doctest: +SKIP
    ...     session.get("https://api.example.com/users").json()
    """

    def close(self) -> None:
        """Close the connections; as in requests, the session may be used again."""
        for adapter in {id(adapter): adapter for adapter in self.adapters.values()}.values():
            adapter.close()  # once, though ours is mounted twice
        self._engine.rest()


def _deaf(response: Response, **_: Any) -> None:
    """A hook that hears nothing."""
