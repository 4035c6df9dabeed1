"""Everything that can be set is checked once, and an error names what is wrong."""

from __future__ import annotations

import dataclasses
import inspect
import math
import pickle
import re
from functools import partial
from typing import Any

import pytest
from urllib3 import Timeout

import browseros_api
from browseros_api import (
    AdaptiveLimit,
    Bulkhead,
    CircuitTerms,
    EnhancedAPIClient,
    Hedge,
    Heed,
    RateLimit,
    RetryBudget,
    Session,
    Settings,
)
from browseros_api.checks import at_least, duration, one_of, whole

HUGE = 10**400  # has no float

BOUNDS = ["attempt_timeout", "deadline", "pool_timeout", "timeout"]  # None is no bound
PERIODS = ["keepalive_timeout", "recovery_timeout", "store_timeout"]
PERIODS_OR_0 = [
    "dns_cache_ttl",
    "retry_base_delay",
    "retry_max_delay",
    "cache_ttl",
    "stale_if_error",
]
COUNTS = [
    *("max_connections", "cache_max_entries", "cache_max_bytes", "cache_max_entry_bytes"),
    *("failure_threshold", "half_open_max_calls", "max_endpoints"),
]
LIMITS = ["max_connections_per_host", "max_response_bytes"]  # None is no limit of its own
SWITCHES = [
    *("enable_cache", "enable_deduplication", "enable_circuit_breaker"),
    *("idempotency_keys", "debug"),
]
FUNCTIONS = ["on_retry", "endpoint_key", "clock", "sleep", "random"]

NO_NUMBERS: list[Any] = ["1", b"1", True, [1], {"a": 1}, 1j, object()]
NO_SECONDS: list[Any] = [-1, -0.001, math.nan, math.inf, -math.inf, HUGE]

BAD: list[tuple[str, Any]] = [
    *[(name, value) for name in BOUNDS for value in (*NO_NUMBERS, *NO_SECONDS, 0, 0.0, 1e12)],
    *[(name, value) for name in PERIODS for value in (None, *NO_NUMBERS, *NO_SECONDS, 0)],
    *[(name, value) for name in PERIODS_OR_0 for value in (None, *NO_NUMBERS, *NO_SECONDS)],
    *[(name, value) for name in COUNTS for value in (None, *NO_NUMBERS, 0, -1, 1.0, math.nan)],
    *[(name, value) for name in LIMITS for value in (*NO_NUMBERS, 0, -1, 1.0)],
    *[("max_retries", value) for value in (None, *NO_NUMBERS, -1, 1.0)],
    *[(name, value) for name in SWITCHES for value in (None, 0, 1, "yes", [])],
    *[(name, value) for name in FUNCTIONS for value in (1, "sleep", [])],
    *[("timeout", value) for value in ((), (1,), (1, 2, 3), (1, "2"), (0, 1), (1, -1), [1, 2])],
    *[("retry_budget", value) for value in (0, 0.2, True, {}, "none")],
    *[("circuit", value) for value in (0, 0.5, True, {}, "none", RetryBudget())],
    *[("hedge", value) for value in (b"p95", True, [1], *NO_SECONDS, 0, "p0", "p100", "95", "")],
    *[("fallback", value) for value in (object(), {1}, [math.nan], {"a": b"b"}, lambda: 0)],
    *[("rate_limit", value) for value in (10, True, b"10/second", ["10/second"], {"/a": "1/day"})],
    *[("rate_limit", {"https://a/*": value}) for value in (1, None)],
    *[("bulkhead", value) for value in ("8", True, 0, -1, 1.5, [8])],
    *[(name, value) for name in ("heed_limits", "adaptive_limit") for value in (None, 1, "on", {})],
    *[("jitter", value) for value in (None, "none", 1, [])],
    *[("cache_mode", value) for value in (None, "off", 1, {})],
    *[("max_connections", value) for value in (65_536, 10**9)],
    *[("share", value) for value in (1, "everyone", ["https://*"], {"/public/*": "all"})],
    *[("share", {"https://a/*": value}) for value in (1, None, "", b"all")],
    ("share", {1: "all"}),
    *[("base_url", value) for value in (1, b"https://api.example.com", [])],
    *[("store", value) for value in (None, 1, b"memory://", [])],
    *[("store", value) for value in ("", "memory", "memory://x", "sqlite:x.db", "http://h", "://")],
    *[("store_key", value) for value in (1, [], [1], {"a"})],
]


