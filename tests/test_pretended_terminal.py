"""What the commands show at a terminal, in this process; tests/commanding.py has a real one."""

from __future__ import annotations

import builtins
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from browseros_api import cli
from browseros_api.testing import ApiServer, Reply
from browseros_api.views import monitor
from browseros_api.views.fetching import _REDRAW
from tests.interrupting import interrupt_main


@pytest.fixture
def terminal(capsys: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda stream: True)  # of what pytest captures
    return capsys


def test_an_answer_is_shown_as_what_it_is(api_server: ApiServer, terminal: Any) -> None:
    shown = [
        (Reply(json={"a": 1}), '{\n  "a": 1\n}\n'),
        (Reply(body="words"), "words\n"),
        (Reply(204), ""),
        (Reply(body=b"\xff"), ""),
        (Reply(body=b"a\x00"), ""),
    ]
    for reply, text in shown:
        api_server.route("/x", reply)
        assert cli.main(["get", api_server.url("/x")]) == 0
        seen = terminal.readouterr()
        assert seen.out == text
        assert ("that are no text" in seen.err) is (reply.body in (b"\xff", b"a\x00"))
    api_server.route("/x", Reply(404))
    assert cli.main(["get", api_server.url("/x"), "-i", "-o", "-"]) == 22
    head = "\x1b[31mHTTP 404 Not Found\x1b[0m\n\x1b[34mContent-"
    assert terminal.readouterr().out.startswith(head)


def test_what_is_fetched_is_drawn_over(
    api_server: ApiServer, terminal: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("browseros_api.views.fetching._REDRAW", 0.0)
    assert _REDRAW > 0
    urls = tmp_path / "urls"
    lines = [api_server.url(f"/{number}") for number in range(3)]
    urls.write_text("\n".join([*lines, api_server.url("/status/404")]), "utf-8")
    assert cli.main(["fetch", str(urls), "-o", str(tmp_path / "out")]) == 1
    told = terminal.readouterr().err
    assert "\r3 of 4 done" in told
    assert "\r \x20" in told  # it was cleared for the summary
    assert told.splitlines()[-1].startswith("browseros-api fetch: 3 of 4 done, \x1b[31m1 failed")


def test_what_is_interrupted_says_how_far_it_is(
    api_server: ApiServer, terminal: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any, **__: Any) -> Any:
        yield None
        raise KeyboardInterrupt

    monkeypatch.setattr("browseros_api.views.fetching.fetch", interrupted)
    urls = tmp_path / "urls"
    urls.write_text(api_server.url("/a") + "\n" + api_server.url("/b"), "utf-8")
    assert cli.main(["fetch", str(urls), "-o", str(tmp_path / "out")]) == 130
    last = terminal.readouterr().err.splitlines()[-1]
    assert last == "interrupted: 1 of 2 done; the same command goes on from there"


def test_a_monitor_is_a_screen_or_lines(
    api_server: ApiServer, terminal: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = ["monitor", api_server.url("/a"), "--count", "2", "-n", "0.01", "-m", "10"]
    assert cli.main(line) == 0
    assert "100.0%" in terminal.readouterr().out
    really = builtins.__import__

    def without_rich(name: str, *arguments: Any) -> Any:
        if name == "screen":
            raise ImportError("No module named 'rich'")
        return really(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", without_rich)
    assert cli.main(line) == 0
    seen = terminal.readouterr()
    assert "a live screen needs rich: pip install 'browseros-api[terminal]'" in seen.err
    assert seen.out.count("\x1b[32mup") == 2


def test_a_monitor_tells_lines_in_full(
    api_server: ApiServer, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    api_server.route("/a", Reply(503))
    rounds = []

    def sleep(seconds: float) -> None:
        rounds.append(seconds)
        if len(rounds) == 6:
            raise KeyboardInterrupt

    monkeypatch.setattr(monitor.time, "sleep", sleep)
    assert cli.main(["monitor", api_server.url("/a"), "-n", "60"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6
    assert "  DOWN  " in lines[0]
    assert lines[0].endswith("  0.0%  -  ×  status 503")
    assert "  ××××××  breaker open  circuit for " in lines[-1]
    assert all(0 < seconds <= 60 for seconds in rounds)


def test_a_doctor_finds_problems(terminal: Any) -> None:
    assert cli.main(["doctor", "--threads", "102"]) == 1
    seen = terminal.readouterr().out
    assert "\x1b[31mproblem \x1b[0m pool: 100 connections for 102 threads: 2 wait" in seen
    assert seen.endswith("\n1 problem\n")
    assert cli.main(["doctor", "--threads", "1"]) == 0
    assert terminal.readouterr().out.endswith("\nno problems\n")


def test_an_output_that_is_closed_is_no_error(
    api_server: ApiServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def closed(*_: Any) -> None:
        raise BrokenPipeError

    with (tmp_path / "out").open("w") as file:
        monkeypatch.setattr(sys, "stdout", file)
        monkeypatch.setattr("browseros_api.views.asking.show", closed)
        assert cli.main(["get", api_server.url("/x")]) == 1


def test_an_output_that_is_full_is_one_line(terminal: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("browseros_api.views.doctor._findings", full)
    assert cli.main(["doctor"]) == 1
    told = terminal.readouterr().err
    assert told == "browseros-api doctor: [Errno 28] No space left on device\n"


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
def test_what_ctrl_c_ends_is_drawn(
    api_server: ApiServer, terminal: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: Any) -> Reply:
        interrupt_main()
        return Reply(silent=True)

    api_server.route("/x", interrupted)
    assert cli.main(["get", api_server.url("/x"), "--trace"]) == 130
    told = terminal.readouterr().err
    assert "attempt 1: KeyboardInterrupt" in told
    assert told.endswith("\ninterrupted\n")


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("doctor --threads 0", "--threads must be at least 1, not 0"),
        ("completion", "the following arguments are required: shell"),
        ("cache ls", "the following arguments are required: STORE"),
    ],
)
def test_a_wrong_line_is_one_line(terminal: Any, line: str, text: str) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(line.split())
    assert caught.value.code == 2
    command, _, _ = line.partition(" --")
    assert terminal.readouterr().err.startswith(f"browseros-api {command}: {text}")
