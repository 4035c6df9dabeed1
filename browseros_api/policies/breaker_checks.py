"""Arguments of a circuit breaker, checked: errors name the argument and what is allowed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from ..checks import duration
from ..terms import CircuitTerms
from .breaker_states import Listener

__all__ = ["Exclusion", "all_of", "called", "can_exclude", "can_listen", "check_terms", "seconds"]

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")
Exclusion = type[BaseException] | Callable[[Any], bool]


def seconds(name: str, value: object) -> float:
    """``value`` as positive, finite seconds."""
    found = duration(name, value, optional=False)
    assert found is not None
    return found


def called(name: str, value: F) -> F:
    """``value`` if it can be called."""
    if not callable(value):
        raise TypeError(f"{name} must be callable, not {value!r}")
    return value


def all_of(name: str, values: Iterable[T], fits: Callable[[T], bool], allowed: str) -> list[T]:
    """``values`` as a list, if each of them fits."""
    try:
        found = list(values)
    except TypeError:
        raise TypeError(f"{name} must be an iterable of {allowed}, not {values!r}") from None
    for value in found:
        if not fits(value):
            raise TypeError(f"{name} must hold {allowed}, not {value!r}")
    return found


def can_exclude(value: object) -> bool:
    """Whether it is an exception class, or a predicate."""
    return issubclass(value, BaseException) if isinstance(value, type) else callable(value)


def can_listen(value: object) -> bool:
    """Whether it is a listener as pybreaker means it."""
    return isinstance(value, Listener)


def check_terms(terms: object, recovery: float, *, default: float) -> None:
    """Raise unless they are terms, and fit a time to recover; the default gives way to them."""
    if not isinstance(terms, CircuitTerms):
        raise TypeError(f"terms must be a CircuitTerms or None, not {terms!r}")
    longest = terms.longest_recovery
    if longest is not None and default != recovery > longest:
        numbers = f"({recovery:g}) must not be more than longest_recovery ({longest:g})"
        raise ValueError(f"recovery_timeout {numbers}")