def _ids(value: object) -> str | None:
    return "HUGE" if value is HUGE else None


@pytest.mark.parametrize(("name", "value"), BAD, ids=_ids)
def test_a_bad_setting_is_an_error_that_names_it(name: str, value: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=rf"^{name} must be .*[a-z]"):
        Settings(**{name: value})


@pytest.mark.parametrize(("name", "value"), BAD, ids=_ids)
def test_a_bad_setting_is_found_when_the_session_is_made(name: str, value: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=f"^{name} must be "):
        Session(**{name: value})


def test_every_setting_has_been_given_something_bad() -> None:
    assert {name for name, _ in BAD} == Settings.names()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[(name, value) for name in BOUNDS for value in (None, 1, 0.001, 2_147_483)],
        *[(name, value) for name in PERIODS for value in (1, 0.001, 1e12)],
        *[(name, value) for name in PERIODS_OR_0 for value in (0, 0.0, 1, 1e12)],
        *[(name, 1) for name in COUNTS],
        *[(name, value) for name in LIMITS for value in (None, 1)],
        *[(name, value) for name in SWITCHES for value in (True, False)],
        *[(name, value) for name in FUNCTIONS for value in (None, lambda *_: 0)],
        *[("timeout", value) for value in ((1, 2.5), (None, 1), (None, None), Timeout(1))],
        ("max_retries", 0),
        *[("retry_budget", value) for value in (None, RetryBudget(ratio=0, reserve=1))],
        *[("circuit", value) for value in (None, CircuitTerms(), CircuitTerms(failure_rate=1))],
        ("hedge", Hedge(after=0.2)),
        *[("fallback", value) for value in (None, {}, [1], "text", b"bytes", lambda *_: 0, max)],
        *[
            ("rate_limit", value)
            for value in (None, "10/second", RateLimit("1/day", per="endpoint"))
        ],
        ("rate_limit", {"https://api.example.com/*": "10/second", "*": RateLimit("1/day")}),
        *[("bulkhead", value) for value in (None, 1, Bulkhead(8, wait=2.0))],
        *[("heed_limits", value) for value in (True, False, Heed(per="endpoint"))],
        *[("adaptive_limit", value) for value in (True, False, AdaptiveLimit(most=20))],
        ("jitter", "full"),
        ("cache_mode", "ttl"),
        ("base_url", "https://api.example.com"),
        ("share", None),
        ("share", {"https://api.example.com/public/*": "everyone"}),
        ("store", "sqlite:///answers.db"),
        ("store", "rediss://host:6379/0"),
        ("store_key", None),
    ],
)
def test_what_may_be_set(name: str, value: Any) -> None:
    assert getattr(Settings(**{name: value}), name) == value


def test_an_unknown_setting_is_an_error() -> None:
    with pytest.raises(TypeError, match="max_retrys"):
        Settings(max_retrys=3)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="max_retrys"):
        Session(max_retrys=3)
    with pytest.raises(TypeError, match=r"no option 'max_retrys'; there are .*\bmax_retries\b"):
        EnhancedAPIClient("https://api.example.com", max_retrys=3)


def test_settings_are_never_changed() -> None:
    settings = Settings()
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.max_retries = 5  # type: ignore[misc]


def test_settings_are_given_by_name() -> None:
    with pytest.raises(TypeError):
        Settings(30.0)  # type: ignore[misc]


def test_settings_travel_and_compare() -> None:
    settings = Settings(timeout=(1, 2), jitter="full")
    assert pickle.loads(pickle.dumps(settings)) == settings != Settings()


def test_whole_seconds_become_floats() -> None:
    settings = Settings(cache_ttl=5, deadline=3, keepalive_timeout=1)
    kinds = {type(settings.cache_ttl), type(settings.deadline), type(settings.keepalive_timeout)}
    assert kinds == {float}


