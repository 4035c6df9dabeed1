"""A server that misbehaves in whatever way its path says, and otherwise works."""

from __future__ import annotations

import itertools
import json
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from tests.faults.case import Case
from tests.faults.listener import Listener
from tests.faults.talk import MOST_SECONDS, Talk, Wire

__all__ = ["HostileServer"]

Greet = Callable[[socket.socket], None]
_numbers = itertools.count(1)


class HostileServer(Listener):
    """``/name/token`` does to its caller what the case of that name does.

    ``/echo/token`` is the ordinary answer: what was asked, as JSON.  Everything is counted by the
    token, which each caller makes up, so that callers do not see each other's.

    With ``tls`` it speaks TLS; with ``greet`` that is done to whoever connects for TLS, and nothing
    else.  ``where`` may be a ``host`` and a ``port``.
    """

    def __init__(
        self,
        cases: Iterable[Case] = (),
        *,
        tls: ssl.SSLContext | None = None,
        greet: Greet | None = None,
        **where: Any,
    ) -> None:
        self._cases = {case.name: case for case in cases}
        self._tls, self._greet = tls, greet
        self._counting = threading.Lock()
        self._hits: Counter[str] = Counter()
        self._talks: list[Talk] = []
        super().__init__(self._talk, **where)

    def url(self, name: str, token: str, query: str = "", *, host: str = "127.0.0.1") -> str:
        """Where one is treated in that way."""
        scheme = "http" if self._tls is None and self._greet is None else "https"
        return f"{scheme}://{host}:{self.port}/{name}/{token}" + (f"?{query}" if query else "")

    @staticmethod
    def token() -> str:
        """One that nobody else has."""
        return f"t{next(_numbers)}"

    def hits(self, token: str) -> int:
        """How many requests came with it; each counts as soon as it is read."""
        with self._counting:
            return self._hits[token]

    def last(self, token: str) -> Talk:
        """The last of them, and what was said to it."""
        with self._counting:
            return [talk for talk in self._talks if talk.asked.token == token][-1]

    def _talk(self, sock: socket.socket, number: int) -> None:
        if self._greet is not None:
            self._greet(sock)
            return
        sock.settimeout(MOST_SECONDS)
        if self._tls is not None:
            sock = self._tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
            self.replace(number, sock)
            sock.do_handshake()
        self._serve_requests(Wire(sock))

    def _serve_requests(self, wire: Wire) -> None:
        while (talk := self.hear(wire)) is not None:
            self._act(talk)
            if talk.is_over:
                return

    @property
    def flooded(self) -> int:
        """Bytes that were said without end, to everybody."""
        with self._counting:
            return sum(talk.flooded for talk in self._talks)

    def hear(self, wire: Wire) -> Talk | None:
        """The next request on this connection, counted; None if there is none."""
        asked = wire.head()
        if asked is None:
            return None
        case = self._cases.get(asked.name)
        body = b"" if case is not None and case.early else wire.body(asked)
        with self._counting:
            self._hits[asked.token] += 1
            turn = self._hits[asked.token]
            talk = Talk(wire, asked, body=body, turn=turn, hear=self.hear)
            self._talks.append(talk)
        return talk

    def _act(self, talk: Talk) -> None:
        case = self._cases.get(talk.asked.name)
        if case is not None:
            case.act(talk)
            return
        asked = talk.asked
        told = {"method": asked.method, "path": asked.path, "headers": asked.headers}
        talk.answer(json.dumps({**told, "body": talk.body.decode("latin-1")}).encode())
