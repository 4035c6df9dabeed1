"""From a request's arguments to a call: its name, if it may be shared, and its bounds."""

from __future__ import annotations

import inspect
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import requests

from .checks import at_least, duration
from .engine import Engine
from .pipeline import Call
from .sharing import checked_share

__all__ = ["OURS", "UNSET", "is_exact", "planned"]


class _Unset:
    """Nothing was said; ``None`` says something: no timeout."""

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Any = _Unset()
OURS = ("use_cache", "cache_ttl", "deadline", "share")  # what we take besides requests' own
_KEYED = frozenset({"POST", "PATCH"})  # what is not idempotent, and can be made so
_NAMED = frozenset({"GET", "HEAD"})
_STOCK = requests.Session  # the name may be given to a class of ours later
_CHANGING = (
    *("prepare_request", "merge_environment_settings", "send", "get_adapter"),
    *("resolve_redirects", "rebuild_auth", "rebuild_proxies", "should_strip_auth"),
)
_KNOWN = frozenset(inspect.signature(requests.Session.request).parameters)


def planned(
    session: requests.Session,
    engine: Engine,
    arguments: dict[str, Any],
    *,
    is_exact: bool = True,
    use_cache: bool = True,
    cache_ttl: float | None = None,
    deadline: float | None = None,
    share: str | None = None,
) -> Call:
    """The call that ``session.request(**arguments)`` is to be."""
    settings = engine.settings
    method = arguments["method"].upper()  # None has no such method: the same error as in requests
    call = Call(str(method), str(arguments["url"]), arguments)
    if not isinstance(use_cache, bool):
        raise TypeError(f"use_cache must be True or False, not {use_cache!r}")
    call.use_cache = use_cache
    if cache_ttl is not None:
        call.cache_ttl = at_least("cache_ttl", cache_ttl)
    if share is not None:
        share = checked_share(share)
    seconds = settings.deadline if deadline is None else duration("deadline", deadline)
    if seconds is not None:
        call.deadline = engine.clock() + seconds
    call.attempt_timeout = settings.attempt_timeout
    timeout = arguments.get("timeout", UNSET)
    if timeout is UNSET:
        timeout = arguments["timeout"] = settings.timeout
    elif settings.attempt_timeout is not None:  # its timeouts bound attempts: a call's own as well
        call.attempt_timeout = _seconds(timeout)
    call.patience = _patience(timeout, call.attempt_timeout)
    if settings.idempotency_keys and method in _KEYED:
        _add_idempotency_key(session, arguments)
    elif method in _NAMED and is_exact and _is_shareable(session, arguments):
        name = engine.identity.name(session, call.method, arguments, share=share)
        if name is not None:
            call.key, call.cache_key = name.key, name.cache_key
            call.headers, call.resource, call.asked = name.headers, name.resource, name.asked
    return call


def _patience(timeout: Any, bound: float | None) -> float | None:
    """Seconds of silence that a caller accepts, of requests' ``timeout`` and an attempt's bound."""
    bounds = [seconds for seconds in (_seconds(timeout), bound) if seconds is not None]
    return min(bounds, default=None)


def _seconds(timeout: Any) -> float | None:
    read = timeout[-1] if isinstance(timeout, tuple) and timeout else timeout
    return read if isinstance(read, (int, float)) and read > 0 else None  # else requests will say


def _add_idempotency_key(session: requests.Session, arguments: dict[str, Any]) -> None:
    given = arguments.get("headers") or {}
    if not any(_lower(name) == "idempotency-key" for name in (*given, *session.headers)):
        arguments["headers"] = {**given, "Idempotency-Key": str(uuid.uuid4())}


def _lower(name: Any) -> Any:
    return name.decode("latin-1").lower() if isinstance(name, bytes) else str(name).lower()


def _is_shareable(session: requests.Session, arguments: Mapping[str, Any]) -> bool:
    """Whether the call has nothing about it that is one caller's alone."""
    given = arguments.get
    if given("data") or given("files") or given("hooks") or given("json") is not None:
        return False
    if session.stream if given("stream") is None else given("stream"):
        return False
    return arguments.keys() <= _KNOWN  # a word for a class behind us may mean anything


def is_exact(kind: type, door: type) -> bool:
    """Whether no other class around ``door`` changes requests on their way.

    One that does may make the caller somebody in a way that no argument shows; then the name that
    is given to a call before it is prepared would not be exact.
    """
    line = kind.__mro__
    behind = [owner for owner in line[line.index(door) :] if not issubclass(door, owner)]
    changers = [
        *[_first(line, name) for name in _CHANGING],
        *[_first(behind, name) for name in ("request", *_CHANGING)],
    ]
    return all(issubclass(_STOCK, owner) or issubclass(door, owner) for owner in changers)


def _first(line: Sequence[type], name: str) -> type:
    return next((owner for owner in line if name in owner.__dict__), object)
