"""JSON in, JSON out: what a caller may give, and what an answer's body becomes."""

from __future__ import annotations

import json as _json
import os
from collections.abc import Callable, Mapping
from http.cookiejar import CookieJar
from typing import Any

import requests
from requests import Response
from requests.utils import check_header_validity

from .checks import check_timeout
from .errors import PROCESSED, mark
from .journal import masked_url

__all__ = ["add_content_type", "check_options", "checked_headers", "decoded", "failure", "payload"]

_START = 200  # characters of a body that an error shows


def checked_headers(headers: Any) -> dict[str, Any]:
    """A copy of ``headers`` with names of str; a value of None takes a default away."""
    if headers is None:
        return {}
    if not isinstance(headers, Mapping):
        raise TypeError(f"headers must be a mapping of str to str, not {type(headers).__name__}")
    return {_checked_name(name, value): value for name, value in headers.items()}


def _checked_name(name: Any, value: Any) -> str:
    if not isinstance(name, (str, bytes)) or not isinstance(value, (str, bytes, type(None))):
        raise TypeError(f"headers must map str to str, but {name!r} to {type(value).__name__}")
    text, said = _as_text(name), _as_text(value or "")
    try:
        check_header_validity((text, said))
        line = f"{text}: {said}".encode("latin-1")
        is_fit = not set(line) & set(b"\r\n\0")  # of those at its end requests may be unaware
    except (ValueError, requests.exceptions.InvalidHeader):
        is_fit = False
    if not is_fit:
        raise ValueError(
            f"headers: {name!r} must be a name without white space and colon, and its value "
            "Latin-1 text without line breaks and leading white space"
        )
    return text


def _as_text(part: str | bytes) -> str:
    return part.decode("latin-1") if isinstance(part, bytes) else part


def add_content_type(
    headers: dict[str, Any], own: Mapping[str, Any], *, is_json: bool, is_form: bool
) -> None:
    """Put into a call's ``headers`` what its body is, unless they, or the client's own, say it."""
    if _has_content_type(headers):
        return
    if is_form:
        headers["Content-Type"] = None  # not the client's own: requests names the boundary
    elif is_json and not _has_content_type(own):
        headers["Content-Type"] = "application/json"


def _has_content_type(headers: Mapping[str, Any]) -> bool:
    return any(name.lower() == "content-type" for name in headers)


def check_options(options: Mapping[str, Any]) -> None:
    """Whether requests knows each of these and can use its value; an error names the option."""
    for name, value in options.items():
        if name not in _OPTIONS:
            raise TypeError(f"there is no option {name!r}; there are {', '.join(_OPTIONS)}")
        fits, allowed = _OPTIONS[name]
        if not fits(value):
            raise TypeError(f"{name} must be {allowed}, not {type(value).__name__}")
        if name == "timeout":
            check_timeout(value)


def _is_auth(value: Any) -> bool:
    if isinstance(value, tuple):
        return len(value) == 2 and all(isinstance(part, (str, bytes)) for part in value)
    return value is None or callable(value)


def _is_query(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in value)
    return value is None or hasattr(value, "__iter__")


def _one_of(*kinds: type) -> Callable[[Any], bool]:
    return lambda value: value is None or isinstance(value, kinds)


_PATH = (str, os.PathLike)
_OPTIONS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "params": (_is_query, "a mapping, pairs, str or bytes"),
    "auth": (_is_auth, "(user, password) or a callable"),
    "cookies": (_one_of(Mapping, CookieJar), "a mapping or a cookie jar"),
    "timeout": (lambda value: True, "seconds, (connect, read) or None"),
    "allow_redirects": (lambda value: isinstance(value, bool), "True or False"),
    "proxies": (_one_of(Mapping), "a mapping of scheme to URL"),
    "hooks": (_one_of(Mapping), "a mapping of event to function"),
    "verify": (_one_of(bool, *_PATH), "True, False or a path"),
    "cert": (_one_of(tuple, *_PATH), "a path or a pair of paths"),
}


def payload(data: Any, json: Any, files: Any) -> tuple[dict[str, Any], bool]:
    """What requests is to be told of these three, and whether it has become JSON.

    A mapping, list or tuple becomes JSON; text, bytes, files and iterators go as they are.  With
    ``files`` the body is a form, and ``data`` are its other fields.
    """
    if json is not None and (data is not None or files):
        raise TypeError("json cannot be given together with data or files")
    if files:
        _check_form(data, files)
        return {"data": data, "files": files}, False
    if json is not None:
        return {"data": _as_json("json", json)}, True
    if isinstance(data, Mapping):
        return {"data": _as_json("data", data if isinstance(data, dict) else dict(data))}, True
    if isinstance(data, (list, tuple)):
        return {"data": _as_json("data", data)}, True
    return {"data": _as_it_is(data)}, False


