"""How an answer goes wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from .reply import Reply
from .routes import Handler
from .wire import Received

__all__ = ["SPOILERS", "spoiled"]


def _truncated(reply: Reply) -> Reply:
    if reply.raw is not None or reply.silent:
        return reply
    payload, _ = reply._payload()
    return replace(reply, truncate=len(payload) // 2) if payload else Reply(reset="head")


SPOILERS: dict[str, Callable[[Reply], Reply]] = {
    "reset": lambda reply: Reply(reset="before"),
    "close": lambda reply: Reply(raw=b""),
    "truncate": _truncated,
    "garbage": lambda reply: Reply(raw=b"\x15\x03\x01 this is not HTTP\r\n\r\n"),
    "503": lambda reply: Reply(503),
    "429": lambda reply: Reply(429),
    "delay": lambda reply: reply,  # later
}


def spoiled(reply: Reply | Handler, fault: str, *, delay: float) -> Reply | Handler:
    """What is answered instead of ``reply``; a function is asked first, as if nothing happened.

    But for a 429, which says that nothing was done: whoever gets it may ask again, by POST too.
    """
    if fault == "429":
        return Reply(429)
    if not isinstance(reply, Reply):
        return partial(_asked, reply, fault, delay)
    if fault == "delay":
        return replace(reply, delay=reply.delay + delay)
    return SPOILERS[fault](reply)


def _asked(handler: Handler, fault: str, delay: float, request: Received) -> Reply:
    reply = handler(request)
    told = spoiled(reply, fault, delay=delay) if isinstance(reply, Reply) else reply
    assert isinstance(told, Reply)
    return told
