"""Where an example goes: to the URL that it is given, or to a server that it starts itself."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from browseros_api.testing import ApiServer

__all__ = ["arguments", "target"]


def arguments(description: str | None) -> argparse.ArgumentParser:
    """A parser with what every example takes: a URL, or ``--demo``, which is the default."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("url", nargs="?", help="base URL of a real API")
    parser.add_argument(
        "--demo", action="store_true", help="use a server on this machine (default without a URL)"
    )
    return parser


@contextmanager
def target(given: argparse.Namespace, furnish: Callable[[ApiServer], None]) -> Iterator[str]:
    """The base URL; that of a local server, furnished by the example, unless a URL is given."""
    if given.url and not given.demo:
        yield given.url
        return
    with ApiServer() as server:
        furnish(server)
        yield server.base_url
