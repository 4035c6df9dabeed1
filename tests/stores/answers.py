"""Answers to keep, made by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import requests

from browseros_api.keys import digest
from browseros_api.replicas import Snapshot
from browseros_api.stores.entry import Entry

__all__ = ["URL", "answer", "entry", "key"]

URL = "http://api.example.com/things"


def key(name: str) -> str:
    """A key as calls have them."""
    return digest(name)


def answer(
    body: bytes = b'{"n": 1}',
    *,
    url: str = URL,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    sent: Mapping[str, str] | None = None,
    history: Sequence[requests.Response] = (),
) -> requests.Response:
    """A response as requests makes them, to a request with the headers ``sent``."""
    response = requests.Response()
    response.status_code, response.reason = status, "OK"
    response.url = url
    response.headers.update({"Content-Type": "application/json", **(headers or {})})
    response.encoding = "utf-8"
    response.elapsed = timedelta(microseconds=123456)
    response._content = body
    response._content_consumed = True  # type: ignore[attr-defined]
    request: Any = requests.Request("GET", url, headers=dict(sent or {})).prepare()
    response.request = request
    response.history = list(history)
    return response


def entry(
    response: requests.Response | None = None,
    *,
    now: float = 1000.0,
    seconds: float = 60.0,
    resource: str = URL,
    chosen_by: tuple[tuple[str, str | None], ...] = (),
) -> Entry:
    """What is kept of it, born ``now`` and kept for so many seconds."""
    end = now + seconds
    snapshot = Snapshot(answer() if response is None else response)
    return Entry(snapshot, end, end, now, resource, chosen_by)
