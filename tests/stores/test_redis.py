"""Laws of the store on a Redis server: its own time, one round trip, nothing left behind."""

from __future__ import annotations

import itertools
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from browseros_api import Settings
from browseros_api.stores.entry import Store
from browseros_api.stores.opening import open_store
from browseros_api.testing import FakeClock
from tests.redis_server import RedisServer, started
from tests.stores.answers import URL, answer, entry, key

A, B = key("a"), key("b")

Opener = Callable[..., Store]
_numbers = itertools.count()


@pytest.fixture
def namespace() -> str:
    return f"redis{next(_numbers)}"


@pytest.fixture
def opened(redis_server: RedisServer, namespace: str, clock: FakeClock) -> Iterator[Opener]:
    stores = []

    def open_it(options: str = "front=0", *, url: str = "", **settings: Any) -> Store:
        url = f"{url or redis_server.url}?namespace={namespace}&{options}"
        settings = {"store_timeout": 10.0, **settings}
        store = open_store(Settings(store=url, **settings), clock=clock)
        stores.append(store)
        return store

    yield open_it
    for store in stores:
        store.close()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[RedisServer]:
    """A server that may be stopped, paused and killed."""
    with started(tmp_path) as server:
        yield server


def bodies(store: Store, name: str = A) -> list[bytes]:
    return [one.snapshot.replica().content for one in store.get(name)]


def names(server: RedisServer, namespace: str) -> set[str]:
    """All keys of the namespace, and no others."""
    found = {name.decode() for name in server.ask("KEYS", "*")}
    return {name for name in found if name.startswith(f"{namespace}:")}


def calls(server: RedisServer) -> dict[str, int]:
    """How often the server was asked for each command."""
    lines = server.ask("INFO", "commandstats").decode().splitlines()
    stats = [line.split(":", 1) for line in lines if line.startswith("cmdstat_")]
    return {name[8:]: int(said.split(",")[0][6:]) for name, said in stats}


# -- keys and their time ---------------------------------------------------------------------------


def test_every_key_is_in_the_namespace_and_ends_by_itself(
    opened: Opener, redis_server: RedisServer, namespace: str
) -> None:
    before = {*redis_server.ask("KEYS", "*")}
    store = opened()
    store.put(A, entry(seconds=100.0))
    store.put(B, entry(seconds=50.0, resource=URL + "/7"))
    store.put(B, entry(seconds=200.0, resource=URL + "/7"))
    store.forget("http://api.example.com/other")
    kept = names(redis_server, namespace)
    assert len(kept) == 2 + 2 + 1 + 1  # answers, their resources, a change, the index of all
    assert {*redis_server.ask("KEYS", "*")} - before == {name.encode() for name in kept}
    for name in kept:
        assert 0 < redis_server.ask("PTTL", name) <= 600_000
    assert 99_000 < redis_server.ask("PTTL", f"{namespace}:answer:{A}") <= 100_000
    assert 199_000 < redis_server.ask("PTTL", f"{namespace}:answer:{B}") <= 200_000


def test_the_server_lets_go_of_what_has_expired(
    opened: Opener, redis_server: RedisServer, namespace: str
) -> None:
    store = opened()
    store.put(A, entry(seconds=0.05))
    deadline = time.monotonic() + 30
    while redis_server.ask("EXISTS", f"{namespace}:answer:{A}"):
        assert time.monotonic() < deadline
    assert store.get(A) == ()
    assert len(store) == 0


def test_indexes_hold_only_what_is_there(
    opened: Opener, redis_server: RedisServer, namespace: str
) -> None:
    """However many queries there are of one resource, and however long it goes on."""
    store = opened()
    for number in range(100):
        store.put(key(str(number)), entry(seconds=0.001))
    time.sleep(0.01)  # the server's own clock has to go on by some milliseconds
    store.put(A, entry(seconds=100.0))
    indexes = [name for name in names(redis_server, namespace) if ":answer:" not in name]
    assert len(indexes) == 2
    for name in indexes:
        assert redis_server.ask("ZCARD", name) == 1


def test_namespaces_share_nothing(redis_server: RedisServer, clock: FakeClock) -> None:
    places = [f"{redis_server.url}?front=0&namespace={name}" for name in ("x", "x*", "[x]", "xy")]
    stores = [open_store(Settings(store=place, store_timeout=10), clock=clock) for place in places]
    for number, store in enumerate(stores):
        store.put(A, entry(answer(b"%d" % number)))
    assert [bodies(store) for store in stores] == [[b"0"], [b"1"], [b"2"], [b"3"]]
    stores[1].clear()
    stores[2].clear()
    assert [bodies(store) for store in stores] == [[b"0"], [], [], [b"3"]]
    assert [list(store) for store in stores] == [[A], [], [], [A]]
    for store in stores:
        store.clear()
        store.close()


