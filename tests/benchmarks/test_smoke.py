"""The benchmark itself, for a moment: ours and requests only, on the bundled server.

The bounds are far from what is measured, so that only what is really broken misses them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median

import pytest
import requests

from tests.benchmarks import rounds, servers
from tests.benchmarks.environments import Here
from tests.benchmarks.figures import Own, Ratio
from tests.benchmarks.peers.site import PAYLOAD, Extras, Site
from tests.benchmarks.rows import ROWS, Contender, Row

ROOT = str(servers.ROOT)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with servers.started(bundled=True) as running:
        assert "bundled" in running.name
        yield Site(fast=running.fast, origin=running.origin, checkout=ROOT, is_quick=True)


def row(**contenders: Contender) -> Row:
    """A row of these that takes no time."""
    return Row(title="", how="", contenders=contenders, figures=(), seconds=0.03, turns=1)


def test_nothing_costs_much_more_than_requests_and_what_is_known_costs_less(site: Site) -> None:
    measured = row(
        get=Contender("ours:get"),
        decoded=Contender("ours:client_get"),
        hit=Contender("ours:hit"),
        rejected=Contender("ours:rejected"),
        requests=Contender("stock:get"),
    )
    readings = rounds.measure(measured, Here(), site, rounds=3)

    def ratio(who: str) -> float:
        found = Ratio(name="", over=who, under="requests").by_processor(readings)
        assert found is not None
        return found.value

    assert len(readings) == 3
    assert 0.05 < ratio("get") < 4
    assert 0.05 < ratio("decoded") < 4
    assert ratio("hit") < 0.5
    assert ratio("rejected") < 2


def test_a_crowd_asks_once_or_nearly(site: Site) -> None:
    crowd = replace(ROWS["crowd"], contenders={"ours": ROWS["crowd"].contenders["ours"]}, turns=1)
    readings = rounds.measure(replace(crowd, warm_up=False), Here(), site, rounds=1)
    asked, times = (Own(name="", who="ours", of=of).found(readings).value for of in _CROWD)
    assert 1 <= asked <= 50
    assert 0.5 < times < 20


_CROWD = ("asked", "times")


@pytest.mark.parametrize("name", ["new", "threads", "gather", "import", "memory", "growth"])
def test_the_other_rows_run(name: str, site: Site) -> None:
    own = {"ours": ROWS[name].contenders["ours"]}
    short = replace(ROWS[name], turns=1, rounds=1, warm_up=False)
    one = replace(short, contenders=own, calls=2, quick=2)
    if name == "growth":
        one = replace(one, contenders={"ours": replace(own["ours"], options={"entries": 20})})
    (reading,) = rounds.measure(one, Here(), site, rounds=1)
    assert reading["ours"]["time"] > 0


def test_a_profile_shows_the_functions_in_which_time_goes(
    site: Site, capfd: pytest.CaptureFixture[str]
) -> None:
    few = replace(ROWS["threads"], quick=20)
    rounds.profile(few.contenders["ours"], few, Here(), site)
    told = capfd.readouterr().out
    assert "ours_many:get_many: 20 calls, processor time" in told
    assert "session.py" in told  # which only threads of the row have called


def test_a_profile_of_an_import_names_modules(
    capfd: pytest.CaptureFixture[str], site: Site
) -> None:
    row = ROWS["import"]
    rounds.profile(row.contenders["ours"], row, Here(), site)
    assert "| browseros_api\n" in capfd.readouterr().out


def test_who_begins_is_another_one_each_time() -> None:
    began: Counter[str] = Counter()
    said: list[str] = []

    class Quiet:
        def __init__(self, name: str) -> None:
            self.name = name

        def turn(self) -> Extras:
            said.append(self.name)
            return {"time": float(len(said))}

    workers = {name: Quiet(name) for name in "abc"}
    for number in range(4):
        said.clear()
        found = rounds.taken(workers, turns=3, number=number)
        began.update(said[::3])
        assert sorted(said) == sorted("abc" * 3)
        assert found["a"]["time"] == median(_places(said, "a"))
    assert set(began.values()) == {4}


def _places(said: list[str], name: str) -> list[int]:
    return [place for place, one in enumerate(said, 1) if one == name]


def test_a_contender_that_fails_is_named(site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError, match="ours:nothing has ended before its answer"):
        rounds.measure(row(ours=Contender("ours:nothing")), Here(), site, rounds=1)
    assert "has no attribute 'nothing'" in capfd.readouterr().err


def test_another_checkout_is_not_measured_by_mistake(
    site: Site, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    elsewhere = replace(site, checkout=str(tmp_path))
    with pytest.raises(RuntimeError, match="has ended"):
        rounds.measure(row(ours=Contender("ours:get")), Here(), elsewhere, rounds=1)
    assert f"is not in {tmp_path}" in capfd.readouterr().err


@pytest.mark.parametrize("bundled", [True, False])
def test_both_kinds_of_server_answer_alike(bundled: bool) -> None:
    with servers.started(bundled=bundled) as running, requests.Session() as session:
        for path, control in (("/fresh/users", "no-store"), ("/kept/users", "max-age=86400")):
            answer = session.get(f"{running.fast}{path}?page=1", timeout=10)
            assert answer.content == PAYLOAD
            assert len(PAYLOAD) == 200
            assert answer.headers["Cache-Control"] == control
            assert answer.headers["Content-Type"] == "application/json"


def test_the_origin_fails_where_it_is_to_and_counts(site: Site) -> None:
    with requests.Session() as session:
        for _ in range(3):
            assert session.get(f"{site.origin}/down/x", timeout=10).status_code == 503
        assert session.get(f"{site.origin}/asked/down/x", timeout=10).text == "3"
        assert session.get(f"{site.origin}/asked/slow/x", timeout=10).text == "0"
