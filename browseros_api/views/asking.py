"""The commands ``get``, ``post`` and so on: one request, with curl's options and exit statuses."""

from __future__ import annotations

import argparse
import base64
import getpass
import json
import sys
from pathlib import Path
from typing import Any

import requests

from ..errors import NEVER_SENT
from ..session import Session
from .paint import Paint, complain, is_terminal

__all__ = ["add_verbs", "checked_header", "status_of", "told"]

_VERBS = ("get", "post", "put", "patch", "delete", "head", "options")
_EXAMPLES = """examples:
  browseros-api {verb} https://api.example.com/users
  browseros-api {verb} https://api.example.com/users -H 'Authorization: Bearer ...' -i
  browseros-api {verb} https://api.example.com/users --json '{{"name": "Ada"}}' -m 10
  browseros-api {verb} https://api.example.com/report -o report.pdf
  browseros-api {verb} https://api.example.com/users --report | jq .attempts

exit status: 0; 22 for an answer from 400 on; otherwise as with curl: 3 not a URL, 5 proxy,
6 no such host, 7 no connection, 28 too late, 47 too many redirects, 56 no answer, 60 certificate.
"""


def add_verbs(commands: Any) -> None:
    """Add one command for each verb."""
    for verb in _VERBS:
        parser = commands.add_parser(
            verb,
            help=f"{verb.upper()} a URL, with retries",
            description=f"{verb.upper()}: sends one request, and writes the body of its answer.",
            epilog=_EXAMPLES.format(verb=verb),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        parser.add_argument("url", metavar="URL")
        _add_options(parser)
        parser.set_defaults(run=_run, complain=parser.error, verb=verb)


def _add_options(parser: Any) -> None:
    add = parser.add_argument
    add("-H", "--header", action="append", default=[], metavar="'NAME: VALUE'",
        help="send this header; without a value: do not send the usual one")  # fmt: skip
    add("-d", "--data", action="append", metavar="DATA",
        help="send this body, as a form unless -H says otherwise; @FILE reads it, @- from stdin;"
        " several are joined by &")  # fmt: skip
    add("--json", metavar="DATA", help="send this body as JSON; @FILE and @- as with -d")
    add("-u", "--user", metavar="USER[:PASSWORD]", help="basic authentication; may ask for it")
    add("-o", "--output", metavar="FILE", help="write the body to this file")
    add("-i", "--include", action="store_true", help="write status and headers, too")
    add("-L", "--location", action=argparse.BooleanOptionalAction, default=True,
        help="follow redirects, which is done unless you say --no-location")  # fmt: skip
    add("-m", "--max-time", type=float, metavar="SECONDS",
        help="for everything: waiting, attempts and delays")  # fmt: skip
    add("--max-retries", type=int, default=3, metavar="N", help="attempts after the first (3)")
    add("-v", "--verbose", action="store_true", help="log each attempt and each decision")
    add("--report", action="store_true",
        help="write all of it as JSON: status, headers, body, seconds, attempts")  # fmt: skip


def _run(given: argparse.Namespace) -> int:
    try:
        arguments = _arguments(given)
        session = Session(
            enable_cache=False, max_retries=given.max_retries, deadline=given.max_time,
            debug=given.verbose,
        )  # fmt: skip
    except (OSError, TypeError, ValueError) as error:
        given.complain(str(error))
    with session:
        try:
            response = session.request(given.verb, given.url, **arguments)
        except (requests.RequestException, ValueError) as error:
            complain(given.verb, told(error))
            return status_of(error)
        _show(response, given, session)
    return 22 if response.status_code >= 400 else 0


def _arguments(given: argparse.Namespace) -> dict[str, Any]:
    headers: dict[str, Any] = dict(map(checked_header, given.header))
    named = {name.lower() for name in headers}
    arguments: dict[str, Any] = {"headers": headers, "allow_redirects": given.location}
    if given.json is not None and given.data is not None:
        raise ValueError("-d and --json are two bodies; give one of them")
    if given.json is not None:
        arguments["data"] = _content(given.json)
        usual = {"Content-Type": "application/json", "Accept": "application/json"}
    elif given.data is not None:
        arguments["data"] = b"&".join(map(_content, given.data))
        usual = {"Content-Type": "application/x-www-form-urlencoded"}
    else:
        usual = {}
    headers.update({name: value for name, value in usual.items() if name.lower() not in named})
    if given.user is not None:
        name, colon, password = given.user.partition(":")
        arguments["auth"] = (name, password if colon else getpass.getpass(f"password of {name}: "))
    return arguments


def checked_header(line: str) -> tuple[str, str | None]:
    """Name and value of ``'Name: value'``; None for no value: the usual one is not sent."""
    name, colon, value = line.partition(":")
    if not colon or not name.strip():
        raise ValueError(f"a header is 'NAME: VALUE', not {name!r}")
    return name.strip(), value.strip() or None


def _content(text: str) -> bytes:
    if text == "@-":
        return sys.stdin.buffer.read()
    return Path(text[1:]).read_bytes() if text.startswith("@") else text.encode()


# -- what came -------------------------------------------------------------------------------------


def _show(response: requests.Response, given: argparse.Namespace, session: Session) -> None:
    if given.report:
        print(json.dumps(_report(response, session), indent=2))
        return
    if given.include:
        print(_head(response), flush=True)
    _write(response, given)


def _head(response: requests.Response) -> str:
    paint = Paint()
    colour = "green" if response.status_code < 400 else "red"
    lines = [paint(colour, f"HTTP {response.status_code} {response.reason or ''}".rstrip())]
    lines += [f"{paint('blue', name)}: {value}" for name, value in response.headers.items()]
    return "\n".join([*lines, ""])


def _write(response: requests.Response, given: argparse.Namespace) -> None:
    content = response.content
    if given.output not in (None, "-"):
        Path(given.output).write_bytes(content)
        return
    if is_terminal(sys.stdout) and given.output is None:
        text = _readable(content)
        if text is None:
            complain(given.verb, f"{len(content):,} bytes that are no text; write them with -o")
        elif text:
            print(text)
        return
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()


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


def _report(response: requests.Response, session: Session) -> dict[str, Any]:
    content, body = response.content, {}
    try:
        body = {"json": json.loads(content)}
    except ValueError:
        try:
            body = {"text": content.decode("utf-8")}
        except UnicodeDecodeError:
            body = {"base64": base64.b64encode(content).decode("ascii")}
    stats = session.get_stats()
    return {
        "url": response.url,
        "status": response.status_code,
        "reason": response.reason,
        "headers": dict(response.headers),
        "seconds": round(stats["average_latency_ms"] / 1000, 6),
        "attempts": stats["attempts"],
        "redirects": [hop.url for hop in response.history],
        **body,
    }


def status_of(error: Exception) -> int:
    """The exit status that curl would have for this."""
    kinds: list[tuple[type[Exception], int]] = [
        (requests.Timeout, 28), (TimeoutError, 28), (requests.exceptions.ProxyError, 5),
        (requests.exceptions.SSLError, 60), (requests.TooManyRedirects, 47),
    ]  # fmt: skip
    for kind, status in kinds:
        if isinstance(error, kind):
            return status
    if isinstance(error, ValueError):  # also InvalidURL, MissingSchema and the like
        return 3
    if type(_reason(error)).__name__ == "NameResolutionError":
        return 6
    return 7 if getattr(error, "request_state", None) == NEVER_SENT else 56


def told(error: Exception) -> str:
    """What went wrong in one line, without the query of the URL where that can be had."""
    return str(_reason(error) or error) or type(error).__name__


def _reason(error: Exception) -> Any:
    """What urllib3 gives as the reason, if it does."""
    return getattr(error.args[0] if error.args else None, "reason", None)