def test_a_hit_is_one_round_trip(opened: Opener, redis_server: RedisServer) -> None:
    store = opened()
    store.put(A, entry(answer(b"x" * 5000)))
    store.get(A)
    before = calls(redis_server)
    for _ in range(10):
        assert len(store.get(A)) == 1
    after = calls(redis_server)
    asked = {name: after[name] - before.get(name, 0) for name in after}
    assert asked["evalsha"] == 10
    # What the script asks is no trip; INFO and its connection are the test's own.
    inner = {"hgetall", "zscore", "info", "client|setinfo", "client", "hello", "config|set"}
    assert {name for name, count in asked.items() if count} <= {"evalsha", *inner}


def test_the_server_is_never_asked_for_all_its_keys(
    opened: Opener, redis_server: RedisServer
) -> None:
    before = calls(redis_server).get("keys", 0)
    store = opened()
    store.put(A, entry())
    assert (list(store), len(store), store.bytes > 0) == ([A], 1, True)
    store.forget(URL)
    store.clear()
    assert calls(redis_server).get("keys", 0) == before


def test_scripts_that_the_server_has_lost_are_told_again(
    opened: Opener, redis_server: RedisServer
) -> None:
    store = opened()
    store.put(A, entry(answer(b"one")))
    redis_server.ask("SCRIPT", "FLUSH")
    assert bodies(store) == [b"one"]
    redis_server.ask("SCRIPT", "FLUSH")
    assert store.forget(URL) == 1
    assert store.figures()["store_errors"] == 0


# -- what is not as it should be -------------------------------------------------------------------


def test_an_answer_whose_index_is_gone_is_not_there(
    opened: Opener, redis_server: RedisServer, namespace: str
) -> None:
    """A server short of memory may drop the index alone; then it could not be forgotten."""
    store = opened()
    for lost in ("UNLINK", "ZREM", "SET"):
        store.put(A, entry())
        (index,) = [name for name in names(redis_server, namespace) if ":resource:" in name]
        more = {"ZREM": [f"{namespace}:answer:{A}"], "SET": ["x"]}.get(lost, [])
        redis_server.ask(lost, index, *more)
        assert store.get(A) == ()
        assert redis_server.ask("EXISTS", f"{namespace}:answer:{A}") == 0
        redis_server.ask("UNLINK", index)
    assert store.figures()["store_errors"] == 0


@pytest.mark.parametrize(
    "command", [("SET", "x"), ("LPUSH", "x"), ("HSET", "a", "b"), ("HSET", "resource", "x")]
)
def test_what_others_have_put_under_a_key_is_a_miss_and_dropped(
    opened: Opener, redis_server: RedisServer, namespace: str, command: tuple[str, ...]
) -> None:
    store = opened()
    name = f"{namespace}:answer:{A}"
    redis_server.ask(command[0], name, *command[1:])
    assert store.get(A) == ()
    assert redis_server.ask("EXISTS", name) == 0
    redis_server.ask(command[0], name, *command[1:])
    assert store.put(A, entry(answer(b"one"))) is True
    assert bodies(store) == [b"one"]
    assert store.figures()["store_errors"] == 0


@pytest.mark.parametrize("value", [b"", b"\xff\xfe", b"0" * 16 + b"\x01junk", b"x" * 1000])
def test_a_record_that_was_changed_is_a_miss_and_dropped(
    opened: Opener, redis_server: RedisServer, namespace: str, value: bytes
) -> None:
    store = opened()
    store.put(A, entry())
    name = f"{namespace}:answer:{A}"
    (variant,) = [one for one in redis_server.ask("HKEYS", name) if one != b"resource"]
    redis_server.ask("HSET", name, variant, value)
    assert store.get(A) == ()
    assert redis_server.ask("HKEYS", name) == [b"resource"]
    assert store.figures()["store_unreadable"] == 1
    assert store.figures()["store_errors"] == 0


def test_an_answer_of_before_a_change_that_another_process_made_is_not_kept(
    opened: Opener, clock: FakeClock
) -> None:
    first, second = opened(), opened()
    asked = clock() - 5.0
    second.forget(URL)
    assert first.put(A, entry(answer(b"old"), now=clock()), since=asked) is False
    clock.tick(5.0)
    assert first.put(A, entry(answer(b"new")), since=clock() + 0.1) is True


