"""``browseros-api run`` and ``install()`` as they are used by hand: pipes, Ctrl-C, a prompt."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from browseros_api.testing import ApiServer, Reply, wait_until
from tests.interrupting import interrupt

ROOT = Path(__file__).parents[2]
WAYS = {"python": [], "run": ["-m", "browseros_api", "run", "--json"]}

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs signals and pipes as on Unix")


@pytest.fixture
def begin(api_server: ApiServer, tmp_path: Path) -> Any:
    """Begin a script in one of the ways; what it is given is a file of its own."""
    begun: list[subprocess.Popen[str]] = []

    def begin(way: str, source: str, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        script = tmp_path / "script.py"
        script.write_text(textwrap.dedent(source))
        begun.append(
            subprocess.Popen(
                [sys.executable, *WAYS[way], str(script), *arguments],
                env={**os.environ, "PYTHONPATH": str(ROOT), "API": api_server.base_url},
                text=True,
                **{
                    **dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE),
                    **options,
                },
            )
        )
        return begun[-1]

    yield begin
    for process in begun:
        if process.poll() is None:
            process.kill()
        process.communicate()


def told(complaints: str) -> dict[str, Any]:
    """What ``run --json`` has told, on the last line."""
    figures: dict[str, Any] = json.loads(complaints.splitlines()[-1])
    return figures


ASKING = """
    import os, requests
    print("ready", flush=True)
    requests.get(os.environ["API"] + "/held", timeout=40)
    """


@pytest.mark.parametrize("way", WAYS)
def test_ctrl_c_ends_a_script_in_the_middle_of_a_request(
    way: str, begin: Callable[..., Any], api_server: ApiServer
) -> None:
    api_server.route("/held", Reply(silent=True))
    process = begin(way, ASKING)
    wait_until(lambda: api_server.active_requests == 1, timeout=30)
    interrupt(process)
    _, complaints = process.communicate(timeout=30)
    assert process.returncode == -signal.SIGINT
    assert "KeyboardInterrupt" in complaints
    if way == "run":
        assert told(complaints)["total_requests"] == 1


def test_ctrl_c_ends_a_script_in_a_delay_between_attempts(
    begin: Callable[..., Any], api_server: ApiServer
) -> None:
    api_server.route("/held", Reply(503, headers={"Retry-After": "30"}))
    process = begin("run", ASKING)
    wait_until(lambda: api_server.hits("/held") == 1, timeout=30)
    interrupt(process)
    _, complaints = process.communicate(timeout=20)
    assert process.returncode == -signal.SIGINT
    assert told(complaints)["retries"] == 0


@pytest.mark.parametrize("way", WAYS)
def test_a_script_whose_reader_has_gone_ends_as_with_python(
    way: str, begin: Callable[..., Any]
) -> None:
    process = begin(
        way,
        """
        import os, requests
        for number in range(100_000):
            if number % 50_000 == 0:
                requests.get(os.environ["API"] + "/x")
            print("line", number)
        """,
    )
    assert process.stdout.readline() == "line 0\n"
    process.stdout.close()
    complaints = process.stderr.read()
    process.stderr.close()
    process.stdin.close()
    assert process.wait(30) == 1
    assert "BrokenPipeError" in complaints
    if way == "run":
        assert told(complaints)["total_requests"] >= 1
    process.stdout = process.stderr = process.stdin = None


@pytest.mark.parametrize("way", WAYS)
def test_a_script_talks_with_whoever_feeds_it(way: str, begin: Callable[..., Any]) -> None:
    process = begin(
        way,
        """
        import os, sys, requests
        for line in sys.stdin:
            answer = requests.get(os.environ["API"] + "/echo", params={"q": line.strip()})
            print(answer.json()["query"]["q"][0].upper(), flush=True)
        sys.exit(len(sys.argv))
        """,
        *("--json", "-m"),
    )
    for word in ("one", "two"):
        process.stdin.write(f"{word}\n")
        process.stdin.flush()
        assert process.stdout.readline() == f"{word.upper()}\n"
    _, complaints = process.communicate(timeout=30)
    assert process.returncode == 3
    if way == "run":
        assert told(complaints)["total_requests"] == 2


def test_what_it_tells_stays_out_of_the_output(begin: Callable[..., Any], tmp_path: Path) -> None:
    source = """
        import os, requests
        print(requests.get(os.environ["API"] + "/bytes/3").text)
        """
    outputs = []
    for way in WAYS:
        with (tmp_path / way).open("w+") as output:
            assert begin(way, source, stdout=output).wait(30) == 0
            output.seek(0)
            outputs.append(output.read())
    assert outputs[0] == outputs[1]


PROMPT = """
import os, requests, browseros_api
url = os.environ["API"]
browseros_api.install(retry_base_delay=0.01)
session = requests.Session()
session.get(url + "/flaky").status_code
requests.get(url + "/kept").from_cache, requests.get(url + "/kept").from_cache
session.get(url + "/held", timeout=40)
session.get(url + "/kept").json(), session.get_stats()["in_flight_requests"]
import multiprocessing
def ask(path):
    return requests.get(url + path).status_code

with multiprocessing.get_context("fork").Pool(2) as pool: pool.map(ask, ["/x", "/y"])

browseros_api.uninstall()
hasattr(requests.get(url + "/kept"), "from_cache"), session.get(url + "/flaky").status_code
"""


def test_at_a_prompt_it_goes_line_by_line(begin: Callable[..., Any], api_server: ApiServer) -> None:
    api_server.script("/flaky", Reply(503), Reply(json=[]))
    api_server.route("/kept", Reply(json=[1], headers={"Cache-Control": "max-age=60"}))
    api_server.route("/held", Reply(silent=True))
    process = begin(
        "python", "import code; code.interact(banner='', local=globals())", stderr=subprocess.STDOUT
    )
    before, _, after = PROMPT.partition('session.get(url + "/held"')
    process.stdin.write(f'{before}session.get(url + "/held"{after}')
    process.stdin.flush()
    wait_until(lambda: api_server.hits("/held") == 1, timeout=30)
    interrupt(process)  # that line ends, and the prompt goes on
    output, _ = process.communicate(timeout=40)
    assert process.returncode == 0
    said = [line.replace(">>> ", "").replace("... ", "") for line in output.splitlines()]
    assert "<Installation [retry_base_delay | in place]>" in said
    expected = ["200", "(False, True)", "KeyboardInterrupt", "([1], 0)", "[200, 200]"]
    assert [line for line in said if line in expected] == expected
    assert "(False, 200)" in said
