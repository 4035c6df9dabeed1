"""How many requests of one endpoint are under way at once, so that it cannot take all threads."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from requests import Response

from ..pipeline import Exchange, Proceed
from ..refusals import BulkheadFull, LimitExceeded
from ..terms import Bulkhead
from .places import Door, Hold, Places, left_alone, patience
from .slots import Slots
from .waiting import Hall

__all__ = ["Bulkheads"]

Namer = Callable[[str, str], str]


class Bulkheads:
    """A bulkhead for each endpoint: their step is ``admit``.

    What waits, waits ``longest`` seconds, unless the terms say otherwise.
    """

    def __init__(
        self,
        setting: int | Bulkhead,
        *,
        endpoint_of: Namer,
        hall: Hall,
        longest: float | None,
        hold: Hold | None = None,
    ) -> None:
        terms = setting if isinstance(setting, Bulkhead) else Bulkhead(setting)
        self._endpoint_of = endpoint_of
        self._at_once = terms.at_once
        self._slots: Places[Slots] = Places(lambda: Slots(hall, terms.at_once))
        wait = longest if terms.wait is True else patience(terms.wait)
        self.door = Door(hall, wait=wait, hold=hold)

    def reset_after_fork(self) -> None:
        """In a child: nothing is under way."""
        self._slots.reset_after_fork()
        self.door.reset_after_fork()

    def admit(self, exchange: Exchange, proceed: Proceed[Exchange]) -> Response:
        """Not too many at once; a stream has gone through when its head is there."""
        request = exchange.request
        endpoint = self._endpoint_of(request.method or "", request.url or "")
        slots = self._slots.of(endpoint)

        def refusal(held: float | None) -> LimitExceeded:
            if held is not None:
                return left_alone(endpoint, held)
            what = f"{self._at_once} requests to {endpoint} are under way"
            return BulkheadFull(f"{what}, as many as may be at once", place=endpoint)

        try:
            self.door.enter(exchange, slots.line, partial(slots.ask, exchange), refusal=refusal)
            return proceed(exchange)
        finally:
            slots.holders.discard(exchange)  # first: see there
            slots.line.stir()
