"""Laws of the store in a SQLite file: it outlives processes, and survives what is done to it."""

from __future__ import annotations

import logging
import os
import random
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from browseros_api import Settings
from browseros_api.stores.archive import Archive
from browseros_api.stores.opening import open_store
from browseros_api.testing import FakeClock, wait_until
from tests.stores.answers import URL, answer, entry, key

ROOT = Path(__file__).resolve().parents[2]
A, B = key("a"), key("b")

Opener = Callable[..., Archive]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "answers.db"


@pytest.fixture
def opened(path: Path, clock: FakeClock) -> Iterator[Opener]:
    stores = []

    def open_it(at: Path = path, **settings: Any) -> Archive:
        settings = {"store": f"sqlite:///{at}", "store_timeout": 10.0, **settings}
        store = open_store(Settings(**settings), clock=clock)
        assert isinstance(store, Archive)
        stores.append(store)
        return store

    yield open_it
    for store in stores:
        store.close()


def bodies(store: Archive, name: str = A) -> list[bytes]:
    return [one.snapshot.replica().content for one in store.get(name)]


def query(path: Path, text: str, *values: Any) -> list[Any]:
    database = sqlite3.connect(path)
    try:
        rows = database.execute(text, values).fetchall()
        database.commit()
        return rows
    finally:
        database.close()


def child(source: str, *arguments: object) -> subprocess.Popen[str]:
    """Another interpreter that runs ``source``."""
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", source, *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


COMMON = """
import sys, threading, time
from browseros_api import Settings
from browseros_api.stores.opening import open_store
from tests.stores.answers import answer, entry, key
path, number = sys.argv[1], int(sys.argv[2])
now = time.monotonic()
store = open_store(Settings(store=f"sqlite:///{path}", store_timeout=10.0), clock=time.monotonic)
"""


# -- the file --------------------------------------------------------------------------------------


def test_nothing_is_opened_before_it_is_used(opened: Opener, path: Path) -> None:
    opened()
    assert not path.exists()


def test_only_its_owner_may_read_it(opened: Opener, tmp_path: Path) -> None:
    store = opened(tmp_path / "new" / "folder" / "answers.db")
    store.put(A, entry())
    files = [*(tmp_path / "new" / "folder").iterdir()]
    assert {file.name for file in files} >= {"answers.db", "answers.db-wal"}
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert stat.S_IMODE((tmp_path / "new" / "folder").stat().st_mode) == 0o700


