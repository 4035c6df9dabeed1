"""A real server, a session with a clock of ours, and what the second of two calls came to."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Mapping, Sequence
from email.utils import formatdate
from time import time
from typing import Any

from requests import Response

from browseros_api import Session
from browseros_api.testing import ApiServer, FakeClock, Received, Reply

__all__ = ["CONDITIONAL", "HIT", "MISS", "Origin", "Stage", "dated"]

HIT, CONDITIONAL, MISS = "hit", "conditional", "miss"

_DATES = {"date", "expires", "last-modified", "if-modified-since", "if-unmodified-since"}
Headers = Mapping[str, Any] | Sequence[tuple[str, Any]]


def dated(headers: Headers | None) -> list[tuple[str, str]]:
    """The headers, with a date that many seconds from now where one is a number."""
    items = headers.items() if isinstance(headers, Mapping) else headers or ()
    return [
        (name, formatdate(time() + value, usegmt=True))
        if name.lower() in _DATES and isinstance(value, (int, float))
        else (name, str(value))
        for name, value in items
    ]


class Origin:
    """Answers "1", "2", "3" with the replies it is given, the last for ever.

    Where a request has the conditions of the reply before, a good one becomes a 304 with its
    headers.
    """

    def __init__(self, *replies: Reply | Headers) -> None:
        self.replies = [one if isinstance(one, Reply) else Reply(headers=one) for one in replies]
        self.asked: list[Received] = []
        self._lock = threading.Lock()

    def __call__(self, request: Received) -> Reply:
        with self._lock:
            self.asked.append(request)
            number = len(self.asked)
        reply = self.replies[min(number, len(self.replies)) - 1]
        before = self.replies[max(0, min(number - 1, len(self.replies)) - 1)]
        if reply.raw is not None or reply.reset or reply.truncate:
            return reply
        if reply.status < 300 and self._is_unchanged(request, dict(dated(before.headers))):
            return Reply(304, headers=dated(reply.headers))
        body = reply.body or str(number)
        if reply.status in (204, 304):
            body = b""
        return Reply(reply.status, headers=dated(reply.headers), body=body, hold=reply.hold)

    def _is_unchanged(self, request: Received, before: dict[str, str]) -> bool:
        tag, changed = before.get("ETag"), before.get("Last-Modified")
        asked_tag = request.headers.get("If-None-Match")
        if asked_tag is not None:
            return tag is not None and tag in asked_tag
        return changed is not None and request.headers.get("If-Modified-Since") == changed


class Stage:
    """One session, one server, and a clock that obeys."""

    _paths = itertools.count()

    def __init__(self, server: ApiServer, clock: FakeClock, **options: Any) -> None:
        settings = {"max_retries": 0, "enable_circuit_breaker": False, **options}
        self.server, self.clock = server, clock
        self.session = Session(clock=clock, sleep=clock.sleep, **settings)

    def open(self, *replies: Reply | Headers) -> Origin:
        """A new path with these replies; ``ask`` asks for it from now on."""
        self.path = f"/{next(self._paths)}"
        origin = Origin(*replies)
        self.server.route(self.path, origin)
        return origin

    def ask(self, headers: Headers | None = None, **arguments: Any) -> Response:
        """GET it, or whatever ``method`` says."""
        method = arguments.pop("method", "GET")
        arguments.setdefault("allow_redirects", False)
        url = self.server.url(self.path + arguments.pop("query", ""))
        return self.session.request(method, url, headers=dict(dated(headers)), **arguments)

    def verdict(
        self, first: Reply | Headers, *, asked: Headers | None = None, after: float = 0.0,
        then: Headers | None = None,
    ) -> str:  # fmt: skip
        """What a second call comes to, ``after`` seconds, that is asked with headers ``then``."""
        origin = self.open(first, first)
        self.ask(asked)
        self.clock.tick(after)
        answer = self.ask(then)
        if len(origin.asked) == 1:
            assert answer.from_cache  # type: ignore[attr-defined]
            return HIT
        named = {name.lower() for name, _ in origin.asked[-1].headers.items()}
        own = {name.lower() for name, _ in dated(then)}
        conditions = (named - own) & {"if-none-match", "if-modified-since"}
        return CONDITIONAL if conditions else MISS
