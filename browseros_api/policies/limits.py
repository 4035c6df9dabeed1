"""The limits of a session, those that are switched on: when a request may go, and how many may.

what                    limits                                   by
──────────────────────  ───────────────────────────────────────  ─────────────────────────────
heeding.heed            what the server itself has announced     waiting, spreading, refusing
rate_limiter.pace       how often, by the session's own choice   waiting, refusing
bulkheads.admit         how many at once, to an endpoint         waiting, refusing
concurrency.adapt       how many at once, as a host bears it     waiting, refusing
heeding.hear            (what the answer says of that)

What waits for time stands before what holds a place, so that nobody holds one meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..forks import importing
from ..naps import wall
from ..pipeline import Exchange, Step
from ..settings import Settings

if TYPE_CHECKING:
    from .adaptive import Concurrency
    from .bulkhead import Bulkheads
    from .heeding import Heeding
    from .rate_limit import RateLimiter
    from .waiting import Hall

__all__ = ["Limits"]

_NAMES = ("heeded", "rate", "bulkhead", "adaptive")
Namer = Callable[[str, str], str]


class Limits:
    """All of them; what is off is ``None``, and is not even loaded.

    ``endpoint_of(method, url)`` names endpoints; ``wall`` is in seconds since the epoch.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Callable[[], float],
        endpoint_of: Namer,
        wall: Callable[[], float] = wall,
    ) -> None:
        self._hall: Hall | None = None
        self.heeding: Heeding | None = None
        self.rate_limiter: RateLimiter | None = None
        self.bulkheads: Bulkheads | None = None
        self.concurrency: Concurrency | None = None
        setting = (settings.heed_limits, settings.rate_limit, settings.bulkhead)
        if any(one is not None and one is not False for one in (*setting, settings.adaptive_limit)):
            with importing:
                self._make(settings, clock, endpoint_of, wall)

    def _make(
        self,
        settings: Settings,
        clock: Callable[[], float],
        endpoint_of: Namer,
        wall: Callable[[], float],
    ) -> None:
        from .waiting import Hall  # noqa: PLC0415

        hall = self._hall = Hall(clock=clock, sleep=settings.sleep)
        if settings.heed_limits:
            from .heeding import Heeding  # noqa: PLC0415

            asked = settings.heed_limits
            self.heeding = Heeding(asked, endpoint_of=endpoint_of, hall=hall, wall=wall)
        hold = None if self.heeding is None else self.heeding.hold
        if settings.rate_limit is not None:
            from ..stores.windows import open_windows, rates_of  # noqa: PLC0415
            from .rate_limit import RateLimiter  # noqa: PLC0415

            self.rate_limiter = RateLimiter(
                settings.rate_limit,
                windows=open_windows(settings, clock=clock),
                rates_of=rates_of,
                endpoint_of=endpoint_of,
                hall=hall,
                hold=hold,
            )
        longest = settings.pool_timeout
        if settings.bulkhead is not None:
            from .bulkhead import Bulkheads  # noqa: PLC0415

            self.bulkheads = Bulkheads(
                settings.bulkhead, endpoint_of=endpoint_of, hall=hall, longest=longest, hold=hold
            )
        if settings.adaptive_limit:
            from .adaptive import Concurrency  # noqa: PLC0415

            self.concurrency = Concurrency(
                settings.adaptive_limit, hall=hall, longest=longest, hold=hold
            )

    def steps(self) -> list[Step[Exchange]]:
        """Those that are switched on, outermost first."""
        steps: list[Step[Exchange]] = []
        if self.heeding is not None:
            steps.append(self.heeding.heed)
        if self.rate_limiter is not None:
            steps.append(self.rate_limiter.pace)
        if self.bulkheads is not None:
            steps.append(self.bulkheads.admit)
        if self.concurrency is not None:
            steps.append(self.concurrency.adapt)
        if self.heeding is not None:
            steps.append(self.heeding.hear)
        return steps

    def close(self) -> None:
        """Those who wait go home."""
        if self._hall is not None:
            self._hall.close()

    def reset_after_fork(self) -> None:
        """In a child: nobody waits, nothing is under way."""
        for part in (self._hall, *self._policies()):
            if part is not None:
                part.reset_after_fork()

    def read(self) -> dict[str, Any]:
        """How often something had to wait for each, and was refused; and for how long in all."""
        figures: dict[str, Any] = {}
        seconds = 0.0
        for name, policy in zip(_NAMES, self._policies(), strict=True):
            figures[f"{name}_waits"] = 0 if policy is None else policy.door.waits
            figures[f"{name}_refusals"] = 0 if policy is None else policy.door.refusals
            seconds += 0.0 if policy is None else policy.door.seconds
        figures["limit_wait_ms"] = 1000 * seconds
        figures["adaptive_limits"] = {} if self.concurrency is None else self.concurrency.limits()
        return figures

    def _policies(
        self,
    ) -> tuple[Heeding | None, RateLimiter | None, Bulkheads | None, Concurrency | None]:
        return self.heeding, self.rate_limiter, self.bulkheads, self.concurrency
