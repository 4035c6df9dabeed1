"""Those who ask, in all ways there are, and those who disturb them."""

from __future__ import annotations

import random
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import requests

from browseros_api import CircuitOpenError, DeadlineExceeded
from tests.composition.forking import assert_fine, in_child
from tests.soak.world import EXPECTED, World

__all__ = ["Asker", "Leader", "Leaper"]


class Asker(threading.Thread):
    """Asks and asks; each answer must be the one to what it has asked."""

    def __init__(self, world: World, seed: int) -> None:
        super().__init__(name=f"asker-{seed}", daemon=True)
        self._world, self._chance = world, random.Random(seed)
        self._ways: list[Callable[[str], str | None]] = [
            *[self._get] * 8,
            *(self._post, self._put, self._head, self._read, self._leave, self._drop),
            *(self._hurry, self._fall_back, self._by_hand),
        ]

    def run(self) -> None:
        while not self._world.is_over.is_set():
            nonce = _any_nonce(self._chance)
            way = self._chance.choice(self._ways)
            try:
                told = way(nonce)
            except EXPECTED as error:
                self._world.count(_named(error))
            except BaseException as error:
                self._world.wrong.append((way.__name__, nonce, error))
            else:
                self._world.count("answered")
                if told not in (nonce, None):
                    self._world.wrong.append((way.__name__, nonce, told))

    def _get(self, nonce: str) -> str | None:
        return _told(self._world.session.get(self._world.url(nonce)))

    def _post(self, nonce: str) -> str | None:
        return _told(self._world.session.post(self._world.server.url("/new"), data=nonce))

    def _put(self, nonce: str) -> str | None:
        url = self._world.server.url("/new")
        return _told(self._world.session.put(url, data=iter([nonce.encode()])))

    def _head(self, nonce: str) -> None:
        self._world.session.head(self._world.url(nonce))

    def _read(self, nonce: str) -> str | None:
        return _told(self._world.session.get(self._world.url(nonce), stream=True))

    def _leave(self, nonce: str) -> None:
        with self._world.session.get(self._world.url(nonce), stream=True) as answer:
            answer.raw.read(2)

    def _drop(self, nonce: str) -> None:
        self._world.session.get(self._world.url(nonce), stream=True)

    def _hurry(self, nonce: str) -> str | None:
        return _told(self._world.session.get(self._world.url(nonce), deadline=0.05))

    def _fall_back(self, nonce: str) -> str | None:
        made_up = {"nonce": nonce}
        return _told(self._world.session.get(self._world.url(nonce), fallback=made_up))

    def _by_hand(self, nonce: str) -> str | None:
        session = self._world.session
        request = requests.Request("GET", self._world.url(nonce))
        return _told(session.send(session.prepare_request(request)))


class Leader:
    """The main thread's calls: some are interrupted by Ctrl-C, and now and then it forks."""

    def __init__(self, world: World, seed: int) -> None:
        self._world, self._chance = world, random.Random(seed)
        self._is_armed = False

    def act(self) -> None:
        """One call, or one child."""
        if self._chance.random() < 0.02:
            self._fork()
            return
        nonce = _any_nonce(self._chance)
        fuse = threading.Timer(self._chance.random() * 0.03, self._interrupt)
        before = signal.signal(signal.SIGINT, self._obey)
        fuse.start()
        try:
            self._is_armed = True
            told = _told(self._world.session.get(self._world.url(nonce), use_cache=False))
            self._is_armed = False
            if told not in (nonce, None):
                self._world.wrong.append(("leader", nonce, told))
            self._world.count("answered")
        except KeyboardInterrupt:
            self._world.count("interrupted")
        except EXPECTED as error:
            self._world.count(_named(error))
        finally:
            self._is_armed = False
            fuse.cancel()
            fuse.join()
            signal.signal(signal.SIGINT, before)

    def _interrupt(self) -> None:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    def _obey(self, *_: object) -> None:
        if self._is_armed:  # otherwise the call was faster
            self._is_armed = False
            raise KeyboardInterrupt

    def _fork(self) -> None:
        def ask() -> None:
            for nonce in ("1", "2", "3"):
                told = None
                while told is None:  # it may have been a fault
                    with suppress(*EXPECTED):
                        told = _told(self._world.session.get(self._world.url(nonce), timeout=10))
                assert told == nonce

        assert_fine(in_child(ask))
        self._world.count("forked")


class Leaper(threading.Thread):
    """Lets the clocks leap, and the server restart."""

    def __init__(self, world: World, seed: int) -> None:
        super().__init__(name="leaper", daemon=True)
        self._world, self._chance = world, random.Random(seed)

    def run(self) -> None:
        while not self._world.is_over.wait(self._chance.random()):
            self._world.clock.leap(self._chance.choice((0.0, 1.0, 40.0, 4000.0)))
            self._world.wall.set(self._chance.choice((0.0, 40.0, -40.0, 1e6, -1e6)))
            if self._chance.random() < 0.2:
                self._world.server.drop_connections()


def _any_nonce(chance: random.Random) -> str:
    """Often one of a few that are slow to be answered, where many ask at once."""
    return str(23 * chance.randrange(3) if chance.random() < 0.25 else chance.randrange(400))


def _told(answer: requests.Response) -> str | None:
    """What was echoed; None where that was a fault all the same."""
    if answer.status_code in (429, 503):
        return None
    told: Any = answer.json()["nonce"]
    return str(told)


def _named(error: Exception) -> str:
    if isinstance(error, CircuitOpenError):
        return "refused"
    return "late" if isinstance(error, DeadlineExceeded) else "failed"
