"""Laws of watching: a card is drawn anew in its place, as long as was said, and ends cleanly."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from browseros_api import EnhancedAPIClient, Session, aio
from browseros_api.cards import live as place
from browseros_api.testing import ApiServer, FakeClock, Reply, wait_until
from tests.commanding import at_a_terminal, environment
from tests.interrupting import interrupt

pytest.importorskip("rich")

posix = pytest.mark.skipif(os.name != "posix", reason="terminals and signals as POSIX has them")


class Screen:
    """What a client shows to a notebook: IPython is not needed to see what would be displayed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seen: list[str] = []
        shell = type("Shell", (), {"kernel": object()})()
        ipython = type("IPython", (), {"get_ipython": staticmethod(lambda: shell)})()
        monkeypatch.setitem(sys.modules, "IPython", ipython)
        monkeypatch.setitem(sys.modules, "IPython.display", self)  # type: ignore[arg-type]

    def HTML(self, page: str) -> str:
        return page

    def display(self, page: str, *, display_id: bool) -> Screen:
        assert display_id is True
        self.seen.append(page)
        return self

    def update(self, page: str) -> None:
        self.seen.append(page)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def client(api_server: ApiServer, clock: FakeClock) -> Iterator[EnhancedAPIClient]:
    api_server.route("/down", Reply(503))
    with EnhancedAPIClient(api_server.base_url, clock=clock, sleep=clock.sleep) as client:
        yield client


# -- for how long --------------------------------------------------------------------------------


