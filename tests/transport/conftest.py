"""What the tests of the transport need: sessions, threads, made-up names, dead ends."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from browseros_api.settings import Settings
from browseros_api.testing import ApiServer
from browseros_api.transport import PoolingAdapter, short_way

SECONDS = 20.0  # after which a thread counts as hung


class Client(requests.Session):
    """A plain session of requests on one of our adapters."""

    def __init__(self, adapter: PoolingAdapter) -> None:
        super().__init__()
        self.trust_env = False
        self.adapter = adapter
        self.mount("http://", adapter)
        self.mount("https://", adapter)

    @property
    def now(self) -> dict[str, int]:
        return self.adapter.statistics()


@pytest.fixture
def open_client() -> Iterator[Callable[..., Client]]:
    clients: list[Client] = []

    def open_client(**settings: Any) -> Client:
        clients.append(Client(PoolingAdapter(Settings(**settings))))
        return clients[-1]

    yield open_client
    for client in clients:
        client.close()


@pytest.fixture
def client(open_client: Callable[..., Client]) -> Client:
    return open_client()


class Crew:
    """Threads that are joined, and whose failures are the test's."""

    def __init__(self) -> None:
        self.threads: list[threading.Thread] = []
        self.failures: list[BaseException] = []

    def start(self, work: Callable[..., object], *arguments: object) -> threading.Thread:
        def run() -> None:
            try:
                work(*arguments)
            except BaseException as failure:
                self.failures.append(failure)

        thread = threading.Thread(target=run, daemon=True)
        self.threads.append(thread)
        thread.start()
        return thread

    def join(self) -> None:
        for thread in self.threads:
            thread.join(SECONDS)
            assert not thread.is_alive(), "a thread hangs"
        self.threads.clear()
        if self.failures:
            raise self.failures.pop()


@pytest.fixture
def crew() -> Iterator[Crew]:
    crew = Crew()
    yield crew
    crew.join()


class Names:
    """Stands for the resolver: made-up names lead where a test says.

    ``asked`` are the names that were looked up; a name of which ``gate`` is given is answered
    when that is set.
    """

    def __init__(self, usual: Callable[..., Any]) -> None:
        self._usual = usual
        self.asked: list[str] = []
        self.known: dict[str, list[tuple[str, int]]] = {}
        self.gate: threading.Event | None = None

    def lead(self, name: str, *places: ApiServer | tuple[str, int]) -> None:
        self.known[name] = [
            (place.host, place.port) if isinstance(place, ApiServer) else place for place in places
        ]

    def __call__(self, host: str, port: int, *options: Any) -> Any:
        if host not in self.known:
            if host.replace(".", "").isdigit() or ":" in host:
                return self._usual(host, port, *options)
            self.asked.append(host)
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        self.asked.append(host)
        if self.gate is not None:
            assert self.gate.wait(SECONDS)
        return [
            (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", place)
            for place in self.known[host]
        ]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    names = Names(socket.getaddrinfo)
    monkeypatch.setattr(socket, "getaddrinfo", names)
    return names


@pytest.fixture
def refusing() -> Iterator[tuple[str, int]]:
    """An address that refuses connections: bound, but nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()


@pytest.fixture
def swallowing() -> Iterator[tuple[str, int]]:
    """An address that answers no connection: its queue is full."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(0)
        waiting = [socket.socket() for _ in range(8)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(sock.getsockname())
        yield sock.getsockname()
        for one in waiting:
            one.close()


@pytest.fixture
def mute(crew: Crew) -> Iterator[tuple[str, int]]:
    """An address that accepts connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock.getsockname()


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths of requests that were sent the short way."""
    taken: list[str] = []
    usual = short_way._exchange

    def exchange(connection: Any, trip: Any, pieces: list[bytes], *arguments: Any) -> Any:
        taken.append(pieces[0].split()[1].decode())
        return usual(connection, trip, pieces, *arguments)

    monkeypatch.setattr(short_way, "_exchange", exchange)
    return taken
