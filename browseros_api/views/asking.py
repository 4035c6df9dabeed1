"""The commands ``get``, ``post`` and so on: one request, with curl's options and exit statuses."""

from __future__ import annotations

import argparse
import getpass
import json
import sys
import warnings
from pathlib import Path
from typing import Any

from urllib3.exceptions import InsecureRequestWarning

from ..session import Session
from .answers import UNWRITTEN, Outcome, report, show, status_of, told
from .paint import complain
from .parsing import add_bounds, add_command, add_header, checked_bounds, checked_headers

__all__ = ["add_verbs"]

_VERBS = ("get", "post", "put", "patch", "delete", "head", "options")
_EXAMPLES = """examples:
  browseros-api {verb} https://api.example.com/users
  browseros-api {verb} https://api.example.com/users -H 'Authorization: Bearer ...' -i
  browseros-api {verb} https://api.example.com/users --json '{{"name": "Ada"}}' -m 10
  browseros-api {verb} https://api.example.com/report -o report.pdf
  browseros-api {verb} https://api.example.com/users --trace
  browseros-api {verb} https://api.example.com/users --report | jq .attempts

exit status: 0; 2 for wrong arguments; 22 for an answer from 400 on; otherwise as with curl:
3 not a URL, 5 proxy, 6 no such host, 7 no connection, 23 the body cannot be written, 28 too late,
47 too many redirects, 56 no answer, 60 certificate, 77 no file of certificates.
"""


def add_verbs(commands: Any) -> None:
    """Add one command for each verb."""
    for verb in _VERBS:
        parser = add_command(
            commands, verb, _run,
            told_as=f"{verb.upper()} a URL, with retries",
            description=f"{verb.upper()}: sends one request, and writes the body of its answer.",
            examples=_EXAMPLES.format(verb=verb),
        )  # fmt: skip
        parser.add_argument("url", metavar="URL")
        _add_options(parser)
        parser.set_defaults(verb=verb)


def _add_options(parser: Any) -> None:
    add = parser.add_argument
    add_header(parser)
    add("-d", "--data", action="append", metavar="DATA",
        help="send this body, as a form unless -H says otherwise; @FILE reads it, @- from stdin;"
        " several are joined by &")  # fmt: skip
    add("--json", metavar="DATA", help="send this body as JSON; @FILE and @- as with -d")
    add("-u", "--user", metavar="USER[:PASSWORD]", help="basic authentication; may ask for it")
    add("-o", "--output", metavar="FILE", help="write the body to this file")
    add("-i", "--include", action="store_true", help="write status and headers, too")
    add("-L", "--location", action=argparse.BooleanOptionalAction, default=True,
        help="follow redirects, which is done unless you say --no-location")  # fmt: skip
    add("-k", "--insecure", action="store_true", help="take any certificate, also a forged one")
    add("--cacert", metavar="FILE", help="trust the certificates in this file, and no others")
    add_bounds(parser, retries=3, time="for everything: waiting, attempts and delays")
    add("-v", "--verbose", action="store_true", help="log each attempt and each decision")
    add("--trace", action="store_true",
        help="draw on the error output where time went; with --report: in its JSON")  # fmt: skip
    add("--report", action="store_true",
        help="write all of it as JSON: status, headers, body, seconds, attempts")  # fmt: skip


def _run(given: argparse.Namespace) -> int:
    try:
        arguments = _arguments(given)
        session = Session(enable_cache=False, debug=given.verbose, **checked_bounds(given))
    except (EOFError, OSError, TypeError, ValueError) as error:
        given.complain(str(error) or "there is nobody to ask for a password")
    with session:
        outcome = _outcome(session, given, arguments)
        try:
            return _tell(outcome, given, session)
        except BrokenPipeError:
            raise
        except OSError as error:
            complain(given.verb, f"cannot write: {error}")
            return UNWRITTEN


def _outcome(session: Session, given: argparse.Namespace, arguments: dict[str, Any]) -> Outcome:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InsecureRequestWarning)  # who says -k knows
            return session.request(given.verb, given.url, **arguments)
    except (OSError, ValueError) as error:
        return error
    except KeyboardInterrupt as interrupt:
        _draw(interrupt, given)
        raise


def _tell(outcome: Outcome, given: argparse.Namespace, session: Session) -> int:
    """Show what came, or say why nothing did; and the exit status."""
    if given.report:
        trace = getattr(outcome, "trace", None)
        seen = {"trace": trace and trace.to_dict()} if given.trace else {}
        print(json.dumps({**report(outcome, session.get_stats()), **seen}, indent=2), flush=True)
    elif not isinstance(outcome, Exception):
        show(outcome, given)
    if isinstance(outcome, Exception):
        complain(given.verb, told(outcome))
        _draw(outcome, given)
        return status_of(outcome)
    _draw(outcome, given)
    return 22 if outcome.status_code >= 400 else 0


def _draw(outcome: Any, given: argparse.Namespace) -> None:
    trace = getattr(outcome, "trace", None)
    if given.trace and trace is not None and not given.report:
        print(trace, file=sys.stderr)


def _arguments(given: argparse.Namespace) -> dict[str, Any]:
    headers: dict[str, Any] = checked_headers(given.header)
    named = {name.lower() for name in headers}
    arguments: dict[str, Any] = {"headers": headers, "allow_redirects": given.location}
    if given.cacert is not None:
        arguments["verify"] = given.cacert
        Path(given.cacert).read_bytes()
    if given.insecure:
        arguments["verify"] = False
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


def _content(text: str) -> bytes:
    if text == "@-":
        return sys.stdin.buffer.read()
    return Path(text[1:]).read_bytes() if text.startswith("@") else text.encode()
