"""One session, many threads, a server that misbehaves at random: nothing lost, nothing mixed up.

``SOAK_REQUESTS=100000 python -m pytest tests/composition/test_soak.py`` runs it at full length.
"""

from __future__ import annotations

import gc
import itertools
import os
import random
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from browseros_api import Session
from browseros_api.testing import ApiServer, Received, Reply, wait_until

REQUESTS = int(os.environ.get("SOAK_REQUESTS", "3000"))
THREADS = 64
CONNECTIONS = 40  # fewer than threads: they have to wait for one another

# What requests raises when a server does what this one does.
EXPECTED = (
    requests.ConnectionError,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
)


def nonce_of(received: Received) -> str:
    return received.body.decode() or received.query["nonce"][0]


class Moody:
    """Echoes the nonce of each request, save for one in seven or so."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._lock = threading.Lock()

    def __call__(self, received: Received) -> Reply:
        with self._lock:
            fate = self._chance.random()
        nonce = nonce_of(received)
        said: Any = {"json": {"nonce": nonce}}
        faults = (
            *[{"status": 503}, {"status": 429, "headers": {"Retry-After": "0"}}],
            *[{"reset": "before"}, {"reset": "head"}, {"reset": 5}, {"truncate": 5}],
            *[{"truncate": 5, "chunked": True}, {"close_silently": True}, {"close": True}],
            *[{"headers": {"Content-Encoding": "gzip"}}, {"delay": 0.01}, {"drip": (8, 0.001)}],
        )
        number = int(fate * 80)
        if number < len(faults):
            return Reply(**said, **faults[number])
        if number == len(faults):
            return Reply(raw=b"what?\r\n\r\n")
        if number == len(faults) + 1 and received.method == "GET":
            return Reply(307, headers={"Location": received.target.replace("/things/", "/more/")})
        return Reply(**said, headers={"Cache-Control": "max-age=60"})


class Worker:
    """Asks in all ways there are, until ``numbers`` are used up."""

    def __init__(self, session: Session, server: ApiServer, numbers: Iterator[int]) -> None:
        self.session, self.server, self.numbers = session, server, numbers
        self.outcomes: Counter[str] = Counter()
        self.wrong: list[Any] = []

    def work(self) -> None:
        while (number := next(self.numbers)) < REQUESTS:
            # Every third nonce is asked for by several at once: shared, and still right.
            nonce = str(number if number % 3 else number // 30)
            try:
                told = self.ask(number, nonce)
            except EXPECTED as error:  # what requests would raise as well, after four attempts
                self.outcomes[type(error).__name__] += 1
            except BaseException as error:
                self.wrong.append(error)
            else:
                if told not in (nonce, None):
                    self.wrong.append((nonce, told))
                self.outcomes["unanswered" if told is None else "answered"] += 1

    def ask(self, number: int, nonce: str) -> str | None:
        """What the server echoed; None if that was not waited for."""
        url = self.server.url(f"/things/{int(nonce) % 50}?nonce={nonce}")
        kind = number % 20
        if kind == 1:
            return self.told(self.session.post(self.server.url("/things/new"), data=nonce))
        if kind == 2:
            return self.told(self.session.put(self.server.url("/things/0"), data=iter([nonce])))
        if kind > 5:
            return self.told(self.session.get(url, timeout=20))
        answer = self.session.get(url, stream=True, timeout=20)
        if kind == 3:
            return self.told(answer)
        if kind == 4:
            with answer:
                return None
        answer.raw.read(3)
        return None  # dropped, and never closed

    def told(self, answer: requests.Response) -> str | None:
        if answer.status_code in (429, 503):
            return None  # all attempts were used up
        nonce: str = answer.json()["nonce"]
        return nonce


def files() -> int | None:
    """Descriptors that this process has open, where that can be seen."""
    place = Path("/proc/self/fd")
    return len(list(place.iterdir())) if place.exists() else None


@pytest.mark.timeout(1800)
def test_every_caller_gets_its_own_answer_and_nothing_is_left_behind() -> None:
    settings: dict[str, Any] = {
        **{"retry_base_delay": 0.001, "retry_max_delay": 0.01, "failure_threshold": 10_000},
        **{"max_connections": CONNECTIONS, "pool_timeout": 60},
    }
    with Session(**settings) as warm, ApiServer() as server:
        warm.get(server.url("/x"))  # what is started once for all is there from now on
    gc.collect()
    files_before, threads_before = files(), threading.active_count()
    with ApiServer(remember=1) as server, Session(**settings) as session:
        server.route("*", Moody(7))
        workers = [Worker(session, server, numbers := itertools.count())]
        workers += [Worker(session, server, numbers) for _ in range(THREADS - 1)]
        threads = [threading.Thread(target=worker.work) for worker in workers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(1700)
        assert not any(thread.is_alive() for thread in threads), "a thread hangs"
        outcomes = sum((worker.outcomes for worker in workers), Counter())
        print(outcomes, session.get_stats(), file=sys.stderr)
        assert not [wrong for worker in workers for wrong in worker.wrong]
        assert sum(outcomes.values()) == REQUESTS
        assert outcomes["answered"] > 0.8 * REQUESTS
        figures = session.get_stats()
        assert figures["total_requests"] == REQUESTS
        assert figures["successful_requests"] + figures["failed_requests"] == REQUESTS
        assert figures["in_flight_requests"] == len(session.engine.flights) == 0
        assert figures["deduplicated_requests"] + figures["cached_responses"] > 0
        now = session.engine.adapter.statistics()
        assert (now["connections_in_use"], now["waiting"]) == (0, 0)
        assert now["connections_open"] == now["connections_idle"] <= CONNECTIONS
        limiter = session.engine.adapter._fleet.limiter
        assert (limiter.in_use, limiter.connected, limiter.waiting) == (0, 0, 0)
        assert not limiter._hosts
        wait_until(lambda: server.open_connections <= now["connections_idle"])  # some are stale
        session.close()
        assert session.engine.adapter.statistics()["connections_open"] == 0
        wait_until(lambda: server.open_connections == 0)
        server.route("/after", Reply())  # which is not for the moody one to answer
        assert session.get(server.url("/after"), timeout=20).ok, "a closed session opens anew"
    gc.collect()
    wait_until(lambda: (files(), threading.active_count()) <= (files_before, threads_before))
