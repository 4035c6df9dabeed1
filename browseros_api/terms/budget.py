"""How many retries there may be."""

from __future__ import annotations

from dataclasses import dataclass

from ..checks import at_least, whole

__all__ = ["RetryBudget"]


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
