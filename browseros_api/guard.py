"""The exchange's steps around whatever adapter is mounted.

Not in an adapter of ours, and not in ``send``: a user's own ``mount()``, or a mock, would silently
take the policies away, and ``send`` runs again for each redirect.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast

import requests
from requests import PreparedRequest, Response
from requests.adapters import BaseAdapter, HTTPAdapter

from .engine import Engine
from .journal import is_secret
from .pipeline import Call, Exchange, Proceed, compose

__all__ = ["GuardedExchange"]


class GuardedExchange:
    """The part of a session that sends what is prepared."""

    engine: Engine
    _find_adapter: Callable[[str], BaseAdapter] | None = None

    def _compose_exchange(self) -> None:
        engine = self.engine
        self._exchange = compose(engine.exchange_steps(), engine.transmit)
        self._sent_by_hand = compose([engine.meter.time, *engine.call_steps()], self._send_counted)

    def send(self, request: PreparedRequest, **kwargs: Any) -> Response:
        """Send a prepared request, as requests does; retried and guarded, but never shared."""
        engine = self.engine
        kwargs.setdefault("timeout", engine.settings.timeout)
        if engine.current is None:
            return self._sent_by_hand(self._call_by_hand(request, kwargs))
        response = cast(Response, super().send(request, **kwargs))  # type: ignore[misc]
        for hop in (*response.history, response):
            # requests took the time of the whole exchange: retries, delays and body included.
            if (seconds := hop.__dict__.pop("_answered_after", None)) is not None:
                hop.elapsed = timedelta(seconds=seconds)
        return response

    def _call_by_hand(self, request: PreparedRequest, kwargs: dict[str, Any]) -> Call:
        call = Call(str(request.method), str(request.url), {"request": request, **kwargs})
        call.attempt_timeout = self.engine.settings.attempt_timeout
        if self.engine.settings.deadline is not None:
            call.deadline = self.engine.clock() + self.engine.settings.deadline
        return call

    def _send_counted(self, call: Call) -> Response:
        with self.engine.making(call):
            return self.send(**call.arguments)

    @property
    def get_adapter(self) -> Callable[[str], BaseAdapter]:
        """Finds the adapter for a URL; while this thread makes a call, with the engine around it.

        A property, since mocking libraries set this name on the instance and leave it there.
        """
        return self.find_adapter if self.engine.current is None else self._guarded_adapter

    @get_adapter.setter
    def get_adapter(self, finder: Callable[[str], BaseAdapter]) -> None:
        own = (GuardedExchange.find_adapter, GuardedExchange._guarded_adapter)
        self._find_adapter = None if getattr(finder, "__func__", None) in own else finder

    @get_adapter.deleter
    def get_adapter(self) -> None:
        self._find_adapter = None

    def find_adapter(self, url: str) -> BaseAdapter:
        """The adapter that is mounted for ``url``, as it is."""
        find = self._find_adapter or super().get_adapter  # type: ignore[misc]
        return cast(BaseAdapter, find(url))

    def _guarded_adapter(self, url: str) -> BaseAdapter:
        return _Guard(self.find_adapter(url), self._exchange, self.engine)

    def rebuild_auth(self, prepared_request: PreparedRequest, response: Response) -> None:
        """On a redirect to another origin every header that looks like a secret goes."""
        super().rebuild_auth(prepared_request, response)  # type: ignore[misc]
        session = cast(requests.Session, self)
        if session.should_strip_auth(str(response.request.url), str(prepared_request.url)):
            for name in [name for name in prepared_request.headers if is_secret(name)]:
                if name.lower() not in ("authorization", "cookie"):  # requests has seen to these
                    del prepared_request.headers[name]


class _Guard(BaseAdapter):
    """An adapter with the exchange's steps around it, for one hop."""

    def __init__(self, adapter: BaseAdapter, steps: Proceed[Exchange], engine: Engine) -> None:
        self._adapter, self._steps, self._engine = adapter, steps, engine

    def send(self, request: PreparedRequest, **options: Any) -> Response:  # type: ignore[override]
        call = self._engine.current or Call(str(request.method), str(request.url))
        response = self._steps(Exchange(request, options, call, adapter=self._adapter))
        response.connection = cast(HTTPAdapter, self)  # digest auth sends through it
        return response

    def close(self) -> None:
        self._adapter.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._adapter, name)
