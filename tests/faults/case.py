"""What a case is: a misbehaviour, and how a call that meets it has to end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass

from tests.faults.talk import OK, Act, Talk

__all__ = ["Case", "Ending", "blurts", "every", "says"]

Ending = int | type[Exception]  # a status, or the class of the error


@dataclass(frozen=True)
class Case:
    """One way to misbehave.

    Args:
        name: what it is called; also the first part of its path.
        what: the misbehaviour in words.
        act: does it.
        ends: how a call through a session with two retries has to end.
        body: what the answer's body must then be; None: whatever stock requests makes of it.
        gets: requests that the server sees if it is a GET.
        posts: the same for a POST ...
        post_ends: ... and how that ends, if not in the same way.
        kept: whether the answer may be kept, if its head says that it is fresh for a minute: then
            its status does not matter (RFC 9111, section 3).
        differs: why it has to end otherwise than in stock requests.
        hangs: stock requests does not come back from it; ours has to, at its deadline.
        waits: it takes a timeout to end, so that the timeout is short.
        redirects: what comes first is an ordinary redirect.
        method: of the call that is to end so.
        sends: size of the POST's body.
        early: the body of the request is not read before ``act`` acts.
        then: the method of the next call in the same session, which gets an ordinary answer ...
        then_ends: ... unless this says otherwise ...
        then_hits: ... and the requests that the server sees of it.
    """

    name: str
    what: str
    act: Act
    _: KW_ONLY
    ends: Ending = 200
    body: bytes | None = OK
    gets: int = 1
    posts: int = 1
    post_ends: Ending | None = None
    kept: bool = False
    differs: str = ""
    hangs: bool = False
    waits: bool = False
    redirects: bool = False
    method: str = "GET"
    sends: int = 10
    early: bool = False
    then: str = "GET"
    then_ends: Ending = 200
    then_hits: int = 1

    def ends_as(self, method: str) -> Ending:
        """How a call with this method has to end."""
        return self.ends if method != "POST" or self.post_ends is None else self.post_ends

    def hits(self, method: str) -> int:
        """How many requests the server sees of it."""
        return self.posts if method == "POST" else self.gets


def says(*lines: str | bytes, body: bytes = b"", keep: bool = False) -> Act:
    """An act: a head of these lines, then the body, then a FIN unless it is to ``keep`` open."""

    def act(talk: Talk) -> None:
        talk.say(talk.head(*lines), body)
        talk.is_over = not keep

    return act


def blurts(data: bytes) -> Act:
    """An act: these bytes, then a FIN."""

    def act(talk: Talk) -> None:
        talk.say(data)
        talk.hang_up()

    return act


def every(*acts: Callable[[Talk], object]) -> Act:
    """An act: the first one for a caller's first request, and so on; the last one for ever."""

    def act(talk: Talk) -> None:
        acts[min(talk.turn, len(acts)) - 1](talk)

    return act
