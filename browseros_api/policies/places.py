"""What has a limit of its own: a host, an endpoint; and how a request gets through there."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from ..deadlines import late
from ..errors import NEVER_SENT
from ..journal import told_seconds
from ..pipeline import Call, Exchange
from ..refusals import LimitExceeded, RateLimited
from .waiting import Ask, Hall, Line, TooLong

__all__ = ["MOST_PLACES", "Door", "Hold", "Place", "Places", "host_of", "left_alone", "patience"]

MOST_PLACES = 1024
_LOOKED_AT = 8  # places that are asked whether they are idle, when there is one too many

Hold = Callable[[Exchange], float]  # to seconds for which a server has asked to be left alone


class Place(Protocol):
    """Whatever is kept for a name."""

    @property
    def is_idle(self) -> bool:
        """Whether nobody is there, so that it can be forgotten."""

    def reset_after_fork(self) -> None:
        """In a child: nobody is there."""


P = TypeVar("P", bound=Place)


class Places(Generic[P]):
    """The places that were used last, each made when it is first asked for."""

    def __init__(self, make: Callable[[], P]) -> None:
        self._make = make
        self._places: OrderedDict[Any, P] = OrderedDict()  # latest used last
        self._lock = threading.Lock()

    def of(self, name: Any) -> P:
        """The one place of this name."""
        with self._lock:
            place = self._places.get(name)
            if place is None:
                place = self._places[name] = self._make()
                self._make_room()
            else:
                self._places.move_to_end(name)
            return place

    def _make_room(self) -> None:
        for _ in range(_LOOKED_AT if len(self._places) > MOST_PLACES else 0):
            name, place = next(iter(self._places.items()))
            if place.is_idle:
                del self._places[name]
                return
            self._places.move_to_end(name)  # somebody is there: it is in use

    def items(self) -> list[tuple[Any, P]]:
        """All of them, now."""
        with self._lock:
            return list(self._places.items())

    def reset_after_fork(self) -> None:
        """Nobody is anywhere."""
        self._lock = threading.Lock()
        for place in list(self._places.values()):
            place.reset_after_fork()


class Door:
    """How requests get through to the places of one policy: counted, and in time, or refused.

    Who stands in a line while a server asks to be left alone, which ``hold`` tells, stays there.

    Attributes:
        waits, refusals: requests that had to wait, and those that were refused.
        seconds: for which they have waited.
    """

    def __init__(self, hall: Hall, *, wait: float | None = None, hold: Hold | None = None) -> None:
        self.hall, self._wait, self._hold = hall, wait, hold
        self.waits = self.refusals = 0
        self.seconds = 0.0
        self._counting = threading.Lock()

    def reset_after_fork(self) -> None:
        """Nobody counts."""
        self._counting = threading.Lock()

    def enter(
        self,
        exchange: Exchange,
        line: Line,
        ask: Ask,
        *,
        refusal: Callable[[float | None], LimitExceeded],
        wait: float | None = None,
    ) -> None:
        """Come back when ``ask`` lets the request go; it has ``wait`` seconds, or what it can wait.

        A spare one never waits.  Whatever ``refusal`` makes of the seconds that it would have to
        wait, if they are known, is raised where that is too long; where nobody knew it before the
        deadline of the call had passed, ``DeadlineExceeded``.
        """
        call, clock, since, hold = exchange.call, self.hall.clock, math.inf, self._hold
        until, wait = call.deadline, self._wait if wait is None else wait
        if exchange.is_spare:
            wait = 0.0
        if wait is not None:
            until = min(clock() + wait, math.inf if until is None else until)

        def begin() -> None:
            nonlocal since
            since = clock()
            if call.spent is not None:
                call.spent.turn("queue")

        def held_or(before: int) -> float:
            return (0.0 if before or hold is None else hold(exchange)) or ask(before)

        try:
            line.enter(ask if hold is None else held_or, until=until, begin=begin)
        except TooLong as no:
            with self._counting:
                self.refusals += not exchange.is_spare  # without it all goes on
            if no.seconds == math.inf and not exchange.is_spare and _is_late(call, clock):
                told = f" in attempt {exchange.attempt}, waiting in line"
                raise late(call, told, NEVER_SENT, request=exchange.request) from None
            error = refusal(no.seconds if no.seconds < math.inf else None)
            error.request = exchange.request
            raise error from None
        finally:
            if since < math.inf:
                if call.spent is not None:
                    call.spent.turn("rest")
                with self._counting:
                    self.waits += 1
                    self.seconds += clock() - since

    def nap(self, exchange: Exchange, until: float) -> None:
        """Let the request wait to this instant of the clock, or until the client is closed."""
        clock, line = self.hall.clock, self.hall.line()  # its own: others wake at other times
        self.enter(exchange, line, lambda _: until - clock(), refusal=LimitExceeded)


def _is_late(call: Call, clock: Callable[[], float]) -> bool:
    return call.deadline is not None and clock() >= call.deadline


def patience(wait: bool | float) -> float | None:
    """Seconds that a term ``wait`` allows; ``None``: any."""
    if isinstance(wait, bool):
        return None if wait else 0.0
    return wait


def left_alone(place: str, seconds: float | None) -> RateLimited:
    """What is raised where a server has said that it lets nothing through."""
    known = "" if seconds is None else f" for another {told_seconds(seconds)}"
    what = f"{place} lets nothing more through{known}, as it has said"
    return RateLimited(what, place=place, retry_after=seconds)


def host_of(url: str) -> str:
    """Host and port, without the user, who may have a password."""
    parts = url.split("/", 3)
    return parts[2].partition("?")[0].rpartition("@")[2].lower() if len(parts) > 2 else ""
