"""Laws of instants: what is kept by one process is read by another as of the same moment."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from browseros_api import Session
from browseros_api.naps import now, wall
from browseros_api.stores.instants import Instants
from browseros_api.testing import ApiServer, FakeClock, Reply


@pytest.mark.parametrize("clock", [time.monotonic, now])
def test_instants_of_this_process_s_clock_become_those_of_the_wall(
    clock: Callable[[], float],
) -> None:
    instants = Instants(clock)
    before = wall()
    assert before - 60 <= clock() + instants.offset() <= wall() + 60
    assert before <= instants.now() <= wall()


def test_the_wall_clock_may_be_set() -> None:
    set_by_hand = FakeClock(1e9)
    instants = Instants(time.monotonic, wall=set_by_hand)
    before = instants.offset()
    set_by_hand.tick(3600.0)
    assert instants.offset() - before == pytest.approx(3600.0, abs=60.0)
    assert instants.now() == 1e9 + 3600.0


def test_a_test_s_own_clock_is_both() -> None:
    clock: Callable[[], float] = FakeClock(1000.0)
    instants = Instants(clock)
    assert (instants.now(), instants.offset()) == (1000.0, 0.0)


def test_what_a_session_keeps_is_kept_by_the_wall_clock(
    api_server: ApiServer, tmp_path: Path
) -> None:
    api_server.route("/x", Reply(headers={"Cache-Control": "max-age=1000"}))
    with Session(store=f"sqlite:///{tmp_path}/answers.db") as session:
        session.get(api_server.url("/x"))
        with closing(sqlite3.connect(tmp_path / "answers.db")) as file:
            ((until,),) = file.execute("SELECT expires FROM answers").fetchall()
    assert until >= time.time() + 900, "other boots, and other machines, have other clocks"