def test_options_are_split_into_settings_and_others() -> None:
    ours, theirs = Settings.split({"max_retries": 1, "expire_after": 5})
    assert (ours, theirs) == ({"max_retries": 1}, {"expire_after": 5})


def test_each_setting_is_documented() -> None:
    documented = inspect.getdoc(Settings) or ""
    missing = [name for name in Settings.names() if name not in documented]
    assert missing == []


def test_defaults_of_the_client_are_those_of_the_overview() -> None:
    parameters = inspect.signature(EnhancedAPIClient).parameters
    ordered = [
        (name, one.default)
        for name, one in parameters.items()
        if one.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    ]
    assert ordered == [
        ("base_url", inspect.Parameter.empty),
        ("timeout", 30.0),
        ("max_connections", 100),
        ("max_retries", 3),
        ("retry_base_delay", 1.0),
        ("retry_max_delay", 32.0),
        ("cache_ttl", 300.0),
        ("enable_deduplication", True),
        ("enable_circuit_breaker", True),
        ("headers", None),
        ("debug", False),
    ]
    assert [name for name in parameters if parameters[name].kind is parameters[name].KEYWORD_ONLY]


def test_defaults_of_the_breaker_are_those_of_the_overview() -> None:
    parameters = inspect.signature(browseros_api.CircuitBreaker).parameters
    assert [(name, parameters[name].default) for name in list(parameters)[:3]] == [
        ("failure_threshold", 5),
        ("recovery_timeout", 60.0),
        ("half_open_max_calls", 3),
    ]


def test_arguments_of_the_client_become_settings() -> None:
    with EnhancedAPIClient(
        "https://api.example.com/v1/", 5.0, 7, 2, 0.5, 8.0, 60.0, False, False, {"A": "b"}, False,
        jitter="full", cache_max_entries=3,
    ) as client:  # fmt: skip
        settings = client.session.settings
        assert (settings.timeout, settings.attempt_timeout) == (5.0, 5.0)
        assert (settings.max_connections, settings.max_retries) == (7, 2)
        assert (settings.retry_base_delay, settings.retry_max_delay) == (0.5, 8.0)
        assert (settings.cache_ttl, settings.cache_mode) == (60.0, "ttl")
        assert not settings.enable_deduplication
        assert not settings.enable_circuit_breaker
        assert (settings.jitter, settings.cache_max_entries) == ("full", 3)
        assert settings.base_url == client.base_url == "https://api.example.com/v1"
        assert client.session.headers["A"] == "b"


def test_no_timeout_is_no_bound() -> None:
    with EnhancedAPIClient("https://api.example.com", timeout=None) as client:
        assert client.session.settings.timeout is None
        assert client.session.settings.attempt_timeout is None


def test_the_checks_say_what_is_allowed() -> None:
    with pytest.raises(TypeError, match="n must be a whole number, not '1'"):
        whole("n", "1", least=1)
    with pytest.raises(ValueError, match="n must be at least 2, not 1"):
        whole("n", 1, least=2)
    with pytest.raises(ValueError, match=r"s must be a finite number of at least 0, not -1"):
        at_least("s", -1)
    with pytest.raises(TypeError, match=r"s must be a finite number of at least 0, not '1'"):
        at_least("s", "1")
    with pytest.raises(ValueError, match="s must be positive and finite, or None, not 0"):
        duration("s", 0)
    with pytest.raises(ValueError, match="s must be positive and finite, not 0"):
        duration("s", 0, optional=False)
    with pytest.raises(ValueError, match="s must be at most 2147483, or None for no bound"):
        duration("s", 1e9)
    with pytest.raises(TypeError, match="s must be a number of seconds or None, not 'x'"):
        duration("s", "x")
    with pytest.raises(ValueError, match=r"w must be one of \('a', 'b'\), not 'c'"):
        one_of("w", "c", ("a", "b"))


