"""All that there is to know of what came of a call, so that two of them can be compared."""

from __future__ import annotations

import re
import time
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest
import requests

from browseros_api.spent import Spent
from browseros_api.transport import short_way
from browseros_api.transport.watch import Watch

__all__ = ["anonymous", "ordinary_only", "outcome"]


def ordinary_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """No request goes the short way from now on."""
    monkeypatch.setattr(short_way, "is_ordinary", lambda *_: False)


def anonymous(text: str) -> str:
    """Without what differs from call to call."""
    return re.sub(r"0x[0-9a-f]+|/t\d+|\d\d:\d\d:\d\d GMT", "", text)


def told_of(error: BaseException | None, depth: int = 9) -> object:
    """All that can be asked of an error, except when and where it happened."""
    if not isinstance(error, BaseException) or not depth:
        return anonymous(repr(error))
    parts = [
        told_of(part, depth - 1)
        for part in (
            *error.args,
            getattr(error, "reason", None),
            error.__cause__,
            error.__context__,
        )
    ]
    has = [getattr(error, name, None) is not None for name in ("request", "response", "errno")]
    return type(error), anonymous(str(error)), parts, has


def plain_parts(thing: Any, *, but: Any = frozenset()) -> list[tuple[str, str]]:
    """Each of its attributes, with its value if that has no parts of its own."""
    plain = (str, int, timedelta, type(None))
    return [
        (name, repr(value) if isinstance(value, plain) else type(value).__name__)
        for name, value in sorted(vars(thing).items())
        if name not in but
    ]


def told_of_answer(answer: requests.Response) -> object:
    """All that can be asked of an answer."""
    raw: Any = answer.raw
    names = [
        name for name in ("version", "version_string", "reason", "status") if hasattr(raw, name)
    ]
    return [
        answer.status_code,
        answer.reason,
        answer.encoding,
        anonymous(answer.url),
        list(answer.headers.lower_items()),
        list(answer.headers),
        [(cookie.name, cookie.value, cookie.path) for cookie in answer.cookies],
        (len(answer.content), sha256(answer.content).hexdigest()),
        answer._content_consumed,
        [getattr(raw, name, None) for name in names],
        list(raw.headers.iteritems()),
        raw.headers.getlist("set-cookie"),
        raw._original_response.msg.items(),
        raw._original_response.msg.get_all("Set-Cookie"),
        (raw.isclosed(), raw.closed, raw.tell(), raw.length_remaining, raw.chunked, raw.chunk_left),
        (raw.read(), raw.data, raw.connection, anonymous(str(raw.geturl()))),
        (repr(raw.retries), type(raw), type(raw._fp), raw._fp is raw._original_response),
        plain_parts(answer, but={"_answered_after", "elapsed"}),
        plain_parts(raw),
        plain_parts(raw._original_response, but={"head", "is_at_hand"}),
    ]


def outcome(
    client: Any, method: str, url: str, *, stream: bool = False, **options: Any
) -> tuple[Any, ...]:
    """What comes of a call, and what it leaves behind."""
    spent = Spent(time.monotonic)
    try:
        with Watch(time.monotonic() + options.pop("seconds", 20.0), spent):
            answer = client.request(method, url, stream=stream, allow_redirects=False, **options)
            ended: object = told_of_answer(answer)
    except (requests.RequestException, ValueError) as error:
        ended = told_of(error)
    now = dict(client.now)
    return ended, [
        now[name] for name in ("connections_opened", "stale_replaced", "connections_open")
    ]
