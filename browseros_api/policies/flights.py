"""Calls that are in the air right now.

    board     the first caller of a key becomes the leader, later ones are followers
    fly       the leader asks, in its own thread: in a bounded pool it could wait for its followers
    land      leave the air, then tell the followers: answer, failure, or "each for himself"
    hand over the leader could not finish (interrupted, impatient): one follower takes off instead

Every field of a flight is read and written under the one lock of its ``Flights``, which is never
held while anything is asked, waited for or called.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as WaitTimeout
from dataclasses import dataclass

import requests
from requests import Response

from ..errors import DeadlineExceeded, ReadTimeout, clone
from ..journal import Journal, masked_url
from ..pipeline import Call, Proceed
from ..replicas import Snapshot

__all__ = ["Flight", "Flights", "Landing", "Seat"]


@dataclass(frozen=True, slots=True, eq=False)
class Landing:
    """What followers are told: an answer, or a failure, or neither, and then ``alone`` or not.

    ``alone``: the answer is nobody else's; each follower asks for itself, all at once.
    Otherwise the flight has no leader any more; one of them takes over.
    """

    snapshot: Snapshot | None = None
    failure: Exception | None = None
    alone: bool = False

    @property
    def is_answer(self) -> bool:
        """Whether the leader has got something, good or bad, that is the followers' as well."""
        return self.snapshot is not None or self.failure is not None


class Flight:
    """One question that is being asked."""

    __slots__ = ("failure", "followers", "key", "landing", "patience", "resource", "vacant")

    def __init__(self, call: Call) -> None:
        self.key = call.key
        self.resource = call.resource
        self.patience = _patience(call)  # the leader's
        self.landing: Future[Landing] | None = None  # made by the first follower
        self.followers = 0
        self.vacant = False  # no leader: the first who comes takes over
        self.failure: Exception | None = None  # why the last leader gave up, if it was impatience


class Seat:
    """One caller's place in a flight."""

    __slots__ = ("flight", "leads")

    def __init__(self) -> None:
        self.flight: Flight | None = None
        self.leads = False


