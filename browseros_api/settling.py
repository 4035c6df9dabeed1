"""What settings may be: each by itself, and all of them together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from .checks import (
    at_least,
    check_store,
    check_timeout,
    checked_keys,
    duration,
    one_of,
    whole,
)
from .sharing import checked_shares
from .terms import (
    AdaptiveLimit,
    Bulkhead,
    CircuitTerms,
    Hedge,
    Heed,
    RetryBudget,
    check_fallback,
    checked_rates,
)

__all__ = ["settled"]

_MOST_CONNECTIONS = 65_535  # each needs a port, and urllib3 a place in a queue made beforehand

_BOUNDS = ("attempt_timeout", "deadline", "pool_timeout")  # None: no bound
_PERIODS = ("keepalive_timeout", "recovery_timeout", "store_timeout")
_SECONDS = ("dns_cache_ttl", "retry_base_delay", "retry_max_delay", "cache_ttl", "stale_if_error")
_COUNTS = (
    *("max_connections", "cache_max_entries", "cache_max_bytes", "cache_max_entry_bytes"),
    *("failure_threshold", "half_open_max_calls", "max_endpoints"),
)
_COUNTS_OR_NONE = ("max_connections_per_host", "max_response_bytes")
_SWITCHES = (
    *("enable_cache", "enable_deduplication", "enable_circuit_breaker"),
    *("idempotency_keys", "debug"),
)
_CHOICES = {"jitter": ("proportional", "full"), "cache_mode": ("ttl", "rfc")}
_CALLABLES = ("on_retry", "endpoint_key", "clock", "sleep", "random")
_KINDS: dict[str, type] = {  # or None
    "base_url": str,
    "circuit": CircuitTerms,
    "retry_budget": RetryBudget,
}
_SWITCHES_OR_TERMS: dict[str, type] = {"heed_limits": Heed, "adaptive_limit": AdaptiveLimit}
_ORDERED = (  # the first of each two is a part of the second
    ("attempt_timeout", "deadline"),
    ("pool_timeout", "deadline"),
    ("retry_base_delay", "retry_max_delay"),
    ("max_connections_per_host", "max_connections"),
    ("cache_max_entry_bytes", "cache_max_bytes"),
    ("recovery_timeout", "circuit.longest_recovery"),
    ("circuit.slow_call", "attempt_timeout"),
    ("circuit.slow_call", "deadline"),
)


def settled(settings: Any) -> Iterator[tuple[str, object]]:
    """What is to be set in place of what was given; an error that names what cannot be."""
    for name in _BOUNDS:
        yield name, duration(name, getattr(settings, name))
    for name in _PERIODS:
        yield name, duration(name, getattr(settings, name), optional=False)
    for name in _SECONDS:
        yield name, at_least(name, getattr(settings, name))
    yield "hedge", Hedge.of(settings.hedge)
    yield "share", None if settings.share is None else checked_shares(settings.share)
    yield "rate_limit", checked_rates(settings.rate_limit)
    yield "store_key", checked_keys("store_key", settings.store_key)
    check_timeout(settings.timeout)
    check_store(settings.store)
    check_fallback(settings.fallback)
    _check_numbers(settings)
    _check_kinds(settings)
    _refuse_contradictions(settings)


def _check_numbers(settings: Any) -> None:
    whole("max_retries", settings.max_retries, least=0)
    for name in _COUNTS:
        whole(name, getattr(settings, name), least=1)
    for name in _COUNTS_OR_NONE:
        if getattr(settings, name) is not None:
            whole(name, getattr(settings, name), least=1)
    if settings.max_connections > _MOST_CONNECTIONS:
        raise ValueError(f"max_connections must be at most {_MOST_CONNECTIONS}")


def _check_kinds(settings: Any) -> None:
    for name in _SWITCHES:
        if not isinstance(getattr(settings, name), bool):
            raise TypeError(f"{name} must be True or False, not {getattr(settings, name)!r}")
    for name, allowed in _CHOICES.items():
        one_of(name, getattr(settings, name), allowed)
    for name in _CALLABLES:
        if getattr(settings, name) is not None and not callable(getattr(settings, name)):
            raise TypeError(f"{name} must be callable, not {getattr(settings, name)!r}")
    for name, kind in _SWITCHES_OR_TERMS.items():
        if not isinstance(value := getattr(settings, name), (bool, kind)):
            raise TypeError(f"{name} must be True, False or {kind.__name__}(...), not {value!r}")
    if not isinstance(settings.bulkhead, (Bulkhead, type(None))):
        whole("bulkhead", settings.bulkhead, least=1)
    for name, kind in _KINDS.items():
        if not isinstance(value := getattr(settings, name), (kind, type(None))):
            article = "an" if kind.__name__[0] in "AEIOU" else "a"
            raise TypeError(f"{name} must be {article} {kind.__name__} or None, not {value!r}")


def _refuse_contradictions(settings: Any) -> None:
    """What was asked for must be possible together; a default gives way to what was asked."""
    _refuse_late_hedges(settings)
    _refuse_long_waits(settings)
    defaults = {field.name: field.default for field in fields(settings)}
    for low, high in _ORDERED:
        least, most = _value(settings, low), _value(settings, high)
        if least is None or most is None or least <= most:
            continue
        if least != defaults.get(low) and most != defaults.get(high):
            raise ValueError(f"{low} ({least:g}) must not be more than {high} ({most:g})")


def _value(settings: Any, name: str) -> Any:
    for part in name.split("."):  # of terms that may not have been given
        settings = getattr(settings, part, None)
    return settings


def _refuse_late_hedges(settings: Any) -> None:
    after = None if settings.hedge is None else settings.hedge.seconds
    for name in ("attempt_timeout", "deadline"):
        most = getattr(settings, name)
        if after is not None and most is not None and after >= most:
            raise ValueError(f"hedge ({after:g}) must be less than {name} ({most:g})")


def _refuse_long_waits(settings: Any) -> None:
    most, rates = settings.deadline, settings.rate_limit
    limits = {name: getattr(settings, name) for name in ("bulkhead", "adaptive_limit")}
    each = rates.items() if isinstance(rates, dict) else ()
    limits |= {f"rate_limit[{name!r}]": rate for name, rate in each} or {"rate_limit": rates}
    for name, terms in limits.items():
        wait = getattr(terms, "wait", True)
        if not isinstance(wait, bool) and most is not None and wait > most:
            raise ValueError(f"{name}.wait ({wait:g}) must not be more than deadline ({most:g})")
