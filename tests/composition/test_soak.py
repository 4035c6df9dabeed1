"""One session, many threads, a server that misbehaves at random: nothing lost, nothing mixed up.

``SOAK_REQUESTS=100000 python -m pytest tests/composition/test_soak.py`` runs it at full length.
"""

from __future__ import annotations

import itertools
import os
import random
import threading

import pytest
import requests

from browseros_api import CircuitOpenError, Session
from browseros_api.testing import ApiServer, Received, Reply, wait_until

REQUESTS = int(os.environ.get("SOAK_REQUESTS", "3000"))
THREADS = 64


def misbehaving(chance: random.Random) -> object:
    """Echoes the nonce of each request, save for one in ten."""
    lock = threading.Lock()

    def handle(received: Received) -> Reply:
        nonce = received.query["nonce"][0]
        with lock:
            fate = chance.random()
        if fate < 0.03:
            return Reply(status=503, json={"nonce": nonce})
        if fate < 0.05:
            return Reply(reset="before")
        if fate < 0.07:
            return Reply(json={"nonce": nonce}, truncate=5)
        if fate < 0.10:
            return Reply(json={"nonce": nonce}, close_silently=True)
        return Reply(json={"nonce": nonce}, headers={"Cache-Control": "max-age=60"})

    return handle


@pytest.mark.timeout(1800)
def test_every_caller_gets_its_own_answer_and_nothing_is_left_behind() -> None:
    with (
        ApiServer(remember=1) as server,
        Session(retry_base_delay=0.001, retry_max_delay=0.01, failure_threshold=1000) as session,
    ):
        server.route("/*", misbehaving(random.Random(7)))
        numbers, wrong = itertools.count(), []

        def work() -> None:
            own = random.Random(threading.get_ident())
            while (number := next(numbers)) < REQUESTS:
                # Every third nonce is asked for by several at once: shared, and still right.
                nonce = str(number if number % 3 else number // 30)
                url = server.url(f"/things/{own.randrange(50)}?nonce={nonce}")
                try:
                    answer = session.get(url, timeout=10)
                except (requests.RequestException, CircuitOpenError):
                    continue  # what requests would raise as well, after four attempts
                except BaseException as error:
                    wrong.append(error)
                    raise
                if answer.json()["nonce"] != nonce:
                    wrong.append((nonce, answer.text))

        threads = [threading.Thread(target=work) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(1700)
        assert not wrong
        figures = session.get_stats()
        assert figures["total_requests"] == REQUESTS
        assert figures["successful_requests"] + figures["failed_requests"] == REQUESTS
        assert figures["failed_requests"] < REQUESTS / 100
        assert figures["in_flight_requests"] == len(session.engine.flights) == 0
        connections = figures["connections"]
        assert (connections["connections_in_use"], connections["waiting"]) == (0, 0)
        assert connections["connections_open"] <= session.settings.max_connections
        assert server.peak_connections <= session.settings.max_connections + THREADS
        session.close()
        wait_until(lambda: server.open_connections == 0)
