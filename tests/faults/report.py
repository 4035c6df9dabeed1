"""What stock requests and this library make of every case: ``python -m tests.faults.report``."""

from __future__ import annotations

import contextlib
import tempfile
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import requests

from browseros_api import EnhancedAPIClient, Session
from tests.faults.case import Case
from tests.faults.certificates import Authority
from tests.faults.handshakes import HANDSHAKES, Handshake
from tests.faults.hostile import HostileServer
from tests.faults.table import CASES
from tests.faults.witness import DEADLINE, RETRIES, Outcome, ask, ask_next, call, ours, stock

__all__ = ["Row", "markdown", "rows"]

HEAD = ("case", "what the server does", "stock requests", "ours", "client", "seconds", "requests")


@dataclass(frozen=True)
class Row:
    """One case; ``requests`` are those that the server saw of ours, for TLS its connections."""

    case: str
    what: str
    stock: str
    ours: str
    client: str
    seconds: float
    requests: int

    def __str__(self) -> str:
        cells = (self.case, self.what, self.stock, self.ours, self.client)
        row = (*cells, f"{self.seconds:.2f}", self.requests)
        return "| " + " | ".join(str(cell).replace("|", r"\|") for cell in row) + " |"


def rows(
    cases: Iterable[Case] = CASES.values(), handshakes: Iterable[Handshake] = HANDSHAKES
) -> Iterator[Row]:
    """Each case, tried just now."""
    for case in cases:
        with HostileServer([case]) as server:
            yield _met(case, server)
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority(Path(folder))
        yield from (_shaken(handshake, authority) for handshake in handshakes)


def _met(case: Case, server: HostileServer) -> Row:
    theirs = "waits for ever"
    if not case.hangs:
        with stock() as session:
            theirs = _told(ask(session, server, case), ask_next(session, server, case.then))
    with ours(case) as resilient:
        mine = ask(resilient, server, case)
        told = _told(mine, ask_next(resilient, server, case.then))
    return Row(
        case.name, case.what, theirs, told, _of_client(case, server), mine.seconds, mine.hits
    )


def _told(outcome: Outcome, following: Outcome) -> str:
    return str(outcome) if following.is_a(200) else f"{outcome}; the next: {following}"


def _of_client(case: Case, server: HostileServer) -> str:
    with EnhancedAPIClient(
        f"http://127.0.0.1:{server.port}", timeout=5.0, max_retries=RETRIES, sleep=lambda _: None
    ) as client:
        client.session.trust_env = False
        bound = DEADLINE if case.hangs or case.waits else None
        try:
            told = client.request(case.method, f"/{case.name}/client", deadline=bound)
        except Exception as error:
            status = getattr(getattr(error, "response", None), "status_code", "")
            return f"{type(error).__name__} {status}".rstrip()
        return textwrap.shorten(repr(told), 40, placeholder=" ...")


def _shaken(handshake: Handshake, authority: Authority) -> Row:
    def outcome(session: requests.Session) -> Outcome:
        session.verify = authority.file
        with session:
            more = {} if isinstance(session, Session) else {"timeout": timeout}
            return call(session, "GET", server.url("echo", server.token()), **more)

    timeout = 0.3 if handshake.waits else 5.0
    with handshake.make(authority) as server:
        theirs, before = outcome(stock()), server.accepted
        mine = outcome(ours(timeout=timeout))
        seen = server.accepted - before
    name, what = handshake.name, handshake.what
    return Row(name, what, str(theirs), str(mine), "", mine.seconds, seen)


def markdown(table: Iterable[Row]) -> Iterator[str]:
    """The lines of a table."""
    yield "| " + " | ".join(HEAD) + " |"
    yield "|" + " --- |" * len(HEAD)
    yield from map(str, table)


def main() -> None:
    """Print it."""
    print(f"A GET with at most {RETRIES} retries, which wait for nothing.\n")
    with contextlib.suppress(BrokenPipeError):
        for line in markdown(rows()):
            print(line, flush=True)


if __name__ == "__main__":
    main()
