"""JSON in, JSON out: the blocking client of one API."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Any, Literal, TypeVar

from requests import Response
from requests.utils import check_header_validity

from .addresses import Base
from .batches import fetch
from .bodies import as_json, decoded, encoded, failure
from .errors import ClientClosed
from .pipeline import Call
from .policies.backoff import retry_after
from .policies.breakers import CircuitBreaker
from .session import Session
from .settings import duration
from .verbs import Verbs

__all__ = ["EnhancedAPIClient"]

C = TypeVar("C", bound="EnhancedAPIClient")
_OURS = ("use_cache", "cache_ttl", "deadline")  # what Session.request takes besides requests' own


class EnhancedAPIClient(Verbs[Any]):
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

    def __init__(
        self, base_url: str, timeout: float | None = 30.0, max_connections: int = 100,
        max_retries: int = 3, retry_base_delay: float = 1.0, retry_max_delay: float = 32.0,
        cache_ttl: float = 300.0, enable_deduplication: bool = True,
        enable_circuit_breaker: bool = True, headers: Mapping[str, str] | None = None,
        debug: bool = False, *, circuit_breaker: CircuitBreaker | None = None, **options: Any,
    ) -> None:  # fmt: skip
        self._base = Base(base_url)
        bound = duration("timeout", timeout)
        given = _checked_headers(headers)
        if circuit_breaker is not None and not isinstance(circuit_breaker, CircuitBreaker):
            raise TypeError(f"circuit_breaker must be a CircuitBreaker, not {circuit_breaker!r}")
        self._session = Session(
            circuit_breaker=circuit_breaker,
            **{"cache_mode": "ttl", "idempotency_keys": True, "attempt_timeout": bound, **options},
            timeout=bound, max_connections=max_connections, max_retries=max_retries,
            retry_base_delay=retry_base_delay, retry_max_delay=retry_max_delay,
            cache_ttl=cache_ttl, enable_deduplication=enable_deduplication,
            enable_circuit_breaker=enable_circuit_breaker, debug=debug, base_url=self._base.url,
        )  # fmt: skip
        self._session.headers.update(given)
        self._lock = threading.Lock()
        self._executor: ThreadPoolExecutor | None = None
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
        """For good: connections close, calls that wait for their next attempt end; idempotent."""
        with self._lock:
            self._closed = True
            executor, self._executor = self._executor, None
        self._session.engine.close()
        if executor is not None:
            executor.shutdown(wait=False, cancel_futures=True)
        self._session.close()

    def __enter__(self: C) -> C:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check_open(self) -> None:
        if self._closed:
            raise ClientClosed(f"this client of {self.base_url} is closed; make a new one")

    # -- one call --------------------------------------------------------------------------------

    def request(
        self, method: str, endpoint: str, params: Any = None, data: Any = None,
        headers: Mapping[str, str] | None = None, *, json: Any = None, files: Any = None,
        use_cache: bool = True, cache_ttl: float | None = None, deadline: float | None = None,
        **arguments: Any,
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
            arguments: what else ``requests.Session.request`` takes (auth, cookies, verify, ...).

        Returns:
            The decoded JSON; a str for ``text/*``; None for an empty body; bytes for anything else.

        Raises:
            requests.HTTPError: a status from 400 on; the answer is its ``.response``.
            requests.RequestException: what the network or the server did; see ``errors``.
            ClientClosed: the client is closed.
        """
        self._check_open()
        call = self._planned(
            method, endpoint, params=params, data=data, headers=headers, json=json, files=files,
            use_cache=use_cache, cache_ttl=cache_ttl, deadline=deadline, **arguments,
        )  # fmt: skip
        return self._useful(self._session.perform(call))

    def _planned(self, method: str, endpoint: str, **arguments: Any) -> Call:
        asked = self._asked(method, endpoint, **arguments)
        ours = {name: asked.pop(name) for name in _OURS if name in asked}
        return self._session.plan(asked, **ours)

    def _asked(
        self, method: str, endpoint: str, *, data: Any = None, json: Any = None,
        headers: Mapping[str, str] | None = None, **arguments: Any,
    ) -> dict[str, Any]:  # fmt: skip
        """What the session is asked for this call; errors name the argument that is wrong."""
        if not isinstance(method, str) or not method:
            raise TypeError(f"method must be a str such as 'GET', not {method!r}")
        arguments = {name: value for name, value in arguments.items() if value is not None}
        given = _checked_headers(headers)
        if data is not None and json is not None:
            raise TypeError("data and json cannot both be given")
        if arguments.get("files"):
            arguments["data"] = data
        else:
            body, is_json = (as_json("json", json), True) if json is not None else encoded(data)
            arguments["data"] = body
            if is_json and not _names(given, self._session.headers, "content-type"):
                given["Content-Type"] = "application/json"
        return {
            "method": method, "url": self._base.join(endpoint), "headers": given or None,
            **arguments,
        }  # fmt: skip

    def _useful(self, response: Response) -> Any:
        """What the caller gets of an answer."""
        if response.status_code >= 400:
            engine = self._session.engine
            seconds = retry_after(response.headers.get("Retry-After"), now=engine.wall())
            raise failure(response, retry_after=seconds)
        try:
            return decoded(response)
        except Exception:
            self._session.engine.meter.disappoint()
            raise

    # -- many calls ------------------------------------------------------------------------------

    def submit(self, method: str, endpoint: str, **arguments: Any) -> Future[Any]:
        """``request`` on a thread of the client's own; the result comes through the Future."""
        self._check_open()
        context = copy_context()
        with self._lock:
            if self._executor is None:
                self._executor = ThreadPoolExecutor(
                    self._session.settings.max_connections, thread_name_prefix="browseros_api"
                )
            executor = self._executor
        return executor.submit(context.run, partial(self.request, method, endpoint, **arguments))

    def get_many(
        self, endpoints: Iterable[Any], *, max_workers: int | None = None, ordered: bool = True,
        on_error: Literal["raise", "return", "skip"] = "raise", progress: bool = False,
        **arguments: Any,
    ) -> Iterator[Any]:  # fmt: skip
        """GET many endpoints at once, lazily: only a window of them is in memory at any time.

        Args:
            endpoints: any iterable of endpoints; an item may also be a dict of ``get`` arguments,
                such as ``{"endpoint": "/users", "params": {"page": 2}}``.
            max_workers: threads (default: 32, or ``max_connections`` if that is less).
            ordered: results in the order of ``endpoints``; otherwise as they come in.
            on_error: ``"raise"`` ends the batch, ``"return"`` puts the exception in the result's
                place, ``"skip"`` leaves it out.
            progress: show a tqdm bar (extra ``progress``).
            arguments: for every ``get``.

        Returns:
            An iterator of decoded answers.  Closing it, or an error, cancels what has not begun.
        """
        self._check_open()
        workers = min(32, self._session.settings.max_connections)
        return fetch(
            self.get, endpoints, arguments, ordered=ordered, on_error=on_error, progress=progress,
            max_workers=workers if max_workers is None else max_workers,
        )  # fmt: skip

    # -- what can be asked and told --------------------------------------------------------------

    def get_stats(self) -> dict[str, Any]:
        """Figures since the client was made: the nine of the overview, and more."""
        return self._session.get_stats()

    def get_circuit_breaker_status(self) -> dict[str, dict[str, Any]]:
        """``{endpoint: {"state": ..., "failure_count": ..., "last_failure_time": ...}}``."""
        return self._session.get_circuit_breaker_status()

    def clear_cache(self) -> None:
        """Forget every kept answer."""
        self._session.clear_cache()

    def cache_key(self, endpoint: str, **arguments: Any) -> str | None:
        """The key under which ``get(endpoint, **arguments)`` is kept; None if it is not shared."""
        return self._planned("GET", endpoint, **arguments).key

    def get_cached(self, endpoint: str, **arguments: Any) -> Any:
        """What ``get(endpoint, **arguments)`` would be answered from the cache; None if nothing."""
        return self._get_cached(self.cache_key(endpoint, **arguments))

    def _get_cached(self, key: str | None) -> Any:
        entry = None if key is None else self._session.engine.cache.answers.get(key)
        return None if entry is None else decoded(entry.snapshot.replica(from_cache=True))

    def __repr__(self) -> str:
        state = "closed" if self._closed else "open"
        return f"<EnhancedAPIClient [{self.base_url}: {state}]>"


def _checked_headers(headers: Mapping[str, str] | None) -> dict[str, str]:
    if headers is None:
        return {}
    if not isinstance(headers, Mapping):
        raise TypeError(f"headers must be a mapping of str to str, not {type(headers).__name__}")
    for name, value in headers.items():
        if value is not None:
            _check_header(name, value)
    return dict(headers)


def _check_header(name: Any, value: Any) -> None:
    kind: Callable[..., Exception] = ValueError
    try:
        check_header_validity((name, value))
    except Exception as error:
        if not isinstance(name, (str, bytes)) or not isinstance(value, (str, bytes)):
            kind = TypeError
        raise kind(f"headers: {name!r} must be a header of text without line breaks") from error


def _names(*headers: Any) -> bool:
    *mappings, wanted = headers
    return any(name.lower() == wanted for mapping in mappings for name in mapping)