# -- the front -------------------------------------------------------------------------------------


def test_what_was_read_a_moment_ago_is_not_read_again(
    opened: Opener, redis_server: RedisServer, clock: FakeClock
) -> None:
    store = opened("front=2")
    store.put(A, entry(answer(b"one")))
    assert bodies(store) == [b"one"]
    before = calls(redis_server)["evalsha"]
    for _ in range(10):
        assert bodies(store) == [b"one"]
    clock.tick(1.5)
    assert bodies(store) == [b"one"]
    assert calls(redis_server)["evalsha"] == before
    clock.tick(1.0)
    assert bodies(store) == [b"one"]
    assert calls(redis_server)["evalsha"] == before + 1


def test_what_another_process_forgets_is_gone_within_the_moment(
    opened: Opener, clock: FakeClock
) -> None:
    first, second = opened(""), opened("")
    first.put(A, entry(answer(b"one")))
    assert (bodies(first), bodies(second)) == ([b"one"], [b"one"])
    first.forget(URL)
    assert bodies(first) == []
    clock.tick(1.0)
    assert bodies(second) == []


def test_what_is_in_front_expires_in_time(opened: Opener, clock: FakeClock) -> None:
    store = opened("front=100")
    store.put(A, entry(seconds=10.0))
    assert len(store.get(A)) == 1
    clock.tick(10.5)
    assert store.get(A) == ()


@pytest.mark.parametrize("change", ["put", "delete", "forget", "clear"])
def test_whatever_this_process_changes_is_changed_in_front(opened: Opener, change: str) -> None:
    store = opened("front=100")
    store.put(A, entry(answer(b"one")))
    assert bodies(store) == [b"one"]
    {
        "put": lambda: store.put(A, entry(answer(b"two"))),
        "delete": lambda: store.delete(A),
        "forget": lambda: store.forget(URL),
        "clear": store.clear,
    }[change]()
    assert bodies(store) == ([b"two"] if change == "put" else [])


def test_an_answer_larger_than_the_front_is_read_each_time(opened: Opener) -> None:
    store = opened("front=100", cache_max_bytes=10_000)
    store.put(A, entry(answer(b"x" * 20_000)))
    for _ in range(2):
        assert bodies(store) == [b"x" * 20_000]
    assert store.figures()["store_hits"] == 2


# -- a server that is not there --------------------------------------------------------------------


def at(server: RedisServer, clock: FakeClock, *, timeout: float, options: str = "front=0") -> Store:
    return open_store(Settings(store=f"{server.url}?{options}", store_timeout=timeout), clock=clock)


