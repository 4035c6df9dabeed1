"""The command ``browseros-api``."""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

from . import __version__, script
from .engine import observe
from .installing import install
from .settings import Settings
from .views.paint import complain
from .views.parsing import Parser, add_command
from .views.run import tell_at_exit
from .witness import Witness

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; its exit status: 0 well, 1 something fell short, 2 wrong arguments.

    ``run`` is for the rest of the process, and what comes out of the script comes out of it.
    """
    line = sys.argv[1:] if arguments is None else [*arguments]
    try:
        given = _given(line)
        if given.command != "run":
            return _status(given)
    except KeyboardInterrupt as interrupt:
        print(": ".join(map(str, ("interrupted", *interrupt.args))), file=sys.stderr)
        return 130
    status: int = given.run(given)
    return status


def _given(line: list[str]) -> argparse.Namespace:
    given, unknown = _parser(line[:1]).parse_known_args(line)
    if unknown:
        given.complain(f"unrecognized arguments: {' '.join(unknown)}")
    return given


def _status(given: argparse.Namespace) -> int:
    _settle_streams()
    try:
        status: int = given.run(given)
        sys.stdout.flush()  # here, where it may fail
        return status
    except OSError as error:  # a disk that is full, a file that cannot be written
        if not isinstance(error, BrokenPipeError):  # whoever read the output has seen enough
            complain(given.command, error)
        _let_go_of_output()
        return 1


def _settle_streams() -> None:
    """What is closed is replaced, and what the output has no sign for is no reason to fail."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w"))  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def _let_go_of_output() -> None:
    """Python writes at its end what is left of it, and would fail once more."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parser(command: list[str]) -> argparse.ArgumentParser:
    parser = Parser(
        prog="browseros-api",
        description="Resilient HTTP for everyone who uses requests.",
        epilog="browseros-api COMMAND --help has examples.",
    )
    parser.add_argument("--version", action="version", version=f"browseros-api {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_run(commands)
    # A script that is run has no need of the others, and does not wait for them.
    for add in [] if command == ["run"] else [*_views(), _add_demo]:
        add(commands)
    return parser


def _views() -> list[Callable[[Any], None]]:
    """What adds each command that has a file of its own."""
    from .views.asking import add_verbs  # noqa: PLC0415
    from .views.bench import add_bench  # noqa: PLC0415
    from .views.completion import add_completion  # noqa: PLC0415
    from .views.doctor import add_doctor  # noqa: PLC0415
    from .views.fetching import add_fetch  # noqa: PLC0415
    from .views.monitor import add_monitor  # noqa: PLC0415
    from .views.shelves import add_cache  # noqa: PLC0415

    return [add_verbs, add_fetch, add_monitor, add_cache, add_doctor, add_bench, add_completion]


# -- demo ----------------------------------------------------------------------------------------


def _add_demo(commands: Any) -> None:
    demo = add_command(
        commands, "demo", _demo,
        told_as="show on a local server what the engine saves, measured while you watch",
        description="Starts a server on this machine, calls it in five ways, and counts what "
        "reached it. Nothing leaves the machine. Exit status 1 if a figure falls short.",
        examples="examples:\n  browseros-api demo\n  browseros-api demo --json\n",
    )  # fmt: skip
    demo.add_argument("--json", action="store_true", help="print the figures as JSON")


def _demo(given: argparse.Namespace) -> int:
    as_json: bool = given.json
    # Only here: it brings a server, which scripts that are run have no need of.
    from .views.demo import demonstrate, drawn  # noqa: PLC0415

    findings = []
    if not as_json:
        print("A server on 127.0.0.1, and what reached it:\n")
    for finding in demonstrate():
        findings.append(finding)
        if not as_json:
            print(drawn(finding), flush=True)
    if as_json:
        print(json.dumps([finding.to_dict() for finding in findings], indent=2))
    missed = [finding for finding in findings if not finding.is_met]
    if not as_json:
        print(f"\n{len(findings) - len(missed)} of {len(findings)} as promised.")
    return 1 if missed else 0


# -- run -----------------------------------------------------------------------------------------


_EXAMPLES = """examples:
  browseros-api run script.py its arguments
  browseros-api run --max-retries 5 -m package.module
  browseros-api run --no-cache --json script.py
"""


def _add_run(commands: Any) -> None:
    run = add_command(
        commands, "run", _run,
        told_as="run a script that uses requests, unchanged, with all of its calls resilient",
        description="Runs a script or a module as python would, with the sessions and functions "
        "of requests resilient, and tells at the end what that has saved.",
        examples=_EXAMPLES,
    )  # fmt: skip
    run.usage = "browseros-api run [OPTION ...] (SCRIPT | -m MODULE) [ARGUMENT ...]"
    run.add_argument("--quiet", action="store_true", help="do not tell what it has saved")
    run.add_argument("--json", action="store_true", help="tell it as one line of JSON")
    run.add_argument("--max-retries", type=int, metavar="N", help="retries of each request")
    run.add_argument("--timeout", type=float, metavar="SECONDS", help="to connect, and per read")
    run.add_argument("--no-cache", action="store_true", help="keep no answers")
    run.add_argument("--debug", action="store_true", help="log each attempt and each decision")
    rest = argparse.REMAINDER
    run.add_argument("-m", dest="module", nargs=rest, metavar="MODULE", help="run a module")
    run.add_argument("script", nargs=rest, metavar="SCRIPT", help="a file, folder or zip file")


def _run(given: argparse.Namespace) -> int:
    options = _options(given)
    start = _start(given)
    if not given.quiet:
        witness = Witness()
        observe(witness)
        tell_at_exit(witness, as_json=given.json)
    install(**options)
    start()
    return 0


def _options(given: argparse.Namespace) -> dict[str, Any]:
    named = {"max_retries": given.max_retries, "timeout": given.timeout}
    options = {name: value for name, value in named.items() if value is not None}
    if given.no_cache:
        options["enable_cache"] = False
    if given.debug:
        options["debug"] = True
    try:
        Settings(**options)
    except ValueError as error:
        given.complain(str(error))
    return options


def _start(given: argparse.Namespace) -> script.Start:
    if given.module:
        return script.module(given.module[0], [*given.module[1:], *given.script])
    line = given.script[1:] if given.script[:1] == ["--"] else given.script
    if not line:
        given.complain("a script is needed, or -m and the name of a module")
    path, *arguments = line
    try:
        return script.file(path, arguments)
    except OSError as error:
        what = f"can't open file {error.filename!r}: [Errno {error.errno}] {error.strerror}"
        print(f"{sys.executable}: {what}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    sys.exit(main())
