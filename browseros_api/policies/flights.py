"""Calls that are in the air right now.

    board      the first caller of a key becomes the leader, later ones are followers
    fly        the leader asks, in its own thread: in a bounded pool it could wait for its followers
    land       leave the air, then tell the followers: an answer, a failure, or "each for himself"
    hand over  the leader has nothing that serves them all (it was interrupted, or is the least
               patient of them): one of those it does not serve takes off instead

Every field of a flight and of a seat is written under the one lock of its ``Flights``, which is
never held while anything is asked, waited for or called.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as WaitTimeout
from dataclasses import replace

import requests
from requests import Response

from ..deadlines import late
from ..errors import MAYBE_PROCESSED, ReadTimeout, clone, mark
from ..journal import Journal, masked_url
from ..pipeline import Call, Proceed, changed_by
from .flight import Flight, Landing, Seat, patience

__all__ = ["Flights"]


class Flights:
    """Identical calls in the air become one; each caller gets an answer of its own."""

    def __init__(self, *, clock: Callable[[], float], journal: Journal) -> None:
        self._clock, self._journal = clock, journal
        self._flying: dict[str, Flight] = {}
        self.reset_after_fork()

    def reset_after_fork(self) -> None:
        """Nobody is in the air: leaders and followers are the parent's threads."""
        self._lock = threading.RLock()  # a signal handler may call in while it is held
        for flight in self._flying.values():
            flight.landing = None  # should this very thread lead it: nobody follows here
        self._flying = {}
        self._thread = threading.local()

    def __len__(self) -> int:
        return len(self._flying)

    def __contains__(self, key: str | None) -> bool:
        return key in self._flying

    def __repr__(self) -> str:
        with self._lock:
            followers = sum(len(flight.followers) for flight in self._flying.values())
            return f"<Flights [{len(self)} in the air, {followers} followers]>"

    # -- the step --------------------------------------------------------------------------------

    def join(self, call: Call, proceed: Proceed[Call]) -> Response:
        """Is somebody asking right now?"""
        if call.key is None:
            return self._pass(call, proceed)
        if getattr(self._thread, "leads", False):
            # Asked from inside a flight of this very thread (by a callback, say): to follow could
            # mean to wait for oneself.
            return proceed(call)
        try:
            seat = call.seat or self.board(call)
            while not seat.leads:
                told = self._told(seat, call)
                if told.leaves_alone(call):
                    call.followed = False
                    return proceed(call)
                if self.is_served(call, told):
                    return self.received(told)
                self.board_again(call, told)
            return self._fly(seat, call, proceed)
        finally:
            self.leave(call)

    def _pass(self, call: Call, proceed: Proceed[Call]) -> Response:
        response = proceed(call)
        if not call.is_safe and (response.status_code or 0) < 400:
            for resource in changed_by(call, response):
                self.forget(resource)
        return response

    # -- boarding and leaving --------------------------------------------------------------------

    def board(self, call: Call) -> Seat:
        """Take a seat for this call: the leader's if nobody leads.  ``leave`` gives it back."""
        seat = call.seat = Seat()  # before anything is in the air: an interrupt may come any time
        assert call.key is not None
        with self._lock:
            flight = self._flying.get(call.key)
            if flight is None:
                flight = Flight(call.key, call.resource)
                self._lead(seat, flight, call)
                self._flying[call.key] = flight
            elif flight.vacant:
                self._lead(seat, flight, call)
            else:
                if flight.landing is None:
                    flight.landing = Future()
                seat.flight, seat.landing = flight, flight.landing
                flight.followers.add(seat)
                call.followed = True
        if not seat.leads and self._journal.enabled:
            url = masked_url(call.url)
            self._journal.say("%s %s: joins the call in the air", call.method, url)
        return seat

    def board_again(self, call: Call, told: Landing) -> None:
        """``told`` does not serve this call: it leads now, or follows whoever was faster."""
        seat: Seat = call.seat
        flight = seat.flight
        assert flight is not None
        with self._lock:
            if flight.vacant and flight.landing is told.successor:
                self._lead(seat, flight, call)
            else:
                seat.landing = told.successor

    def _lead(self, seat: Seat, flight: Flight, call: Call) -> None:
        flight.followers.discard(seat)
        seat.flight, seat.leads, seat.landing = flight, True, None
        flight.patience, flight.vacant = patience(call), False
        call.followed = False

    def leave(self, call: Call) -> None:
        """Give the seat back, however the call has ended; a leader that did not land hands over."""
        seat: Seat | None = call.seat
        if seat is None:
            return
        if seat.leads:
            self._land(seat, Landing())
        elif seat.flight is not None:
            with self._lock:
                seat.flight.followers.discard(seat)
                self._drop_if_deserted(seat.flight)
        call.seat = None

    def forget(self, resource: str) -> None:
        """Later calls do not join what is in the air there now: it may be out of date."""
        with self._lock:
            for flight in [one for one in self._flying.values() if one.resource == resource]:
                del self._flying[flight.key]

    def _drop(self, flight: Flight) -> None:
        if self._flying.get(flight.key) is flight:  # not forgotten, and another one begun since
            del self._flying[flight.key]

    def _drop_if_deserted(self, flight: Flight) -> None:
        if flight.vacant and not flight.followers:
            self._drop(flight)

    # -- leading ---------------------------------------------------------------------------------

    def _fly(self, seat: Seat, call: Call, proceed: Proceed[Call]) -> Response:
        try:
            self._thread.leads = True
            response = proceed(call)
        except Exception as error:
            self._land(seat, Landing.of_failure(call, error))
            raise
        finally:
            self._thread.leads = False
            call.followers = seat.followers
        if not self._landed_alone(seat):
            self._land(seat, Landing.of_answer(call, response))
            call.followers = seat.followers
        return response

    def _landed_alone(self, seat: Seat) -> bool:
        """Land, if nobody follows; from then on nobody can."""
        with self._lock:
            flight = seat.flight
            if flight is None or flight.landing is not None:
                return False
            self._drop(flight)
            seat.flight = None
            return True

    def _land(self, seat: Seat, landing: Landing) -> None:
        with self._lock:
            flight = seat.flight
            if flight is None:
                return  # it has landed before
            told = flight.landing
            if landing.is_final:
                seat.followers = len(flight.followers)
                self._drop(flight)  # before anybody is told, so that nobody joins what is over
            else:
                flight.vacant = True
                self._drop_if_deserted(flight)
                if told is not None:
                    flight.landing = Future()
                    landing = replace(landing, successor=flight.landing)
        if told is not None and not told.done():
            told.set_result(landing)
        seat.flight = None  # last: whoever is interrupted before still has something to leave

    # -- following -------------------------------------------------------------------------------

    def _told(self, seat: Seat, call: Call) -> Landing:
        assert seat.landing is not None
        if call.spent is not None:
            call.spent.turn("following")
        try:
            return seat.landing.result(self.bound(call))
        except WaitTimeout:
            raise self.gave_up(call) from None

    def is_served(self, call: Call, told: Landing) -> bool:
        """Whether what a follower was told ends its call."""
        return told.serves(call, self._clock())

    def received(self, told: Landing) -> Response:
        """A follower's own copy of what the leader got: an answer returned, a failure raised."""
        if told.failure is not None:
            raise clone(told.failure)
        assert told.snapshot is not None
        return told.snapshot.replica()

    def bound(self, call: Call) -> float | None:
        """How long this follower waits: to its deadline, or its timeout if the leader's is longer.

        Seconds, or None.
        """
        seat: Seat = call.seat
        own, left = patience(call), math.inf
        if call.deadline is not None:
            left = call.deadline - self._clock()
        with self._lock:
            waits = own if seat.flight is not None and own < seat.flight.patience else math.inf
            seat.is_late = left <= waits
        bound = min(left, waits)
        return None if bound == math.inf else min(bound, threading.TIMEOUT_MAX)

    def gave_up(self, call: Call) -> requests.Timeout:
        """What a follower raises whose own time is over."""
        state = MAYBE_PROCESSED  # the leader's request, on its behalf
        if call.seat.is_late:
            return late(call, ", waiting for the leader", state)
        what = f"{call.method} {masked_url(call.url)}"
        return mark(ReadTimeout(f"{what}: no answer within {patience(call):g} s"), state)
