"""JSON in, JSON out: what a caller may give, and what an answer's body becomes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import requests
from requests import Response

from .journal import masked_url

__all__ = ["decoded", "encoded", "failure"]

_START = 200  # characters of a body that an error shows


def encoded(data: Any) -> tuple[Any, bool]:
    """``data`` as requests is to send it, and whether it has become JSON.

    A dict, list or tuple becomes JSON; text, bytes, files and iterators go as they are.
    """
    if data is None or isinstance(data, (str, bytes, bytearray)):
        return data, False
    if isinstance(data, (dict, list, tuple)):
        return as_json("data", data), True
    if hasattr(data, "read") or (isinstance(data, Iterable) and not isinstance(data, (set, range))):
        return data, False
    raise TypeError(
        "data must be a dict or list (sent as JSON), str, bytes, a file or an iterator of bytes, "
        f"not {type(data).__name__}"
    )


def as_json(name: str, value: Any) -> bytes:
    """``value`` as a JSON document in UTF-8; an error names the argument."""
    try:
        return json.dumps(value, allow_nan=False).encode("utf-8")
    except TypeError as error:
        raise TypeError(f"{name} cannot be written as JSON: {error}") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name} cannot be written as JSON: {error}") from None


def decoded(response: Response) -> Any:
    """The body as its Content-Type says: JSON a value, text a str, nothing None, other bytes."""
    content: bytes = response.content
    if not content:
        return None
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if _is_json(kind):
        return _parsed(response, content)
    if kind.startswith("text/"):
        return response.text
    return content


def _is_json(kind: str) -> bool:
    return kind in ("application/json", "text/json") or kind.endswith("+json")


def _parsed(response: Response, content: bytes) -> Any:
    try:
        return json.loads(content)  # finds UTF-8, 16 and 32, with or without a byte order mark
    except RecursionError:
        reason, position = "nested too deeply", 0
    except json.JSONDecodeError as error:
        reason, position = error.msg, error.pos
    except ValueError as error:  # not Unicode; an integer of too many digits
        reason, position = str(error), 0
    start = content[:_START].decode("utf-8", "replace")
    raise requests.JSONDecodeError(
        f"{response.status_code} answer of {masked_url(response.url)} is not JSON: "
        f"{reason}; it begins {start!r}",
        start,
        min(position, len(start)),
        request=response.request,
        response=response,
    )


def failure(response: Response, *, retry_after: float | None) -> requests.HTTPError:
    """The error that stands for an answer from 400 on; ``.response`` is the answer itself."""
    side = "Client" if response.status_code < 500 else "Server"
    reason = response.reason
    if isinstance(reason, bytes):
        reason = reason.decode("latin-1")
    url = masked_url(response.url)
    when = "" if retry_after is None else f"; the server asks to wait {retry_after:g} s"
    return requests.HTTPError(
        f"{response.status_code} {side} Error: {reason} for url: {url}{when}",
        request=response.request,
        response=response,
    )
