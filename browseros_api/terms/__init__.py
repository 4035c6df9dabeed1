"""Settings that belong together: each is the terms on which one policy works."""

from __future__ import annotations

from .budget import RetryBudget
from .circuit import CircuitTerms
from .fallback import UNSET, check_fallback
from .hedge import Hedge
from .limits import AdaptiveLimit, Bulkhead, Heed, RateLimit, checked_rates

__all__ = [
    "UNSET",
    "AdaptiveLimit",
    "Bulkhead",
    "CircuitTerms",
    "Hedge",
    "Heed",
    "RateLimit",
    "RetryBudget",
    "check_fallback",
    "checked_rates",
]
