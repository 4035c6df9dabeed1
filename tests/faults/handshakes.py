"""Servers with which no secret can be shared."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass

import requests
from requests.exceptions import SSLError

from tests.faults.case import Ending
from tests.faults.certificates import Authority
from tests.faults.hostile import HostileServer
from tests.faults.listener import no_linger

__all__ = ["HANDSHAKES", "Handshake"]

Make = Callable[[Authority], HostileServer]


@dataclass(frozen=True)
class Handshake:
    """A way to begin TLS, and how a call with two retries has to end.

    ``accepted`` are the connections that the server sees, whatever the method: nothing of the
    request was sent.  ``waits``: it takes a timeout.
    """

    name: str
    what: str
    make: Make
    ends: Ending = SSLError
    accepted: int = 1
    waits: bool = False


def hang(sock: socket.socket) -> None:
    sock.settimeout(10.0)
    while sock.recv(65536):
        pass


def talk_plainly(sock: socket.socket) -> None:
    sock.recv(65536)
    sock.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


def drop(sock: socket.socket) -> None:
    sock.recv(65536)
    no_linger(sock)


HANDSHAKES = (
    Handshake(
        "tls-ok", "allowed: a good certificate",
        lambda authority: HostileServer(tls=authority.context()), ends=200,
    ),
    Handshake(
        "tls-self-signed", "a certificate that nobody vouches for",
        lambda authority: HostileServer(tls=authority.self_signed()),
    ),
    Handshake(
        "tls-expired", "a certificate of the past",
        lambda authority: HostileServer(tls=authority.context(since=2000, until=2001)),
    ),
    Handshake(
        "tls-not-yet-valid", "a certificate of the future",
        lambda authority: HostileServer(tls=authority.context(since=2089)),
    ),
    Handshake(
        "tls-wrong-host", "a certificate of somebody else",
        lambda authority: HostileServer(tls=authority.context("example.org")),
    ),
    Handshake(
        "tls-no-san", "a certificate that names its host in the old way only",
        lambda authority: HostileServer(tls=authority.nameless()),
    ),
    Handshake(
        "tls-old", "a protocol that is broken",
        lambda authority: HostileServer(tls=authority.outdated()),
    ),
    Handshake(
        "tls-needs-client-cert", "the client's certificate is wanted, and it has none",
        lambda authority: HostileServer(tls=authority.demanding()),
    ),
    Handshake(
        "tls-plain-http", "plain HTTP where TLS is expected",
        lambda authority: HostileServer(greet=talk_plainly),
    ),
    Handshake(
        "tls-handshake-hangs", "the connection is accepted, and nothing is ever said",
        lambda authority: HostileServer(greet=hang),
        ends=requests.ReadTimeout, accepted=3, waits=True,
    ),
    Handshake(
        "tls-handshake-dropped", "an RST within the handshake",
        lambda authority: HostileServer(greet=drop),
        ends=requests.ConnectionError, accepted=3,
    ),
)  # fmt: skip
