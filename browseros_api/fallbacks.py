"""What a caller gets in the place of an error, where something was given for that."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests
from requests import Response
from requests.structures import CaseInsensitiveDict

from .bodies import decoded
from .engine import Engine
from .pipeline import Call
from .replicas import Snapshot
from .terms import UNSET

__all__ = ["Asked", "answered", "has_fallback", "instead", "plain"]


@dataclass(frozen=True)
class Asked:
    """What a call was to be: for a ``fallback`` that is a function.

    Attributes:
        method: such as ``"GET"``.
        url: as it was given, without ``params``; a client's endpoint is joined to its base.
        arguments: all that requests was to be told: params, headers, data and so on.
    """

    method: str
    url: str
    arguments: Mapping[str, Any]


def has_fallback(call: Call, error: requests.RequestException) -> bool:
    """Whether something is to be used instead of this error; not if the caller has made it."""
    if call.fallback is UNSET:
        return False
    if isinstance(error, requests.JSONDecodeError):  # a ValueError, too
        return True
    return not isinstance(error, (TypeError, ValueError, requests.exceptions.InvalidJSONError))


def instead(engine: Engine, call: Call, error: requests.RequestException) -> Any:
    """What is used; a function of the caller's may raise, the error itself or another one."""
    given = call.fallback
    if callable(given):
        given = given(error, Asked(call.method, call.url, dict(call.arguments)))
    elif isinstance(given, Response):
        given = Snapshot(given).replica()  # a copy for each caller
    else:
        given = copy.deepcopy(given)
    engine.meter.stand_in()
    return given


def plain(value: Any) -> Any:
    """What a client returns of it."""
    return decoded(value) if isinstance(value, Response) else value


def answered(session: Any, call: Call) -> Response:
    """The answer to ``call``, or what is to be used instead as one."""
    try:
        response: Response = session.perform(call)
    except requests.RequestException as error:
        if not has_fallback(call, error):
            raise
        value = instead(session._engine, call, error)
        response = value if isinstance(value, Response) else _made_up(value, error.request)
        response.url = response.url or call.asked or call.url
        response.__dict__["from_fallback"] = True
    return response


def _made_up(value: Any, request: Any) -> Response:
    """An answer whose body is ``value``: text and bytes as they are, None nothing, else JSON."""
    response = Response()
    response.status_code, response.reason = (204 if value is None else 200), "Fallback"
    body, kind = _body(value)
    response._content = body
    response._content_consumed = True
    response.headers = CaseInsensitiveDict({"Content-Type": kind} if kind else {})
    response.encoding = None if kind == "application/octet-stream" else "utf-8"
    response.request = request
    response.__dict__.update(from_cache=False, stale=False, age=0.0)
    return response


def _body(value: Any) -> tuple[bytes, str]:
    if value is None:
        return b"", ""
    if isinstance(value, bytes):
        return value, "application/octet-stream"
    if isinstance(value, str):
        return value.encode(), "text/plain; charset=utf-8"
    try:
        return json.dumps(value).encode(), "application/json"
    except (TypeError, ValueError) as error:
        raise TypeError(f"fallback must be a Response, str, bytes or JSON: {error}") from None
