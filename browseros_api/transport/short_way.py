"""The short way of an ordinary request over a connection that is open already."""

from __future__ import annotations

import http.client
import logging
import socket
import sys
from collections.abc import Callable
from typing import Any

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from requests.utils import select_proxy
from urllib3.connection import HTTPConnection
from urllib3.response import HTTPResponse
from urllib3.util import Retry

from .answer import Answer
from .fields import plain_request, target
from .genuine import Genuine
from .heads import Head, plain_head
from .pools import PlainPool, TlsPool
from .replay import Replay
from .results import CAN_WRAP, wrapped
from .routes import Routes
from .trip import Trip
from .watch import turn

__all__ = ["is_ordinary", "sent"]

_PASSED_BY = Genuine(
    (HTTPAdapter, "send"),
    (HTTPAdapter, "build_response"),
    (Response, "__init__"),
    (Response, "iter_content"),
    (HTTPResponse, "__init__"),
    (HTTPResponse, "read"),
    (HTTPResponse, "stream"),
    (PlainPool, "urlopen"),
    (PlainPool, "_make_request"),
    (TlsPool, "urlopen"),
    (TlsPool, "_make_request"),
    (HTTPConnection, "request"),
    (HTTPConnection, "putrequest"),
    (HTTPConnection, "putheader"),
    (HTTPConnection, "getresponse"),
    (http.client.HTTPConnection, "putrequest"),
    (http.client.HTTPConnection, "putheader"),
    (http.client.HTTPConnection, "endheaders"),
    (http.client.HTTPConnection, "send"),
    (http.client.HTTPConnection, "getresponse"),
    (http.client.HTTPResponse, "begin"),
    (http.client, "parse_headers"),
)
_HOOKS = Genuine(
    *(
        (HTTPAdapter, name)
        for name in (
            "add_headers",
            "build_connection_pool_key_attributes",
            "get_connection_with_tls_context",
            "request_url",
        )
        if hasattr(HTTPAdapter, name)  # one of them came with requests 2.32.3
    )
)
_Bounds = tuple[float | None, float | None]  # seconds for connecting and for reading
_LOGGER = logging.getLogger("urllib3.connectionpool")
_AT_ONCE = 32 * 1024  # bytes that are received with a head, if they are there
# Bytes that the kernel takes without waiting, on a connection whose server has answered everything:
# the least that Linux gives a socket for sending (tcp_wmem).  To set a timeout is a system call, at
# which another thread gets the interpreter.
_ROOM = 4096


def sent(
    adapter: HTTPAdapter,
    routes: Routes,
    trip: Trip,
    request: PreparedRequest,
    options: dict[str, Any],
    ordinarily: Callable[..., Response],
) -> Response:
    """The response to ``request``, its body unread: by the short way, or ``ordinarily``.

    Where the short way leads is learned on the ordinary one.
    """
    route, bounds = None, _seconds(options["timeout"])
    if bounds is not None and is_ordinary(adapter, request, options):
        route = routes.route(request.url, options["verify"], options["cert"])
    if route is not None and bounds is not None:
        pool = routes.pool(route, adapter.poolmanager)
        answer = None if pool is None else _answer(adapter, pool, trip, request, options, bounds)
        if answer is not None:
            return adapter.build_response(request, answer)
    response = ordinarily(request, **options)
    if route is not None:
        routes.learn(route, trip.pool_key)
    return response


def is_ordinary(adapter: HTTPAdapter, request: PreparedRequest, options: dict[str, Any]) -> bool:
    """Whether nobody, and nothing about ``request``, needs what the short way passes by."""
    retries, proxies = adapter.max_retries, options["proxies"]
    return (
        CAN_WRAP
        and type(request) is PreparedRequest
        and type(retries) is Retry
        and not (retries.total or retries.status_forcelist)
        and not (proxies and select_proxy(str(request.url), proxies))
        and bool(_PASSED_BY)
        and _HOOKS.are_those_of(adapter)
        and not _LOGGER.isEnabledFor(logging.DEBUG)
    )


def _answer(
    adapter: HTTPAdapter, pool: Any, trip: Trip, request: Any, options: Any, bounds: _Bounds
) -> Any:
    """urllib3's answer, its body unread; ``None`` if the ordinary way has to be gone.

    That is because no connection is open, or since something was out of the ordinary.  Then the
    trip has the connection, which will tell urllib3 what has happened to it; what to make of that
    is urllib3's and requests' affair alone.
    """
    if type(pool) not in (PlainPool, TlsPool) or pool.proxy is not None:
        return None
    pieces = plain_request(request, pool.host_field)
    if pieces is None:
        return None
    if type(pool) is TlsPool or options["cert"]:
        adapter.cert_verify(pool, request.url, options["verify"], options["cert"])
    connection = pool.take_idle(trip)
    if connection is None:
        return None
    if not connection.debuglevel and (connection.is_verified or type(pool) is PlainPool):
        head, received = _exchange(connection, trip, pieces, request.method, bounds)
        if head is not None:
            pool.num_requests += 1
            connection.answer = answer = Answer.taken(
                connection.sock, head, received, method=request.method, streams=options["stream"]
            )
            return wrapped(
                answer,
                request_url=target(request.url),
                retries=adapter.max_retries,
                pool=pool,
                connection=connection,
            )
    trip.rehearsed = connection  # somebody has to hear of it, or to look at it closely
    return None


def _exchange(
    connection: Any, trip: Trip, pieces: list[bytes], method: str, bounds: _Bounds
) -> tuple[Head | None, bytes]:
    """Send the pieces of a request, and receive an ordinary head and perhaps more.

    If there is none, the connection has a replay of what has happened.
    """
    connect, read = bounds
    sock, was_sent = connection.sock, False
    try:
        if sum(map(len, pieces)) > _ROOM:
            sock.settimeout(connect)
        for piece in pieces:
            sys.audit("http.client.send", connection, piece)
            sock.sendall(piece)
        was_sent = True
        turn("server")
        if not isinstance(sock, socket.socket) or sock.gettimeout() != read:  # pyOpenSSL's has none
            sock.settimeout(read)
        received = sock.recv(_AT_ONCE)
    except Exception as error:
        connection.replay = Replay(was_sent=was_sent, error=error)
        return None, b""
    except BaseException:
        connection.close()
        raise
    trip.is_answered = bool(received)
    head = plain_head(received, method)
    if head is None or (head.length is not None and len(received) > head.size + head.length):
        connection.replay = Replay(was_sent=True, received=received)
        return None, received
    turn("body")
    return head, received


def _seconds(timeout: Any) -> _Bounds | None:
    """What requests' ``timeout`` means, if that is quite clear."""
    pair = timeout if type(timeout) is tuple else (timeout, timeout)
    if len(pair) != 2:
        return None
    for seconds in pair:
        if seconds is not None and not (type(seconds) in (float, int) and seconds > 0):
            return None
    return pair