def test_a_relative_path_is_where_the_store_was_made(
    opened: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = opened(Path("here.db"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    store.put(A, entry())
    assert (tmp_path / "here.db").exists()


def test_it_outlives_the_store(opened: Opener) -> None:
    store = opened()
    store.put(A, entry(answer(b"one")))
    store.close()
    assert bodies(opened()) == [b"one"]


def test_stores_on_one_file_share_what_they_keep_and_forget(opened: Opener) -> None:
    first, second = opened(), opened()
    first.put(A, entry(answer(b"one")))
    assert bodies(second) == [b"one"]
    second.forget(URL)
    assert bodies(first) == []


def test_an_answer_of_before_a_change_that_another_process_made_is_not_kept(
    opened: Opener, clock: FakeClock
) -> None:
    first, second = opened(), opened()
    asked = clock()
    clock.tick(1.0)
    second.forget(URL)
    assert first.put(A, entry(answer(b"old"), now=clock()), since=asked) is False
    clock.tick(1.0)
    assert first.put(A, entry(answer(b"new")), since=clock()) is True
    clock.tick(700.0)
    first.expire()
    assert query(Path(first._shelf.place.removeprefix("sqlite:///")), "SELECT * FROM changes") == []


def test_connections_are_as_many_as_threads_at_once_and_few_stay(
    opened: Opener, path: Path
) -> None:
    store = opened()
    store.put(A, entry())
    barrier = threading.Barrier(20)

    def work() -> None:
        barrier.wait(30)
        for _ in range(5):
            store.get(A)

    for _ in range(3):
        threads = [threading.Thread(target=work) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    descriptors = [os.readlink(f"/proc/self/fd/{n}") for n in _descriptors()]
    assert 1 <= sum(name == str(path) for name in descriptors) <= 20  # SQLite closes some late
    store.close()
    descriptors = [os.readlink(f"/proc/self/fd/{n}") for n in _descriptors()]
    assert sum(name.startswith(str(path)) for name in descriptors) == 0


def _descriptors() -> list[str]:
    found = []
    for number in os.listdir("/proc/self/fd"):
        try:
            os.readlink(f"/proc/self/fd/{number}")
        except OSError:
            continue
        found.append(number)
    return found


def test_many_may_begin_at_the_same_time(opened: Opener, tmp_path: Path) -> None:
    for turn in range(10):
        stores = [opened(tmp_path / f"{turn}.db") for _ in range(8)]
        barrier = threading.Barrier(8)
        kept: list[bool] = []

        def begin(number: int) -> None:
            barrier.wait(30)  # noqa: B023
            kept.append(stores[number].put(key(str(number)), entry()))  # noqa: B023

        threads = [threading.Thread(target=begin, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert kept == [True] * 8
        for store in stores:
            store.close()


# -- bounds ----------------------------------------------------------------------------------------


def test_it_is_bounded_by_bytes_and_the_least_recently_used_go_first(
    opened: Opener, path: Path, clock: FakeClock
) -> None:
    store = opened(cache_max_bytes=1_000_000)
    for number in range(300):
        store.put(key(str(number)), entry(answer(b"x" * 10_000), now=clock(), seconds=1e6))
        clock.tick(61.0)  # when it was used is known by the minute
        store.get(key("0"))
    kept = {number for number in range(300) if store.peek(key(str(number)))}
    assert 0 in kept
    assert kept - {0} == {*range(300 - len(kept) + 1, 300)}
    assert 80 < len(kept) < 100
    assert store.bytes <= 1_000_000
    assert path.stat().st_size < 3_000_000


def test_a_hit_writes_nothing(opened: Opener, path: Path, clock: FakeClock) -> None:
    store = opened()
    for number in range(10):
        store.put(key(str(number)), entry(seconds=1e6))
    before = query(path, "PRAGMA data_version"), (path.parent / "answers.db-wal").stat().st_size
    for _ in range(5):
        clock.tick(61.0)
        for number in range(10):
            assert store.get(key(str(number)))
    assert before == (
        query(path, "PRAGMA data_version"),
        (path.parent / "answers.db-wal").stat().st_size,
    )
    store.put(A, entry(seconds=1e6))
    assert {used for (used,) in query(path, "SELECT used FROM answers")} != {0}
    assert len(query(path, "SELECT DISTINCT used FROM answers")) == 1


def test_uses_are_written_down_when_they_have_become_many(
    opened: Opener, path: Path, clock: FakeClock
) -> None:
    store = opened()
    for number in range(300):
        store.put(key(str(number)), entry(answer(b"x"), seconds=1e6))
    clock.tick(1000.0)
    for number in range(300):
        store.get(key(str(number)))
    assert len(query(path, "SELECT 1 FROM answers GROUP BY used")) == 2


def test_what_is_larger_than_the_store_is_not_kept_and_ends_the_one_before(
    opened: Opener,
) -> None:
    store = opened(cache_max_bytes=50_000)
    store.put(A, entry())
    store.put(B, entry())
    assert store.put(A, entry(answer(b"x" * 60_000))) is False
    assert (bodies(store), len(store)) == ([], 1)


def test_what_has_expired_goes_by_itself_when_something_is_kept(
    opened: Opener, path: Path, clock: FakeClock
) -> None:
    store = opened()
    store.put(A, entry(seconds=10.0))
    clock.tick(61.0)
    store.put(B, entry(now=clock()))
    assert query(path, "SELECT key FROM answers") == [(B,)]


def test_forgetting_everything_gives_back_the_place(opened: Opener, path: Path) -> None:
    store = opened()
    for number in range(50):
        store.put(key(str(number)), entry(answer(random.randbytes(50_000))))
    store.clear()
    store.close()
    assert path.stat().st_size < 200_000


# -- what is broken --------------------------------------------------------------------------------


def test_a_record_that_was_changed_is_a_miss_and_dropped(opened: Opener, path: Path) -> None:
    store = opened()
    for spoil in ("x'00'", "substr(record, 1, 100)", "record || x'00'", "'text'", "x''"):
        store.put(A, entry())
        query(path, f"UPDATE answers SET record = {spoil}")
        assert store.get(A) == ()
        assert query(path, "SELECT count(*) FROM answers") == [(0,)]
    assert store.figures()["store_unreadable"] == 5
    assert store.figures()["store_errors"] == 0


def test_a_record_under_another_s_key_is_a_miss_and_dropped(opened: Opener, path: Path) -> None:
    store = opened()
    store.put(A, entry(answer(b"Alice's")))
    query(path, "UPDATE answers SET key = ?", B)
    assert store.get(B) == ()
    assert store.figures()["store_unreadable"] == 1


@pytest.mark.parametrize("spoil", ["text", "zeros", "head", "middle"])
def test_a_broken_file_is_moved_aside_with_one_warning(
    opened: Opener, path: Path, spoil: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = opened()
    for number in range(100):
        store.put(key(str(number)), entry(answer(random.randbytes(5_000))))
    store.close()
    content = bytearray(path.read_bytes())
    if spoil == "text":
        content[:] = b"id,name\n1,Ada\n" * 100
    elif spoil == "zeros":
        content[:] = bytes(len(content))
    elif spoil == "head":
        content[100:4000] = random.randbytes(3900)
    else:
        content[5000:] = random.randbytes(len(content) - 5000)
    path.write_bytes(content)
    store = opened()
    store.get(key("1"))
    assert store.put(A, entry(answer(b"new"))) is True
    assert bodies(store) == [b"new"]
    (warning,) = caplog.records
    assert "was broken" in warning.getMessage()
    assert Path(f"{path}.broken").read_bytes() == content
    assert store.figures()["store_errors"] == 0


def test_an_empty_file_is_made_a_store(opened: Opener, path: Path) -> None:
    path.touch()
    assert opened().put(A, entry()) is True


def test_a_database_of_something_else_is_left_alone(
    opened: Opener, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    query(path, "CREATE TABLE answers (precious TEXT)")
    before = path.read_bytes()
    store = opened()
    assert store.put(A, entry()) is False
    assert store.get(A) == ()
    assert path.read_bytes() == before
    (warning,) = caplog.records
    assert "something else" in warning.getMessage()


def test_a_file_of_a_later_version_is_left_alone_and_one_of_an_earlier_is_replaced(
    opened: Opener, path: Path
) -> None:
    opened().put(A, entry())
    query(path, "PRAGMA user_version = 99")
    assert opened().get(A) == ()
    assert query(path, "SELECT count(*) FROM answers") == [(1,)]
    query(path, "PRAGMA user_version = 0")
    store = opened()
    assert store.get(A) == ()
    assert store.put(B, entry()) is True
    assert query(path, "SELECT key FROM answers") == [(B,)]


@pytest.mark.parametrize("removed", [True, False])
def test_a_file_that_was_taken_away_is_made_anew(opened: Opener, path: Path, removed: bool) -> None:
    store = opened()
    store.put(A, entry())
    for name in ("answers.db", "answers.db-wal", "answers.db-shm"):
        one = path.parent / name
        if removed:
            one.unlink()
        else:
            one.rename(path.parent / f"old-{name}")
    assert store.get(A) == ()
    assert store.put(A, entry(answer(b"new"))) is True
    assert bodies(opened()) == [b"new"]


@pytest.mark.parametrize("place", ["/proc/answers.db", "/dev/null/answers.db", "/"])
def test_a_place_where_nothing_can_be_written_costs_only_the_cache(
    opened: Opener, place: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = opened(Path(place) if place != "/" else tmp_path)
    for _ in range(5):
        assert store.put(A, entry()) is False
        assert store.get(A) == ()
        assert store.forget(URL) == 0
    assert len(caplog.records) == 1
    assert store.figures()["store_state"] == "down"


FULL = (
    COMMON
    + """
import resource
store.put(key("small"), entry(now=now))
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))  # no file may grow beyond that
for n in range(30):
    store.put(key(str(n)), entry(answer(b"x" * 50_000), now=now))
print(store.figures()["store_state"])
"""
)


def test_a_disk_that_is_full_costs_only_the_cache(opened: Opener, path: Path) -> None:
    process = child(FULL, path, 0)
    assert process.communicate(timeout=50)[0] == "down\n"
    assert process.returncode == 0
    assert query(path, "PRAGMA integrity_check") == [("ok",)]


def test_a_writer_that_holds_the_file_for_too_long_costs_only_that_answer(
    opened: Opener, path: Path
) -> None:
    store = opened(store_timeout=0.05)
    store.put(A, entry(answer(b"one")))
    holder = sqlite3.connect(path, isolation_level=None)
    try:
        holder.execute("BEGIN IMMEDIATE")
        assert store.put(A, entry(answer(b"two"))) is False
        assert bodies(store) == [b"one"]  # readers wait for nobody
        assert store.figures()["store_state"] == "up"
        assert store.forget(URL) == 0  # and what is to be forgotten is not read any more
        assert bodies(store) == []
    finally:
        holder.close()


# -- many processes --------------------------------------------------------------------------------

ANOTHER = (
    COMMON
    + """
print(*[one.snapshot.replica().text for one in store.get(key("a"))])
store.put(key("b"), entry(answer(b"from the child"), now=now))
"""
)


def test_another_interpreter_finds_what_this_one_has_kept(path: Path) -> None:
    first = child(COMMON + 'store.put(key("a"), entry(answer(b"hello"), now=now))', path, 0)
    assert first.wait(50) == 0
    first.communicate()
    second = child(ANOTHER, path, 0)
    assert second.communicate(timeout=50)[0] == "hello\n"


WRITERS = (
    COMMON
    + """
kept = []
def work(thread):
    for turn in range(6):
        name = f"{number} {thread} {turn}"
        body = name.encode() * 300
        if store.put(key(name), entry(answer(body), now=now)):
            kept.append(name)
        store.put(key("shared"), entry(answer(body), now=now))
        for one in store.get(key("shared")):
            words = one.snapshot.replica().content
            assert words == words[: len(words) // 300] * 300
threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert store.figures()["store_errors"] == 0, store.figures()
print("\\n".join(kept))
"""
)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_eight_processes_of_eight_threads_write_at_once_and_all_is_there(
    opened: Opener, path: Path
) -> None:
    processes = [child(WRITERS, path, number) for number in range(8)]
    kept = []
    for process in processes:
        output, _ = process.communicate(timeout=200)
        assert process.returncode == 0
        kept += output.splitlines()
    assert query(path, "PRAGMA integrity_check") == [("ok",)]
    assert len(kept) == 8 * 8 * 6
    names = {name for (name,) in query(path, "SELECT key FROM answers")}
    assert names == {key("shared"), *[key(name) for name in kept]}
    assert query(path, "SELECT sum(size) FROM answers") == query(path, "SELECT bytes FROM totals")


ENDLESS = (
    COMMON
    + """
for turn in range(100_000):
    name = f"{turn % 40}"
    store.put(key(name), entry(answer(name.encode() * 3000), now=now, seconds=1e6))
    if turn % 9 == 0:
        store.forget("http://api.example.com/things")
    if turn == 20:
        print("under way", flush=True)
"""
)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_killing_a_writer_leaves_whole_answers_or_none(path: Path) -> None:
    chance = random.Random(1)
    for _ in range(5):
        process = child(ENDLESS, path, 0)
        assert process.stdout is not None
        assert process.stdout.readline() == "under way\n"
        threading.Event().wait(chance.uniform(0.0, 0.05))  # anywhere in the middle of it
        process.send_signal(signal.SIGKILL)
        process.wait(50)
        process.stdout.close()
        assert query(path, "PRAGMA integrity_check") == [("ok",)]
        settings = Settings(store=f"sqlite:///{path}", store_timeout=10)
        store = open_store(settings, clock=time.monotonic)  # the time of the one that was killed
        for number in range(40):
            for one in store.get(key(str(number))):
                assert one.snapshot.replica().content == b"%d" % number * 3000
        assert store.put(A, entry(now=time.monotonic())) is True
        assert store.figures()["store_unreadable"] == 0
        assert store.figures()["store_errors"] == 0
        store.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_child_uses_connections_of_its_own(opened: Opener, clock: FakeClock) -> None:
    store = opened()
    store.put(A, entry(answer(b"one")))
    end, begin = os.pipe()
    pid = os.fork()
    if pid == 0:
        store.reset_after_fork()
        is_good = bodies(store) == [b"one"] and store.put(B, entry(answer(b"two")))
        os.write(begin, b"good" if is_good else b"bad")
        os._exit(0)
    os.close(begin)
    try:
        os.waitpid(pid, 0)
        assert os.read(end, 10) == b"good"
    finally:
        os.close(end)
    assert bodies(store, B) == [b"two"]
    assert bodies(store) == [b"one"]


def test_a_store_that_is_dropped_closes_its_file(path: Path, opened: Opener) -> None:
    store = open_store(Settings(store=f"sqlite:///{path}"), clock=FakeClock())
    store.put(A, entry())
    del store
    names = lambda: [os.readlink(f"/proc/self/fd/{n}") for n in _descriptors()]  # noqa: E731
    wait_until(lambda: str(path) not in names())


def test_the_log_says_where(opened: Opener, caplog: pytest.LogCaptureFixture) -> None:
    opened(Path("/proc/answers.db")).get(A)
    assert caplog.records[0].levelno == logging.WARNING
    assert "sqlite:////proc/answers.db" in caplog.records[0].getMessage()
