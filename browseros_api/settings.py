"""Everything that can be set, checked once and then never changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from .settling import settled
from .terms import UNSET, AdaptiveLimit, Bulkhead, CircuitTerms, Hedge, Heed, RateLimit, RetryBudget

__all__ = ["Settings", "Timeouts"]

Timeouts = float | tuple[float | None, float | None] | None


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
        hedge: when what is slow is asked a second time, a ``Hedge``, or its ``after`` alone.
        on_retry: called before each delay with ``(attempt, delay, error_or_response)``.
        enable_cache: whether answers are kept at all.
        cache_mode: ``"ttl"`` keeps for ``cache_ttl``, ``"rfc"`` only what the server allows.
        cache_ttl: how long an answer is kept in TTL mode if neither call nor server say more.
        stale_if_error: how long an answer that is no longer fresh may still be used where asking
            fails: no connection, a timeout, a status from 500 on, an open circuit, a limit that
            lets nothing through; 0 never.
        fallback: what is used instead of an error, or a function of ``(error, asked)`` that tells.
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
        circuit: what else opens circuits, and for how long, ``CircuitTerms``; ``None``: nothing.
        max_endpoints: how many endpoints have a breaker of their own (the latest used).
        endpoint_key: names the endpoint of a ``(method, url)``, instead of the folded path.
        rate_limit: how often a host may be asked: ``"10/second"``, a ``RateLimit``, or a mapping of
            URL patterns to them, of which the first that fits counts; ``None``: any number.
        bulkhead: how many requests of an endpoint are under way at once, or a ``Bulkhead``.
        heed_limits: whether what servers announce (``RateLimit``, ``Retry-After``) holds for all
            calls to them, or on which terms, a ``Heed``.
        adaptive_limit: whether a host is asked as much at once as it bears, or an
            ``AdaptiveLimit``.
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
    retry_budget: RetryBudget | None = RetryBudget()  # noqa: RUF009  (frozen)
    hedge: Hedge | float | str | None = None
    on_retry: Callable[[int, float, Any], object] | None = None
    enable_cache: bool = True
    cache_mode: Literal["ttl", "rfc"] = "rfc"
    cache_ttl: float = 300.0
    stale_if_error: float = 0.0
    fallback: Any = field(default=UNSET, hash=False)
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
    circuit: CircuitTerms | None = None
    max_endpoints: int = 1024
    endpoint_key: Callable[[str, str], str] | None = None
    rate_limit: str | RateLimit | Mapping[str, str | RateLimit] | None = field(
        default=None, hash=False
    )
    bulkhead: int | Bulkhead | None = None
    heed_limits: bool | Heed = False
    adaptive_limit: bool | AdaptiveLimit = False
    base_url: str | None = field(default=None, repr=False)  # it may hold a password
    idempotency_keys: bool = False
    max_response_bytes: int | None = None
    debug: bool = False
    clock: Callable[[], float] | None = None
    sleep: Callable[[float], object] | None = None
    random: Callable[[], float] | None = None

    def __post_init__(self) -> None:
        for name, value in settled(self):
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
