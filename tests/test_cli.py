"""Laws of the command: a script that is run by it does what it does when python runs it."""

from __future__ import annotations

import json
import os
import py_compile
import re
import signal
import subprocess
import sys
import textwrap
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from browseros_api import __version__, cli
from browseros_api.testing import ApiServer, Reply
from browseros_api.views import demo
from browseros_api.views.demo import Finding
from browseros_api.views.run import drawn
from browseros_api.witness import Witness

ROOT = Path(__file__).resolve().parent.parent
FRESH = {"Cache-Control": "max-age=60"}
COMMAND = ["-m", "browseros_api"]
RUN = [*COMMAND, "run"]
SUMMARY = re.compile(r"\nbrowseros-api: (no request was made\n|.*\n(  .*\n)+)\Z")

Done = subprocess.CompletedProcess[str]


def python(*arguments: object, cwd: Path = ROOT, stdin: str = "", **environment: str) -> Done:
    """What a fresh interpreter makes of these arguments."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env=environment,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def written(path: Path, source: str) -> Path:
    """A script in a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(source).lstrip("\n"), "utf-8")
    return path


def outcome(done: Done) -> tuple[int, str, str]:
    """Status, output and complaints, but for addresses in memory."""
    texts = [re.sub(r"0x[0-9a-f]+", "0x...", text) for text in (done.stdout, done.stderr)]
    return done.returncode, texts[0], texts[1]


def assert_same(*line: object, cwd: Path, stdin: str = "") -> tuple[int, str, str]:
    """Run it with python and with the command, compare, and return what came of it."""
    with ThreadPoolExecutor(2) as both:
        plain = both.submit(python, *line, cwd=cwd, stdin=stdin)
        ours = both.submit(python, *RUN, *line, cwd=cwd, stdin=stdin)
    status, output, complaints = outcome(ours.result())
    summary = SUMMARY.search(complaints)
    if summary:
        complaints = complaints[: summary.start()]
    assert (status, output, complaints) == outcome(plain.result())
    return status, output, complaints


# -- as python runs it --------------------------------------------------------------------------

