"""Children that must end, and a server's account of who has used which connection."""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import threading
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from browseros_api.testing import ApiServer, Received, Reply

__all__ = [
    "ask",
    "ask_in_threads",
    "assert_apart",
    "assert_fine",
    "echo_pid",
    "in_child",
    "told_of",
]

_PATIENCE = 40.0  # seconds after which a child counts as hung


def in_child(work: Callable[[], object]) -> int:
    """Run ``work`` in a forked child, whose process id this is."""
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid
    status = 1
    faulthandler.register(signal.SIGUSR1)  # to say where it hangs
    try:
        work()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def assert_fine(*pids: int) -> None:
    """Each child ends well, and in time; the others are ended."""
    outcomes: dict[int, int | None] = dict.fromkeys(pids)
    until = time.monotonic() + _PATIENCE
    while None in outcomes.values() and time.monotonic() < until:
        for pid in [pid for pid, outcome in outcomes.items() if outcome is None]:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                outcomes[pid] = os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    for pid in [pid for pid, outcome in outcomes.items() if outcome is None]:
        os.kill(pid, signal.SIGUSR1)
        time.sleep(0.5)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert set(outcomes.values()) == {0}, outcomes


def echo_pid(received: Received) -> Reply:
    """Says again who has asked for what."""
    said = {"pid": received.headers.get("X-Pid"), "nonce": received.query.get("nonce", [""])[0]}
    return Reply(json=said)


def told_of(nonce: object) -> dict[str, Any]:
    """Options of a call by this process, and what ``echo_pid`` will answer."""
    return {"headers": {"X-Pid": str(os.getpid())}, "params": {"nonce": str(nonce)}, "timeout": 20}


def ask(get: Callable[..., Any], url: str, nonces: Iterable[object]) -> None:
    """Ask with each of ``nonces``; the answers must be this process's own."""
    for nonce in nonces:
        answer = get(url, **told_of(nonce))
        said = answer if isinstance(answer, dict) else answer.json()
        assert said == {"pid": str(os.getpid()), "nonce": str(nonce)}, said


def ask_in_threads(get: Callable[..., Any], url: str, *, threads: int, each: int) -> None:
    """The same by several threads at once; what one of them raises is raised."""
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            ask(get, url, [f"{number}.{turn}" for turn in range(each)])
        except BaseException as failure:
            failures.append(failure)

    crew = [threading.Thread(target=work, args=(n,), daemon=True) for n in range(threads)]
    for thread in crew:
        thread.start()
    for thread in crew:
        thread.join(_PATIENCE)
    assert not any(thread.is_alive() for thread in crew), "a thread hangs"
    if failures:
        raise failures[0]


def assert_apart(server: ApiServer, *, processes: int) -> None:
    """So many processes have asked, and no connection was used by two of them."""
    users: dict[int, set[str]] = defaultdict(set)
    for received in server.requests:
        users[received.connection].add(received.headers.get("X-Pid", "?"))
    assert all(len(pids) == 1 for pids in users.values()), users
    assert len(set().union(*users.values())) == processes, users
