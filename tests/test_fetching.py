"""fetch: every URL into one file, once, whatever ends a run in between."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from browseros_api import cli
from browseros_api.testing import ApiServer, FakeClock, Reply, wait_until
from browseros_api.views.fetching import paced
from tests.commanding import COMMAND, at_a_terminal, command, environment
from tests.interrupting import interrupt

posix = pytest.mark.skipif(os.name != "posix", reason="terminals and signals as POSIX has them")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out.jsonl"


def listed(tmp_path: Path, server: ApiServer, paths: list[str]) -> Path:
    file = tmp_path / "urls.txt"
    lines = ["# what to fetch", "", *map(server.url, paths)]
    file.write_text("\n".join(lines), "utf-8")
    return file


def fetched(out: Path) -> dict[str, Any]:
    lines = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    return {line["url"]: line["answer"] for line in lines}


def summary(complaints: str) -> dict[str, Any]:
    figures: dict[str, Any] = json.loads(complaints.splitlines()[-1])
    return figures


NUMBERS = [f"/u/{number}" for number in range(30)]


def test_every_url_has_its_line(api_server: ApiServer, tmp_path: Path, out: Path) -> None:
    urls = listed(tmp_path, api_server, [*NUMBERS, "/u/1"])
    done = command("fetch", urls, "-o", out)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("browseros-api fetch: 30 of 30 done, 0 failed, 0 retries, ")
    assert {answer["path"] for answer in fetched(out).values()} == set(NUMBERS)
    assert fetched(out).keys() == set(map(api_server.url, NUMBERS))
    assert api_server.hits() == 30


def test_what_failed_is_told_and_fetched_by_the_next_run(
    api_server: ApiServer, tmp_path: Path, out: Path, capsys: Any
) -> None:
    api_server.script("/u/7", Reply(404, repeat=2), Reply(json="seven"))
    urls = listed(tmp_path, api_server, NUMBERS)
    with urls.open("a") as file:
        file.write("\nnonsense\n")
    assert cli.main(["fetch", str(urls), "-o", str(out)]) == 1
    told = capsys.readouterr().err
    assert f"browseros-api fetch: {api_server.url('/u/7')}: 404 Client Error" in told
    assert "browseros-api fetch: nonsense: Invalid URL 'nonsense'" in told
    assert "29 of 31 done, 2 failed" in told
    api_server.reset_counts()
    assert cli.main(["fetch", str(urls), "-o", str(out), "--json"]) == 1
    figures = summary(capsys.readouterr().err)
    assert (figures["kept_before"], figures["fetched"], figures["failed"]) == (29, 0, 2)
    assert api_server.hits() == 1
    urls.write_text("\n".join(map(api_server.url, NUMBERS)), "utf-8")
    assert cli.main(["fetch", str(urls), "-o", str(out)]) == 0
    assert "30 of 30 done, 29 of them before" in capsys.readouterr().err
    assert fetched(out)[api_server.url("/u/7")] == "seven"


def test_urls_come_from_stdin_and_headers_go_along(api_server: ApiServer, out: Path) -> None:
    secret = "s3cr3t"
    stdin = "\ufeff" + api_server.url("/a?token=s3cr3t") + "\r\n"  # as Windows may write it
    api_server.route("/a", Reply(json=1))
    done = command("fetch", "-", "-o", out, "-H", f"X-Key: {secret}", "--quiet", stdin=stdin)
    assert (done.returncode, done.stderr) == (0, "")
    assert api_server.requests[-1].headers["X-Key"] == secret
    assert secret not in out.read_text("utf-8")
    assert fetched(out) == {api_server.url("/a?token=***"): 1}


def test_an_answer_that_is_not_what_it_says_is_a_failure(
    api_server: ApiServer, tmp_path: Path, out: Path, capsys: Any
) -> None:
    api_server.route("/x", Reply(body="<p>", content_type="application/json"))
    urls = listed(tmp_path, api_server, ["/x"])
    assert cli.main(["fetch", str(urls), "-o", str(out)]) == 1
    assert "is not JSON" in capsys.readouterr().err


def test_retries_are_counted(api_server: ApiServer, tmp_path: Path, out: Path, capsys: Any) -> None:
    api_server.script("/x", Reply(503), Reply(json=1))
    urls = listed(tmp_path, api_server, ["/x"])
    assert cli.main(["fetch", str(urls), "-o", str(out), "--json"]) == 0
    figures = summary(capsys.readouterr().err)
    assert (figures["attempts"], figures["retries"], figures["connections_opened"]) == (2, 1, 1)


def test_no_more_are_at_once_than_one_says(
    api_server: ApiServer, tmp_path: Path, out: Path, capsys: Any
) -> None:
    api_server.route("*", Reply(json=1, delay=0.01))
    urls = listed(tmp_path, api_server, NUMBERS)
    assert cli.main(["fetch", str(urls), "-o", str(out), "-c", "2"]) == 0
    assert api_server.peak_requests <= 2


def test_a_rate_spaces_them() -> None:
    clock, slept, taken = FakeClock(), [], []
    begin = clock()

    def sleep(seconds: float) -> None:
        slept.append(round(seconds, 6))
        clock.tick(seconds)

    for item in paced(range(5), 4.0, clock=clock, sleep=sleep):
        taken.append((item, round(clock() - begin, 6)))
        if item == 2:
            clock.tick(10.0)  # what was missed is not made up for
    assert taken == [(0, 0.0), (1, 0.25), (2, 0.5), (3, 10.5), (4, 10.75)]
    assert slept == [0.25, 0.25, 0.25]
    assert list(paced(range(3), None, sleep=sleep)) == [0, 1, 2]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["-c", "0"], "--concurrency must be at least 1"),
        (["--rate", "0"], "--rate must be a finite number of at least 0.001"),
        (["-H", "nonsense"], "a header is"),
        (["-o", os.devnull], "checkpoint: '/dev/null' is no file"),
        (["-m", "-1"], "--max-time must be positive"),
    ],
)
def test_wrong_arguments_end_with_2(
    api_server: ApiServer, tmp_path: Path, out: Path, capsys: Any, options: list[str], text: str
) -> None:
    urls = listed(tmp_path, api_server, NUMBERS)
    with pytest.raises(SystemExit) as caught:
        cli.main(["fetch", str(urls), "-o", str(out), *options])
    assert caught.value.code == 2
    assert text in capsys.readouterr().err
    assert api_server.hits() == 0


def test_a_file_that_is_something_else_is_left_alone(
    api_server: ApiServer, tmp_path: Path, capsys: Any
) -> None:
    urls = listed(tmp_path, api_server, NUMBERS)
    before = urls.read_bytes()
    for line in ([str(urls), "-o", str(urls)], [str(tmp_path / "none"), "-o", str(urls)]):
        with pytest.raises(SystemExit):
            cli.main(["fetch", *line])
    assert urls.read_bytes() == before
    assert "is none; name a new file" in capsys.readouterr().err


@posix
def test_ctrl_c_says_how_far_it_is_and_the_same_command_goes_on(
    api_server: ApiServer, tmp_path: Path, out: Path
) -> None:
    api_server.script("/u/9", Reply(503, headers={"Retry-After": "30"}), Reply(json="nine"))
    urls = listed(tmp_path, api_server, NUMBERS)
    line = [*COMMAND, "fetch", str(urls), "-o", str(out), "-c", "4"]
    process = subprocess.Popen(line, env=environment(), stderr=subprocess.PIPE, text=True)
    wait_until(lambda: out.exists() and len(out.read_bytes().splitlines()) == 29, timeout=30)
    interrupt(process)
    _, complaints = process.communicate(timeout=25)  # what waits for its next attempt is woken
    assert process.returncode == 130
    last = complaints.splitlines()[-1]
    assert last == "interrupted: 29 of 30 done; the same command goes on from there"
    api_server.reset_counts()
    assert command("fetch", urls, "-o", out, "-q").returncode == 0
    assert api_server.hits() == 1
    assert fetched(out)[api_server.url("/u/9")] == "nine"


@posix
def test_a_terminal_sees_how_far_it_is(api_server: ApiServer, tmp_path: Path, out: Path) -> None:
    numbers = itertools.count()
    api_server.route("*", lambda request: Reply(404 if next(numbers) == 5 else 200, delay=0.05))
    urls = listed(tmp_path, api_server, NUMBERS)
    status, seen = at_a_terminal("fetch", urls, "-o", out, "-c", "2")
    assert status == 1
    assert "of 30 done, 1 failed, " in seen
    assert " a second" in seen
    assert "\x1b[31m1 failed\x1b[0m" in seen.splitlines()[-1]
    plain = command("fetch", urls, "-o", out)
    assert "a second" not in plain.stderr
    assert "\x1b" not in plain.stderr
