"""A scripted HTTP server on loopback, faults at random, a clock that obeys: for tests.

    from browseros_api import Session
    from browseros_api.testing import ApiServer, Reply

    def test_two_failures_are_survived():
        with ApiServer() as server:
            server.script("/flaky", Reply(503), Reply(503), Reply(json={"ok": True}))
            assert Session(retry_base_delay=0).get(server.url("/flaky")).json() == {"ok": True}
            assert server.hits("/flaky") == 3

With pytest ``api_server``, ``fake_clock``, ``no_sleep`` and ``chaos`` are fixtures, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = [
    "ApiServer",
    "Chaos",
    "FakeClock",
    "Headers",
    "Received",
    "Reply",
    "Sleeps",
    "chaos",
    "no_sleep",
    "wait_until",
]

if TYPE_CHECKING:
    from .clock import FakeClock, wait_until
    from .mischief import Chaos, chaos
    from .reply import Reply
    from .server import ApiServer
    from .sleeping import Sleeps, no_sleep
    from .wire import Headers, Received

_HOMES = {
    "ApiServer": "server",
    "Chaos": "mischief",
    "FakeClock": "clock",
    "Headers": "wire",
    "Received": "wire",
    "Reply": "reply",
    "Sleeps": "sleeping",
    "chaos": "mischief",
    "no_sleep": "sleeping",
    "wait_until": "clock",
}


def __getattr__(name: str) -> Any:
    # Loaded when first asked for: pytest imports this package in every run of every project
    # that has the plugin installed, whether its tests need a server or not.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415

    value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
