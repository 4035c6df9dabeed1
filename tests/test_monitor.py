"""monitor, bench and completion."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from browseros_api import cli
from browseros_api.testing import ApiServer, Reply
from browseros_api.views.bench import measured
from browseros_api.views.paint import Paint, is_terminal, spark, table
from browseros_api.views.rounds import Rounds, Watched
from browseros_api.views.screen import drawn
from tests.commanding import COMMAND, at_a_terminal, command, environment
from tests.interrupting import interrupt

posix = pytest.mark.skipif(os.name != "posix", reason="terminals and signals as POSIX has them")
QUICK = ["--interval", "0.01"]


# -- monitor ---------------------------------------------------------------------------------------


def test_piped_there_is_a_line_for_each_url_and_round(api_server: ApiServer) -> None:
    api_server.script("/b", Reply(json=1), Reply(503))
    line = ["monitor", api_server.url("/a?token=secret"), api_server.url("/b"), "--count", "2"]
    done = command(*line, "-n", "2")
    assert (done.returncode, done.stderr) == (1, "")
    lines = [re.split(r"  +", one)[1:] for one in done.stdout.splitlines()]
    a, b = (
        [one for one in lines if one[1] == api_server.url(path)] for path in ("/a?token=***", "/b")
    )
    assert [(one[0], one[2]) for one in a] == [("up", "100.0%")] * 2
    assert [one[0] for one in b] == ["up", "DOWN"]
    assert b[1][2:4] == ["50.0%", "-"]
    assert b[1][4].endswith("×")
    assert b[1][-1] == "status 503"


def test_as_json_it_is_a_line_each(api_server: ApiServer, capsys: Any) -> None:
    line = ["monitor", api_server.url("/a"), "--count", "3", "--json", "-n", "1"]
    assert cli.main([*line, "-H", "X-A: 1"]) == 0
    lines = [json.loads(one) for one in capsys.readouterr().out.splitlines()]
    assert [one["calls"] for one in lines] == [1, 2, 3]
    assert lines[-1]["url"] == api_server.url("/a")
    assert lines[-1]["success_rate"] == 1.0
    assert lines[-1]["latency_ms"] > 0
    assert lines[-1]["median_latency_ms"] > 0
    assert (lines[-1]["is_up"], lines[-1]["breaker"]) == (True, "closed")
    assert api_server.requests[-1].headers["X-A"] == "1"


def test_each_url_has_a_breaker_of_its_own(api_server: ApiServer) -> None:
    urls = [api_server.url("/users/1"), api_server.url("/users/2"), "nonsense"]
    api_server.route("/users/2", Reply(503))
    rounds = Rounds(urls, {}, max_retries=0)
    with rounds.session:
        for _ in range(6):
            assert len(list(rounds.go())) == 3
        one, two, three = rounds.watched
        assert (one.is_up, one.breaker, one.success_rate) == (True, "closed", 1.0)
        assert (two.is_up, two.breaker, two.success_rate) == (False, "open", 0.0)
        assert "is open after 5 consecutive failures" in two.said
        assert (three.is_up, three.breaker, three.latest, three.typical) == (
            False, "closed", None, None,
        )  # fmt: skip
    assert api_server.hits("/users/2") == 5


def test_the_screen_shows_each(api_server: ApiServer) -> None:
    from rich.console import Console  # noqa: PLC0415

    rounds = Rounds([api_server.url("/a"), api_server.url("/status/503")], {}, max_retries=0)
    console = Console(width=120, record=True, file=open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
    with rounds.session, console.file:
        console.print(drawn(rounds.watched))
        assert "..." in console.export_text()
        list(rounds.go())
        console.print(drawn(rounds.watched))
    text = console.export_text()
    assert "up" in text
    assert "100.0%" in text
    assert "DOWN" in text
    assert "status 503" in text
    assert "█" in text


@pytest.mark.parametrize(
    ("width", "titles"),
    [
        (120, "state URL success now median latency breaker"),
        (80, "state URL success now latency breaker"),
        (60, "state URL success now breaker"),
        (40, "state URL success now"),
    ],
)
def test_a_screen_fits_into_its_terminal(width: int, titles: str) -> None:
    from rich.console import Console  # noqa: PLC0415

    one = Watched("https://api.example.com/v2/health", calls=40, breaker="half_open")
    one.latencies.extend([10.0 * number for number in range(40)])
    console = Console(width=width, record=True, file=open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
    with console.file:
        console.print(drawn([one]))
    lines = console.export_text().splitlines()
    assert max(map(len, lines)) <= width
    assert lines[2].split() == titles.split()
    assert len(lines) <= 10
    assert ("half-open" in lines[4]) is ("breaker" in titles)


@posix
def test_a_terminal_has_a_live_screen(api_server: ApiServer) -> None:
    line = ["monitor", api_server.url("/a"), "--count", "3", *QUICK, "-m", "10"]
    status, seen = at_a_terminal(*line)
    assert status == 0
    assert "latency" in seen
    assert "\x1b[1A" in seen or "\x1b[2K" in seen  # it is drawn over
    assert "100.0%" in seen


@posix
def test_without_rich_it_says_what_is_missing_and_goes_on(api_server: ApiServer) -> None:
    code = "import sys; sys.modules['rich.live'] = None; from browseros_api import cli; cli.main()"
    start = [sys.executable, "-c", code]
    line = ["monitor", api_server.url("/a"), "--count", "1", *QUICK, "-m", "10"]
    status, seen = at_a_terminal(*line, start=start)
    assert status == 0
    assert "a live screen needs rich: pip install 'browseros-api[terminal]'" in seen
    assert "\x1b[32mup  \x1b[0m" in seen


@posix
def test_ctrl_c_ends_it_well_if_all_is_well(api_server: ApiServer) -> None:
    for reply, status in ((Reply(json=1), 0), (Reply(404), 1)):
        api_server.route("/a", reply)
        line = [*COMMAND, "monitor", api_server.url("/a"), "-n", "60"]
        pipe = subprocess.PIPE
        process = subprocess.Popen(line, env=environment(), stdout=pipe, stderr=pipe, text=True)
        assert process.stdout is not None
        assert api_server.url("/a") in process.stdout.readline()
        interrupt(process)
        _, complaints = process.communicate(timeout=20)
        assert (process.returncode, complaints) == (status, "")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--interval", "0"], "--interval must be positive"),
        (["--count", "0"], "--count must be at least 1"),
        (["-m", "0"], "--max-time must be positive"),
        (["nonsense"], "Invalid URL 'nonsense'"),
        (["ftp://127.0.0.1/"], "No connection adapters were found for 'ftp://127.0.0.1/'"),
        (["-H", "nonsense"], "a header is"),
    ],
)
def test_wrong_arguments_end_with_2(capsys: Any, options: list[str], text: str) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["monitor", "http://127.0.0.1:9/", *options])
    assert caught.value.code == 2
    assert text in capsys.readouterr().err


# -- bench -----------------------------------------------------------------------------------------


def test_both_are_measured_on_the_same_url(api_server: ApiServer, capsys: Any) -> None:
    line = ["bench", api_server.url("/a"), "-n", "10", "--threads", "2", "-H", "X-A: 1"]
    assert cli.main(line) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [one.split("  ")[0] for one in lines] == [
        "µs a call", "one thread", "2 threads", "known answer",
    ]  # fmt: skip
    assert {request.headers["X-A"] for request in api_server.requests} == {"1"}
    assert api_server.hits() == 4 * 10 + 2 * 3 + 1


def test_an_answer_that_may_not_be_kept_has_no_row_for_that(
    api_server: ApiServer, capsys: Any
) -> None:
    api_server.route("/a", Reply(json=1, headers={"Cache-Control": "no-store"}))
    assert cli.main(["bench", api_server.url("/a"), "-n", "10", "--threads", "1", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["name"] == "one thread"
    assert row["stock"] > 0
    assert row["ours"] > 0
    assert row["ratio"] == pytest.approx(row["stock"] / row["ours"], abs=0.02)


def test_a_known_answer_is_much_faster(api_server: ApiServer) -> None:
    rows = {row["name"]: row for row in measured(api_server.url("/a"), 50, threads=1, headers={})}
    assert rows["known answer"]["ratio"] > 3


@pytest.mark.parametrize(("path", "status"), [("/status/404", 22), ("/nonsense\\", 22)])
def test_an_error_ends_it(api_server: ApiServer, capsys: Any, path: str, status: int) -> None:
    api_server.route("*", Reply(404))
    assert cli.main(["bench", api_server.url(path), "-n", "10"]) == status
    assert capsys.readouterr().err.startswith("browseros-api bench: 404 Client Error")
    with pytest.raises(SystemExit):
        cli.main(["bench", api_server.url(path), "-n", "1"])
    assert "--number must be at least 10" in capsys.readouterr().err


# -- completion ------------------------------------------------------------------------------------


COMPLETED = [
    ("fe", ["fetch"]),
    ("mo", ["monitor"]),
    ("--ve", ["--version"]),
    ("fetch --ra", ["--rate"]),
    ("get https://h/ --tr", ["--trace"]),
    ("cache ", ["ls", "rm", "show", "stats"]),
    ("cache ls --pre", ["--prefix"]),
    ("completion f", ["fish"]),
    ("fetch a-fi", ["a-file"]),
    ("cache ls a-fi", ["a-file"]),
]

# How each shell is asked what it would complete.  Of bash's completion of files, and of zsh's line
# editor, there is nothing without a terminal: they are stood for by words.
BASH = """{script}
COMP_WORDS=(browseros-api {words}); COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))
_browseros_api
case "${{#COMPREPLY[@]}} $(complete -p browseros-api)" in
    "0 "*"-o default"*) COMPREPLY=(a-file) ;;