class Flights:
    """Identical calls in the air become one; each caller gets an answer of its own."""

    def __init__(self, *, clock: Callable[[], float], journal: Journal) -> None:
        self._clock, self._journal = clock, journal
        self.reset_after_fork()

    def reset_after_fork(self) -> None:
        """Nobody is in the air: leaders and followers are the parent's threads."""
        self._lock = threading.RLock()
        self._flying: dict[str, Flight] = {}
        self._thread = threading.local()

    def __len__(self) -> int:
        return len(self._flying)

    # -- the step --------------------------------------------------------------------------------

    def join(self, call: Call, proceed: Proceed[Call]) -> Response:
        """Is somebody asking right now?"""
        if call.key is None:
            return self._pass(call, proceed)
        if getattr(self._thread, "leading", 0):
            # Asked from inside a flight of this very thread (by an auth object, say): to follow
            # could mean to wait for oneself.
            return proceed(call)
        try:
            seat = call.seat or self.board(call)
            if seat.leads:
                return self._fly(seat, call, proceed)
            return self._follow(seat, call, proceed)
        finally:
            self.leave(call)

    def _pass(self, call: Call, proceed: Proceed[Call]) -> Response:
        response = proceed(call)
        if not call.is_safe and response.status_code < 400:
            first = response.history[0] if response.history else response
            self.forget(str(first.request.url or "").partition("?")[0])
        return response

    # -- boarding and leaving --------------------------------------------------------------------

    def board(self, call: Call) -> Seat:
        """Take a seat for this call: the leader's if nobody leads.  ``leave`` gives it back."""
        seat = call.seat = Seat()  # before anything is in the air: an interrupt may come any time
        assert call.key is not None
        with self._lock:
            flight = self._flying.get(call.key)
            if flight is None:
                flight = seat.flight = Flight(call)
                seat.leads = True
                self._flying[call.key] = flight
            elif flight.vacant:
                self._take_over(seat, flight, call)
            else:
                seat.flight = flight
                flight.followers += 1
                if flight.landing is None:
                    flight.landing = _new_landing()
        return seat

    def _take_over(self, seat: Seat, flight: Flight, call: Call) -> None:
        seat.flight, seat.leads = flight, True
        flight.vacant, flight.failure = False, None
        flight.patience = _patience(call)

    def leave(self, call: Call) -> None:
        """Give the seat back, however the call has ended; a leader that did not land hands over."""
        seat: Seat | None = call.seat
        if seat is None or seat.flight is None:
            return
        call.seat, flight = None, seat.flight
        if seat.leads:
            self._hand_over(seat, None)
            return
        with self._lock:
            flight.followers -= 1
            self._drop_if_deserted(flight)

    def _drop_if_deserted(self, flight: Flight) -> None:
        if flight.vacant and not flight.followers and self._is_flying(flight):
            del self._flying[str(flight.key)]

    def forget(self, resource: str) -> None:
        """Later calls do not join what is in the air there now: it may be out of date."""
        with self._lock:
            stale = [key for key, one in self._flying.items() if one.resource == resource]
            for key in stale:
                del self._flying[key]

    def _is_flying(self, flight: Flight) -> bool:
        return self._flying.get(str(flight.key)) is flight

    # -- leading ---------------------------------------------------------------------------------

    def _fly(self, seat: Seat, call: Call, proceed: Proceed[Call]) -> Response:
        self._thread.leading = getattr(self._thread, "leading", 0) + 1
        try:
            response = proceed(call)
        except DeadlineExceeded:
            raise  # its own bound, nobody else's: leaving hands over
        except (requests.Timeout, TimeoutError) as error:
            self._hand_over(seat, error)
            raise
        except Exception as error:
            self._tell(seat, Landing(failure=error))
            raise
        finally:
            self._thread.leading -= 1
        self._land(seat, call, response)
        return response

    def _land(self, seat: Seat, call: Call, response: Response) -> None:
        with self._lock:
            if seat.flight is not None and seat.flight.landing is None:
                self._end(seat.flight)  # nobody followed, and from here on nobody can
                seat.flight = None
                return
        if any("Set-Cookie" in hop.headers for hop in (*response.history, response)):
            self._tell(seat, Landing(alone=True))
            return
        call.snapshot = call.snapshot or Snapshot(response)
        self._tell(seat, Landing(snapshot=call.snapshot))

    def _tell(self, seat: Seat, landing: Landing) -> None:
        flight = seat.flight
        assert flight is not None
        with self._lock:  # first out of the air, so that nobody joins what is over
            self._end(flight)
            told = flight.landing
        if told is not None:
            told.set_result(landing)
        seat.flight = None  # last: whoever is interrupted before still has something to leave

    def _end(self, flight: Flight) -> None:
        if self._is_flying(flight):
            del self._flying[str(flight.key)]

    def _hand_over(self, seat: Seat, failure: Exception | None) -> None:
        with self._lock:
            flight, seat.flight = seat.flight, None
            if flight is None:
                return
            told, flight.vacant, flight.failure = flight.landing, True, failure
            if told is not None:
                flight.landing = _new_landing()
            self._drop_if_deserted(flight)
        if told is not None and not told.done():
            told.set_result(Landing())

    # -- following -------------------------------------------------------------------------------

    def _follow(self, seat: Seat, call: Call, proceed: Proceed[Call]) -> Response:
        flight = seat.flight
        assert flight is not None
        if self._journal.enabled:
            url = masked_url(call.url)
            self._journal.say("%s %s: joins the call in the air", call.method, url)
        while True:
            with self._lock:
                failure = flight.failure if _patience(call) <= flight.patience else None
                if flight.vacant and failure is None:
                    flight.followers -= 1
                    self._take_over(seat, flight, call)
                    break
                landing, bound = flight.landing, self._bound(flight, call)
            if failure is not None:
                return self.received(call, Landing(failure=failure))
            assert landing is not None
            try:
                told = landing.result(bound)
            except WaitTimeout:
                raise self.gave_up(call) from None
            if told.alone:
                return proceed(call)
            if told.is_answer:
                return self.received(call, told)
        return self._fly(seat, call, proceed)

    def received(self, call: Call, told: Landing) -> Response:
        """The follower's own copy of what the leader got: an answer returned, a failure raised."""
        call.followed = True
        if told.failure is not None:
            raise clone(told.failure)
        assert told.snapshot is not None
        return told.snapshot.replica()

    def _bound(self, flight: Flight, call: Call) -> float | None:
        """How long this follower waits: to its deadline, or its timeout if the leader's is longer."""
        bounds = []
        if call.deadline is not None:
            bounds.append(max(0.0, call.deadline - self._clock()))
        if _patience(call) < flight.patience:
            bounds.append(_patience(call))
        return min(bounds, default=None)

    def landing(self, call: Call) -> Future[Landing]:
        """What the follower of this seat awaits, if it is to wait without a thread."""
        with self._lock:
            landing: Future[Landing] = call.seat.flight.landing
            return landing

    def bound(self, call: Call) -> float | None:
        """How long it awaits that at the most: seconds, or None."""
        with self._lock:
            return self._bound(call.seat.flight, call)

    def gave_up(self, call: Call) -> requests.Timeout:
        """What a follower raises whose own time is over."""
        url = masked_url(call.url)
        if call.deadline is not None and self._clock() >= call.deadline:
            return DeadlineExceeded(f"{call.method} {url}: deadline passed, waiting for the leader")
        return ReadTimeout(f"{call.method} {url}: no answer within {call.patience:g} s")


def _patience(call: Call) -> float:
    return math.inf if call.patience is None else call.patience


def _new_landing() -> Future[Landing]:
    landing: Future[Landing] = Future()
    landing.set_running_or_notify_cancel()  # a follower that is cancelled cancels only itself
    return landing