SAME: dict[str, tuple[int, str]] = {
    "knows where it is": (
        0,
        """
        import sys
        print(sys.argv, sys.path[0], __file__, __name__, __spec__, __package__, __doc__)
        print(sorted(globals()), type(__builtins__), type(__loader__))
        print(sys.modules["__main__"].__dict__ is globals(), len(sys.path))
        """,
    ),
    "reads its input": (
        0,
        """
        import sys
        print(sys.stdin.readline(), input(), sys.stdin.read())
        """,
    ),
    "reads its own source": (
        0,
        '''
        """What it is for."""
        import inspect, sys
        def shown():
            return 1
        print(inspect.getsource(shown), inspect.getsource(sys.modules["__main__"]), __doc__)
        ''',
    ),
    "does not inherit our future": (
        0,
        """
        def annotated(argument: print("evaluated")):
            pass
        print(annotated.__annotations__)
        """,
    ),
    "pickles its own classes": (
        0,
        """
        import pickle, copy
        class Point:
            def __init__(self, x):
                self.x = x
        def double(x):
            return 2 * x
        if __name__ == "__main__":
            again = pickle.loads(pickle.dumps(Point(3)))
            print(again.x, type(again) is Point, Point, double.__module__)
        """,
    ),
    "works with processes": (
        0,
        """
        import multiprocessing
        def double(x):
            return 2 * x
        if __name__ == "__main__":
            for method in multiprocessing.get_all_start_methods():
                with multiprocessing.get_context(method).Pool(1) as pool:
                    print(method, pool.map(double, [1, 2]))
        """,
    ),
    "forks": (
        0,
        """
        import os, sys
        if os.fork():
            print(os.waitpid(-1, 0)[1])
        else:
            sys.exit(0)
        """,
    ),
    "ends with a number": (3, "raise SystemExit(3)"),
    "ends with a large number": (255, "import sys; sys.exit(-1)"),
    "ends with words": (1, "import sys; sys.exit('so it goes')"),
    "ends with nothing": (0, "import sys; sys.exit()"),
    "ends at once": (7, "import os; print('x', flush=True); os._exit(7)"),
    "fails": (
        1,
        """
        import json
        def parsed(text):
            return json.loads(text)
        try:
            parsed("{")
        except ValueError as error:
            raise KeyError("no") from error
        """,
    ),
    "fails while it handles a failure": (
        1,
        """
        def first():
            return 1 / 0
        def second():
            try:
                first()
            except ZeroDivisionError:
                print(undefined)
        second()
        """,
    ),
    "is no Python": (1, "x = (1,\ny = 2\n"),
    "is no Python deep within": (1, "eval('1 +')"),
    "is interrupted": (
        -signal.SIGINT,
        """
        import os, signal, time
        def wait():
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(30)
        wait()
        """,
    ),
    "is terminated": (-signal.SIGTERM, "import os, signal; os.kill(os.getpid(), signal.SIGTERM)"),
    "has a hook for what it fails with": (
        1,
        """
        import sys, traceback
        def hook(kind, error, place):
            print("hook", kind, error, len(traceback.extract_tb(place)), sys.excepthook is hook)
            print(error.__traceback__ is place)
        sys.excepthook = hook
        def fail():
            raise ValueError("x")
        fail()
        """,
    ),
    "catches and shows its own failures": (
        0,
        """
        import sys, traceback
        def fail():
            raise ValueError("x")
        try:
            fail()
        except ValueError:
            traceback.print_exc()
            print(len(traceback.extract_tb(sys.exc_info()[2])))
        """,
    ),
    "fails in a thread": (
        0,
        """
        import threading
        def fail():
            raise ValueError("x")
        thread = threading.Thread(target=fail, name="worker")
        thread.start()
        thread.join()
        """,
    ),
    "warns": (
        0,
        """
        import warnings
        warnings.warn("old", DeprecationWarning)
        """,
    ),
    "ends after its threads": (
        1,
        """
        import atexit, sys, threading
        main_is_over = threading.main_thread().join
        def work():
            main_is_over()
            print("thread", sys.modules["__main__"].late)
            print("thread", file=sys.stderr)
        atexit.register(lambda: print("exit handler", late, file=sys.stderr))
        late = "still there"
        threading.Thread(target=work).start()
        print("main")
        raise ValueError("x")
        """,
    ),
    "changes how it ends at its end": (
        9,
        """
        import atexit, os, sys
        def leave():
            sys.stdout.flush()
            os._exit(9)
        atexit.register(leave)
        print("x")
        """,
    ),
    "awaits": (
        1,
        """
        import asyncio
        async def main():
            await asyncio.sleep(0)
            raise RuntimeError("x")
        asyncio.run(main())
        """,
    ),
    "closes its streams": (0, "import sys; print('x'); sys.stdout.close(); sys.stderr.close()"),
}


@pytest.mark.parametrize("name", SAME)
def test_a_script_is_run_as_python_runs_it(name: str, tmp_path: Path) -> None:
    meant, source = SAME[name]
    path = written(tmp_path / "script.py", source)
    line = (path, "--json", "-m", "--", "-x", "")
    status, _, complaints = assert_same(*line, cwd=tmp_path, stdin="one\ntwo\nthree\n")
    assert status == meant
    assert "browseros_api" not in complaints


def test_paths_are_given_and_shown_as_python_does(tmp_path: Path) -> None:
    script = written(tmp_path / "real" / "script.py", SAME["knows where it is"][1])
    link = tmp_path / "link.py"
    link.symlink_to(script)
    for path in ("./real/script.py", "real/../real/script.py", "link.py"):
        status, output, _ = assert_same(path, cwd=tmp_path)
        assert (status, str(tmp_path / "real") in output) == (0, True)


def test_a_script_sees_its_own_neighbours_and_not_ours(tmp_path: Path) -> None:
    written(tmp_path / "near" / "neighbour.py", "print('imported', __name__)")
    script = written(tmp_path / "near" / "script.py", "import neighbour, sys; print(sys.path[0])")
    assert assert_same(script, cwd=tmp_path)[0] == 0
    command = written(
        tmp_path / "bin" / "browseros-api",
        "import sys; from browseros_api.cli import main; sys.exit(main())",
    )
    done = python(command, "run", "--quiet", script, cwd=tmp_path)
    assert outcome(done) == outcome(python(script, cwd=tmp_path))


