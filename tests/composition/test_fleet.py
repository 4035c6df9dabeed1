"""Processes on one store, which behave like one client; also when one of them is killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from browseros_api.testing import ApiServer, Reply, wait_until

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs signals"),
    pytest.mark.timeout(300),  # processes take their time to start on a machine that is busy
]

ROOT = Path(__file__).parents[2]
PATIENCE = 120.0
FRESH = {"Cache-Control": "max-age=600"}

MEMBER = """
    import json, sys, time
    from browseros_api import EnhancedAPIClient

    place, base, options = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])

    def tell(**facts):
        print(json.dumps(facts), flush=True)

    def paused(seconds):
        tell(waits=True)
        time.sleep(seconds)

    # A machine that is busy is not a store that is slow.
    client = EnhancedAPIClient(base, store=place, store_timeout=10.0, max_retries=0, sleep=paused,
                               **options)
    tell(ready=True)
    for line in sys.stdin:
        try:
            answer = client.get(line.strip())
        except Exception as error:
            tell(error=type(error).__name__)
        else:
            tell(answer=answer, cached=client.get_stats()["cached_responses"])
"""


class Member:
    """One process of the fleet."""

    def __init__(self, place: str, base: str, options: dict[str, Any]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(MEMBER), place, base, json.dumps(options)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.said: Queue[dict[str, Any]] = Queue()
        threading.Thread(target=self._hear, daemon=True).start()

    def _hear(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.put(json.loads(line))
        self.said.put({"ended": True})

    def ask(self, path: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{path}\n")
        self.process.stdin.flush()

    def until(self, *facts: str) -> dict[str, Any]:
        """The next thing that it says of one of these."""
        while True:
            said = self.said.get(timeout=PATIENCE)
            if said.keys() & set(facts):
                return said
            assert "ended" not in said, "the process has ended"

    def answer(self) -> Any:
        return self.until("answer", "error").get("answer", "no answer")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE)


Fleet = Callable[..., list[Member]]


@pytest.fixture
def fleet(place: str, api_server: ApiServer) -> Iterator[Fleet]:
    """Starts so many processes, which are ready then."""
    with ExitStack() as stack:

        def start(number: int, **options: Any) -> list[Member]:
            base = api_server.base_url
            members = [Member(place, base, options) for _ in range(number)]
            for member in members:
                stack.callback(_end, member)
            for member in members:
                member.until("ready")
            return members

        yield start


def _end(member: Member) -> None:
    member.kill()
    for pipe in (member.process.stdin, member.process.stdout):
        assert pipe is not None
        pipe.close()


def test_identical_calls_of_processes_are_one_request(fleet: Fleet, api_server: ApiServer) -> None:
    hold = threading.Event()
    api_server.route("/x", Reply(json={"n": 1}, headers=FRESH, hold=hold))
    members = fleet(5)
    for member in members:
        member.ask("/x")
    wait_until(lambda: sum(not one.said.empty() for one in members) == 4, timeout=PATIENCE)
    hold.set()
    assert [member.answer() for member in members] == [{"n": 1}] * 5
    assert api_server.hits("/x") == 1


def test_a_leader_that_is_killed_delays_the_others_and_no_more(
    fleet: Fleet, api_server: ApiServer
) -> None:
    hold = threading.Event()
    api_server.script("/x", Reply(json={"n": 1}, hold=hold), Reply(json={"n": 2}, headers=FRESH))
    leader, *others = fleet(4)
    leader.ask("/x")
    wait_until(lambda: api_server.hits("/x") == 1, timeout=PATIENCE)
    for other in others:
        other.ask("/x")
        other.until("waits")
    leader.kill()
    assert [other.answer() for other in others] == [{"n": 2}] * 3
    assert api_server.hits("/x") == 2
    hold.set()


def test_what_is_not_kept_is_asked_for_by_each(fleet: Fleet, api_server: ApiServer) -> None:
    hold = threading.Event()
    private = {"Cache-Control": "no-store"}
    api_server.script(
        "/x", Reply(json=1, headers=private, hold=hold), Reply(json=2, headers=private)
    )
    leader, *others = fleet(3)
    leader.ask("/x")
    wait_until(lambda: api_server.hits("/x") == 1, timeout=PATIENCE)
    for other in others:
        other.ask("/x")
        other.until("waits")
    hold.set()
    assert leader.answer() == 1
    assert [other.answer() for other in others] == [2, 2]
    assert api_server.hits("/x") == 3


@pytest.mark.parametrize("place", ["redis"], indirect=True)
def test_a_circuit_that_opens_in_one_process_rejects_in_the_others(
    fleet: Fleet, api_server: ApiServer
) -> None:
    api_server.route("/down", Reply(503))
    first, *others = fleet(3, failure_threshold=3)
    for member in (first, *others):
        member.ask("/fine")
        assert member.answer()
    for _ in range(3):
        first.ask("/down")
        assert first.until("answer", "error") == {"error": "HTTPError"}
    time.sleep(0.6)  # they look twice a second
    for member in others:
        member.ask("/down")
        assert member.until("answer", "error") == {"error": "CircuitOpenError"}
    assert api_server.hits("/down") == 3
