"""doctor: finds what it says it looks for, and says what to do."""

from __future__ import annotations

import json
import os
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from browseros_api import EnhancedAPIClient, Session, cli
from browseros_api.views import checkup
from browseros_api.views.advisories import ADVISORIES, AS_OF, weaknesses
from browseros_api.views.checkup import Finding, environment, installation, of_session, store
from tests.commanding import at_a_terminal, command
from tests.redis_server import started

posix = pytest.mark.skipif(os.name != "posix", reason="terminals as POSIX has them")


def problems(findings: Iterable[Finding]) -> dict[str, Finding]:
    found = {one.name: one for one in findings if one.level == "problem"}
    assert all(one.fix for one in found.values())
    return found


# -- what is installed -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("package", "version", "names"),
    [
        ("requests", "2.32.3", ["CVE-2024-47081", "CVE-2026-25645"]),
        ("requests", "2.32.4", ["CVE-2026-25645"]),
        ("requests", "2.33", []),
        ("urllib3", "2.7.0", ["CVE-2026-97687", "CVE-2026-97688", "CVE-2026-97689"]),
        ("urllib3", "2.8.0", []),
        ("urllib3", "2.10", []),
        ("idna", "3.6", ["CVE-2024-3651", "CVE-2026-45409"]),
        ("idna", "3.15", []),
        ("certifi", "2024.02.02", ["CVE-2024-39689"]),
        ("certifi", "2020.12.5", []),
        ("certifi", "2026.10.19.post1", []),
        ("requests", "nonsense", ["CVE-2024-47081", "CVE-2026-25645"]),
        ("unknown", "1.0", []),
    ],
)
def test_versions_are_compared_by_their_numbers(
    package: str, version: str, names: list[str]
) -> None:
    assert [one.name for one in weaknesses(package, version)] == names


def test_the_fix_is_a_version_without_any_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for package in {one.package for one in ADVISORIES}:
        old = "2022.1.1" if package == "certifi" else "2.0"
        monkeypatch.setattr(checkup, "_version", {package: old}.get)
        found = problems(installation())[package]
        least = found.fix.split(">=")[1].rstrip("'")
        assert weaknesses(package, least) == []
        assert found.text.startswith(f"{old}. CVE-")


def test_what_is_installed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {one.name: one for one in installation()}
    assert found.keys() == {"requests", "urllib3", "certifi", "idna"}
    assert found["requests"].text.startswith(requests.__version__)
    monkeypatch.setattr(checkup, "_PACKAGES", ("no-such-package",))
    assert list(installation()) == []


def test_a_fork_in_the_place_of_urllib3_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkup, "IS_FOREIGN", True)
    found = [one for one in installation() if one.name == "urllib3"]
    assert [one.level for one in found] == ["problem"]
    assert "urllib3-future lies where urllib3 was" in found[0].text


# -- what the environment says ---------------------------------------------------------------------


