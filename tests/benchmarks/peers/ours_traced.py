"""browseros_api with its traces, and as it would be without them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar
from unittest import mock

from browseros_api import Session
from browseros_api.engine import Engine
from browseros_api.pipeline import Call, Exchange, Step
from browseros_api.policies.tracer import Tracer
from tests.benchmarks.peers.site import Extras, Site, Turn

__all__ = ["get"]

_STRETCH = 25  # calls of one kind before it is the other's turn: short, so that both fare alike

T = TypeVar("T")


@contextmanager
def get(site: Site) -> Iterator[Turn]:
    """``Session.get`` of what must not be kept, by both in turn: "times" as long with a trace."""
    with Session() as session, _untraced() as bare:
        assert "trace" in session.get(site.fresh).__dict__
        assert "trace" not in bare.get(site.fresh).__dict__

        def turn(calls: int) -> Extras:
            stretches = max(1, calls // (2 * _STRETCH))
            traced = untraced = 0.0
            for _ in range(stretches):
                traced += _seconds(session, site.fresh)
                untraced += _seconds(bare, site.fresh)
            return {"time": traced / (stretches * _STRETCH), "times": traced / untraced}

        yield turn


def _seconds(session: Session, url: str) -> float:
    began = time.perf_counter()
    for _ in range(_STRETCH):
        session.get(url)
    return time.perf_counter() - began


def _untraced() -> Session:
    with mock.patch("browseros_api.session.Engine", _Untraced):
        return Session()


class _Untraced(Engine):
    def call_steps(
        self, refuse: Step[Call] | None = None, *, again: bool = False
    ) -> list[Step[Call]]:
        return _without_tracer(super().call_steps(refuse, again=again))

    def exchange_steps(self) -> list[Step[Exchange]]:
        return _without_tracer(super().exchange_steps())


def _without_tracer(steps: list[Step[T]]) -> list[Step[T]]:
    return [step for step in steps if not isinstance(getattr(step, "__self__", None), Tracer)]