CONTRADICTIONS: list[tuple[dict[str, Any], str]] = [
    ({"attempt_timeout": 30, "deadline": 10}, r"attempt_timeout \(30\) .* deadline \(10\)"),
    ({"pool_timeout": 5, "deadline": 0.5}, r"pool_timeout \(5\) .* deadline \(0.5\)"),
    (
        {"retry_base_delay": 60, "retry_max_delay": 8.5},
        r"retry_base_delay \(60\) .* retry_max_delay \(8.5\)",
    ),
    (
        {"max_connections_per_host": 20, "max_connections": 10},
        r"max_connections_per_host \(20\) .* max_connections \(10\)",
    ),
    (
        {"cache_max_entry_bytes": 2000, "cache_max_bytes": 1000},
        r"cache_max_entry_bytes \(2000\) .* cache_max_bytes \(1000\)",
    ),
]


@pytest.mark.parametrize(("options", "told"), CONTRADICTIONS)
def test_a_contradiction_is_refused_with_both_numbers(options: dict[str, Any], told: str) -> None:
    for make in (Settings, Session, partial(EnhancedAPIClient, "https://api.example.com")):
        with pytest.raises(ValueError, match=f"^{told}$".replace(".*", "must not be more than")):
            make(**options)


@pytest.mark.parametrize(("options", "_"), CONTRADICTIONS)
def test_each_half_of_a_contradiction_may_be_asked_for(options: dict[str, Any], _: str) -> None:
    for name, value in options.items():
        assert getattr(Settings(**{name: value}), name) == value
    for make in (Settings, Session):
        make(**dict.fromkeys(options, max(options.values())))


@pytest.mark.parametrize(
    ("options", "terms", "told"),
    [
        (
            {"recovery_timeout": 90},
            {"longest_recovery": 30},
            r"recovery_timeout \(90\) must not be more than circuit.longest_recovery \(30\)",
        ),
        (
            {"attempt_timeout": 5},
            {"slow_call": 8},
            r"circuit.slow_call \(8\) must not be more than attempt_timeout \(5\)",
        ),
        (
            {"deadline": 2.5},
            {"slow_call": 8},
            r"circuit.slow_call \(8\) must not be more than deadline \(2.5\)",
        ),
    ],
)
def test_terms_that_contradict_a_setting_are_refused_with_both_numbers(
    options: dict[str, Any], terms: dict[str, Any], told: str
) -> None:
    for make in (Settings, Session):
        with pytest.raises(ValueError, match=f"^{told}$"):
            make(circuit=CircuitTerms(**terms), **options)
        make(circuit=CircuitTerms(**terms))  # of the two, a default gives way
        make(**options)


@pytest.mark.parametrize(
    ("name", "limit", "told"),
    [
        ("bulkhead", Bulkhead(8, wait=30), "bulkhead.wait"),
        ("adaptive_limit", AdaptiveLimit(wait=30), "adaptive_limit.wait"),
        ("rate_limit", RateLimit("1/day", wait=30), "rate_limit.wait"),
        ("rate_limit", {"*": RateLimit("1/day", wait=30)}, "rate_limit['*'].wait"),
    ],
)
def test_no_limit_lets_a_call_wait_longer_than_its_deadline(
    name: str, limit: Any, told: str
) -> None:
    told = re.escape(f"{told} (30) must not be more than deadline (10)")
    for make in (Settings, Session):
        with pytest.raises(ValueError, match=f"^{told}$"):
            make(deadline=10, **{name: limit})
        make(deadline=30, **{name: limit})
        make(**{name: limit})
    Session(deadline=0.5, bulkhead=8, adaptive_limit=True, rate_limit={"*": "1/day"})


def test_a_clients_timeout_must_fit_into_its_deadline() -> None:
    url = "https://api.example.com"
    with pytest.raises(ValueError, match=r"^timeout \(20\) must not be more than deadline \(10\)$"):
        EnhancedAPIClient(url, timeout=20, deadline=10)
    for options, bound in [
        ({"timeout": 20, "deadline": 30}, 20.0),
        ({"deadline": 10}, 10.0),  # the default of 30 s gives way
        ({"deadline": 100}, 30.0),
        ({"timeout": None, "deadline": 10}, None),
    ]:
        with EnhancedAPIClient(url, **options) as client:
            assert client.session.settings.attempt_timeout == bound
