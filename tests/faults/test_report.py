"""The table that is made of all this."""

from __future__ import annotations

from pathlib import Path

from tests.faults.handshakes import HANDSHAKES
from tests.faults.report import markdown, rows
from tests.faults.table import CASES


def test_the_table_says_what_came_of_each_case() -> None:
    chosen = [CASES["flaky"], CASES["keepalive-race"]]
    head, rule, *lines = markdown(rows(chosen, HANDSHAKES[:2]))
    assert head.count("|") == rule.count("|") == 8
    assert [line.split(" | ")[0] for line in lines] == [
        "| flaky", "| keepalive-race", "| tls-ok", "| tls-self-signed",
    ]  # fmt: skip
    flaky, race, _, self_signed = [line.strip("|").split(" | ") for line in lines]
    assert flaky[2:5] == ["503, 8 bytes", "200, 12 bytes", "{'ok': True}"]
    assert flaky[6].strip() == "3"
    assert race[2:4] == ["200, 12 bytes; the next: ConnectionError", "200, 12 bytes"]
    assert self_signed[2:4] == ["SSLError", "SSLError"]
    assert self_signed[6].strip() == "1"


def test_the_documentation_has_every_case() -> None:
    page = Path(__file__).parents[2] / "docs" / "reliability.md"
    lines = page.read_text("utf-8").splitlines()
    shown = [line.split(" | ")[0].removeprefix("| ") for line in lines if line.count(" | ") == 6]
    assert shown[0] == "case"
    assert set(shown[2:]) == {*CASES, *(handshake.name for handshake in HANDSHAKES)}
