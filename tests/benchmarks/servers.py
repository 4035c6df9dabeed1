"""The servers that are asked: nginx where there is one, and the bundled one beside it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.peers.site import PAYLOAD

__all__ = ["ROOT", "Servers", "nginx_configuration", "started"]

ROOT = Path(__file__).resolve().parents[2]
_PATIENCE = 10.0  # seconds until a server must listen


@dataclass(frozen=True)
class Servers:
    """Base URLs of the fast server and of the other, and what the fast one is."""

    fast: str
    origin: str
    name: str


@contextmanager
def started(*, bundled: bool = False) -> Iterator[Servers]:
    """Both servers, until the end of the block; without nginx, or if told, both are bundled."""
    with ExitStack() as stack:
        origin = f"http://127.0.0.1:{stack.enter_context(_origin())}"
        binary = None if bundled else _nginx()
        if binary is None:
            fast = f"http://127.0.0.1:{stack.enter_context(_origin())}"
            yield Servers(fast, origin, "bundled threaded server (nginx was not used)")
        else:
            port = stack.enter_context(_running_nginx(binary))
            yield Servers(f"http://127.0.0.1:{port}", origin, _version(binary))


def _nginx() -> str | None:
    return shutil.which("nginx", path=f"{os.environ.get('PATH', '')}{os.pathsep}/usr/sbin")


def _version(binary: str) -> str:
    told = subprocess.run([binary, "-v"], capture_output=True, text=True, check=True)
    return told.stderr.strip().rpartition(": ")[2]


@contextmanager
def _origin() -> Iterator[int]:
    command = [sys.executable, "-m", "tests.benchmarks.origin"]
    with _process(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())


@contextmanager
def _running_nginx(binary: str) -> Iterator[int]:
    with tempfile.TemporaryDirectory(prefix="nginx-") as folder:
        port = _free_port()
        configuration = Path(folder, "nginx.conf")
        configuration.write_text(nginx_configuration(port, folder), "utf-8")
        with _process([binary, "-p", folder, "-c", str(configuration)]) as process:
            _wait_for(port, process)
            yield port


def nginx_configuration(port: int, folder: str) -> str:
    """One worker on loopback that answers out of its configuration and closes no connection."""
    body = PAYLOAD.decode().replace("'", "\\'")
    temporary = "".join(
        f"    {kind}_temp_path {folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"""\
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log crit;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    keepalive_timeout 3600s;
    keepalive_requests 1000000000;
    default_type application/json;
{temporary}\
    server {{
        listen 127.0.0.1:{port} backlog=511;
        location /fresh/ {{ add_header Cache-Control no-store; return 200 '{body}'; }}
        location / {{ add_header Cache-Control max-age=86400; return 200 '{body}'; }}
    }}
}}
"""


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def _wait_for(port: int, process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1.0):
            return
        time.sleep(0.05)
    raise RuntimeError("nginx does not listen; is its configuration refused?")


@contextmanager
def _process(command: list[str], **options: object) -> Iterator[subprocess.Popen[str]]:
    process: subprocess.Popen[str] = subprocess.Popen(command, cwd=ROOT, **options)  # type: ignore[call-overload]
    with process:  # which closes its pipes and waits for it
        try:
            yield process
        finally:
            process.terminate()
