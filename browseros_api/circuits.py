"""The circuits of a session, to be looked at and switched by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import requests

from .engine import Engine
from .policies.breakers import CircuitBreaker

__all__ = ["Circuits"]


class Circuits(Mapping[str, CircuitBreaker]):
    """``session.circuits``, and ``client.circuits``: by the names of the status, or by a call.

    client.circuits.of("GET", "/users/7").isolate()
    client.circuits["/users/{id}"].reset()
    client.circuits.host("/users").status()
    """

    def __init__(self, engine: Engine, join: Callable[[str], str] = str) -> None:
        self._engine, self._join = engine, join

    def of(self, method: str, endpoint: str) -> CircuitBreaker:
        """The one that such a call would go through; it is made if there is none yet."""
        self._refuse_unless(self._engine.settings.enable_circuit_breaker, "enable_circuit_breaker")
        breakers = self._engine.breakers
        return breakers.of(breakers.endpoint_of(method.upper(), self._url(endpoint)))

    def host(self, endpoint: str) -> CircuitBreaker:
        """The one of the host that this is on; it is made if there is none yet."""
        breakers, settings = self._engine.breakers, self._engine.settings
        self._refuse_unless(settings.enable_circuit_breaker, "enable_circuit_breaker")
        self._refuse_unless(breakers.guards_hosts, "host_failures of the terms of circuits")
        return breakers.host(self._url(endpoint))

    def reset(self) -> None:
        """Close all of them, and forget everything that has happened."""
        self._engine.breakers.reset()

    def __getitem__(self, name: str) -> CircuitBreaker:
        return self._engine.breakers.all()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._engine.breakers.all())

    def __len__(self) -> int:
        return len(self._engine.breakers.all())

    def _url(self, endpoint: str) -> str:
        """As requests would send it: names are made of that."""
        prepared = requests.PreparedRequest()
        prepared.prepare_url(self._join(endpoint), None)
        return str(prepared.url)

    def _refuse_unless(self, is_on: bool, setting: str) -> None:
        if not is_on:
            raise ValueError(f"there is no such circuit: {setting} is off")

    def __repr__(self) -> str:
        return f"<Circuits [{len(self)}]>"
