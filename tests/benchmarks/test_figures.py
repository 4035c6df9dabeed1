"""The benchmark's arithmetic, its rows and its words."""

from __future__ import annotations

import ast
import os
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.benchmarks import machine, report
from tests.benchmarks.__main__ import main
from tests.benchmarks.environments import SETS, Environments, requirements
from tests.benchmarks.figures import Figure, Growth, Own, Ratio, middle_half
from tests.benchmarks.records import Record, Records
from tests.benchmarks.rows import ROWS, Row
from tests.benchmarks.servers import ROOT

HERE = Path(__file__).resolve().parent
READINGS = [
    {"ours": {"time": 1.0, "cpu": 1.0}, "theirs": {"time": 4.0, "cpu": 2.0}},
    {"ours": {"time": 2.0, "cpu": 1.0}, "theirs": {"time": 2.0, "cpu": 2.0}},
    {"ours": {"time": 3.0, "cpu": 1.0}, "theirs": {"time": 9.0, "cpu": 2.0}},
]


def record(row: Row, seconds: float = 0.001) -> Record:
    """As if each contender had found ``seconds`` for everything, in three rounds."""
    found = {"time": seconds, "cpu": seconds, "memory": seconds, "times": seconds, "asked": seconds}
    return Record(
        readings=[dict.fromkeys(row.contenders, found) for _ in range(3)],
        day="2026-01-31", server="nginx/1.22.1", load=0.5,
        machine={"cores": "2"}, versions={"requests": "2.32.2"},
    )  # fmt: skip


# -- arithmetic ----------------------------------------------------------------------------------


def test_a_ratio_is_that_of_the_medians_and_its_spread_is_of_the_rounds() -> None:
    found = Ratio(name="", over="ours", under="theirs").found(READINGS)
    assert found.value == 2.0 / 4.0
    assert (found.low, found.high) == pytest.approx(((1 / 4 + 1 / 3) / 2, (1 / 3 + 1) / 2))


def test_a_ratio_can_be_told_in_processor_time() -> None:
    found = Ratio(name="", over="ours", under="theirs").by_processor(READINGS)
    assert found is not None
    assert found.value == 0.5


def test_what_a_contender_found_itself_is_its_median_or_its_worst() -> None:
    assert Own(name="", who="theirs", of="time").found(READINGS).value == 4.0
    assert Own(name="", who="theirs", of="time", by=max).found(READINGS).value == 9.0


def test_growth_is_the_most_of_all_later_rounds_by_the_first() -> None:
    assert Growth(name="", who="ours", of="time").found(READINGS).value == 3.0
    assert Growth(name="", who="ours", of="time").found(READINGS[:1]).value == 1.0


def test_the_middle_half_leaves_out_what_is_far_off() -> None:
    assert middle_half([1.0, 2.0, 3.0, 4.0, 1000.0]) == (2.0, 4.0)
    assert middle_half([7.0]) == (7.0, 7.0)


@pytest.mark.parametrize(
    ("value", "at_most", "at_least"),
    [(0.5, "aim met", "missed"), (1.5, "target met", "target met"), (2.5, "missed", "aim met")],
)
def test_a_verdict_compares_with_target_and_aim(value: float, at_most: str, at_least: str) -> None:
    assert Figure(name="", target=2, aim=1).verdict(value) == at_most
    assert Figure(name="", target=1, aim=2, at_least=True).verdict(value) == at_least


def test_without_a_target_nothing_is_missed() -> None:
    assert Figure(name="").verdict(1000) == ""
    assert Figure(name="", aim=1).verdict(1000) == ""
    assert Figure(name="", aim=1).verdict(1) == "aim met"


# -- rows ----------------------------------------------------------------------------------------


def functions(file: Path) -> set[str]:
    nodes = ast.parse(file.read_text("utf-8")).body
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_whom_a_row_names_is_there(row: Row) -> None:
    assert next(iter(row.contenders)) == "ours"
    for who in row.contenders.values():
        module, _, function = who.peer.partition(":")
        assert function in functions(HERE / "peers" / f"{module}.py")
        assert who.environment in SETS
    named = {getattr(figure, part, "ours") for figure in row.figures for part in ("over", "under")}
    assert named <= row.contenders.keys()


def test_everybody_takes_part() -> None:
    told = " ".join(who for row in ROWS.values() for who in row.contenders)
    for peer in ("requests", "urllib3", "requests-cache", "CacheControl", "httpx", "hishel"):
        assert peer in told
    for peer in ("niquests", "aiohttp", "aiohttp-client-cache"):
        assert peer in told


