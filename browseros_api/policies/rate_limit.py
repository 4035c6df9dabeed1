"""How often a host or an endpoint is asked: what would come too early waits, or is refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from fnmatch import translate
from typing import TYPE_CHECKING, NamedTuple

from requests import Response

from ..journal import told_seconds
from ..pipeline import Exchange, Proceed
from ..refusals import RateLimited
from ..terms import RateLimit
from .places import Door, Hold, Places, host_of, patience
from .waiting import Hall, Line

if TYPE_CHECKING:
    from ..stores.windows import Rate, Windows

__all__ = ["RateLimiter"]

Namer = Callable[[str, str], str]

_USER = re.compile(r"//[^/]*@")


class _Rule(NamedTuple):
    pattern: re.Pattern[str]
    name: str
    terms: RateLimit
    rates: Sequence[Rate]


class RateLimiter:
    """The rates of a session: its step is ``pace``.

    ``rates_of`` reads a rate, ``endpoint_of(method, url)`` names an endpoint.
    """

    def __init__(
        self,
        setting: str | RateLimit | Mapping[str, str | RateLimit],
        *,
        windows: Windows,
        rates_of: Callable[[str], Sequence[Rate]],
        endpoint_of: Namer,
        hall: Hall,
        hold: Hold | None = None,
    ) -> None:
        rules = setting if isinstance(setting, Mapping) else {"*": setting}
        self._rules = [
            _Rule(re.compile(translate(pattern)), pattern, terms, rates_of(terms.rate))
            for pattern, terms in ((name, _terms(value)) for name, value in rules.items())
        ]
        self._windows = windows
        self._endpoint_of = endpoint_of
        self._lines: Places[_Queue] = Places(lambda: _Queue(hall))
        self.door = Door(hall, hold=hold)

    def reset_after_fork(self) -> None:
        """In a child: nobody waits."""
        self._lines.reset_after_fork()
        self._windows.reset_after_fork()
        self.door.reset_after_fork()

    def pace(self, exchange: Exchange, proceed: Proceed[Exchange]) -> Response:
        """Not too often."""
        url = exchange.request.url or ""
        asked = _USER.sub("//", url.partition("?")[0])
        rule = next((rule for rule in self._rules if rule.pattern.match(asked)), None)
        if rule is not None:
            self._wait(exchange, rule, url)
        return proceed(exchange)

    def _wait(self, exchange: Exchange, rule: _Rule, url: str) -> None:
        terms, windows, rates = rule.terms, self._windows, rule.rates
        place = host_of(url)
        if terms.per == "endpoint":
            place = self._endpoint_of(exchange.request.method or "", url)
        key = f"{terms.per} {place} {rule.name}"

        def ask(before: int) -> float:
            return windows.foresee(key, rates, before) if before else windows.take(key, rates)

        def refusal(seconds: float | None) -> RateLimited:
            return RateLimited(
                f"{place} is asked no more often than {terms.rate}: "
                f"the next one may go in {told_seconds(seconds or 0.0)}",
                place=place,
                retry_after=seconds,
            )

        line = self._lines.of(key).line
        self.door.enter(exchange, line, ask, refusal=refusal, wait=patience(terms.wait))


class _Queue:
    def __init__(self, hall: Hall) -> None:
        self.line: Line = hall.line()

    @property
    def is_idle(self) -> bool:
        return not len(self.line)

    def reset_after_fork(self) -> None:
        self.line.reset_after_fork()


def _terms(value: str | RateLimit) -> RateLimit:
    return value if isinstance(value, RateLimit) else RateLimit(value)
