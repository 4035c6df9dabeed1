"""From a request's arguments to a call: its name, if it may be shared, and its bounds."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import requests

from .checks import at_least, duration
from .deadlines import bind
from .engine import Engine
from .forks import importing
from .pipeline import Call
from .sharing import checked_share
from .terms import UNSET, Hedge, check_fallback

__all__ = ["OURS", "UNSET", "for_both", "is_exact", "planned"]


# What we take besides requests' own.
OURS = ("use_cache", "cache_ttl", "deadline", "share", "fallback", "hedge")
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
    fallback: Any = UNSET,
    hedge: Any = UNSET,
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
    call.fallback = settings.fallback
    if fallback is not UNSET:
        check_fallback(fallback)
        call.fallback = fallback
    own: Any = settings.hedge if hedge is UNSET else Hedge.of(hedge)
    call.hedge = own
    seconds = settings.deadline if deadline is None else duration("deadline", deadline)
    bind(call, seconds, engine.clock)
    call.attempt_timeout = settings.attempt_timeout
    timeout = arguments.get("timeout", UNSET)
    if timeout is UNSET:
        timeout = arguments["timeout"] = settings.timeout
    elif settings.attempt_timeout is not None:  # its timeouts bound attempts: a call's own as well
        call.attempt_timeout = _seconds(timeout)
    call.patience = _patience(timeout, call.attempt_timeout)
    # A word for a class behind us may mean anything.
    if is_exact and type(method) is str and arguments.keys() <= _KNOWN:
        call.question = engine.identity.question(session, call.method, arguments, share=share)
    if settings.idempotency_keys and method in _KEYED:
        _add_idempotency_key(session, call)
    elif method in _NAMED and call.question and _is_shareable(session, arguments):
        name = engine.identity.name_of(call.question, session, arguments)
        if name is not None:
            call.key, call.cache_key, call.share = name.key, name.cache_key, name.share
            call.headers, call.resource, call.asked = name.headers, name.resource, name.asked
    return call


def _patience(timeout: Any, bound: float | None) -> float | None:
    """Seconds of silence that a caller accepts, of requests' ``timeout`` and an attempt's bound."""
    seconds = _seconds(timeout)
    if seconds is None or bound is None:
        return bound if seconds is None else seconds
    return min(seconds, bound)


def _seconds(timeout: Any) -> float | None:
    read = timeout[-1] if isinstance(timeout, tuple) and timeout else timeout
    return read if isinstance(read, (int, float)) and read > 0 else None  # else requests will say


def _add_idempotency_key(session: requests.Session, call: Call) -> None:
    given = call.arguments.get("headers") or {}
    if not any(_lower(name) == "idempotency-key" for name in (*given, *session.headers)):
        with importing:  # and not at the head of the file: few want it, and it is slow to import
            import uuid  # noqa: PLC0415
        call.extra = ("Idempotency-Key", str(uuid.uuid4()))
        call.arguments["headers"] = {**given, call.extra[0]: call.extra[1]}


def _lower(name: Any) -> Any:
    return name.decode("latin-1").lower() if isinstance(name, bytes) else str(name).lower()


def _is_shareable(session: requests.Session, arguments: Mapping[str, Any]) -> bool:
    """Whether the call has nothing about it that is one caller's alone."""
    given = arguments.get
    if given("data") or given("files") or given("hooks") or given("json") is not None:
        return False
    return not (session.stream if given("stream") is None else given("stream"))


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


def for_both(init: Callable[..., Any], ours: Mapping[str, Any]) -> dict[str, Any]:
    """Of ``ours``, what a class behind has an argument for as well, such as ``base_url``."""
    known = inspect.signature(init).parameters if ours else {}
    return {name: value for name, value in ours.items() if name in known}
