"""The command ``doctor``: looks for what makes calls fail, wait or leak, and says what to do."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from ..checks import whole
from ..session import ResilienceMixin, Session
from .checkup import Finding, environment, installation, of_session, store
from .paint import Paint
from .parsing import add_command

__all__ = ["add_doctor"]

_EXAMPLES = """examples:
  browseros-api doctor
  browseros-api doctor --store redis://localhost/0
  browseros-api doctor --session myapp.http:session --threads 64

exit status: 0, or 1 if there is a problem.
"""
_COLOURS = {"ok": "green", "note": "yellow", "problem": "red"}


def add_doctor(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands, "doctor", _run,
        told_as="look for what makes calls fail, wait or leak",
        description="Looks at what is installed, at the environment, at a session and its store. "
        "Sends no request.",
        examples=_EXAMPLES,
    )  # fmt: skip
    add = parser.add_argument
    add("--session", metavar="MODULE:NAME", help="a session or client of yours to look at")
    add("--threads", type=int, metavar="N", default=_usual_threads(),
        help="how many threads use it (%(default)s, what ThreadPoolExecutor starts)")  # fmt: skip
    add("--store", metavar="URL", help="a store to look at, instead of the session's")
    add("--json", action="store_true", help="print it as JSON")


def _usual_threads() -> int:
    return min(32, (os.cpu_count() or 1) + 4)  # as concurrent.futures has it


def _run(given: argparse.Namespace) -> int:
    try:
        whole("--threads", given.threads, least=1)
    except ValueError as error:
        given.complain(str(error))
    session = Session()
    if given.session is not None:
        try:
            session = _found(given.session)
        except Exception as error:  # a module of theirs may fail with anything
            given.complain(f"--session {given.session}: {error}")
    findings = list(_findings(given, session))
    problems = sum(one.level == "problem" for one in findings)
    if given.json:
        print(json.dumps([one.to_dict() for one in findings], indent=2))
    else:
        print("\n".join(map(_drawn, findings)))
        print(f"\n{problems or 'no'} problem{'s' if problems != 1 else ''}")
    return 1 if problems else 0


def _findings(given: argparse.Namespace, session: Any) -> Iterator[Finding]:
    yield from installation()
    yield from environment()
    yield from of_session(session, threads=given.threads)
    url = given.store
    if url is None and isinstance(session, ResilienceMixin):
        url = session.settings.store
    if url is not None:
        yield store(url)


def _found(place: str) -> Any:
    """The session of this name; of a client, the one underneath."""
    module, colon, name = place.partition(":")
    if not colon:
        raise ValueError("must be MODULE:NAME")
    sys.path.insert(0, os.getcwd())  # as python -m does
    thing: Any = import_module(module)
    for part in name.split("."):
        thing = getattr(thing, part)
    thing = getattr(thing, "session", thing)
    if not hasattr(thing, "adapters"):
        raise TypeError(f"a {type(thing).__name__} is neither a session nor a client")
    return thing


def _drawn(finding: Finding) -> str:
    paint = Paint()
    mark = paint(_COLOURS[finding.level], f"{finding.level:<8}")
    lines = [f"{mark} {finding.name}: {finding.text}"]
    if finding.fix:
        lines.append(f"{'':<8}   {paint('dim', finding.fix)}")
    return "\n".join(lines)
