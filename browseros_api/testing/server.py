"""An HTTP/1.1 server on loopback that answers what a test tells it to."""

from __future__ import annotations

from ipaddress import ip_address
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

from .connection import hang_up
from .ledger import Ledger
from .listener import Listener
from .reply import Reply
from .routes import Handler, Routes
from .wire import Received

if TYPE_CHECKING:
    from ssl import SSLContext

__all__ = ["ApiServer"]

ServerT = TypeVar("ServerT", bound="ApiServer")


class ApiServer:
    """A real server for tests: sockets and threads of its own, nothing patched, nothing mocked.

        with ApiServer() as server:
            server.route("/users", Reply(json={"users": []}))
            server.script("/flaky", Reply(503), Reply(503), Reply(json={"ok": True}))
            assert requests.get(server.url("/users")).json() == {"users": []}
            assert server.hits("/users") == 1

    Paths that are not routed answer with what they were asked: a JSON object with ``method``,
    ``path``, ``query``, ``headers`` and ``body``.  So does ``/delay/SECONDS`` (at most 10), after
    that time; ``/status/NNN`` answers with that status, ``/bytes/N`` with so many bytes.

    Leaving the ``with`` block closes every connection, joins every thread, and raises
    ``AssertionError`` if a handler had failed; a test that wants that empties ``server.errors``.

    Args:
        host: a loopback address, such as ``"127.0.0.2"`` or ``"::1"``.
        port: 0 is any that is free.
        tls: a server-side context; the URLs are then ``https``.
        remember: how many requests ``requests`` keeps, the latest ones; the counts are of all.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: SSLContext | None = None,
        remember: int = 10_000,
    ) -> None:
        if not ip_address(host).is_loopback:
            raise ValueError(f"host must be a loopback address, not {host!r}")
        self.host = host
        self.port = port
        self._tls = tls
        self._routes = Routes()
        self._ledger = Ledger(remember=remember)
        self._listener: Listener | None = None
        self._is_closed = False

    # What it answers

    def route(self, path: str, reply: Reply | Handler, *, method: str | None = None) -> None:
        """Answer every request for ``path`` with ``reply``, or with what it returns.

        ``reply`` may be a function ``(request: Received) -> Reply``; it runs in a thread of the
        connection's own, so it may block.  ``path`` is compared with the path as sent, without
        the query; ``"/users/*"`` stands for all that begin with ``/users/``, and ``"*"`` for all.
        ``method`` None is any; a route for the method goes first.  The latest route counts.
        """
        self._routes.add(path, [reply], method)

    def script(self, path: str, *replies: Reply | Handler, method: str | None = None) -> None:
        """Answer the requests for ``path`` with one reply after the other, the last for ever.

        ``Reply(503, repeat=3)`` counts as three.
        """
        self._routes.add(path, replies, method)

    # Where it is

    @property
    def base_url(self) -> str:
        """Such as ``"http://127.0.0.1:40123"``, without a slash at its end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}"

    def url(self, path: str = "/") -> str:
        """The URL of ``path``."""
        return self.base_url + path

    # What it has seen

    @property
    def requests(self) -> list[Received]:
        """The requests so far, in the order in which they were complete."""
        return self._ledger.requests

    def hits(self, path: str | None = None) -> int:
        """How many requests came for ``path``, or for all paths; each counts once it is read."""
        return self._ledger.hits(path)

    @property
    def connections(self) -> int:
        """How many connections have been accepted."""
        return self._ledger.accepted

    @property
    def open_connections(self) -> int:
        """How many of them are open now."""
        return self._ledger.open

    @property
    def peak_connections(self) -> int:
        """How many were open at once, at most."""
        return self._ledger.peak_open

    @property
    def active_requests(self) -> int:
        """How many requests have been read but not yet been answered to the last byte."""
        return self._ledger.active

    @property
    def peak_requests(self) -> int:
        """How many were so at once, at most."""
        return self._ledger.peak_active

    def reset_counts(self) -> None:
        """Forget all of the above, but for what is open or being handled; routes stay."""
        self._ledger.reset_counts()

    @property
    def errors(self) -> list[BaseException]:
        """What handlers raised; the clients got a 500.  Empty it if that was intended."""
        return self._ledger.errors

    def drop_connections(self) -> None:
        """Hang up (FIN) on everybody at once, as a server does that restarts."""
        self._ledger.each_open(hang_up)

    # Its life

    def start(self: ServerT) -> ServerT:
        """Begin to listen; the ``with`` statement does it."""
        if self._listener is not None:
            raise RuntimeError("an ApiServer is started once")
        self._listener = Listener(
            (self.host, self.port), ledger=self._ledger, find=self._routes.find, tls=self._tls
        )
        self.port = self._listener.port
        return self

    def close(self) -> None:
        """Hang up on everybody and join every thread; ``RuntimeError`` if a handler never ends."""
        if self._listener is not None and not self._is_closed:
            self._is_closed = True
            self._listener.close()

    def __enter__(self: ServerT) -> ServerT:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
        if error is None and self.errors:
            raise AssertionError(f"{len(self.errors)} handlers failed") from self.errors[0]

    def __repr__(self) -> str:
        seen = self._ledger
        return (
            f"<ApiServer {self.base_url} "
            f"[Connections: {seen.open} open, {seen.accepted} accepted | "
            f"Requests: {seen.active} active, {seen.hits(None)} received]>"
        )
