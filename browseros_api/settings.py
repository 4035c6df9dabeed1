"""Everything that can be set, checked once and then never changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal

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

__all__ = ["RetryBudget", "Settings", "Timeouts"]

Timeouts = float | tuple[float | None, float | None] | None

_MOST_CONNECTIONS = 65_535  # each needs a port, and urllib3 a place in a queue made beforehand


@dataclass(frozen=True, kw_only=True)
class RetryBudget:
    """How many retries a host gets, of all calls of a session together.

    Attributes:
        ratio: of a retry, for each call.
        per_second: retries, for each second from one good answer of the host to the next.
        reserve: what a host has at first, and so many can be saved at most.
    """

    ratio: float = 0.2
    per_second: float = 10.0
    reserve: int = 100

    def __post_init__(self) -> None:
        at_least("ratio", self.ratio)
        at_least("per_second", self.per_second)
        whole("reserve", self.reserve, least=1)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What a session is told when it is made.  Seconds everywhere, bytes for sizes.

    Attributes:
        timeout: requests' own meaning, per connect and per read: seconds, or ``(connect, read)``.
        attempt_timeout: bound of one attempt by the wall clock, from connecting to the last byte.
        deadline: bound of a whole call: waiting, every attempt, every sleep.
        max_connections: connections open at once, in total.
        max_connections_per_host: the same for one scheme, host and port (default: the total).
        pool_timeout: how long a call waits for a connection; ``None`` waits for ever.
        keepalive_timeout: after how long an idle connection is closed.
        dns_cache_ttl: how long a looked-up address is used again; 0 looks up each time.
        max_retries: attempts after the first one; 0 switches retries off.
        retry_base_delay: delay before the first retry; it doubles with each further one.
        retry_max_delay: bound of the doubling, and of a Retry-After that is still obeyed.
        jitter: ``"proportional"`` (10 % either way) or ``"full"`` (anything from 0 to the delay).
        retry_budget: how many retries a host gets, a ``RetryBudget``; ``None``: any number.
        on_retry: called before each delay with ``(attempt, delay, error_or_response)``.
        enable_cache: whether answers are kept at all.
        cache_mode: ``"ttl"`` keeps for ``cache_ttl``, ``"rfc"`` only what the server allows.
        cache_ttl: how long an answer is kept in TTL mode if neither call nor server say more.
        stale_if_error: how long an answer that is no longer fresh may still be used where asking
            fails: no connection, a timeout, a status from 500 on, an open circuit; 0 never.
        share: URL patterns, and under which name their answers are shared by all who ask.
        cache_max_entries: bound of the number of answers kept.
        cache_max_bytes: bound of their size together.
        cache_max_entry_bytes: an answer larger than this is not kept.
        store: where answers are kept: ``"memory://"``, ``"sqlite:///a.db"``, ``"redis://host/0"``.
        store_timeout: how long a call waits for a store outside of memory, at each step.
        store_key: a Fernet key that encrypts what is kept there, or several that can read it.
        enable_deduplication: whether identical calls in flight become one.
        enable_circuit_breaker: whether an endpoint that keeps failing is left alone for a while.
        failure_threshold: consecutive failures that open an endpoint's circuit.
        recovery_timeout: how long it then stays open.
        half_open_max_calls: trial calls after that; all of them must succeed.
        max_endpoints: how many endpoints have a breaker of their own (the latest used).
        endpoint_key: names the endpoint of a ``(method, url)``, instead of the folded path.
        base_url: what endpoint names are relative to.
        idempotency_keys: whether POST and PATCH get an ``Idempotency-Key`` where they have none.
        max_response_bytes: an answer whose decoded body is larger is refused.
        debug: whether each attempt and decision is logged.
        clock: monotonic seconds; sleep, random: likewise injected by tests.
    """

    timeout: Any = (10.0, 30.0)
    attempt_timeout: float | None = None
    deadline: float | None = None
    max_connections: int = 100
    max_connections_per_host: int | None = None
    pool_timeout: float | None = 30.0
    keepalive_timeout: float = 30.0
    dns_cache_ttl: float = 300.0
    max_retries: int = 3
    retry_base_delay: float = 1.0
    retry_max_delay: float = 32.0
    jitter: Literal["proportional", "full"] = "proportional"
    retry_budget: RetryBudget | None = RetryBudget()
    on_retry: Callable[[int, float, Any], object] | None = None
    enable_cache: bool = True
    cache_mode: Literal["ttl", "rfc"] = "rfc"
    cache_ttl: float = 300.0
    stale_if_error: float = 0.0
    share: Mapping[str, str] | None = field(default=None, hash=False)
    cache_max_entries: int = 1024
    cache_max_bytes: int = 64 * 1024 * 1024
    cache_max_entry_bytes: int = 5 * 1024 * 1024
    store: str = field(default="memory://", repr=False)  # it may hold a password
    store_timeout: float = 0.05
    store_key: str | bytes | Sequence[str | bytes] | None = field(default=None, repr=False)
    enable_deduplication: bool = True
    enable_circuit_breaker: bool = True
    failure_threshold: int = 5
    recovery_timeout: float = 60.0
    half_open_max_calls: int = 3
    max_endpoints: int = 1024
    endpoint_key: Callable[[str, str], str] | None = None
    base_url: str | None = field(default=None, repr=False)  # it may hold a password
    idempotency_keys: bool = False
    max_response_bytes: int | None = None
    debug: bool = False
    clock: Callable[[], float] | None = None
    sleep: Callable[[float], object] | None = None
    random: Callable[[], float] | None = None

    def __post_init__(self) -> None:
        for name in ("attempt_timeout", "deadline", "pool_timeout"):
            self._set(name, duration(name, getattr(self, name)))
        for name in ("keepalive_timeout", "recovery_timeout", "store_timeout"):
            self._set(name, duration(name, getattr(self, name), optional=False))
        for name in _SECONDS:
            self._set(name, at_least(name, getattr(self, name)))
        whole("max_retries", self.max_retries, least=0)
        for name in _COUNTS:
            whole(name, getattr(self, name), least=1)
        if self.max_connections > _MOST_CONNECTIONS:
            raise ValueError(f"max_connections must be at most {_MOST_CONNECTIONS}")
        for name in ("max_connections_per_host", "max_response_bytes"):
            if getattr(self, name) is not None:
                whole(name, getattr(self, name), least=1)
        for name in _SWITCHES:
            if not isinstance(getattr(self, name), bool):
                raise TypeError(f"{name} must be True or False, not {getattr(self, name)!r}")
        one_of("jitter", self.jitter, ("proportional", "full"))
        one_of("cache_mode", self.cache_mode, ("ttl", "rfc"))
        for name in ("on_retry", "endpoint_key", "clock", "sleep", "random"):
            if getattr(self, name) is not None and not callable(getattr(self, name)):
                raise TypeError(f"{name} must be callable, not {getattr(self, name)!r}")
        if self.base_url is not None and not isinstance(self.base_url, str):
            raise TypeError(f"base_url must be a str or None, not {self.base_url!r}")
        if not (self.retry_budget is None or isinstance(self.retry_budget, RetryBudget)):
            raise TypeError(
                f"retry_budget must be a RetryBudget or None, not {self.retry_budget!r}"
            )
        check_timeout(self.timeout)
        if self.share is not None:
            self._set("share", checked_shares(self.share))
        check_store(self.store)
        self._set("store_key", checked_keys("store_key", self.store_key))
        self._refuse_contradictions()

    def _refuse_contradictions(self) -> None:
        """What was asked for must be possible together; a default gives way to what was asked."""
        defaults = {field.name: field.default for field in fields(self)}
        for low, high in _ORDERED:
            least, most = getattr(self, low), getattr(self, high)
            if least is None or most is None or least <= most:
                continue
            if least != defaults[low] and most != defaults[high]:
                raise ValueError(f"{low} ({least:g}) must not be more than {high} ({most:g})")

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)  # frozen for everybody else

    @classmethod
    def names(cls) -> frozenset[str]:
        """The names of all settings."""
        return frozenset(field.name for field in fields(cls))

    @classmethod
    def check_names(cls, options: Mapping[str, Any]) -> None:
        """Raise unless all ``options`` are settings."""
        if unknown := sorted(options.keys() - cls.names()):
            allowed = ", ".join(sorted(cls.names()))
            raise TypeError(f"there is no option {unknown[0]!r}; there are {allowed}")

    @classmethod
    def split(cls, options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """``options`` that are settings, and those that are not."""
        known = cls.names()
        ours = {name: value for name, value in options.items() if name in known}
        return ours, {name: value for name, value in options.items() if name not in known}


_SECONDS = ("dns_cache_ttl", "retry_base_delay", "retry_max_delay", "cache_ttl", "stale_if_error")
_COUNTS = (
    "max_connections",
    "cache_max_entries",
    "cache_max_bytes",
    "cache_max_entry_bytes",
    "failure_threshold",
    "half_open_max_calls",
    "max_endpoints",
)
_ORDERED = (  # the first of each two is a part of the second
    ("attempt_timeout", "deadline"),
    ("pool_timeout", "deadline"),
    ("retry_base_delay", "retry_max_delay"),
    ("max_connections_per_host", "max_connections"),
    ("cache_max_entry_bytes", "cache_max_bytes"),
)
_SWITCHES = (
    "enable_cache",
    "enable_deduplication",
    "enable_circuit_breaker",
    "idempotency_keys",
    "debug",
)
