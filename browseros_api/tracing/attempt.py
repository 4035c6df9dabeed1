"""One request that was sent, or was to be sent, on behalf of a call."""

from __future__ import annotations

from typing import Any

from requests import PreparedRequest, Response

from ..errors import NEVER_SENT, CircuitOpenError
from ..journal import masked_url
from .masking import masked_pairs

__all__ = ["Attempt", "size_of"]

_SHOWN = {"closed": "closed", "half-open": "half_open", "open": "open"}


class Attempt:
    """What is known of one attempt.  Instants are of the session's clock.

    Attributes:
        number: from 1 for each hop: a redirect, or an answer to a challenge, begins anew.
        method: of its request.
        status: of its answer; None: there was none.
        error: name of the exception's class, if there was one.
        state: how far its request came: ``"never-sent"``, ``"maybe-processed"``, ``"processed"``.
        breaker: the circuit of its endpoint when it began: closed, half_open, or open (refused).
        opened: whether that circuit is open since then.
        decision: what was made of a failure, such as "again in 0.50 s"; else empty.
        delay: seconds that were waited after it.
        hedged: seconds after which a second request was sent beside it; None: none was.
        hedge_won: whether it was that one that brought the answer.
        bytes_sent, bytes_received: of the bodies, decoded; None where nobody knows.
        endpoint: its name among those of the breakers; else empty.
        connection: number of the connection that it used, in the order in which the session has
            opened them; None where nobody knows.
    """

    ended: float | None = None
    connection: int | None = None
    status: int | None = None
    reason: str | None = None
    version: int | None = None
    error: str | None = None
    state: str = "processed"
    breaker = endpoint = decision = ""
    opened = False
    delay = 0.0
    hedged: float | None = None
    hedge_won = False
    bytes_received: int | None = None
    _told: Any = ()

    def __init__(self, number: int, request: PreparedRequest, began: float) -> None:
        self.number, self.began = number, began
        self.method, self._url, self._headers = request.method, request.url, request.headers
        body = request.body
        self.bytes_sent = 0 if body is None else size_of(body)

    def answer(self, response: Response) -> None:
        """It has come to an answer."""
        own = response.__dict__
        self.status, self.reason = own.get("status_code"), own.get("reason")
        self._told = own.get("headers", ())
        self.version = getattr(own.get("raw"), "version", None)
        self.bytes_received = size_of(own.get("_content"))

    def fail(self, error: BaseException) -> None:
        """It has come to nothing."""
        self.error = type(error).__name__  # and not its text, which quotes the URL's secrets
        self.state = error.__dict__.get("request_state", self.state)
        if isinstance(error, CircuitOpenError):
            self.breaker, self.state = "open", NEVER_SENT

    def judge(self, endpoint: str, circuit: str, refused_for: float) -> None:
        """What the breaker has to do with it."""
        self.endpoint = endpoint
        if circuit:
            self.breaker = _SHOWN[circuit]
        if refused_for > 0:
            self.opened = True

    @property
    def url(self) -> str:
        """Where it was sent to, with secrets masked."""
        return masked_url(str(self._url))

    @property
    def is_sent(self) -> bool:
        """Whether any byte of it was written."""
        return self.state != NEVER_SENT

    @property
    def request_headers(self) -> list[tuple[str, str]]:
        """What was sent, with secrets masked."""
        return masked_pairs(_pairs(self._headers))

    @property
    def response_headers(self) -> list[tuple[str, str]]:
        """What has come, with secrets masked."""
        return masked_pairs(_pairs(self._told))

    def __getstate__(self) -> dict[str, Any]:
        shown = {"_headers": self.request_headers, "_told": self.response_headers}
        return {**self.__dict__, "_url": self.url, **shown}

    def __repr__(self) -> str:
        outcome = self.error if self.status is None else self.status
        return f"<Attempt {self.number} [{self.method} {self.url}: {outcome}]>"


def _pairs(headers: Any) -> list[tuple[object, object]]:
    return list(headers.items()) if hasattr(headers, "items") else list(headers or ())


def size_of(body: Any) -> int | None:
    """Bytes of a body that is in memory; of none, 0."""
    if type(body) is bytes:
        return len(body)
    if body is None:
        return 0
    if isinstance(body, str):
        return len(body.encode())
    return len(body) if isinstance(body, (bytes, bytearray)) else None
