"""Faults at random, and each time the same ones: of a server, or in the adapters of a session."""

from __future__ import annotations

import math
import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING, Any

from .spoiling import SPOILERS, spoiled

if TYPE_CHECKING:
    from .reply import Reply
    from .routes import Handler
    from .server import ApiServer
    from .wire import Received

__all__ = ["FAULTS", "Chaos", "chaos"]

FAULTS = tuple(SPOILERS)


def chaos(
    target: ApiServer | Any, *, rate: float = 0.1, faults: Sequence[str] = FAULTS, seed: int = 0,
    delay: float = 0.05,
) -> Chaos:  # fmt: skip
    """For a ``with`` block: inside, ``target`` misbehaves::

        with chaos(server, rate=0.2, seed=7) as wild:
            ...
        print(wild.faults)      # ['reset', '503', ...]

    ``target`` is an ``ApiServer``, whose answers are spoiled, or any ``requests.Session``, whose
    adapters then fail in the same ways without a server.  ``rate`` is the part of requests that
    this happens to; of ``faults`` each is as likely as the others:

        reset      the connection is torn down before the answer
        close      it is closed without an answer
        truncate   the body ends too early
        garbage    the answer is not HTTP
        503        the answer has that status
        429        the same, and no function of the server's is asked
        delay      the answer comes ``delay`` seconds later

    Which request fares how follows from the ``seed``, the method, the URL, and how often that was
    asked: not from the order in which threads ask.
    """
    if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 <= rate <= 1:
        raise ValueError(f"rate must be a number from 0 to 1, not {rate!r}")
    if isinstance(faults, str) or not faults or not {*faults} <= {*FAULTS}:
        raise ValueError(f"faults must be some of {', '.join(FAULTS)}, not {faults!r}")
    if isinstance(delay, bool) or not isinstance(delay, (int, float)) or not 0 <= delay < math.inf:
        raise ValueError(f"delay must be 0 seconds or more, not {delay!r}")
    if not hasattr(target, "script") and not hasattr(target, "adapters"):
        raise TypeError(f"target must be an ApiServer or a requests.Session, not {target!r}")
    return Chaos(target, rate=rate, faults=faults, seed=seed, delay=delay)


class Chaos:
    """What happens to whom.

    Attributes:
        faults: what has happened so far, in that order.
    """

    def __init__(
        self, target: Any, *, rate: float, faults: Sequence[str], seed: int, delay: float
    ) -> None:
        self._target, self._seed, self._delay = target, seed, delay
        self._rate, self._choice = rate, [*faults]
        self._asked: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._end = ExitStack()
        self.faults: list[str] = []

    def fate(self, method: str, url: str) -> str | None:
        """What happens to the next request of that method and URL, if anything does."""
        asked = f"{method} {url}"
        with self._lock:
            self._asked[asked] += 1
            chance = random.Random(f"{self._seed} {self._asked[asked]} {asked}")
            if chance.random() >= self._rate:
                return None
            fault = chance.choice(self._choice)
            self.faults.append(fault)
            return fault

    def _spoil(self, request: Received, reply: Reply | Handler) -> Reply | Handler:
        fault = self.fate(request.method, request.target)
        return reply if fault is None else spoiled(reply, fault, delay=self._delay)

    def __enter__(self) -> Chaos:
        if hasattr(self._target, "script"):
            self._end.enter_context(_Member(self._target._routes.moods, self._spoil))
        else:
            from .moody import moody_adapters  # noqa: PLC0415  (a server needs no requests)

            self._end.callback(moody_adapters(self._target, self.fate, delay=self._delay))
        return self

    def __exit__(self, *_: object) -> None:
        self._end.close()

    def __repr__(self) -> str:
        with self._lock:
            return f"<Chaos [{len(self.faults)} of {sum(self._asked.values())} requests]>"


class _Member(AbstractContextManager[None]):
    """Is in a list while it is entered."""

    def __init__(self, members: list[Any], one: Callable[..., Any]) -> None:
        self._members, self._one = members, one

    def __enter__(self) -> None:
        self._members.append(self._one)

    def __exit__(self, *_: object) -> None:
        self._members.remove(self._one)
