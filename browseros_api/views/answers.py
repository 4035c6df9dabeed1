"""What has come of a request: shown, written, or told as JSON, and curl's exit status for it."""

from __future__ import annotations

import argparse
import base64
import json
import sys
from pathlib import Path
from typing import Any

import requests

from ..errors import NEVER_SENT
from .paint import Paint, complain, is_terminal

__all__ = ["UNWRITTEN", "Outcome", "report", "show", "status_of", "told"]

Outcome = requests.Response | Exception
UNWRITTEN = 23  # curl's exit status where the body cannot be written


def show(response: requests.Response, given: argparse.Namespace) -> None:
    """Write the body where it shall go, after its head if that is wanted."""
    if given.include:
        print(_head(response), flush=True)
    elif response.status_code >= 400:
        complain(given.verb, f"{response.status_code} {response.reason or ''}".rstrip())
    content = response.content
    if given.output not in (None, "-"):
        Path(given.output).write_bytes(content)
    elif is_terminal(sys.stdout) and given.output is None:
        _show_people(content, given.verb)
    else:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()


def _head(response: requests.Response) -> str:
    paint = Paint()
    colour = "green" if response.status_code < 400 else "red"
    lines = [paint(colour, f"HTTP {response.status_code} {response.reason or ''}".rstrip())]
    lines += [f"{paint('blue', name)}: {value}" for name, value in response.headers.items()]
    return "\n".join([*lines, ""])


def _show_people(content: bytes, verb: str) -> None:
    text = _readable(content)
    if text is None:
        complain(verb, f"{len(content):,} bytes that are no text; write them with -o")
    elif text:
        print(text)


def _readable(content: bytes) -> str | None:
    """The body for people; None if it is not for them."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return None
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:
        return None if "\0" in text else text


def report(outcome: Outcome, stats: dict[str, Any]) -> dict[str, Any]:
    """All of it, for JSON; ``stats`` are those of a session that has made no other call."""
    told_of = _told_error(outcome) if isinstance(outcome, Exception) else _told_answer(outcome)
    seconds = round(stats["average_latency_ms"] / 1000, 6)
    return {**told_of, "seconds": seconds, "attempts": stats["attempts"]}


def _told_answer(response: requests.Response) -> dict[str, Any]:
    content, body = response.content, {}
    try:
        body = {"json": json.loads(content)}
    except ValueError:
        try:
            body = {"text": content.decode("utf-8")}
        except UnicodeDecodeError:
            body = {"base64": base64.b64encode(content).decode("ascii")}
    return {
        "url": response.url,
        "status": response.status_code,
        "reason": response.reason,
        "headers": dict(response.headers),
        "redirects": [hop.url for hop in response.history],
        **body,
    }


def _told_error(error: Exception) -> dict[str, Any]:
    return {"error": type(error).__name__, "reason": told(error)}


def status_of(error: Exception) -> int:
    """The exit status that curl would have for this."""
    kinds: list[tuple[type[Exception], int]] = [
        (requests.Timeout, 28), (TimeoutError, 28), (requests.exceptions.ProxyError, 5),
        (requests.exceptions.SSLError, 60), (requests.TooManyRedirects, 47),
        (requests.HTTPError, 22),
    ]  # fmt: skip
    for kind, status in kinds:
        if isinstance(error, kind):
            return status
    if isinstance(error, ValueError):  # also InvalidURL, MissingSchema and the like
        return 3
    if not isinstance(error, requests.RequestException):
        return 77  # the file of certificates: all else that is no file is theirs
    if type(_reason(error)).__name__ == "NameResolutionError":
        return 6
    return 7 if getattr(error, "request_state", None) == NEVER_SENT else 56


def told(error: Exception) -> str:
    """What went wrong in one line, without the query of the URL where that can be had."""
    return str(_reason(error) or error) or type(error).__name__


def _reason(error: Exception) -> Any:
    """What urllib3 gives as the reason, if it does."""
    return getattr(error.args[0] if error.args else None, "reason", None)