def _check_form(data: Any, files: Any) -> None:
    if not isinstance(files, (Mapping, list, tuple)):
        raise TypeError(f"files must be a mapping or a list of pairs, not {type(files).__name__}")
    if data is not None and not isinstance(data, (Mapping, list, tuple)):
        raise TypeError(
            "data must be a mapping or a list of pairs (form fields) where files are given, "
            f"not {type(data).__name__}"
        )


def _as_json(name: str, value: Any) -> bytes:
    try:
        return _json.dumps(value, allow_nan=False).encode("utf-8")
    except TypeError as error:
        raise TypeError(f"{name} cannot be written as JSON: {error}") from None
    except (ValueError, RecursionError) as error:  # NaN, a circle, too many levels
        raise ValueError(f"{name} cannot be written as JSON: {error}") from None


def _as_it_is(data: Any) -> Any:
    if data is None or isinstance(data, bytes):
        return data
    if isinstance(data, str):
        try:
            return data.encode("utf-8")
        except UnicodeEncodeError as error:
            raise ValueError(f"data cannot be written as UTF-8: {error}") from None
    if isinstance(data, (bytearray, memoryview)):
        return bytes(data)  # what can be changed meanwhile could not be sent again
    # A thing with a length that is not its number of bytes (a set, say) cannot be a stream.
    if hasattr(data, "read") or (hasattr(data, "__iter__") and not hasattr(data, "__len__")):
        return data
    raise TypeError(
        "data must be a dict or list (sent as JSON), str, bytes, a file or an iterator of bytes, "
        f"not {type(data).__name__}"
    )


def decoded(response: Response) -> Any:
    """The body as its Content-Type says: JSON a value, text a str, nothing None, other bytes."""
    content: bytes = response.content
    if not content:
        return None
    declared = response.headers.get("Content-Type", "").lower()
    kind = declared.partition(";")[0].strip()
    if kind in ("application/json", "text/json") or kind.endswith("+json"):
        return _parsed(response, content)
    if kind.startswith("text/"):
        return _text(content, response, is_utf8="charset" not in declared)
    return content


def _text(content: bytes, response: Response, *, is_utf8: bool) -> str:
    # requests takes text without a charset for ISO-8859-1, as HTTP said until 2014.
    try:
        return content.decode("utf-8-sig") if is_utf8 else response.text
    except UnicodeDecodeError:
        return response.text


def _parsed(response: Response, content: bytes) -> Any:
    try:
        return _loaded(content, response.encoding)
    except RecursionError:
        reason, position = "nested too deeply", 0
    except _json.JSONDecodeError as error:
        reason, position = error.msg, error.pos
    except ValueError as error:  # not Unicode; an integer of too many digits
        reason, position = str(error), 0
    start = content[:_START].decode("utf-8", "replace")
    unread = requests.JSONDecodeError(
        f"{response.status_code} answer of {masked_url(response.url)} is not JSON: "
        f"{reason}; it begins {start!r}",
        start,
        min(position, len(start)),
        request=response.request,
        response=response,
    )
    raise mark(unread, PROCESSED)


def _loaded(content: bytes, charset: str | None) -> Any:
    try:
        return _json.loads(content)  # finds UTF-8, 16 and 32, with or without a byte order mark
    except UnicodeDecodeError:
        # RFC 8259 knows no other, but some servers do, and they say so.
        if charset is None or charset.lower().startswith("utf"):
            raise
        try:
            text = content.decode(charset)
        except (LookupError, UnicodeDecodeError):
            text = None
        if text is None:
            raise
        return _json.loads(text)


def failure(response: Response, *, retry_after: float | None) -> requests.HTTPError:
    """The error that stands for an answer from 400 on; ``.response`` is the answer itself."""
    side = "Client" if response.status_code < 500 else "Server"
    reason: Any = response.reason or ""
    if isinstance(reason, bytes):
        reason = reason.decode("latin-1")
    when = "" if retry_after is None else f"; the server asks to wait {retry_after:g} s"
    error = requests.HTTPError(
        f"{response.status_code} {side} Error: {reason} for url: {masked_url(response.url)}{when}",
        request=response.request,
        response=response,
    )
    return mark(error, PROCESSED)