def test_niquests_shares_an_environment_with_nobody() -> None:
    assert [names for names in SETS.values() if "niquests" in names] == [("niquests",)]


def test_an_environment_that_is_complete_is_not_built_again(tmp_path: Path) -> None:
    class Building(Environments):
        def _install(self, folder: Path, wanted: list[str]) -> None:
            built.append(wanted)

    built: list[list[str]] = []
    first = Building(tmp_path, ["urllib3<3"]).python("plain")
    assert built == [["requests", "urllib3", "urllib3<3"]]
    assert Building(tmp_path, ["urllib3<3"]).python("plain") == first
    assert len(built) == 1
    assert Building(tmp_path, ["urllib3<4"]).python("plain") != first


def test_ours_stands_on_what_its_setup_requires() -> None:
    assert {one.partition(">=")[0] for one in requirements(ROOT)} >= {"requests", "cachetools"}


# -- words ---------------------------------------------------------------------------------------


def test_the_terminal_shows_medians_bounds_and_verdict() -> None:
    text = report.printed("hit", ROWS["hit"], record(ROWS["hit"]).readings)
    assert "requests-cache" in text
    assert "1,000.0 µs" in text
    assert "[≥ 25, then ≥ 50] missed" in text


def test_the_page_names_each_row_what_was_missed_and_why() -> None:
    records = {name: record(row) for name, row in ROWS.items()}
    text = report.page(records, {"hit": "The replica is slow."})
    assert "$" not in text
    for row in ROWS.values():
        assert f"| {row.title} |" in text
    assert "≥ 25 | ≥ 50 | 1 (1 – 1) | 1 | **missed** |" in text
    assert f"**{ROWS['hit'].title}**: requests-cache ÷ ours is 1, not ≥ 25. The replica" in text
    assert "Why has not been looked into yet (`profile get` shows it)." in text
    for told in ("nginx/1.22.1", "cores: 2", "requests 2.32.2", "2026-01-31"):
        assert told in text


def test_a_page_without_misses_says_so() -> None:
    text = report.page({"crowd": record(ROWS["crowd"])}, {})
    assert "## What was missed\n\nNothing.\n" in text
    assert ROWS["get"].title not in text


def test_a_busy_machine_is_pointed_out() -> None:
    calm = report.page({"crowd": record(ROWS["crowd"])}, {})
    assert "- load average when a row began: 0.5 to 0.5\n" in calm
    busy = report.page({"crowd": replace(record(ROWS["crowd"]), load=9.0)}, {})
    assert "9.0 to 9.0; it had other things to do" in busy


def test_explanations_are_the_sections_named_like_rows() -> None:
    text = "# Why\n\nIntroduction.\n\n## get\n\nOne.\nTwo.\n\n## hit\n\nThree.\n"
    assert report.explanations(text) == {"get": "One.\nTwo.", "hit": "Three."}
    assert report.explanations((HERE / "misses.md").read_text("utf-8")).keys() <= ROWS.keys()


def test_records_are_kept_one_for_each_row(tmp_path: Path) -> None:
    records = Records(tmp_path / "new" / "readings.json")
    assert records.read() == {}
    for seconds in (1.0, 2.0):
        records.add("get", record(ROWS["get"], seconds))
    records.add("hit", record(ROWS["hit"]))
    assert records.read() == {"get": record(ROWS["get"], 2.0), "hit": record(ROWS["hit"])}


def test_records_of_an_older_form_are_left_out(tmp_path: Path) -> None:
    file = tmp_path / "readings.json"
    file.write_text('{"get": {"readings": []}}', "utf-8")
    assert Records(file).read() == {}


def test_the_machine_is_described() -> None:
    told = machine.described()
    assert int(told["cores"]) >= 1
    assert told["environment variables"] == str(len(os.environ))
    assert all(told.values())


def test_the_chart_has_a_bar_for_each_contender(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from tests.benchmarks.chart import draw  # noqa: PLC0415

    for name in ("first.svg", "second.svg"):
        draw({"get": record(ROWS["get"]), "hit": record(ROWS["hit"])}, tmp_path / name)
    text = (tmp_path / "first.svg").read_text("utf-8")
    ElementTree.fromstring(text)
    for who in ("ours", *ROWS["get"].contenders, *ROWS["hit"].contenders):
        assert f">{who}</text>" in text
    assert text == (tmp_path / "second.svg").read_text("utf-8")


def test_an_unknown_row_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["profile", "nothing"])
    assert "there is no row 'nothing'; there are get, " in capsys.readouterr().err