def test_a_server_that_was_never_there_costs_only_the_cache(
    clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    url = "redis://:s3cret-word@127.0.0.1:1/0"
    store = open_store(Settings(store=url, store_timeout=5.0), clock=clock)
    for _ in range(3):
        assert store.put(A, entry()) is False
        assert (store.get(A), store.forget(URL), len(store), list(store)) == ((), 0, 0, [])
        store.clear()
    (warning,) = caplog.records
    assert warning.levelno == logging.WARNING
    assert "s3cret" not in caplog.text
    assert store.figures()["store_errors"] == 1


def test_a_server_that_is_killed_and_comes_back(own: RedisServer, clock: FakeClock) -> None:
    store = at(own, clock, timeout=5.0)
    store.put(A, entry(answer(b"one")))
    own.kill()
    assert bodies(store) == []
    assert store.figures()["store_state"] == "down"
    own.start()
    clock.tick(0.5)
    assert bodies(store) == []  # it has forgotten all
    assert store.put(A, entry(answer(b"two"))) is True
    assert bodies(store) == [b"two"]
    assert store.figures() == {**store.figures(), "store_state": "up", "store_errors": 1}
    store.close()


def test_a_server_that_answers_nothing_is_waited_for_once_and_what_it_says_later_is_not_taken(
    own: RedisServer, clock: FakeClock
) -> None:
    store = at(own, clock, timeout=0.2)
    store.put(A, entry(answer(b"Alice's")))
    store.put(B, entry(answer(b"Bob's")))
    assert bodies(store) == [b"Alice's"]
    own.pause()
    try:
        assert store.get(A) == ()
        begin = time.perf_counter()
        for _ in range(1000):
            assert store.get(B) == ()
        assert time.perf_counter() - begin < 100 * 0.2  # nobody has waited any more
        store.forget(URL)
    finally:
        own.resume()
    clock.tick(0.5)
    assert (bodies(store, B), bodies(store)) == ([], [])  # what is owed comes first
    store.put(B, entry(answer(b"Bob's"), now=clock()))
    assert (bodies(store, B), bodies(store)) == ([b"Bob's"], [])
    store.close()


def test_a_server_that_is_full_costs_only_the_cache(own: RedisServer, clock: FakeClock) -> None:
    own.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
    own.ask("CONFIG", "SET", "maxmemory", "1")
    store = at(own, clock, timeout=5.0)
    assert store.put(A, entry()) is False
    own.ask("CONFIG", "SET", "maxmemory", "0")
    clock.tick(0.5)
    assert store.put(A, entry(answer(b"one"))) is True
    assert bodies(store) == [b"one"]
    store.close()


def test_a_server_short_of_memory_never_brings_back_what_was_forgotten(
    own: RedisServer, clock: FakeClock
) -> None:
    own.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-random")
    own.ask("CONFIG", "SET", "maxmemory", str(int(used_memory(own) + 3_000_000)))
    store = at(own, clock, timeout=10.0)
    for number in range(200):
        store.put(key(str(number)), entry(answer(b"x" * 40_000), resource=f"{URL}/{number % 7}"))
    assert 0 < sum(bool(store.get(key(str(number)))) for number in range(200)) < 200
    for number in range(7):
        store.forget(f"{URL}/{number}")
    assert [number for number in range(200) if store.get(key(str(number)))] == []
    assert store.figures()["store_errors"] == 0
    store.close()


def used_memory(server: RedisServer) -> int:
    lines = server.ask("INFO", "memory").decode().splitlines()
    return int(next(line for line in lines if line.startswith("used_memory:"))[12:])


def test_something_else_on_the_port_costs_only_the_cache(clock: FakeClock, api_server: Any) -> None:
    port = api_server.base_url.rpartition(":")[2]
    store = open_store(Settings(store=f"redis://127.0.0.1:{port}", store_timeout=2.0), clock=clock)
    assert store.get(A) == ()
    assert store.put(A, entry()) is False
    assert store.figures()["store_state"] == "down"
    store.close()


def test_a_server_that_wants_a_password_gets_it(own: RedisServer, clock: FakeClock) -> None:
    own.ask("CONFIG", "SET", "requirepass", "open sesame")
    refused = at(own, clock, timeout=5.0)
    assert refused.put(A, entry()) is False
    url = f"redis://:open%20sesame@127.0.0.1:{own.port}/3"
    store = open_store(Settings(store=url, store_timeout=5.0), clock=clock)
    assert store.put(A, entry(answer(b"one"))) is True
    assert bodies(store) == [b"one"]
    store.close()


def test_a_unix_socket_and_the_names_of_valkey_lead_there_too(
    own: RedisServer, clock: FakeClock, tmp_path: Path
) -> None:
    own.stop()
    socket = tmp_path / "s"
    own.start("--unixsocket", str(socket))
    first = open_store(Settings(store=f"redis+unix://{socket}", store_timeout=5.0), clock=clock)
    assert first.put(A, entry(answer(b"one"))) is True
    for url in (f"valkey+unix://{socket}?db=0", f"valkey://127.0.0.1:{own.port}/0"):
        store = open_store(Settings(store=url, store_timeout=5.0), clock=clock)
        assert bodies(store) == [b"one"]
        store.close()
    first.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_child_uses_connections_of_its_own(opened: Opener) -> None:
    store = opened("front=100")
    store.put(A, entry(answer(b"one")))
    store.get(A)
    end, begin = os.pipe()
    pid = os.fork()
    if pid == 0:
        store.reset_after_fork()
        is_good = all(bodies(store) == [b"one"] for _ in range(20))
        os.write(begin, b"good" if is_good else b"bad")
        os._exit(0)
    os.close(begin)
    try:
        for _ in range(20):
            assert bodies(store) == [b"one"]
        os.waitpid(pid, 0)
        assert os.read(end, 10) == b"good"
    finally:
        os.close(end)


def test_many_threads_read_at_once(opened: Opener) -> None:
    store = opened()
    for number in range(8):
        store.put(key(str(number)), entry(answer(b"%d" % number * 2000)))
    wrong: list[int] = []
    barrier = threading.Barrier(8)

    def work(number: int) -> None:
        barrier.wait(30)
        for turn in range(40):
            one = (number + turn) % 8
            if bodies(store, key(str(one))) != [b"%d" % one * 2000]:
                wrong.append(one)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
