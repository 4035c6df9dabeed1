"""For other people's suites: nothing leaves the loopback, and every outcome is written down.

A plugin for pytest that knows nothing of our package: both runs that are compared have it.
"""

from __future__ import annotations

import errno
import inspect
import json
import os
import socket
from collections.abc import Generator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

__all__ = ["TARPIT", "is_allowed"]

TARPIT = "10.255.255.1"  # what requests' tests dial to be kept waiting
HAS_TARPIT = "COMPAT_TARPIT" in os.environ  # set where that address is our own, in a namespace

_connect = socket.socket.connect
_connect_ex = socket.socket.connect_ex
_getaddrinfo = socket.getaddrinfo
_outcomes: dict[str, str] = {}


def is_allowed(host: Any) -> bool:
    """Whether ``host`` is an address that stays on this machine."""
    try:
        address = ip_address(str(host).partition("%")[0])
    except ValueError:
        return host in ("", "localhost", None)
    return address.is_loopback or address.is_unspecified or (HAS_TARPIT and str(host) == TARPIT)


def _is_address(host: Any) -> bool:
    try:
        ip_address(str(host).partition("%")[0])
    except ValueError:
        return False
    return True


def _stays(sock: socket.socket, address: Any) -> bool:
    return sock.family not in (socket.AF_INET, socket.AF_INET6) or is_allowed(address[0])


def _fenced_connect(self: socket.socket, address: Any) -> None:
    if not _stays(self, address):
        raise OSError(errno.ENETUNREACH, f"the fence: {address[0]} is not on this machine")
    _connect(self, address)


def _fenced_connect_ex(self: socket.socket, address: Any) -> int:
    return _connect_ex(self, address) if _stays(self, address) else errno.ENETUNREACH


def _fenced_getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
    text = host.decode("ascii", "replace") if isinstance(host, bytes) else host
    if not (_is_address(text) or is_allowed(text)):
        raise socket.gaierror(socket.EAI_NONAME, f"the fence: {text} is not looked up")
    return _getaddrinfo(host, *args, **kwargs)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--outcomes", metavar="FILE", help="where each test's outcome is written")


def pytest_configure() -> None:
    socket.socket.connect = _fenced_connect  # type: ignore[assignment, method-assign]
    socket.socket.connect_ex = _fenced_connect_ex  # type: ignore[assignment, method-assign]
    socket.getaddrinfo = _fenced_getaddrinfo


def pytest_unconfigure() -> None:
    socket.socket.connect = _connect  # type: ignore[method-assign]
    socket.socket.connect_ex = _connect_ex  # type: ignore[method-assign]
    socket.getaddrinfo = _getaddrinfo


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without an address that keeps callers waiting, the tests that want one are left out."""
    if HAS_TARPIT:
        return
    away = [item for item in items if "TARPIT" in _source(item)]
    config.hook.pytest_deselected(items=away)
    items[:] = [item for item in items if item not in away]


def _source(item: pytest.Item) -> str:
    function = getattr(item, "function", None)
    return inspect.getsource(function) if function is not None else ""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    report = yield
    outcome = "xfailed" if report.skipped and hasattr(report, "wasxfail") else report.outcome
    before = _outcomes.get(item.nodeid, "passed")
    if before == "passed":  # a failure of set-up or tear-down is one of the test
        _outcomes[item.nodeid] = outcome
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    if target := session.config.getoption("--outcomes"):
        Path(target).write_text(json.dumps(_outcomes, indent=1), "utf-8")
