"""Runs a command where there is no network: python tarpit.py COMMAND...

Inside an empty network namespace (``unshare --net``) it brings the loopback up, gives it the
address that requests' tests take for one that never answers, and lets a full queue listen there.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

__all__ = ["main"]

ADDRESS = "10.255.255.1"
_SIOCSIFFLAGS, _SIOCSIFADDR, _IFF_UP_RUNNING = 0x8914, 0x8916, 0x41  # linux/sockios.h, linux/if.h


def _request(name: str, tail: bytes) -> bytes:
    return struct.pack("16s24s", name.encode(), tail)


def raise_loopback() -> None:
    """Bring ``lo`` up, and ``ADDRESS`` on it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, _SIOCSIFFLAGS, _request("lo", struct.pack("H", _IFF_UP_RUNNING)))
        address = struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton(ADDRESS))
        fcntl.ioctl(sock, _SIOCSIFADDR, _request("lo:1", address))


@contextmanager
def listening_in_vain(port: int) -> Iterator[None]:
    """A listener whose queue is full: whoever dials it hears nothing."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server((ADDRESS, port), backlog=0))
        for _ in range(4):
            caller = stack.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex(listener.getsockname())
        yield


def main(command: list[str]) -> int:
    """Run ``command`` there; its exit status."""
    raise_loopback()
    with listening_in_vain(80):
        environment = {**os.environ, "COMPAT_TARPIT": ADDRESS}
        return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
