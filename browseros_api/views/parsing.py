"""How a command reads its line: help with examples, and one line for what is wrong with it."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Callable
from typing import Any, NoReturn

from requests.utils import check_header_validity

from ..checks import duration, whole

__all__ = ["Parser", "add_bounds", "add_command", "add_header", "checked_bounds", "checked_headers"]


class Parser(argparse.ArgumentParser):
    """As argparse's, but what is wrong is told in one line, without the usage before it."""

    def error(self, message: str) -> NoReturn:
        """Tell it, and end with 2."""
        self.exit(2, f"{self.prog}: {' '.join(message.split())} (see {self.prog} --help)\n")


def add_command(
    commands: Any, name: str, run: Callable[[argparse.Namespace], int], *,
    told_as: str, description: str, examples: str,
) -> Any:  # fmt: skip
    """A parser for the command; ``given.complain`` ends it for what is wrong with an argument."""
    parser = commands.add_parser(
        name,
        help=told_as,
        description=textwrap.fill(description, 79),
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run, complain=parser.error)
    return parser


def add_header(parser: Any) -> None:
    """The option for headers."""
    parser.add_argument(
        "-H", "--header", action="append", default=[], metavar="'NAME: VALUE'",
        help="send this header; without a value: do not send the usual one",
    )  # fmt: skip


def add_bounds(parser: Any, *, retries: int, time: str) -> None:
    """The options for what ends a call that does not succeed."""
    add = parser.add_argument
    add("-m", "--max-time", type=float, metavar="SECONDS", help=time)
    add("--max-retries", type=int, default=retries, metavar="N",
        help="attempts after the first (%(default)s)")  # fmt: skip


def checked_bounds(given: argparse.Namespace) -> dict[str, Any]:
    """The same as settings of a session."""
    retries = whole("--max-retries", given.max_retries, least=0)
    if given.max_time is not None:
        duration("--max-time", given.max_time, optional=False)
    return {"max_retries": retries, "deadline": given.max_time}


def checked_headers(lines: list[str]) -> dict[str, str | None]:
    """Names and values of ``'Name: value'``; None for no value: the usual one is not sent."""
    return dict(map(_checked_header, lines))


def _checked_header(line: str) -> tuple[str, str | None]:
    name, colon, value = (part.strip() for part in line.partition(":"))
    if not colon or not name:
        raise ValueError(f"a header is 'NAME: VALUE', not {name!r}")
    try:
        name.encode("ascii"), value.encode("latin-1")
        check_header_validity((name, value))
    except ValueError:
        raise ValueError(f"the header {name!r} holds signs that cannot be sent") from None
    return name, value or None