esac
printf "%s\\n" "${{COMPREPLY[@]}}"
"""
ZSH = """compdef() {{ }}
_files() {{ print a-file }}
compadd() {{
    for one in "$@[2,-1]"; do [[ $one != ${{words[CURRENT]}}* ]] || print -- $one; done
}}
{script}
words=(browseros-api {words}); CURRENT=$#words
_browseros_api
"""
FISH = """{script}
complete -C "browseros-api {line}"
"""


@pytest.mark.parametrize(("line", "wanted"), COMPLETED)
@pytest.mark.parametrize(("shell", "code"), [("bash", BASH), ("zsh", ZSH), ("fish", FISH)])
def test_a_shell_completes_commands_options_and_files(
    shell: str, code: str, line: str, wanted: list[str], capsys: Any, tmp_path: Path
) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell}")
    (tmp_path / "a-file").touch()
    assert cli.main(["completion", shell]) == 0
    words = " ".join(word or "''" for word in line.split(" "))
    code = code.format(script=capsys.readouterr().out, words=words, line=line)
    bare = {"fish": ["--no-config"], "zsh": ["-f"]}.get(shell, [])
    home = {**os.environ, "HOME": str(tmp_path)}
    done = subprocess.run(
        [shell, *bare, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path,
        env=home, timeout=50,
    )  # fmt: skip
    assert done.stderr == ""
    assert sorted(done.stdout.split()) == wanted


def test_a_shell_that_is_not_known_is_refused(capsys: Any) -> None:
    with pytest.raises(SystemExit):
        cli.main(["completion", "tcsh"])
    assert "'bash', 'fish', 'zsh'" in capsys.readouterr().err


# -- what they are drawn with ----------------------------------------------------------------------


def test_bars_are_as_high_as_their_values() -> None:
    assert spark([0.0, 35.0, 70.0, None]) == "▁▅█×"
    assert spark([]) == ""
    assert spark([0.0, None]) == "▁×"


def test_columns_are_as_wide_as_they_must_be() -> None:
    assert table([["a", "b"], ["long", "c"]]) == "a     b\nlong  c"


def test_what_is_no_terminal_has_no_colours() -> None:
    assert Paint(None)("red", "x") == "x"
    assert not is_terminal(None)
    closed = open(os.devnull)  # noqa: SIM115
    closed.close()
    assert not is_terminal(closed)
