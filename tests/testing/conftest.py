"""What the tests of the server need: a server, and a client that sees every byte."""

from __future__ import annotations

import re
import socket
import sys
from collections.abc import Callable, Iterator

import pytest

from browseros_api.testing import ApiServer

SECONDS = 5.0  # how long anything here may take before it counts as hung


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with ApiServer() as server:
        yield server


@pytest.fixture
def restless() -> Iterator[None]:
    """Threads take turns as often as they can: what needs a lock and has none shows it."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


class Wire:
    """A client without manners: it sends bytes and shows what comes back."""

    def __init__(self, server: ApiServer) -> None:
        self.sock = socket.create_connection((server.host, server.port), timeout=SECONDS)

    def send(self, text: str | bytes) -> None:
        self.sock.sendall(text.encode() if isinstance(text, str) else text)

    def get(self, path: str, *, method: str = "GET") -> None:
        self.send(f"{method} {path} HTTP/1.1\r\nHost: here\r\n\r\n")

    def exactly(self, count: int) -> bytes:
        got = b""
        while len(got) < count:
            piece = self.sock.recv(count - len(got))
            assert piece, f"the server hung up after {got!r}"
            got += piece
        return got

    def head(self) -> bytes:
        got = b""
        while not got.endswith(b"\r\n\r\n"):
            got += self.exactly(1)
        return got

    def answer(self) -> tuple[bytes, bytes]:
        """One answer that has a Content-Length: its head and its body."""
        head = self.head()
        length = re.search(rb"(?i)content-length: (\d+)", head)
        return head, self.exactly(int(length[1])) if length else b""

    def rest(self) -> bytes:
        """Everything until the server hangs up properly; a reset raises ConnectionResetError."""
        got = b""
        while piece := self.sock.recv(65536):
            got += piece
        return got

    def until_reset(self) -> bytes:
        """Everything until the server resets the connection."""
        got = b""
        while True:
            try:
                piece = self.sock.recv(65536)
            except ConnectionResetError:
                return got
            assert piece, "the server hung up properly"
            got += piece


@pytest.fixture
def connect() -> Iterator[Callable[[ApiServer], Wire]]:
    wires: list[Wire] = []

    def connect(server: ApiServer) -> Wire:
        wires.append(Wire(server))
        return wires[-1]

    yield connect
    for wire in wires:
        wire.sock.close()


@pytest.fixture
def wire(server: ApiServer, connect: Callable[[ApiServer], Wire]) -> Wire:
    return connect(server)
