"""Arguments, checked at the door: errors name the argument and what is allowed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

__all__ = [
    "at_least",
    "check_store",
    "check_timeout",
    "checked_keys",
    "duration",
    "fraction",
    "one_of",
    "whole",
]

T = TypeVar("T")

_STORES = (
    "memory://",
    "sqlite:///path.db",
    *("redis://host:6379/0", "rediss://host:6379/0", "redis+unix:///path.sock"),
    *("valkey://host:6379/0", "valkeys://host:6379/0", "valkey+unix:///path.sock"),
)
_LONGEST = 2_147_483.0  # seconds (24 days): more does not fit into a socket's timeout


def whole(name: str, value: object, *, least: int) -> int:
    """``value`` if it is a whole number of at least ``least``; else an error naming ``name``."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be a whole number, not {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, not {value!r}")
    return value


def at_least(name: str, value: object, *, least: float = 0.0) -> float:
    """``value`` as a float if it is a finite number of at least ``least``."""
    allowed = f"a finite number of at least {least:g}"
    number = _number(name, value, allowed=allowed)
    if not math.isfinite(number) or number < least:
        raise ValueError(f"{name} must be {allowed}, not {value!r}")
    return number


def duration(name: str, value: object, *, optional: bool = True) -> float | None:
    """``value`` as positive, finite seconds; ``None`` (no bound) passes where it is optional."""
    if value is None and optional:
        return None
    allowed = "a number of seconds or None" if optional else "a number of seconds"
    seconds = _number(name, value, allowed=allowed)
    if not math.isfinite(seconds) or seconds <= 0:
        allowed = "positive and finite, or None" if optional else "positive and finite"
        raise ValueError(f"{name} must be {allowed}, not {value!r}")
    if optional and seconds > _LONGEST:
        raise ValueError(f"{name} must be at most {_LONGEST:.0f}, or None for no bound")
    return seconds


def _number(name: str, value: object, *, allowed: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be {allowed}, not {value!r}")
    try:
        return float(value)
    except OverflowError:  # an int of hundreds of digits
        return math.inf


def fraction(name: str, value: object, *, or_0: bool = True) -> float:
    """``value`` if it is a number from 0 to 1, and also 0 only if that is allowed."""
    allowed = f"a number {'from' if or_0 else 'above'} 0 {'to' if or_0 else 'and up to'} 1"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} must be {allowed}, not {value!r}")
    if not 0 <= value <= 1 or (value == 0 and not or_0):
        raise ValueError(f"{name} must be {allowed}, not {value!r}")
    return float(value)


def one_of(name: str, value: T, allowed: tuple[T, ...]) -> T:
    """``value`` if it is one of ``allowed``."""
    if value not in allowed:
        raise ValueError(f"{name} must be one of {allowed}, not {value!r}")
    return value


def check_timeout(timeout: object) -> None:
    """Raise unless it is what requests takes: seconds, ``(connect, read)``, ``None`` for either."""
    if isinstance(timeout, tuple):
        if len(timeout) != 2:
            raise ValueError(f"timeout must be seconds or (connect, read), not {timeout!r}")
        for part in timeout:
            duration("timeout", part)
    elif not hasattr(timeout, "connect_timeout"):  # urllib3's Timeout has checked itself
        duration("timeout", timeout)


def check_store(url: object) -> None:
    """Raise unless it is the URL of a store; what is wrong behind ``://`` turns out later."""
    if not isinstance(url, str):
        raise TypeError(f"store must be a str, not of type {type(url).__name__}")
    scheme, mark, rest = url.partition("://")
    known = {form.partition("://")[0] for form in _STORES}
    if not mark or scheme not in known or (scheme == "memory") != (not rest):
        # The URL is not shown: it may hold a password.
        raise ValueError(f"store must be like one of {', '.join(_STORES)}")


def checked_keys(name: str, keys: object) -> tuple[str | bytes, ...] | None:
    """``keys`` as a tuple, of one, of several, or of none at all."""
    if keys is None:
        return None
    several = [keys] if isinstance(keys, (str, bytes)) else keys
    if not isinstance(several, Sequence) or not all(isinstance(k, (str, bytes)) for k in several):
        raise TypeError(f"{name} must be a str, bytes, or a sequence of them")
    if not several:
        raise ValueError(f"{name} must be None or at least one key")
    return tuple(several)
