"""When an attempt is worth another one, and how long to wait before that.

what came of an attempt                                  it is made again
───────────────────────────────────────────────────────  ─────────────────────────────────────
the request was never sent; 429                          whatever the method
timeout, broken connection, cut body, 5xx                if the method is idempotent, or the
413 with a Retry-After                                   request has an Idempotency-Key
TLS error, bad URL or header, undecodable body, …        never
open circuit, no free connection, deadline passed        never
any other answer; any exception that is not requests'    never
"""

from __future__ import annotations

import math
from collections.abc import Callable

from requests import RequestException

from ..errors import NEVER_SENT
from ..pipeline import Exchange
from ..settings import Settings
from .backoff import delay, retry_after
from .outcomes import Outcome
from .replay import is_idempotent, is_replayable

__all__ = ["Rules"]

_REFUSED = 429
_FAILURES = frozenset({_REFUSED, *range(500, 600)})
_ASKING = frozenset({413, 429, 503})  # whose Retry-After is heard


class Rules:
    """The rules above, with the numbers that the settings give.

    ``random`` is for the jitter; ``wall``, in seconds since the epoch, is what HTTP dates are
    compared with.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        random: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self._settings, self._random, self._wall = settings, random, wall

    def objection(self, exchange: Exchange, outcome: Outcome, attempts: int) -> str | None:
        """What speaks against another attempt after so many; empty if it has not even failed."""
        if not self.has_failed(outcome):
            return ""
        if attempts > self._settings.max_retries:
            return "no retries left"
        if not is_replayable(exchange.request):
            return "not retried: its body cannot be sent again"
        if is_idempotent(exchange.request) or exchange.reached == NEVER_SENT:
            return None
        if not isinstance(outcome, RequestException) and outcome.status_code == _REFUSED:
            return None
        return "not retried: the server may have acted on it"

    def has_failed(self, outcome: Outcome) -> bool:
        """Whether another attempt may end better."""
        if isinstance(outcome, RequestException) or outcome.status_code in _FAILURES:
            return True
        return outcome.status_code == 413 and self._asked_for(outcome) is not None

    def wait(self, outcome: Outcome, attempts: int) -> float:
        """Seconds to wait after so many; infinite if the server asks for more than is allowed."""
        settings, asked = self._settings, self._asked_for(outcome)
        if asked is not None:
            return asked if asked <= settings.retry_max_delay else math.inf
        return delay(
            attempts - 1,
            base=settings.retry_base_delay,
            cap=settings.retry_max_delay,
            random=self._random,
            jitter=settings.jitter,
        )

    def _asked_for(self, outcome: Outcome) -> float | None:
        if isinstance(outcome, RequestException) or outcome.status_code not in _ASKING:
            return None
        return retry_after(outcome.headers.get("Retry-After"), now=self._wall())