def test_it_is_drawn_as_often_as_was_said_and_once_more_in_the_end(
    client: EnhancedAPIClient, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = Screen(monkeypatch)
    client.watch(2.0, every=0.75)
    assert clock.slept == pytest.approx([0.75, 0.75, 0.5])
    assert len(screen.seen) == 1 + 3 + 1


def test_each_drawing_tells_how_it_is_by_then(
    api_server: ApiServer, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = Screen(monkeypatch)

    def sleep(seconds: float) -> None:
        client.get(f"/echo?at={clock()}")
        clock.sleep(seconds)

    with EnhancedAPIClient(api_server.base_url, clock=clock, sleep=sleep) as client:
        client.watch(3, every=1)
    counts = [page.split("calls</div>")[1].split("</div>")[0][-1] for page in screen.seen]
    assert counts == ["0", "1", "2", "3", "3"]


def test_it_ends_when_the_client_is_closed(
    api_server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = Screen(monkeypatch)
    with EnhancedAPIClient(api_server.base_url) as client:
        watching = threading.Thread(target=client.watch, kwargs={"every": 0.01})
        watching.start()
        wait_until(lambda: len(screen.seen) >= 3, timeout=30)
        client.close()
        watching.join(30)
        assert not watching.is_alive()
    assert "(closed)" in screen.seen[-1]


def test_an_interrupt_ends_it_without_an_error_and_with_the_latest_card(
    api_server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = Screen(monkeypatch)

    def interrupted(_: float) -> None:
        client.get("/echo")
        raise KeyboardInterrupt

    with EnhancedAPIClient(api_server.base_url, sleep=interrupted) as client:
        client.watch()
        assert client.get("/echo")["path"] == "/echo"
    assert len(screen.seen) == 2
    assert "1 attempts" in screen.seen[-1]


def test_a_session_can_be_watched_too(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen(monkeypatch)
    with Session(clock=clock, sleep=clock.sleep) as session:
        session.watch(1.0)
    assert "Session" in screen.seen[0]


@pytest.mark.parametrize(
    ("arguments", "kind", "named"),
    [
        ({"seconds": 0}, ValueError, "seconds"),
        ({"seconds": "2"}, TypeError, "seconds"),
        ({"every": 0}, ValueError, "every"),
        ({"every": None}, TypeError, "every"),
    ],
)
def test_what_its_arguments_must_be_is_said(
    client: EnhancedAPIClient, arguments: dict[str, Any], kind: type, named: str
) -> None:
    with pytest.raises(kind, match=f"{named} must be"):
        client.watch(**arguments)


def test_an_awaited_client_goes_on_while_it_is_watched(
    api_server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = Screen(monkeypatch)

    async def main() -> None:
        async with aio.EnhancedAPIClient(api_server.base_url) as client:
            watching = asyncio.ensure_future(client.watch(every=0.01))
            while len(screen.seen) < 3:
                await client.get("/echo", use_cache=False)
            watching.cancel()
            with pytest.raises(asyncio.CancelledError):
                await watching
            await client.watch(0.01)
            assert client.get_stats()["attempts"] > 0

    before = threading.active_count()
    asyncio.run(main())
    wait_until(lambda: threading.active_count() <= before, timeout=30)


# -- in a terminal -------------------------------------------------------------------------------


def test_where_nothing_can_be_drawn_over_it_is_drawn_once_in_the_end(
    client: EnhancedAPIClient, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        client.get("/down", fallback=None)
    client.get("/echo?token=s3cret")
    client.watch(1.0)
    shown = capsys.readouterr().out
    assert shown.count("EnhancedAPIClient") == 1
    assert shown.endswith("╯\n")
    for words in ("calls", "hit rate", "latency p99", "connections", "/down", "open, 5 failures"):
        assert words in shown
    assert "s3cret" not in shown


def test_many_circuits_are_told_by_their_number(
    clock: FakeClock, api_server: ApiServer, capsys: pytest.CaptureFixture[str]
) -> None:
    with Session(clock=clock, sleep=clock.sleep) as session:
        for letter in "abcdefghijklmnopqrstuvwxy":
            session.get(api_server.url(f"/{letter}"))
        session.watch(0.5)
    assert "and 5 more" in capsys.readouterr().out


def test_without_rich_the_error_says_how_to_get_it(
    client: EnhancedAPIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "rich.live", None)
    with pytest.raises(ImportError, match=r"pip install 'browseros-api\[terminal\]'"):
        client.watch(1.0)


def test_ipython_in_a_terminal_is_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    Screen(monkeypatch)
    assert place._is_notebook()
    for shell in (None, object()):
        ipython = type("IPython", (), {"get_ipython": staticmethod(lambda shell=shell: shell)})()
        monkeypatch.setitem(sys.modules, "IPython", ipython)
        assert not place._is_notebook()
    monkeypatch.delitem(sys.modules, "IPython")
    assert not place._is_notebook()


# It tells the server each time that it waits for the next drawing.
WATCH = """
import sys, time, urllib.request
from browseros_api import EnhancedAPIClient

def sleep(seconds):
    urllib.request.urlopen(sys.argv[1] + "/watching").close()
    time.sleep(seconds)

with EnhancedAPIClient(sys.argv[1], sleep=sleep) as client:
    client.watch(*map(float, sys.argv[2:]), every=0.05)
    print("and on it goes:", client.get("/other")["path"])
"""


@posix
def test_at_a_terminal_it_stays_in_its_place(api_server: ApiServer) -> None:
    start = [sys.executable, "-c", WATCH]
    status, seen = at_a_terminal(api_server.base_url, 0.3, start=start)
    assert status == 0, seen
    assert seen.count("rescued") >= 3
    assert "\x1b[1A" in seen  # up, over what was drawn before
    assert seen.rstrip().endswith("and on it goes: /other")


@posix
def test_ctrl_c_at_a_terminal_ends_it_and_nothing_else(api_server: ApiServer) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WATCH, api_server.base_url], env=environment(),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    wait_until(lambda: api_server.hits("/watching") >= 3, timeout=30)
    interrupt(process)
    seen, complaints = process.communicate(timeout=30)
    assert (process.returncode, complaints) == (0, "")
    assert "EnhancedAPIClient" in seen
    assert seen.rstrip().endswith("and on it goes: /other")
