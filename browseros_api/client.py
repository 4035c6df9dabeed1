"""JSON in, JSON out: the blocking client of one API."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from requests import RequestException, Response

from .addresses import Base
from .bodies import add_content_type, check_options, checked_headers, decoded, failure, payload
from .checks import duration
from .circuits import Circuits
from .crew import Crew
from .deadlines import Deadline
from .errors import ClientClosed
from .fallbacks import has_fallback, instead, plain
from .guard import Shown
from .journal import masked_url
from .latest import Latest
from .listeners import Listener
from .looking import Remembers
from .many import ManyCalls
from .pipeline import Call
from .plans import OURS
from .policies.backoff import retry_after
from .policies.breakers import CircuitBreaker
from .session import Session
from .settings import Settings
from .terms import UNSET
from .tracing.trace import Trace
from .verbs import Verbs, checked_method
from .watching import Watched

__all__ = ["EnhancedAPIClient"]

C = TypeVar("C", bound="EnhancedAPIClient")
E = TypeVar("E", bound=Exception)
_TIMEOUT = 30.0


class EnhancedAPIClient(ManyCalls, Remembers, Watched, Verbs[Any]):
    """A client of the API at ``base_url``: pooled, deduplicated, retried, cached, guarded.

    Args:
        base_url: such as ``"https://api.example.com/v1"``; endpoints are paths below it.
        timeout: seconds that one attempt may take by the wall clock, to the last byte; None: any.
        max_connections: connections open at once; further calls wait (see ``pool_timeout``).
        max_retries: attempts after the first.
        retry_base_delay: seconds before the first retry; doubled with each.
        retry_max_delay: seconds that a delay may have at the most.
        cache_ttl: seconds for which an answer to a GET is used again.
        enable_deduplication: whether identical calls in flight become one.
        enable_circuit_breaker: whether an endpoint that keeps failing is left alone for a while.
        headers: sent with every request.
        debug: log every attempt and decision on the logger ``browseros_api``.
        circuit_breaker: a breaker whose settings each endpoint's own breaker gets.
        options: anything else that ``Settings`` names, such as ``pool_timeout`` or ``deadline``.

    Raises:
        TypeError, ValueError: an argument is not of the kind it must be; the message names it.
    """

    _engine: Any = Shown("_session.engine")

    def __init__(
        self, base_url: str, timeout: float | None = _TIMEOUT, max_connections: int = 100,
        max_retries: int = 3, retry_base_delay: float = 1.0, retry_max_delay: float = 32.0,
        cache_ttl: float = 300.0, enable_deduplication: bool = True,
        enable_circuit_breaker: bool = True, headers: Mapping[str, str] | None = None,
        debug: bool = False, *, circuit_breaker: CircuitBreaker | None = None, **options: Any,
    ) -> None:  # fmt: skip
        self._base: Base = Base(base_url)
        bound = _bound(timeout, options.get("deadline"))
        given = checked_headers(headers)
        Settings.check_names(options)
        if circuit_breaker is not None and not isinstance(circuit_breaker, CircuitBreaker):
            raise TypeError(f"circuit_breaker must be a CircuitBreaker, not {circuit_breaker!r}")
        self._session: Session = Session(
            circuit_breaker=circuit_breaker,
            **{"cache_mode": "ttl", "idempotency_keys": True, "attempt_timeout": bound, **options},
            timeout=bound, max_connections=max_connections, max_retries=max_retries,
            retry_base_delay=retry_base_delay, retry_max_delay=retry_max_delay,
            cache_ttl=cache_ttl, enable_deduplication=enable_deduplication,
            enable_circuit_breaker=enable_circuit_breaker, debug=debug, base_url=self._base.url,
        )  # fmt: skip
        self._session.headers.update(given)
        self._crew = Crew(max_connections)
        self._latest = Latest()
        self._closed = False

    # -- life ------------------------------------------------------------------------------------

    @property
    def base_url(self) -> str:
        """What endpoints are relative to, without a slash at its end."""
        return self._base.url

    @property
    def session(self) -> Session:
        """The session underneath: for cookies, auth, proxies, adapters."""
        return self._session

    def start(self: C) -> C:
        """Nothing to do, everything starts when it is needed; an error if the client is closed."""
        self._check_open()
        return self

    def close(self) -> None:
        """For good; it may be called again.

        Calls that wait for their next attempt raise ``ClientClosed``, attempts that are on their
        way may end, what was submitted and has not begun is cancelled, idle connections close.
        """
        self._closed = True
        self._session.engine.close()
        self._crew.dismiss()
        self._session.close()

    def __enter__(self: C) -> C:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check_open(self) -> None:
        if self._closed:
            raise ClientClosed(f"{self!r} was closed; make a new one")

    def deadline(self, seconds: float) -> Deadline:
        """For a ``with`` block, as ``Session.deadline``."""
        return self._session.deadline(seconds)

    def on(self, event: str, callback: Listener) -> Callable[[], None]:
        """Call ``callback`` with one object at each ``event``, as ``Session.on``."""
        return self._session.on(event, callback)

    # -- one call --------------------------------------------------------------------------------

    def request(
        self, method: str, endpoint: str, params: Any = None, data: Any = None,
        headers: Mapping[str, str] | None = None, *, json: Any = None, files: Any = None,
        use_cache: bool = True, cache_ttl: float | None = None, deadline: float | None = None,
        share: str | None = None, fallback: Any = UNSET, hedge: Any = UNSET, **arguments: Any,
    ) -> Any:  # fmt: skip
        """Make one call and decode its answer.

        Args:
            method: any HTTP method.
            endpoint: path below ``base_url``, or a URL of its origin.
            params: query parameters.
            data: a dict or list is sent as JSON; str, bytes, files and iterators as they are.
            headers: on top of the client's own.
            json, files: as in requests.
            use_cache: False neither looks into the cache nor keeps the answer.
            cache_ttl: seconds to keep the answer, instead of the client's ``cache_ttl``.
            deadline: seconds that the whole call may take, with all its attempts and delays.
            share: names whose answer it is, for all who give the same name.
            fallback: what to return instead of an error, or a function of ``(error, asked)``.
            hedge: when to ask a second time beside it: seconds, "p95" or ``Hedge``; None: never.
            arguments: auth, cookies, timeout, allow_redirects, proxies, hooks, verify, cert.

        Returns:
            The decoded JSON; a str for ``text/*``; None for an empty body; bytes for anything else.

        Raises:
            requests.HTTPError: a status from 400 on; the answer is its ``.response``.
            requests.RequestException: what the network or the server did; see ``errors``.
            TypeError, ValueError: what is wrong with an argument; nothing is sent.
        """
        self._check_open()
        return self._made(self._planned(
            method, endpoint, params=params, data=data, headers=headers, json=json, files=files,
            use_cache=use_cache, cache_ttl=cache_ttl, deadline=deadline, share=share,
            fallback=fallback, hedge=hedge, **arguments,
        ))  # fmt: skip

    def _planned(
        self, method: str, endpoint: str, *, data: Any = None, json: Any = None, files: Any = None,
        headers: Mapping[str, str] | None = None, **options: Any,
    ) -> Call:  # fmt: skip
        """The call that ``request`` makes of these; errors name the argument that is wrong."""
        ours = {name: options.pop(name) for name in OURS if name in options}
        check_options(options)
        given = checked_headers(headers)
        body, is_json = payload(data, json, files)
        add_content_type(given, self._session.headers, is_json=is_json, is_form=bool(files))
        asked = {"method": checked_method(method), "url": self._base.join(endpoint)}
        return self._session.plan({**asked, "headers": given or None, **body, **options}, **ours)

    @property
    def last_trace(self) -> Trace | None:
        """What happened to the last call that this thread has made with this client."""
        return self._latest.trace

    def _made(self, call: Call, ask: Callable[[], Any] | None = None) -> Any:
        self._check_open()
        try:
            return self._useful(self._session.perform(call), call) if ask is None else ask()
        except RequestException as error:
            self._latest.of_error(error)
            if not has_fallback(call, error):
                raise
            return plain(instead(self._session.engine, call, error))

    def _useful(self, response: Response, call: Call | None = None) -> Any:
        """What the caller gets of an answer."""
        self._latest.of_response(response)
        engine = self._session.engine
        if response.status_code >= 400:
            seconds = retry_after(response.headers.get("Retry-After"), now=engine.wall())
            raise _traced(failure(response, retry_after=seconds), response)
        try:
            return decoded(response)
        except Exception as error:
            _traced(error, response)
            engine.meter.disappoint()
            if call is not None and call.cache_key is not None:
                engine.cache.answers.delete(call.cache_key)  # it would be as broken the next time
            raise

    # -- what can be asked and told --------------------------------------------------------------

    @property
    def circuits(self) -> Circuits:
        """The circuits of the endpoints: to look at, and to switch by hand."""
        return Circuits(self._session.engine, self._base.join)

    def __repr__(self) -> str:
        state = "closed" if self._closed else "open"
        return f"<EnhancedAPIClient [{masked_url(self.base_url)}: {state}]>"


def _traced(error: E, response: Response) -> E:
    error.__dict__["trace"] = getattr(response, "trace", None)
    return error


def _bound(timeout: Any, deadline: Any) -> float | None:
    """Seconds that an attempt may take: a default gives way to a shorter deadline."""
    seconds, whole = duration("timeout", timeout), duration("deadline", deadline)
    if seconds is None or whole is None or seconds <= whole:
        return seconds
    if seconds != _TIMEOUT:
        raise ValueError(f"timeout ({seconds:g}) must not be more than deadline ({whole:g})")
    return whole