def test_compiled_scripts_can_be_run(tmp_path: Path) -> None:
    script = written(tmp_path / "script.py", "print(type(__loader__), __file__, __cached__)")
    py_compile.compile(str(script), cfile=str(tmp_path / "script.pyc"), doraise=True)
    assert assert_same("script.pyc", cwd=tmp_path)[0] == 0


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_a_folder_or_zip_with_a_main_module_can_be_run(kind: str, tmp_path: Path) -> None:
    source = (
        "import inner, sys\nprint(sys.argv, sys.path[0], __name__, __spec__.name)\ninner.fail()"
    )
    main = written(tmp_path / "folder" / "__main__.py", source)
    inner = written(tmp_path / "folder" / "inner.py", "def fail():\n    raise ValueError('x')")
    with zipfile.ZipFile(tmp_path / "zip", "w") as archive:
        for file in (main, inner):
            archive.write(file, file.name)
    status, output, complaints = assert_same(kind, "--quiet", cwd=tmp_path)
    assert (status, "__main__" in output, "ValueError: x" in complaints) == (1, True, True)


@pytest.mark.parametrize("module", ["package", "package.inner", "package.bad", "alone", "-h"])
def test_a_module_is_run_as_python_runs_it(module: str, tmp_path: Path) -> None:
    source = "import sys\nprint(sys.argv, sys.path[0], __name__, __spec__.name, __package__)\n"
    written(tmp_path / "package" / "__init__.py", "import sys\nprint('init', sys.argv[0])")
    written(tmp_path / "package" / "__main__.py", source)
    written(tmp_path / "package" / "inner.py", f"from . import __main__\n{source}sys.exit('x')")
    written(tmp_path / "package" / "bad.py", "def fail():\n    1 / 0\nfail()")
    written(tmp_path / "alone.py", source)
    assert_same("-m", module, "--json", "-m", "x", "--", "y", cwd=tmp_path)


@pytest.mark.parametrize("line", ["-malone x -y", "-- alone.py x -y"])
def test_other_ways_to_write_the_line_are_those_of_python(line: str, tmp_path: Path) -> None:
    written(tmp_path / "alone.py", "import sys; print(sys.argv)")
    assert assert_same(*line.split(), cwd=tmp_path)[0] == 0


