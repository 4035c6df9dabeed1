"""One flight: its seats, what its followers are told, and which of them that serves."""

from __future__ import annotations

import math
from concurrent.futures import Future
from dataclasses import dataclass

import requests
from requests import Response

from ..pipeline import Call
from ..replicas import Snapshot

__all__ = ["Flight", "Landing", "Seat", "patience"]

_OF_TIME = (requests.Timeout, TimeoutError, ValueError)  # the last: a timeout that is none


class Flight:
    """One question that is being asked."""

    __slots__ = ("followers", "key", "landing", "patience", "resource", "vacant")

    def __init__(self, key: str, resource: str) -> None:
        self.key, self.resource = key, resource
        self.patience = math.inf  # the leader's
        self.landing: Future[Landing] | None = None  # made by the first follower
        self.followers: set[Seat] = set()
        self.vacant = False  # no leader: the first who comes takes over


class Seat:
    """One caller's place in a flight; ``landing`` is what a follower waits for."""

    __slots__ = ("flight", "followers", "is_late", "landing", "leads")

    def __init__(self) -> None:
        self.flight: Flight | None = None
        self.leads = False
        self.landing: Future[Landing] | None = None
        self.followers = 0  # of a leader, when it has landed
        self.is_late = False  # if it gives up, then because of its deadline


@dataclass(frozen=True, slots=True, eq=False)
class Landing:
    """An answer, or a failure, or neither.

    ``alone``: the answer is nobody else's; each follower asks for itself, all at once.
    ``chosen_by``: what chose the answer besides the key, as in ``Snapshot.chosen_by``.
    ``leader``: its own bounds may have brought this about; whoever has wider ones is not served.
    ``successor``: where those who are not served wait for the next leader, if they do not lead.
    """

    snapshot: Snapshot | None = None
    failure: Exception | None = None
    alone: bool = False
    chosen_by: tuple[tuple[str, str | None], ...] = ()
    leader: Call | None = None
    successor: Future[Landing] | None = None

    @classmethod
    def of_answer(cls, call: Call, response: Response) -> Landing:
        """What there is to tell after ``call`` got this answer."""
        if any("Set-Cookie" in hop.headers for hop in (*response.history, response)):
            return cls(alone=True)
        snapshot = call.frozen(response)
        # With more time it might have asked again, and got something better.
        has_failed = (response.status_code or 0) >= 500 or response.status_code == 429
        is_own = has_failed and call.deadline is not None
        chosen_by = snapshot.chosen_by(call.headers)
        return cls(snapshot=snapshot, chosen_by=chosen_by, leader=call if is_own else None)

    @classmethod
    def of_failure(cls, call: Call, error: Exception) -> Landing:
        """What there is to tell after ``call`` ended with this error."""
        is_own = call.deadline is not None or isinstance(error, _OF_TIME)
        return cls(failure=error, leader=call if is_own else None)

    @property
    def is_final(self) -> bool:
        """Whether nobody needs to take over."""
        return self.alone or (self.leader is None and self._says_something)

    @property
    def _says_something(self) -> bool:
        return self.snapshot is not None or self.failure is not None

    def leaves_alone(self, call: Call) -> bool:
        """Whether the answer is none for ``call``, which then asks for itself without waiting."""
        if self.alone or self.snapshot is None:
            return self.alone
        return self.snapshot.chosen_by(call.headers) != self.chosen_by

    def serves(self, call: Call, now: float) -> bool:
        """Whether ``call``, asking for itself, would have fared no better."""
        if self.leader is None or not self._says_something:
            return self._says_something
        if isinstance(self.failure, _OF_TIME) and _is_more_patient(call, self.leader):
            return False
        return not _has_more_time(call, self.leader, now)


def patience(call: Call) -> float:
    """Seconds of silence that the caller accepts."""
    return math.inf if call.patience is None else call.patience


def _is_more_patient(call: Call, other: Call) -> bool:
    return patience(call) > patience(other) or _to_connect(call) > _to_connect(other)


def _to_connect(call: Call) -> float:
    """Seconds to connect in; none for what is no number, be it refused or a kind of its own."""
    timeout = call.arguments.get("timeout")
    if isinstance(timeout, tuple):
        timeout = timeout[0] if len(timeout) == 2 else 0.0
    if timeout is None:
        return math.inf
    return timeout if isinstance(timeout, (int, float)) else 0.0


def _has_more_time(call: Call, other: Call, now: float) -> bool:
    if other.deadline is None:
        return False
    if call.deadline is None:
        return True
    # Twice as much: calls of one kind that began a moment apart are to share.
    return call.deadline - now > 2 * max(0.0, other.deadline - now)
