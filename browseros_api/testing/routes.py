"""Which reply a request gets: routes, scripts, and what is there without either."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from .reply import Reply
from .wire import Received

__all__ = ["Handler", "Routes", "echo"]

Handler = Callable[[Received], Reply]

_LONGEST_DELAY = 10.0  # seconds, of /delay
_LARGEST_BODY = 256 * 1024 * 1024  # bytes, of /bytes


class _Script:
    """Replies one after the other; the last one for ever."""

    def __init__(self, replies: Iterable[Reply | Handler]) -> None:
        self._replies = list(replies)
        self._given = 0  # how often the first of them was given
        self._lock = threading.Lock()

    def next(self) -> Reply | Handler:
        with self._lock:
            reply = self._replies[0]
            self._given += 1
            if len(self._replies) > 1 and self._given >= getattr(reply, "repeat", 1):
                self._replies.pop(0)
                self._given = 0
            return reply


class Routes:
    """The replies by path and method; a path that ends with ``*`` stands for all that begin so."""

    def __init__(self) -> None:
        self._scripts: dict[tuple[str, str | None], _Script] = {}
        self.moods: list[Callable[[Received, Reply | Handler], Reply | Handler]] = []
        self._lock = threading.Lock()

    def add(self, path: str, replies: Iterable[Reply | Handler], method: str | None) -> None:
        """Give ``replies`` from now on, instead of whatever that path and method had before."""
        if not path or "?" in path or "#" in path:
            raise ValueError(f"a route is a path without a query, not {path!r}")
        script = [*replies]
        if not script or not all(isinstance(reply, Reply) or callable(reply) for reply in script):
            raise TypeError("a route leads to a Reply, or to a function that returns one")
        with self._lock:
            self._scripts[path, method.upper() if method else None] = _Script(script)

    def find(self, request: Received) -> Reply | Handler:
        """The reply's turn that it is, or the function to ask for one."""
        with self._lock:
            script = self._lookup(request.path, request.method)
        reply = built_in(request) if script is None else script.next()
        for mood in [*self.moods]:
            reply = mood(request, reply)
        return reply

    def _lookup(self, path: str, method: str) -> _Script | None:
        if not self._scripts:
            return None
        for pattern in (path, *self._patterns_of(path)):
            for verb in (method, None):
                if (script := self._scripts.get((pattern, verb))) is not None:
                    return script
        return None

    def _patterns_of(self, path: str) -> list[str]:
        patterns = {pattern for pattern, _ in self._scripts if pattern.endswith("*")}
        matching = [pattern for pattern in patterns if path.startswith(pattern[:-1])]
        return sorted(matching, key=len, reverse=True)


def built_in(request: Received) -> Reply:
    """What a path answers that nobody has routed: see ``ApiServer``."""
    kind, _, argument = request.path[1:].partition("/")
    try:
        if kind == "status" and argument:
            return Reply(int(argument))
        if kind == "bytes" and argument:
            size = int(argument)
            if not 0 <= size <= _LARGEST_BODY:
                raise ValueError(f"between 0 and {_LARGEST_BODY} bytes")
            return Reply(body=b"x" * size, content_type="application/octet-stream")
        if kind == "delay" and argument:
            delay = float(argument)
            if not 0 <= delay <= _LONGEST_DELAY:
                raise ValueError(f"between 0 and {_LONGEST_DELAY:g} seconds")
            return echo(request, delay=delay)
    except ValueError as error:
        return Reply(400, body=f"{request.path}: {error}\n")
    return echo(request)


def echo(request: Received, *, delay: float = 0.0) -> Reply:
    """The request itself, as JSON."""
    return Reply(
        json={
            "method": request.method,
            "path": request.path,
            "query": request.query,
            "headers": dict(request.headers),
            "body": request.text,
        },
        delay=delay,
    )