@pytest.mark.parametrize("line", ["missing.py", "empty", "-m missing", "-m empty", "-m a.b.c"])
def test_what_cannot_be_run_is_said_as_python_says_it(line: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    status, output, complaints = assert_same(*line.split(), cwd=tmp_path)
    assert (status, output) == (2 if line == "missing.py" else 1, "")
    assert line.removeprefix("-m ").partition(".")[0] in complaints


def test_a_safe_path_stays_safe(tmp_path: Path) -> None:
    script = written(tmp_path / "script.py", "import sys; print(sys.path)")
    plain, ours = (
        python(*line, cwd=tmp_path, PYTHONSAFEPATH="1") for line in ([script], [*RUN, script])
    )
    if sys.version_info >= (3, 11):
        assert ours.stdout == plain.stdout
    assert ours.returncode == plain.returncode == 0


# -- what it adds -------------------------------------------------------------------------------

ASKS = """
    import os, sys, threading
    import requests

    url = os.environ["API"]
    session = requests.Session()
    for _ in range(4):
        assert session.get(url + "/config").ok
    assert requests.get(url + "/flaky", params={"token": "tell"}).ok
    threads = [threading.Thread(target=session.get, args=(url + "/held",)) for _ in range(3)]
    for thread in threads:
        thread.start()
    while session.get_stats()["in_flight_requests"] < 3:
        pass
    requests.post(url + "/release/12345", data=b"x", auth=("tell", "tell"))
    for thread in threads:
        thread.join()
    print("done")
    sys.exit(int(sys.argv[1]))
    """


@pytest.fixture
def api(api_server: ApiServer) -> ApiServer:
    released = threading.Event()

    def release(_: object) -> Reply:
        released.set()
        return Reply(json=[])

    api_server.route("/config", Reply(json=[], headers=FRESH))
    api_server.script("/flaky", Reply(429, headers={"Retry-After": "0"}), Reply(json=[]))
    api_server.route("/held", Reply(json=[], hold=released))
    api_server.route("/release/*", release)
    return api_server


def test_it_tells_what_it_has_saved(api: ApiServer, tmp_path: Path) -> None:
    script = written(tmp_path / "script.py", ASKS)
    done = python(*RUN, script, 5, API=api.base_url)
    assert (done.returncode, done.stdout) == (5, "done\n")
    head, *lines = done.stderr.strip().splitlines()
    assert head == "browseros-api: what was asked for, and what it took"
    assert [re.split(r" {2,}", line.strip()) for line in lines[:6]] == [
        ["requests made", "9"],
        ["went over the wire", "5"],
        ["coalesced duplicates", "2"],
        ["cache hits", "3"],
        ["retries", "1", "(rescued 1)"],
        ["connections opened", str(api.connections)],
    ]
    assert len(lines) == 9
    assert lines[6].startswith("  slowest on average")
    assert api.hits() == 5
    assert "tell" not in done.stderr
    assert "12345" not in done.stderr


def test_it_tells_it_to_a_machine(api: ApiServer, tmp_path: Path) -> None:
    script = written(tmp_path / "script.py", ASKS)
    done = python(*RUN, "--json", script, 0, API=api.base_url)
    assert (done.returncode, done.stdout) == (0, "done\n")
    figures = json.loads(done.stderr)
    slow = figures.pop("slow_endpoints")
    assert figures == {
        "total_requests": 9,
        "sent_requests": 5,
        "deduplicated_requests": 2,
        "cached_responses": 3,
        "retries": 1,
        "rescued_requests": 1,
        "connections_opened": api.connections,
        "sent_elsewhere": 0,
    }
    assert len(slow) == 3
    assert {one["endpoint"] for one in slow} <= {
        api.url(path) for path in ("/config", "/flaky", "/held", "/release/{id}")
    }
    assert all(one["average_ms"] > 0 and one["calls"] == 1 for one in slow)


def test_what_it_tells_can_be_read_by_people() -> None:
    slow = {"endpoint": "http://x/\x1b[31m", "calls": 1, "average_ms": 1234.5678}
    figures = {
        **dict.fromkeys(Witness().read(), 0),
        "total_requests": 12345,
        "sent_elsewhere": 3,
        "slow_endpoints": [slow],
    }
    lines = drawn(figures).splitlines()
    assert max(map(len, lines)) < 80
    assert lines[1].endswith(" 12,345")
    assert lines[5].split() == ["retries", "0"]
    assert lines[6].endswith(" 0  (and those of the 3 sent by other adapters)")
    assert lines[7].endswith(" 1,235 ms  http://x/?[31m (1 call)")


def test_it_can_be_quiet(api: ApiServer, tmp_path: Path) -> None:
    script = written(tmp_path / "script.py", ASKS)
    done = python(*RUN, "--quiet", script, 0, API=api.base_url)
    assert outcome(done) == (0, "done\n", "")
    assert api.hits() == 5


def test_calls_of_threads_that_outlive_main_are_told(api: ApiServer, tmp_path: Path) -> None:
    source = """
        import atexit, os, threading
        import requests
        def work():
            threading.main_thread().join()
            requests.get(os.environ["API"] + "/users")
            print("thread")
        threading.Thread(target=work).start()
        atexit.register(lambda: requests.get(os.environ["API"] + "/at-exit"))
        raise ValueError("x")
        """
    done = python(*RUN, "--json", written(tmp_path / "script.py", source), API=api.base_url)
    assert (done.returncode, done.stdout) == (1, "thread\n")
    *_, error, _, told = done.stderr.splitlines()
    assert error == "ValueError: x"
    assert json.loads(told)["total_requests"] == api.hits() == 2


def test_a_forked_child_tells_nothing(api: ApiServer, tmp_path: Path) -> None:
    source = """
        import os
        import requests
        requests.get(os.environ["API"] + "/users")
        if os.fork():
            os.wait()
        else:
            requests.get(os.environ["API"] + "/users")
        """
    done = python(*RUN, "--json", written(tmp_path / "script.py", source), API=api.base_url)
    (told,) = [line for line in done.stderr.splitlines() if line.startswith("{")]
    assert json.loads(told)["total_requests"] == 1
    assert api.hits() == 2


OPTIONS: dict[str, tuple[list[str], str, str]] = {
    "max-retries": (["--max-retries", "0"], "print(get('/down').status_code)", "503"),
    "no-cache": (["--no-cache"], "get('/config'); print(get('/config').from_cache)", "False"),
    "timeout": (
        ["--timeout=0.05", "--max-retries=0"],
        "try: get('/held')\nexcept requests.Timeout as error: print(type(error).__name__)",
        "ReadTimeout",
    ),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_common_settings_are_options(name: str, api: ApiServer, tmp_path: Path) -> None:
    api.route("/down", Reply(503))
    options, source, printed = OPTIONS[name]
    head = "import os, requests\nget = lambda path: requests.get(os.environ['API'] + path)\n"
    script = written(tmp_path / "script.py", head + source)
    done = python(*RUN, "--quiet", *options, script, API=api.base_url)
    assert outcome(done) == (0, f"{printed}\n", "")


def test_debug_writes_down_what_is_done(api: ApiServer, tmp_path: Path) -> None:
    source = "import os, requests; requests.get(os.environ['API'] + '/flaky?key=tell')"
    script = written(tmp_path / "script.py", source)
    done = python(*RUN, "--quiet", "--debug", script, API=api.base_url)
    assert "/flaky?key=*** attempt 1: 429" in done.stderr
    assert "tell" not in done.stderr


# -- what is asked for wrongly, and help ---------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("run", "a script is needed"),
        ("run --", "a script is needed"),
        ("run -m", "a script is needed"),
        ("run --max-retries -1 x.py", "max_retries must be at least 0"),
        ("run --max-retries many x.py", "invalid int value"),
        ("run --timeout 0 x.py", "timeout must be positive"),
        ("run --retries 3 x.py", "--retries"),
        ("walk", "invalid choice"),
        ("run --max-retries", "expected one argument"),
        ("", "COMMAND"),
    ],
)
def test_a_wrong_line_is_explained(
    line: str, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(line.split())
    assert ended.value.code == 2
    assert complaint in capsys.readouterr().err


@pytest.mark.parametrize("line", ["--help", "run --help", "demo --help"])
def test_there_is_help(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(line.split())
    assert ended.value.code == 0
    assert "browseros-api" in capsys.readouterr().out


def test_it_tells_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--version"])
    assert capsys.readouterr().out == f"browseros-api {__version__}\n"


# -- demo ----------------------------------------------------------------------------------------

GOOD = Finding("calls", "10 without", 1, "request(s)", 1, at_most=True)
BAD = Finding("speed", "1 without", 3.0, "times faster", 15)


@pytest.mark.parametrize(("findings", "status"), [([GOOD], 0), ([GOOD, BAD], 1)])
def test_the_demo_tells_whether_it_kept_its_promises(
    findings: list[Finding],
    status: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(demo, "demonstrate", lambda: iter(findings))
    assert cli.main(["demo"]) == status
    text = capsys.readouterr().out
    assert f"\n{1} of {len(findings)} as promised." in text
    assert text.count("ok ") == 1
    assert cli.main(["demo", "--json"]) == status
    assert json.loads(capsys.readouterr().out) == [one.to_dict() for one in findings]


def test_a_demo_that_is_interrupted_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted() -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "demonstrate", interrupted)
    assert cli.main(["demo"]) == 130
    assert capsys.readouterr().err == "interrupted\n"


@pytest.mark.slow
def test_the_demo_shows_what_the_engine_saves(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "_PAGE_TAKES", 0.005)
    status = cli.main(["demo", "--json"])
    findings = json.loads(capsys.readouterr().out)
    assert status == (0 if all(one["is_met"] for one in findings) else 1)
    # How much faster depends on what else this machine does; what was sent does not.
    counts = [one["measured"] for one in findings if one["unit"] != "times faster"]
    assert counts[:3] == [1, 0, 1]
    assert all(share > 90 for share in counts[3:])
