"""Processes as people make them: multiprocessing, pools, and a server that forks its workers."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from browseros_api.testing import ApiServer, Reply
from tests.composition.forking import assert_apart, echo_pid

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")

ROOT = Path(__file__).parents[2]
METHODS = multiprocessing.get_all_start_methods()


@pytest.fixture
def server(api_server: ApiServer) -> ApiServer:
    api_server.route("/x", echo_pid)
    return api_server


def run(source: str, *arguments: str, folder: Path) -> list[Any]:
    """Run a script of its own, as its user would; the lines that it prints, which are JSON."""
    script = folder / "script.py"
    script.write_text(textwrap.dedent(source))
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", str(script), *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


COMMON = """
import json, multiprocessing, os, sys, threading
import browseros_api
from browseros_api import EnhancedAPIClient, Session

URL, METHOD = sys.argv[1:3]
SESSION = Session(retry_base_delay=0.01)

def ask(get, nonce):
    answer = get(URL, headers={"X-Pid": str(os.getpid())}, params={"nonce": nonce}, timeout=20)
    said = answer if isinstance(answer, dict) else answer.json()
    assert said == {"pid": str(os.getpid()), "nonce": str(nonce)}, said
    return os.getpid()

def by_global(nonce):
    return ask(SESSION.get, nonce)

def by_argument(session, nonce):
    return ask(session.get, nonce)
"""


@pytest.mark.parametrize("method", METHODS)
def test_a_pool_of_processes_uses_a_session_of_its_module(
    method: str, server: ApiServer, tmp_path: Path
) -> None:
    (pids,) = run(
        COMMON
        + """
if __name__ == "__main__":
    by_global("before")
    with multiprocessing.get_context(METHOD).Pool(3) as pool:
        told = pool.map(by_global, range(40), chunksize=1)
        by_global("meanwhile")
    by_global("after")
    print(json.dumps(sorted(set(told))))
""",
        *(server.url("/x"), method),
        folder=tmp_path,
    )
    assert_apart(server, processes=len(pids) + 1)


@pytest.mark.parametrize("method", METHODS)
def test_sessions_and_clients_may_be_arguments(
    method: str, server: ApiServer, tmp_path: Path
) -> None:
    run(
        COMMON
        + """
if __name__ == "__main__":
    CLIENT = EnhancedAPIClient(URL)
    askers = [SESSION, CLIENT.session, browseros_api.session(), CLIENT]
    for session in askers[:3]:
        session.headers["X-Team"] = "t"
    for asker in askers:
        by_argument(asker, "before")
    context = multiprocessing.get_context(METHOD)
    workers = [context.Process(target=by_argument, args=(one, "child")) for one in askers]
    for worker in workers:
        worker.start()
    for asker in askers:
        by_argument(asker, "meanwhile")
    for worker in workers:
        worker.join(40)
    assert [worker.exitcode for worker in workers] == [0, 0, 0, 0]
""",
        *(server.url("/x"), method),
        folder=tmp_path,
    )
    assert_apart(server, processes=5)
    assert all(received.headers["X-Team"] == "t" for received in server.requests)


@pytest.mark.parametrize("method", METHODS)
def test_functions_clients_and_executors_work_in_processes(
    method: str, server: ApiServer, tmp_path: Path
) -> None:
    run(
        COMMON
        + """
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
import asyncio, requests
from browseros_api import aio

CLIENT = EnhancedAPIClient(URL)
browseros_api.install()

def all_doors(nonce):
    headers, params = {"X-Pid": str(os.getpid())}, {"nonce": nonce}
    ask(browseros_api.get, f"{nonce} function")
    ask(requests.get, f"{nonce} installed")
    ask(CLIENT.get, f"{nonce} client")
    future = CLIENT.submit("GET", URL, params={"nonce": "submitted"}, headers=headers)
    assert future.result(20)["nonce"] == "submitted"
    async def awaited():
        async with aio.EnhancedAPIClient(URL) as client:
            return await client.get(URL, params={"nonce": "awaited"}, headers=headers)
    assert asyncio.run(awaited())["nonce"] == "awaited"
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda turn: ask(SESSION.get, f"{nonce} {turn}"), range(8)))
    return os.getpid()

if __name__ == "__main__":
    all_doors("before")
    context = multiprocessing.get_context(METHOD)
    with ProcessPoolExecutor(2, mp_context=context) as processes:
        told = list(processes.map(all_doors, range(6)))
    all_doors("after")
    print(json.dumps(sorted(set(told))))
""",
        *(server.url("/x"), method),
        folder=tmp_path,
    )
    users = {received.headers["X-Pid"] for received in server.requests}
    assert_apart(server, processes=len(users))


def test_what_a_thread_is_importing_does_not_matter(server: ApiServer, tmp_path: Path) -> None:
    """A child would wait for ever for a module that is half imported."""
    server.script("/flaky", Reply(503), Reply(json={}))
    server.script("/flaky-too", Reply(503), Reply(json={}))
    run(
        COMMON
        + """
import importlib.abc, importlib.machinery

reached, release = threading.Event(), threading.Event()

class Slow(importlib.abc.MetaPathFinder):
    # What is imported from now on is half there for a while.
    def find_spec(self, name, path=None, target=None):
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        if name in ("tenacity", "netrc"):
            execute = spec.loader.exec_module
            def slowly(module):
                reached.set()
                release.wait(20)
                execute(module)
            spec.loader.exec_module = slowly
        return spec

