"""A scripted HTTP server on loopback, a clock that obeys, and a patient assertion, for tests.

    from browseros_api import Session
    from browseros_api.testing import ApiServer, Reply

    def test_two_failures_are_survived():
        with ApiServer() as server:
            server.script("/flaky", Reply(503), Reply(503), Reply(json={"ok": True}))
            assert Session(retry_base_delay=0).get(server.url("/flaky")).json() == {"ok": True}
            assert server.hits("/flaky") == 3

With pytest the fixtures ``api_server`` and ``fake_clock`` are there without an import.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = ["ApiServer", "FakeClock", "Headers", "Received", "Reply", "wait_until"]

if TYPE_CHECKING:
    from .clock import FakeClock, wait_until
    from .reply import Reply
    from .server import ApiServer
    from .wire import Headers, Received

_HOMES = {
    "ApiServer": "server",
    "FakeClock": "clock",
    "Headers": "wire",
    "Received": "wire",
    "Reply": "reply",
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
