"""get, post and so on: what is sent, what is written, and which status tells what went wrong."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import shlex
import ssl
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
import trustme

from browseros_api import cli
from browseros_api.testing import ApiServer, Received, Reply, wait_until
from browseros_api.views.answers import status_of
from tests.commanding import COMMAND, at_a_terminal, command, environment
from tests.interrupting import interrupt

posix = pytest.mark.skipif(os.name != "posix", reason="terminals and signals as POSIX has them")


def last(server: ApiServer) -> Received:
    return server.requests[-1]


# -- what is sent ----------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["get", "post", "put", "patch", "delete", "options"])
def test_each_verb_writes_the_body_of_its_answer(api_server: ApiServer, verb: str) -> None:
    done = command(verb, api_server.url("/x"))
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["method"] == verb.upper()


def test_head_has_a_head(api_server: ApiServer, capsys: Any) -> None:
    assert cli.main(["head", api_server.url("/x"), "-i"]) == 0
    assert capsys.readouterr().out.startswith("HTTP 200 OK\nContent-Type: application/json\n")
    assert last(api_server).method == "HEAD"


@pytest.mark.parametrize(
    ("options", "body", "content_type"),
    [
        (["--json", '{"a": 1}'], b'{"a": 1}', "application/json"),
        (["--json", "@{file}"], b"\x00\xff", "application/json"),
        (["-d", "a=1"], b"a=1", "application/x-www-form-urlencoded"),
        (["-d", "a=1", "-d", "b=@2"], b"a=1&b=@2", "application/x-www-form-urlencoded"),
        (["-d", "@{file}", "-H", "content-type: x/y"], b"\x00\xff", "x/y"),
        (["-d", "@-"], b"from stdin", "application/x-www-form-urlencoded"),
        ([], b"", None),
    ],
)
def test_a_body_goes_as_it_is(
    api_server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    options: list[str], body: bytes, content_type: str | None,
) -> None:  # fmt: skip
    file = tmp_path / "body"
    file.write_bytes(b"\x00\xff")
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"from stdin")))
    options = [option.format(file=file) if "@{" in option else option for option in options]
    assert cli.main(["post", api_server.url("/x"), "-o", os.devnull, *options]) == 0
    assert last(api_server).body == body
    assert last(api_server).headers.get("Content-Type") == content_type


def test_headers_and_credentials(
    api_server: ApiServer, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    line = ["get", api_server.url("/x"), "-H", "X-A: 1:2", "-H", "Accept:"]
    assert cli.main([*line, "-u", "ada:pass:word"]) == 0
    assert last(api_server).headers["X-A"] == "1:2"
    assert "Accept" not in last(api_server).headers
    basic = base64.b64encode(b"ada:pass:word").decode()
    assert last(api_server).headers["Authorization"] == f"Basic {basic}"
    monkeypatch.setattr("getpass.getpass", lambda prompt: f"for {prompt}")
    assert cli.main([*line, "-u", "ada"]) == 0
    basic = base64.b64encode(b"ada:for password of ada: ").decode()
    assert last(api_server).headers["Authorization"] == f"Basic {basic}"


def test_redirects_are_followed_unless_one_says_no(api_server: ApiServer, capsys: Any) -> None:
    api_server.route("/old", Reply(302, headers={"Location": "/new"}, body="moved"))
    assert cli.main(["get", api_server.url("/old")]) == 0
    assert json.loads(capsys.readouterr().out)["path"] == "/new"
    assert cli.main(["get", api_server.url("/old"), "-L"]) == 0
    assert json.loads(capsys.readouterr().out)["path"] == "/new"
    assert cli.main(["get", api_server.url("/old"), "--no-location"]) == 0
    assert capsys.readouterr().out == "moved"


def test_certificates_are_those_of_a_file_or_any(
    capsys: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    with ApiServer(tls=context) as server:
        line = ["get", server.url("/x").replace("127.0.0.1", "localhost"), "--max-retries", "0"]
        assert cli.main(line) == 60
        assert "certificate" in capsys.readouterr().err
        assert cli.main([*line, "--cacert", str(tmp_path / "ca.pem")]) == 0
        assert cli.main([*line, "-k"]) == 0
        assert capsys.readouterr().err == ""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "none"))
    assert cli.main(line) == 77
    assert "invalid path" in capsys.readouterr().err


# -- what is written -------------------------------------------------------------------------------


def test_bytes_are_written_as_they_come(api_server: ApiServer, tmp_path: Path) -> None:
    body = bytes(range(256))
    api_server.route("/bytes", Reply(body=body))
    done = subprocess.run(
        [*COMMAND, "get", api_server.url("/bytes")], env=environment(), capture_output=True,
        timeout=50, check=True,
    )  # fmt: skip
    assert done.stdout == body
    assert cli.main(["get", api_server.url("/bytes"), "-o", str(tmp_path / "it")]) == 0
    assert (tmp_path / "it").read_bytes() == body


@posix
def test_a_terminal_is_shown_json_in_lines_and_colours(api_server: ApiServer) -> None:
    api_server.route("/x", Reply(json={"name": "ä", "list": [1]}))
    status, seen = at_a_terminal("get", api_server.url("/x"), "-i")
    assert status == 0
    assert "\x1b[32mHTTP 200 OK\x1b[0m" in seen
    assert '{\r\n  "name": "ä",\r\n  "list": [\r\n' in seen
    _, plain = at_a_terminal("get", api_server.url("/x"), "-i", NO_COLOR="1")
    assert "\x1b" not in plain
    assert "HTTP 200 OK" in plain


@posix
def test_a_terminal_is_spared_what_is_no_text(api_server: ApiServer) -> None:
    for body in (b"\xff" * 2000, b"a\x00b"):
        api_server.route("/x", Reply(body=body))
        status, seen = at_a_terminal("get", api_server.url("/x"))
        assert status == 0
        assert f"{len(body):,} bytes that are no text; write them with -o" in seen
    api_server.route("/x", Reply(body="plain words"))
    assert at_a_terminal("get", api_server.url("/x")) == (0, "plain words\r\n")
    api_server.route("/x", Reply(204))
    assert at_a_terminal("get", api_server.url("/x")) == (0, "")


@pytest.mark.parametrize(
    ("reply", "body"),
    [
        (Reply(json={"a": 1}), {"json": {"a": 1}}),
        (Reply(body="text"), {"text": "text"}),
        (Reply(body=b"\xff"), {"base64": "/w=="}),
    ],
)
def test_a_report_has_all_of_it(
    api_server: ApiServer, capsys: Any, reply: Reply, body: dict[str, Any]
) -> None:
    api_server.script("/old", Reply(503), Reply(302, headers={"Location": "/x"}))
    api_server.route("/x", reply)
    assert cli.main(["get", api_server.url("/old"), "--report"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report.items() >= {"status": 200, "reason": "OK", "url": api_server.url("/x")}.items()
    assert report["attempts"] == 3
    assert report["redirects"] == [api_server.url("/old")]
    assert report["seconds"] > 0
    assert report.items() >= body.items()
    assert report["headers"]["Content-Length"]


# -- what happened ---------------------------------------------------------------------------------


def test_a_trace_is_drawn_on_the_error_output(api_server: ApiServer) -> None:
    api_server.script("/x", Reply(429, headers={"Retry-After": "0"}), Reply(json={"ok": True}))
    done = command("get", api_server.url("/x?token=s3cret"), "--trace")
    assert (done.returncode, json.loads(done.stdout)) == (0, {"ok": True})
    lines = done.stderr.splitlines()
    assert lines[0] == f"GET {api_server.url('/x?token=***')}"
    assert lines[1].startswith("  outcome    200 OK, ")
    assert [line.split(":")[0] for line in lines if line.startswith("attempt")] == [
        "attempt 1", "attempt 2",
    ]  # fmt: skip


def test_a_report_has_the_trace_in_it(api_server: ApiServer, capsys: Any) -> None:
    assert cli.main(["get", api_server.url("/x"), "--report", "--trace"]) == 0
    seen = capsys.readouterr()
    trace = json.loads(seen.out)["trace"]
    assert ([one["status"] for one in trace["attempts"]], trace["cache"]) == ([200], "off")
    assert seen.err == ""
    assert cli.main(["get", api_server.url("/x"), "--report"]) == 0
    assert "trace" not in json.loads(capsys.readouterr().out)


def test_a_failure_has_a_trace_and_a_report_too(capsys: Any) -> None:
    line = ["get", "http://127.0.0.1:9/", "--max-retries", "0", "--trace"]
    assert cli.main(line) == 7
    first, *lines = capsys.readouterr().err.splitlines()
    assert first.startswith("browseros-api get: ")
    assert lines[1].startswith("  outcome    ConnectionError, ")
    assert cli.main([*line, "--report"]) == 7
    report = json.loads(capsys.readouterr().out)
    assert (report["error"], report["attempts"]) == ("ConnectionError", 1)
    assert "refused" in report["reason"]
    assert report["trace"]["error"] == "ConnectionError"


# -- what goes wrong -------------------------------------------------------------------------------


def test_an_answer_from_400_on_is_written_and_told_by_the_status(api_server: ApiServer) -> None:
    api_server.route("/x", Reply(404, body="not here"))
    done = command("get", api_server.url("/x"))
    assert (done.returncode, done.stdout) == (22, "not here")
    assert done.stderr == "browseros-api get: 404 Not Found\n"
    done = command("get", api_server.url("/x"), "-i")
    assert (done.returncode, done.stderr) == (22, "")


def test_a_body_that_cannot_be_written_is_told_by_the_status(
    api_server: ApiServer, tmp_path: Path, capsys: Any
) -> None:
    assert cli.main(["get", api_server.url("/x"), "-o", str(tmp_path / "none" / "x")]) == 23
    assert capsys.readouterr().err.startswith("browseros-api get: cannot write: ")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no full device")
@pytest.mark.parametrize(
    ("line", "status"),
    [("get {url}", 23), ("get {url} --report", 23), ("monitor {url} --count 1", 1), ("doctor", 1)],
)
def test_a_full_disk_is_one_line(api_server: ApiServer, line: str, status: int) -> None:
    words = line.format(url=api_server.url("/x")).split()
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*COMMAND, *words], env=environment(), stdout=full, stderr=subprocess.PIPE,
            text=True, timeout=50, check=False,
        )  # fmt: skip
    assert done.returncode == status
    assert re.fullmatch(r"browseros-api \w+: .*No space left on device\n", done.stderr)


@posix
def test_streams_that_are_closed_are_no_error(api_server: ApiServer) -> None:
    line = f"exec {shlex.join(COMMAND)} post {api_server.url('/x')} -d @- <&- >&- 2>&-"
    done = subprocess.run(["sh", "-c", line], env=environment(), timeout=50, check=False)
    assert done.returncode == 0
    assert (last(api_server).method, last(api_server).body) == ("POST", b"")


def test_signs_that_the_output_does_not_know_are_no_error(api_server: ApiServer) -> None:
    line = ["monitor", api_server.url("/x"), "--count", "1"]
    done = command(*line, PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("?\n")


@pytest.mark.parametrize(
    ("url", "reply", "options", "status"),
    [
        ("nonsense", None, [], 3),
        ("ftp://127.0.0.1/x", None, [], 3),
        ("http://127.0.0.1:9/x", None, [], 7),
        ("http://no.such.host.invalid/x", None, [], 6),
        ("/x", Reply(silent=True), ["-m", "0.3"], 28),
        ("/x", Reply(302, headers={"Location": "/x"}), [], 47),
        ("/x", Reply(reset="before"), [], 56),
        ("/x", Reply(body="abc", truncate=1), [], 56),
    ],
)
def test_the_status_says_what_went_wrong_as_with_curl(
    api_server: ApiServer, capsys: Any,
    url: str, reply: Reply | None, options: list[str], status: int,
) -> None:  # fmt: skip
    if reply is not None:
        api_server.route("/x", reply)
        url = api_server.url(url)
    assert cli.main(["get", url, "--max-retries", "0", *options]) == status
    seen = capsys.readouterr()
    assert seen.out == ""
    assert seen.err.startswith("browseros-api get: ")
    assert seen.err.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (requests.exceptions.SSLError("certificate"), 60),
        (requests.exceptions.ProxyError("no"), 5),
        (requests.exceptions.InvalidURL("no"), 3),
        (requests.exceptions.ConnectTimeout("no"), 28),
        (requests.ConnectionError(), 56),
    ],
)
def test_and_for_what_cannot_happen_here(error: Exception, status: int) -> None:
    assert status_of(error) == status


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["-d", "a", "--json", "b"], "give one of them"),
        (["-H", "nonsense"], "a header is 'NAME: VALUE', not 'nonsense'"),
        (["-H", "Ä: a"], "the header 'Ä' holds signs that cannot be sent"),
        (["-H", "A: €uro"], "the header 'A' holds signs that cannot be sent"),
        (["-H", "A: b\r\nC: d"], "the header 'A' holds signs that cannot be sent"),
        (["-m", "0"], "--max-time must be positive and finite, not 0.0"),
        (["--max-retries", "-1"], "--max-retries must be at least 0"),
        (["--max-retries", "x"], "invalid int value: 'x'"),
        (["-d", "@/no/such/file"], "No such file"),
        (["--cacert", "/no/such/file"], "No such file"),
        (["--nonsense"], "unrecognized arguments: --nonsense"),
    ],
)
def test_wrong_arguments_are_one_line_and_2(capsys: Any, options: list[str], text: str) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["get", "http://127.0.0.1:9/", *options])
    assert caught.value.code == 2
    told = capsys.readouterr().err
    assert text in told
    assert told.startswith("browseros-api get: ")
    assert told.endswith(" (see browseros-api get --help)\n")
    assert told.count("\n") == 1


def test_nobody_to_ask_for_a_password_is_said(capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(_: str) -> str:
        raise EOFError

    monkeypatch.setattr("getpass.getpass", gone)
    with pytest.raises(SystemExit):
        cli.main(["get", "http://127.0.0.1:9/", "-u", "ada"])
    assert "there is nobody to ask for a password" in capsys.readouterr().err


@posix
def test_ctrl_c_ends_with_130(api_server: ApiServer) -> None:
    api_server.route("/x", Reply(silent=True))
    for options in ([], ["--trace"]):
        api_server.reset_counts()
        line = [*COMMAND, "get", api_server.url("/x"), *options]
        process = subprocess.Popen(line, env=environment(), stderr=subprocess.PIPE, text=True)
        wait_until(lambda: api_server.hits("/x") == 1, timeout=20)
        interrupt(process)
        _, complaints = process.communicate(timeout=20)
        assert process.returncode == 130
        *drawn, told = complaints.splitlines()
        assert told == "interrupted"
        assert any("KeyboardInterrupt" in line for line in drawn) is bool(options)


@posix
def test_who_closes_the_output_has_seen_enough(api_server: ApiServer) -> None:
    api_server.route("/x", Reply(body=b"x" * 1_000_000))
    line = [*COMMAND, "get", api_server.url("/x")]
    pipe = subprocess.PIPE
    process = subprocess.Popen(line, env=environment(), stdout=pipe, stderr=pipe)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(timeout=20) == 1


def test_help_has_examples(capsys: Any) -> None:
    names = [name for one in cli._parser([])._actions for name in one.choices or ()]
    assert {"get", "options", "fetch", "cache", "run", "demo"} <= {*names}
    for name in [*names, "cache ls", "cache rm"]:
        with pytest.raises(SystemExit) as caught:
            cli.main([*name.split(), "--help"])
        assert caught.value.code == 0
        assert f"examples:\n  browseros-api {name.split()[0]}" in capsys.readouterr().out


def test_what_is_run_does_not_wait_for_the_other_commands() -> None:
    code = "import sys; print([name for name in sys.modules if 'browseros_api.views' in name])"
    done = command("run", "--quiet", "-m", "timeit", "-n", "1", "-r", "1", code)
    assert "'browseros_api.views.run'" in done.stdout
    assert "asking" not in done.stdout
