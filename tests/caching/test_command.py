"""Laws of ``browseros-api cache``: it shows what a store holds, and forgets there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from browseros_api import Session, cli
from browseros_api.testing import ApiServer, Reply
from browseros_api.views.kept import listed
from tests.redis_server import RedisServer, redis_server

__all__ = ["redis_server"]

FRESH = {"Cache-Control": "max-age=6000", "X-Api-Token": "hunter2"}


@pytest.fixture(params=["sqlite", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a store that is empty."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/answers.db"
    server: RedisServer = request.getfixturevalue("redis_server")
    server.ask("FLUSHALL")
    return server.url


def filled(store: str, server: ApiServer, **options: Any) -> None:
    """Three answers under two URLs, one of them in two variants."""
    server.route("/users", Reply(json=["Ada"], headers={**FRESH, "Vary": "Foo"}))
    server.route("/rates", Reply(404, body="none", headers=FRESH))
    with Session(store=store, store_timeout=10.0, **options) as session:
        for foo in "12":
            session.get(server.url("/users"), headers={"Foo": foo})
        session.get(server.url("/rates"))


@pytest.fixture
def command(capfdbinary: pytest.CaptureFixture[bytes]) -> Any:
    """Runs it, and returns status, output and complaints."""

    def run(*words: str) -> tuple[int, str, str]:
        try:
            status = cli.main(["cache", *words])
        except SystemExit as left:
            status = int(str(left.code))
        output, complaints = capfdbinary.readouterr()
        return status, output.decode(), complaints.decode()

    return run


def test_it_lists_what_there_is(store: str, command: Any, api_server: ApiServer) -> None:
    filled(store, api_server)
    status, output, complaints = command("ls", store)
    assert (status, complaints) == (0, "")
    head, *rows = output.splitlines()
    assert head.split() == ["KEY", "STATUS", "SIZE", "AGE", "FRESH", "URL"]
    assert [row.split()[1] for row in rows] == ["404", "200", "200"]
    assert rows[0].endswith(api_server.url("/rates"))
    assert rows[1].endswith(f"{api_server.url('/users')}  (varies on foo)")
    _, output, _ = command("ls", store, "--prefix", api_server.url("/users"))
    assert len(output.splitlines()) == 3
    _, output, _ = command("ls", store, "--json")
    found = json.loads(output)
    assert [one["status"] for one in found] == [404, 200, 200]
    assert {"key", "url", "size", "age", "fresh_for", "kept_for", "varies_on"} <= found[0].keys()
    assert listed([]).split() == head.split()


def test_it_shows_one_closely(store: str, command: Any, api_server: ApiServer) -> None:
    filled(store, api_server)
    (key,) = {one["key"] for one in json.loads(command("ls", store, "--json")[1])[1:]}
    status, output, complaints = command("show", store, key[:12])
    assert (status, complaints) == (0, "")
    assert output.count(f"key        {key}") == 2, "each of its variants"
    assert "status     200\n" in output
    assert "varies on  foo\n" in output
    assert "X-Api-Token: ***\n" in output
    assert "hunter2" not in output
    _, output, _ = command("show", store, key, "--json")
    assert json.loads(output)[0]["headers"]["X-Api-Token"] == "***"
    assert command("show", store, key, "--body")[1] == '["Ada"]'


@pytest.mark.parametrize("begin", ["zz", ""])
def test_a_key_is_named_by_how_it_begins_if_no_other_does(
    begin: str, store: str, command: Any, api_server: ApiServer
) -> None:
    filled(store, api_server)
    status, output, complaints = command("show", store, begin)
    assert (status, output) == (1, "")
    what = "2 answers have keys that begin" if begin == "" else "no answer has a key that begins"
    assert complaints.startswith(f"browseros-api cache: {what}")


def test_it_forgets(store: str, command: Any, api_server: ApiServer) -> None:
    def left() -> int:
        return len(json.loads(command("ls", store, "--json")[1]))

    filled(store, api_server)
    key = json.loads(command("ls", store, "--json")[1])[0]["key"]
    assert command("rm", store, key[:12]) == (0, "1 forgotten\n", "")
    assert left() == 2
    assert command("rm", store, "--url", api_server.url("/users?page=1"))[1] == "1 forgotten\n"
    assert left() == 0
    filled(store, api_server)
    assert command("rm", store, "--prefix", api_server.url("/r"))[1] == "1 forgotten\n"
    assert command("rm", store, "--prefix", "https://elsewhere")[1] == "0 forgotten\n"
    assert left() == 2
    assert command("rm", store, "--all")[1] == "1 forgotten\n"
    assert left() == 0
    with Session(store=store, store_timeout=10.0) as session:
        assert session.get(api_server.url("/rates")).from_cache is False


@pytest.mark.parametrize("words", [[], ["abc", "--all"], ["--url", "x", "--prefix", "y"]])
def test_it_must_be_told_what_to_forget(words: list[str], command: Any, tmp_path: Path) -> None:
    status, output, complaints = command("rm", str(tmp_path / "answers.db"), *words)
    assert (status, output) == (2, "")
    assert complaints.startswith("browseros-api cache rm: ")
    assert complaints.count("\n") == 1


def test_it_counts(store: str, command: Any, api_server: ApiServer) -> None:
    filled(store, api_server)
    status, output, _ = command("stats", store)
    assert status == 0
    figures = dict(line.split() for line in output.splitlines())
    assert (figures["keys"], figures["answers"], figures["fresh"], figures["stale"]) == (
        "2", "3", "3", "0",
    )  # fmt: skip
    told = json.loads(command("stats", store, "--json")[1])
    assert told["store_kind"] == figures["store_kind"] == store.partition(":")[0]
    assert told["bytes"] > 100


def test_it_looks_into_what_is_in_use(store: str, command: Any, api_server: ApiServer) -> None:
    api_server.route("/users", Reply(json=["Ada"], headers=FRESH))
    with Session(store=store, store_timeout=10.0) as session:
        session.get(api_server.url("/users"))
        assert len(command("ls", store)[1].splitlines()) == 2


def test_a_file_is_named_by_its_path_as_well(
    command: Any, api_server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(f"sqlite:///{tmp_path}/answers.db", api_server)
    assert len(command("ls", f"{tmp_path}/answers.db")[1].splitlines()) == 4
    monkeypatch.chdir(tmp_path)
    for name in ("answers.db", "sqlite:///answers.db"):
        assert len(command("ls", name)[1].splitlines()) == 4


@pytest.mark.parametrize(
    ("name", "complaint", "ended"),
    [
        ("missing.db", "there is no file", 2),
        ("sqlite:////nowhere/missing.db", "there is no file '/nowhere/missing.db'", 2),
        ("memory://", "what is in memory ends with its process", 2),
        ("ftp://h/x", "store must be", 2),
        ("redis://127.0.0.1:1/0", "the store cannot be read, or not be written", 1),
    ],
)
def test_what_cannot_be_looked_into_is_said(
    name: str,
    complaint: str,
    ended: int,
    command: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    status, output, complaints = command("ls", name)
    assert (status, output) == (ended, "")
    assert complaints.startswith("browseros-api cache")
    assert complaint in complaints
    assert list(tmp_path.iterdir()) == [], "looking makes no file"


@pytest.mark.parametrize("content", [b"", b"a letter\n" * 20, b"SQLite format 3\0" * 9])
def test_a_file_that_is_no_store_stays_as_it_is(
    content: bytes, command: Any, tmp_path: Path
) -> None:
    (tmp_path / "letter.db").write_bytes(content)
    for words in (["ls"], ["stats"], ["rm", "--all"]):
        status, output, complaints = command(words[0], str(tmp_path / "letter.db"), *words[1:])
        assert (status, output) == (2, "")
        assert "letter.db' holds no answers: it is not a store (see " in complaints
    assert [one.name for one in tmp_path.iterdir()] == ["letter.db"]
    assert (tmp_path / "letter.db").read_bytes() == content


def test_what_is_sealed_needs_its_key_and_looking_without_breaks_nothing(
    store: str, command: Any, api_server: ApiServer, tmp_path: Path
) -> None:
    key = Fernet.generate_key().decode()
    filled(store, api_server, store_key=key)
    for action in ("ls", "stats"):
        status, _, complaints = command(action, store)
        assert status == 1
        assert "cannot be read: another store_key?" in complaints
    (tmp_path / "key").write_text(f"{key}\n")
    status, output, _ = command("ls", store, "--key-file", str(tmp_path / "key"))
    assert (status, len(output.splitlines())) == (0, 4)
    status, _, complaints = command("ls", store, "--key-file", str(tmp_path / "none"))
    assert status == 2
    assert "No such file" in complaints


def test_looking_makes_nothing_recent_and_nothing_older(
    store: str, command: Any, api_server: ApiServer
) -> None:
    filled(store, api_server)
    key = json.loads(command("ls", store, "--json")[1])[0]["key"]
    for words in (["ls"], ["stats"], ["show", key]):
        assert command(words[0], store, *words[1:])[0] == 0
    asked = api_server.hits()
    with Session(store=store, store_timeout=10.0) as session:
        assert session.get(api_server.url("/rates")).from_cache is True
    assert api_server.hits() == asked


def test_it_is_a_command(api_server: ApiServer, tmp_path: Path) -> None:
    filled(f"sqlite:///{tmp_path}/answers.db", api_server)
    line = [sys.executable, "-m", "browseros_api", "cache", "stats", f"{tmp_path}/answers.db"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=50, check=True)
    assert done.stdout.startswith("keys ")