def test_proxies_are_told_without_their_passwords() -> None:
    variables = {"HTTPS_PROXY": "http://ada:secret@proxy:3128", "NO_PROXY": "localhost", "A": "b"}
    (found,) = environment(variables)
    assert (found.name, found.level) == ("HTTPS_PROXY", "note")
    assert "http://***@proxy:3128" in found.text
    assert [one.name for one in environment({"http_proxy": ""})] == ["proxies"]


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_certificates_that_are_not_there_are_a_problem(name: str, tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    assert name in problems(environment({name: str(bundle)}))
    bundle.touch()
    assert not problems(environment({name: str(bundle)}))
    assert name in {one.name for one in environment({name: str(bundle)})}


# -- what a session is -----------------------------------------------------------------------------


def test_the_sessions_of_this_library_are_well() -> None:
    with EnhancedAPIClient("http://127.0.0.1:9") as client:
        found = list(of_session(client.session, threads=100))
    assert [(one.name, one.level) for one in found] == [
        ("timeout", "ok"), ("retries", "ok"), ("pool", "ok"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "is_problem"),
    [
        ({"timeout": None}, True),
        ({"timeout": (10.0, None)}, True),
        ({"timeout": None, "deadline": 60.0}, False),
        ({"timeout": None, "attempt_timeout": 60.0}, False),
        ({"timeout": 5.0}, False),
    ],
)
def test_to_wait_for_ever_is_a_problem(options: dict[str, Any], is_problem: bool) -> None:
    found = problems(of_session(Session(**options), threads=1))
    assert ("timeout" in found) is is_problem


@pytest.mark.parametrize("theirs", [3, Retry(total=3)])
def test_stacked_retries_are_a_problem(theirs: Any) -> None:
    session = Session(max_retries=4)
    session.mount("https://slow.example", HTTPAdapter(max_retries=theirs))
    found = problems(of_session(session, threads=1))["retries"]
    assert found.text == "the adapter of https://slow.example retries 3 times, the session 4 times"
    alone = Session(max_retries=0)
    alone.mount("https://slow.example", HTTPAdapter(max_retries=theirs))
    assert not problems(of_session(alone, threads=1))


def test_fewer_connections_than_threads_are_a_problem() -> None:
    options = {"max_connections": 50, "max_connections_per_host": 8}
    assert not problems(of_session(Session(**options), threads=8))  # type: ignore[arg-type]
    found = problems(of_session(Session(**options), threads=20))["pool"]  # type: ignore[arg-type]
    assert found.text == "8 connections for 20 threads: 12 wait"


def test_a_stock_session_waits_for_ever_and_has_ten_connections() -> None:
    with requests.Session() as session:
        assert problems(of_session(session, threads=10)).keys() == {"timeout"}
        assert problems(of_session(session, threads=11)).keys() == {"timeout", "pool"}


# -- where answers are kept ------------------------------------------------------------------------


def test_a_store_that_can_be_read_is_well(tmp_path: Path) -> None:
    assert store("memory://").level == "ok"
    url = f"sqlite:///{tmp_path / 'answers.db'}"
    assert store(url).text == "the file will be made"
    assert not list(tmp_path.iterdir())
    with Session(store=url):
        pass
    Path(tmp_path / "answers.db").touch()
    assert store(url).level == "ok"


def test_a_server_is_asked(tmp_path: Path) -> None:
    with started(tmp_path) as server:
        assert store(server.url).text == "0 answers"
    found = store(server.url)
    assert (found.level, found.text) == ("problem", "it cannot be read")


def test_what_cannot_be_a_store_is_a_problem(tmp_path: Path) -> None:
    assert store("nonsense://").level == "problem"
    assert store(f"sqlite:///{tmp_path / 'none' / 'answers.db'}").level == "problem"


# -- the command -----------------------------------------------------------------------------------


def app(tmp_path: Path) -> Path:
    source = """
        import requests
        from browseros_api import EnhancedAPIClient, Session

        class Http:
            client = EnhancedAPIClient("http://127.0.0.1:9", timeout=None, store="redis://127.0.0.1:9/0")

        stock = requests.Session()
        number = 5
    """
    (tmp_path / "shop.py").write_text(textwrap.dedent(source), "utf-8")
    return tmp_path


def test_a_session_of_ones_own_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(app(tmp_path))
    monkeypatch.setattr("sys.path", ["", *__import__("sys").path])
    line = ["doctor", "--json", "--threads", "4", "--session"]
    assert cli.main([*line, "shop:Http.client"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert {one["name"] for one in found if one["level"] == "problem"} >= {
        "timeout", "store redis://127.0.0.1:9/0",
    }  # fmt: skip
    assert cli.main([*line, "shop:stock"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert "timeout" in {one["name"] for one in found if one["level"] == "problem"}
    for wrong, text in (
        ("shop", "must be MODULE:NAME"),
        ("shop:none", "no attribute 'none'"),
        ("nothing_here:x", "No module named"),
        ("shop:number", "a int is neither a session nor a client"),
    ):
        with pytest.raises(SystemExit) as caught:
            cli.main([*line, wrong])
        assert caught.value.code == 2
        assert text in capsys.readouterr().err


def test_all_is_well_here() -> None:
    done = command("doctor")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("\nno problems\n")
    assert f"(as of {AS_OF})" in done.stdout


@posix
def test_problems_are_red_and_their_number_is_told(tmp_path: Path) -> None:
    status, seen = at_a_terminal("doctor", "--threads", "101")
    assert status == 1
    assert "\x1b[31mproblem \x1b[0m pool: 100 connections for 101 threads: 1 wait" in seen
    assert seen.endswith("\r\n1 problem\r\n")