sys.meta_path.insert(0, Slow())
thread = threading.Thread(target=lambda: SESSION.get(f"{URL}flaky", timeout=20))
thread.start()
assert reached.wait(20)
threading.Timer(0.2, release.set).start()
pid = os.fork()
if pid == 0:
    status = 1
    try:
        assert SESSION.get(f"{URL}flaky-too", timeout=20).ok
        status = 0
    finally:
        os._exit(status)
assert os.waitpid(pid, 0)[1] == 0
thread.join()
""",
        *(server.url("/"), "fork"),
        folder=tmp_path,
    )


def test_a_child_that_was_forked_in_c_begins_anew_too(server: ApiServer, tmp_path: Path) -> None:
    """As uWSGI forks its workers: none of Python's own hooks is run."""
    run(
        COMMON
        + """
import ctypes
import requests
from browseros_api.timer import TIMER

# No thread in the parent: in the child it would hold the lock of the interpreter for ever.
TIMER._thread = threading.main_thread()
CLIENT = EnhancedAPIClient(URL)

def send(nonce):
    headers = {"X-Pid": str(os.getpid())}
    SESSION.send(requests.Request("GET", URL, headers=headers).prepare())

def submit(nonce):
    if nonce == "child":
        headers = {"X-Pid": str(os.getpid())}
        assert CLIENT.submit("GET", URL, params={"nonce": nonce}, headers=headers).result(20)

def all_doors(nonce):
    ask(browseros_api.get, nonce)
    ask(CLIENT.get, nonce)
    by_global(nonce)

for work in (send, submit, all_doors, by_global):
    work("before")
    pid = ctypes.PyDLL(None).fork()  # with the lock of the interpreter, which the child needs
    if pid == 0:
        status = 1
        try:
            work("child")
            status = 0
        finally:
            os._exit(status)
    work("meanwhile")
    assert os.waitpid(pid, 0)[1] == 0
    work("after")
""",
        *(server.url("/x"), "fork"),
        folder=tmp_path,
    )
    assert_apart(server, processes=5)


# -- a server that forks its workers --------------------------------------------------------------

PREFORK = (
    COMMON
    + '''
import signal, socket, time
from http.server import BaseHTTPRequestHandler, HTTPServer

WORKERS = 3


class Handler(BaseHTTPRequestHandler):
    """Asks the server behind for each request that it gets, and says who it is."""

    def do_GET(self):
        nonce = self.path.partition("=")[2]
        body = json.dumps({"worker": ask(SESSION.get, nonce), "nonce": nonce}).encode()
        self.wfile.write(
            b"HTTP/1.0 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n%b" % (len(body), body)
        )

    def log_message(self, *_):
        pass


def work(listener):
    """What a worker does until it is told to end: accept and serve, one after the other."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server = HTTPServer(listener.getsockname(), Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = listener
    server.serve_forever(poll_interval=0.05)


def start(listener):
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work(listener)
        except SystemExit:
            status = 0
        finally:
            os._exit(status)
    return pid


def main():
    crew = [threading.Thread(target=by_global, args=(f"warm {n}",)) for n in range(4)]
    for thread in crew:
        thread.start()
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    workers = {start(listener) for _ in range(WORKERS)}  # while the master is asking
    for thread in crew:
        thread.join()
    print(json.dumps(listener.getsockname()[1]), flush=True)
    for line in sys.stdin:  # the commands of an operator
        by_global(f"master {line}")
        if line == "replace\\n":
            pid = workers.pop()
            os.kill(pid, signal.SIGTERM)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
            workers.add(start(listener))
        print(json.dumps(sorted(workers)), flush=True)
    for pid in workers:
        os.kill(pid, signal.SIGTERM)
    assert all(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0 for pid in workers)


if __name__ == "__main__":
    main()
'''
)


class Master:
    """The server that forks, and how to command it."""

    def __init__(self, upstream: str, folder: Path) -> None:
        script = folder / "prefork.py"
        script.write_text(PREFORK)
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore::DeprecationWarning", str(script), upstream, "fork"],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.port = self.answer()

    def answer(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def command(self, word: str) -> Any:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()
        return self.answer()

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.process.wait(20) == 0


@pytest.fixture
def master(server: ApiServer, tmp_path: Path) -> Iterator[Master]:
    master = Master(server.url("/x"), tmp_path)
    try:
        yield master
        master.close()
    finally:
        master.process.stdout.close()  # type: ignore[union-attr]
        if master.process.poll() is None:
            master.process.send_signal(signal.SIGKILL)
            master.process.wait(20)


def test_workers_that_a_warm_master_forks_serve_and_share_no_connection(
    master: Master, server: ApiServer
) -> None:
    def visit(turn: int) -> int:
        answer = requests.get(f"http://127.0.0.1:{master.port}/?nonce={turn}", timeout=20).json()
        assert answer["nonce"] == str(turn)
        return int(answer["worker"])

    with ThreadPoolExecutor(8) as visitors:
        served = set(visitors.map(visit, range(120)))
        first = set(master.command("tell"))
        second = set(master.command("replace"))
        served |= set(visitors.map(visit, range(120, 240)))
    assert len(first) == len(second) == 3
    assert len(first & second) == 2
    assert served <= first | second
    users = {received.headers["X-Pid"] for received in server.requests}
    assert str(master.process.pid) in users
    assert_apart(server, processes=len(users))
