"""Heeding what servers say of their limits: all calls to a place slow down before the first 429.

While little is left of what a server announces, the rest is spread over the time until there is
more; when nothing is left, and after a 429 or 503 with a ``Retry-After``, nobody asks until then.
What would have to wait too long is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from requests import Response
from requests.structures import CaseInsensitiveDict

from ..pipeline import Exchange, Proceed
from ..terms import Heed
from ..waits import retry_after
from .announced import announcements
from .places import Door, Places, host_of, left_alone
from .quota import Quota, Ticket
from .waiting import Hall, TooLong

__all__ = ["Heeding"]

Namer = Callable[[str, str], str]

_REFUSALS = frozenset({429, 503})
# Whoever asks has a quota of his own: by what names him, if that is the same each time.
_NAMING = ("x-api-key", "api-key", "x-auth-token", "private-token", "x-access-token")
_CONSTANT = ("basic ", "bearer ", "token ")
_LONGEST_SCHEME = max(map(len, _CONSTANT))
_SCOPE = "X-RateLimit-Resource"  # GitHub's: some of its endpoints have a quota of their own
_MOST_SCOPES = 4096


class Heeding:
    """What the hosts of a session have said: its steps are ``heed`` and, innermost, ``hear``.

    ``wall`` is in seconds since the epoch, for what servers say in such.
    """

    def __init__(
        self,
        setting: bool | Heed,
        *,
        endpoint_of: Namer,
        hall: Hall,
        wall: Callable[[], float],
    ) -> None:
        terms = setting if isinstance(setting, Heed) else Heed()
        self._terms, self._hall, self._wall = terms, hall, wall
        self._endpoint_of = endpoint_of
        self._quotas: Places[Quota] = Places(
            lambda: Quota(hall, low=terms.low, longest=terms.longest)
        )
        self._scopes: dict[str, str] = {}  # of endpoints, as far as an answer has told
        self.door = Door(hall, wait=terms.longest)

    def reset_after_fork(self) -> None:
        """In a child: nothing is under way."""
        self._quotas.reset_after_fork()
        self.door.reset_after_fork()

    def heed(self, exchange: Exchange, proceed: Proceed[Exchange]) -> Response:
        """As the server wishes."""
        place, quota = self._of(exchange)
        ticket, clock = Ticket(), self._hall.clock

        def ask(before: int) -> float:
            now = clock()
            return quota.foresee(now) if before else quota.take(ticket, now)

        try:
            self._wait(exchange, place, quota, ask)
            if ticket.due > clock():
                self._spread(exchange, ticket.due)
                self._wait(exchange, place, quota, lambda _: quota.hold(clock()))
            return proceed(exchange)
        finally:
            quota.flying.discard(ticket)  # in C, so that no interrupt comes before it
            quota.land(ticket)

    def hear(self, exchange: Exchange, proceed: Proceed[Exchange]) -> Response:
        """Learn from what the server says, before anybody else gets the place of this request."""
        response = proceed(exchange)
        self._learn(exchange, response)
        return response

    def hold(self, exchange: Exchange) -> float:
        """Seconds for which the server has asked to be left alone; too many are not waited for."""
        seconds = self._of(exchange)[1].hold(self._hall.clock())
        if seconds > self._terms.longest:
            raise TooLong(seconds)
        return seconds

    def _of(self, exchange: Exchange) -> tuple[str, Quota]:
        request = exchange.request
        place = host_of(request.url or "")
        scope = None
        if self._scopes or self._terms.per == "endpoint":
            endpoint = self._endpoint_of(request.method or "", request.url or "")
            scope = self._scopes.get(endpoint)
            place = place if self._terms.per == "host" else endpoint
        return place, self._quotas.of((place, _who(request.headers), scope))

    def _wait(
        self, exchange: Exchange, place: str, quota: Quota, ask: Callable[[int], float]
    ) -> None:
        self.door.enter(exchange, quota.line, ask, refusal=partial(left_alone, place))

    def _spread(self, exchange: Exchange, due: float) -> None:
        """Until it is due; at once if there is no time for that, since something is left."""
        deadline = exchange.call.deadline
        if deadline is None or due < deadline:
            # A line of its own: those behind it are due at other times.
            self.door.nap(exchange, due)

    def _learn(self, exchange: Exchange, response: Response) -> None:
        now, wall = self._hall.clock(), self._wall()
        asked = None
        if response.status_code in _REFUSALS:
            asked = retry_after(response.headers.get("Retry-After"), now=wall)
        told = announcements(response.headers, now=wall)
        if told and (scope := response.headers.get(_SCOPE)):
            self._name_scope(exchange, str(scope))
        if told or asked is not None:
            self._of(exchange)[1].learn(told, asked=asked, now=now)

    def _name_scope(self, exchange: Exchange, scope: str) -> None:
        request = exchange.request
        if len(self._scopes) >= _MOST_SCOPES:
            self._scopes.clear()
        self._scopes[self._endpoint_of(request.method or "", request.url or "")] = scope


def _who(headers: Mapping[str, Any]) -> int:
    """A number for whoever asks; the names themselves are not kept."""
    if isinstance(headers, CaseInsensitiveDict):
        headers = dict(headers.lower_items())
    naming = [headers.get(name) for name in _NAMING]
    authorization = str(headers.get("authorization") or "")
    if authorization[:_LONGEST_SCHEME].lower().startswith(_CONSTANT):
        naming.append(authorization)
    return hash(tuple(naming))
