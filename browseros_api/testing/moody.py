"""Adapters of a session that fail as a server would make them fail."""

from __future__ import annotations

import http.client
import io
import time
from collections.abc import Callable
from typing import Any

import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3.exceptions import IncompleteRead, ProtocolError
from urllib3.response import HTTPResponse

__all__ = ["moody_adapters"]

Fate = Callable[[str, str], "str | None"]


def moody_adapters(session: requests.Session, fate: Fate, *, delay: float) -> Callable[[], None]:
    """Put one in front of each of the session's; call what is returned to take them away."""
    before = dict(session.adapters)
    ours: dict[str, BaseAdapter] = {
        prefix: _Moody(adapter, fate, delay) for prefix, adapter in before.items()
    }
    session.adapters.update(ours)

    def end() -> None:
        for prefix, adapter in ours.items():
            if session.adapters.get(prefix) is adapter:
                session.adapters[prefix] = before[prefix]

    return end


class _Moody(BaseAdapter):
    def __init__(self, adapter: BaseAdapter, fate: Fate, delay: float) -> None:
        super().__init__()
        self._adapter, self._fate, self._delay = adapter, fate, delay

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # type: ignore[override]
        fault = self._fate(str(request.method), str(request.url))
        if fault in _STATUSES:
            return _answer(request, _STATUSES[fault])
        if fault in _BROKEN:
            raise requests.ConnectionError(_BROKEN[fault](), request=request)
        if fault == "delay":
            time.sleep(self._delay)
        response = self._adapter.send(request, **options)
        if fault == "truncate":
            length = len(response.content)
            response.close()
            error = IncompleteRead(length // 2, length - length // 2)
            raise requests.exceptions.ChunkedEncodingError(error, request=request)
        return response

    def close(self) -> None:
        self._adapter.close()


_ABORTED = "Connection aborted."
_BROKEN: dict[str | None, Callable[[], ProtocolError]] = {
    "reset": lambda: ProtocolError(_ABORTED, ConnectionResetError(104, "Connection reset by peer")),
    "close": lambda: ProtocolError(
        _ABORTED,
        http.client.RemoteDisconnected("Remote end closed connection without response"),
    ),
    "garbage": lambda: ProtocolError(_ABORTED, http.client.BadStatusLine("this is not HTTP")),
}
_STATUSES: dict[str | None, int] = {"503": 503, "429": 429}


def _answer(request: requests.PreparedRequest, status: int) -> requests.Response:
    reason = http.client.responses[status]
    raw = HTTPResponse(io.BytesIO(b""), status=status, reason=reason, preload_content=False)
    return HTTPAdapter().build_response(request, raw)
