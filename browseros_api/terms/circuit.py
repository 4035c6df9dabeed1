"""What opens a circuit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ..checks import duration, fraction, whole

__all__ = ["CircuitTerms"]


@dataclass(frozen=True, kw_only=True)
class CircuitTerms:
    """What opens a circuit beside failures in a row, for how long, and who hears of it.

    Attributes:
        failure_rate: the part of the calls from which on failures open it; ``None``: any.
        slow_call_rate: the part of the calls from which on slow ones open it; ``None``: any.
        slow_call: seconds from which on a call is slow, with waiting for a connection and the
            whole answer; ``None``: none is.
        window: seconds of calls that both parts are taken of.
        minimum_calls: calls there must be in the window before a part of them means anything.
        longest_recovery: the time that it stays open doubles with each time that a trial fails,
            up to so many seconds; ``None``: it is the same each time.
        jitter: up to this part of that time is taken away by chance.
        metrics_only: it counts and changes its state, but lets everything through.
        host_failures: calls in a row that did not reach their host, whatever the endpoint, after
            which a session leaves the host alone; ``None``: any number.
        listeners: pybreaker listeners, told of calls and changes.
    """

    failure_rate: float | None = None
    slow_call_rate: float | None = None
    slow_call: float | None = None
    window: float = 30.0
    minimum_calls: int = 20
    longest_recovery: float | None = None
    jitter: float = 0.0
    metrics_only: bool = False
    host_failures: int | None = None
    listeners: Iterable[Any] = ()

    def __post_init__(self) -> None:
        for name in ("failure_rate", "slow_call_rate"):
            if getattr(self, name) is not None:
                fraction(name, getattr(self, name), or_0=False)
        fraction("jitter", self.jitter)
        duration("slow_call", self.slow_call)
        duration("window", self.window, optional=False)
        duration("longest_recovery", self.longest_recovery)
        whole("minimum_calls", self.minimum_calls, least=1)
        if self.host_failures is not None:
            whole("host_failures", self.host_failures, least=1)
        if not isinstance(self.metrics_only, bool):
            raise TypeError(f"metrics_only must be True or False, not {self.metrics_only!r}")
        if self.slow_call_rate is not None and self.slow_call is None:
            raise ValueError(
                f"slow_call_rate ({self.slow_call_rate:g}) needs slow_call, in seconds"
            )
        try:
            object.__setattr__(self, "listeners", tuple(self.listeners))
        except TypeError:
            what = f"an iterable of pybreaker listeners, not {self.listeners!r}"
            raise TypeError(f"listeners must be {what}") from None

    @property
    def counts_calls(self) -> bool:
        """Whether each call is counted, and not failures in a row alone."""
        return self.metrics_only or (self.failure_rate, self.slow_call) != (None, None)
