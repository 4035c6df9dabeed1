"""A forward proxy as people run them: it forwards, makes tunnels, and may want to know who asks."""

from __future__ import annotations

import base64
import select
import socket
import ssl
import threading
from collections.abc import Sequence
from urllib.parse import urlsplit

from tests.faults.listener import Listener

__all__ = ["ForwardProxy"]

_OPEN = b"HTTP/1.1 200 Connection established\r\n\r\n"
_WHO = (
    b'HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="p"\r\n'
    b"Content-Length: 0\r\nConnection: close\r\n\r\n"
)
_PATIENCE = 20.0


class ForwardProxy(Listener):
    """Serves whoever says ``user:password``, or anybody; ``asked`` are the first lines it got.

    Names that end in ``.test`` lead to this machine.
    """

    def __init__(self, user: str | None = None, *, tls: ssl.SSLContext | None = None) -> None:
        self._expected = user and f"Basic {base64.b64encode(user.encode()).decode()}"
        self._tls = tls
        self._noting = threading.Lock()
        self.asked: list[str] = []
        super().__init__(self._talk)

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def url_for(self, user: str) -> str:
        """With ``user:password`` in it."""
        return self.url.replace("//", f"//{user}@")

    def _talk(self, sock: socket.socket, number: int) -> None:
        sock.settimeout(_PATIENCE)
        if self._tls is not None:
            sock = self._tls.wrap_socket(sock, server_side=True)
            self.replace(number, sock)
        head = b""
        while b"\r\n\r\n" not in head:
            piece = sock.recv(65536)
            if not piece:
                return
            head += piece
        head, _, body = head.partition(b"\r\n\r\n")
        first, *headers = head.decode("latin-1").split("\r\n")
        with self._noting:
            self.asked.append(first)
        if self._expected and f"Proxy-Authorization: {self._expected}" not in headers:
            sock.sendall(_WHO)
            return
        self._serve_line(sock, first, headers, body)

    def _serve_line(
        self, sock: socket.socket, first: str, headers: Sequence[str], body: bytes
    ) -> None:
        method, target, version = first.split(" ")
        if method == "CONNECT":
            host, _, port = target.rpartition(":")
            with self._dial(host, int(port)) as there:
                sock.sendall(_OPEN)
                _pump(sock, there)
            return
        place = urlsplit(target)
        path = target.split(place.netloc, 1)[1] or "/"
        kept = [line for line in headers if not line.lower().startswith(("proxy-", "connection:"))]
        lines = [f"{method} {path} {version}", *kept, "Connection: close", "Via: 1.1 proxy"]
        with self._dial(place.hostname or "", place.port or 80) as there:
            there.sendall("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
            _pump(sock, there)

    def _dial(self, host: str, port: int) -> socket.socket:
        host = "127.0.0.1" if host.endswith(".test") else host
        return socket.create_connection((host, port), timeout=_PATIENCE)


def _pump(here: socket.socket, there: socket.socket) -> None:
    """Carry bytes both ways until one side has no more."""
    while True:
        if isinstance(here, ssl.SSLSocket) and here.pending():
            ready = [here]
        else:
            ready, _, _ = select.select([here, there], [], [], _PATIENCE)
        if not ready:
            return
        for one in ready:
            data = one.recv(65536)
            if not data:
                return
            (there if one is here else here).sendall(data)
