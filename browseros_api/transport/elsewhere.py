"""Bounds for adapters of somebody else, whose connections know no watch."""

from __future__ import annotations

from typing import Any

import requests

from .watch import Watch

__all__ = ["clipped", "hold_body"]


def clipped(timeout: Any, seconds: float) -> Any:
    """requests' ``timeout``, but no part of it longer than so many seconds."""
    if timeout is None or isinstance(timeout, (int, float)):
        return _lesser(timeout, seconds)
    if isinstance(timeout, tuple):
        return tuple(_lesser(part, seconds) for part in timeout)
    return timeout  # a kind of its own, such as urllib3's


def _lesser(part: float | None, seconds: float) -> float:
    return seconds if part is None else min(part, seconds)


def hold_body(response: requests.Response, watch: Watch) -> None:
    """Let ``watch`` cut the body of ``response``, if it comes from a socket of urllib3's."""
    connection = getattr(response.raw, "connection", None)
    sock = getattr(connection, "sock", None)
    if sock is not None:
        watch.hold(response, sock, as_copy=True)
