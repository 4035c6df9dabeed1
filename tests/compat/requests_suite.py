"""requests' own tests, run with requests' sessions and with ours, and compared.

    python -m tests.compat.requests_suite [--requests VERSION] [--venv DIR] [--runs NAME...]

The tests are those of a release of requests, the one that is installed here unless another is
asked for: its sdist is fetched with pip, and a virtual environment is made of what it needs.
They run in an empty network namespace where that is permitted; elsewhere the few that dial an
address of the outside are left out.  The runs are ``stock``, ``ours`` (our class and functions in
the place of requests' own) and ``installed`` (what ``install()`` makes of requests).  They go on
side by side: most of their time they wait for timeouts.

The exit status is 1 if a test that passes with requests' sessions does not pass with ours and is
not among ``EXCEPTIONS``, or is there and passes.
"""

from __future__ import annotations

import argparse
import configparser
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import venv
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

__all__ = ["EXCEPTIONS", "differences", "main"]

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent

NEEDS = (
    *("pytest", "pytest-httpbin", "httpbin", "pytest-mock", "pytest-timeout"),
    *("trustme", "PySocks"),
)

RUNS = ("stock", "ours", "installed")

# What passes with requests' sessions and not with ours, and why; the documentation says it, too.
EXCEPTIONS = {
    "tests/test_lowlevel.py::test_chunked_encoding_error": (
        "its server answers one connection and is gone: a truncated answer to a GET is asked for "
        "again, and what comes out is that of the last attempt, a refused connection"
    ),
    "tests/test_requests.py::test_urllib3_retries": (
        "retries of a mounted adapter are left out where those of the session count: stacked they "
        "multiply; the last answer is returned"
    ),
}

_SPEAKING = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")


def differences(
    stock: Mapping[str, str], ours: Mapping[str, str], known: Iterable[str] = EXCEPTIONS
) -> list[str]:
    """What is not as it should be, a sentence each."""
    excepted = {*known}
    lost = {test for test, outcome in stock.items() if outcome == "passed"}
    lost -= {test for test, outcome in ours.items() if outcome == "passed"}
    found = [f"{test}: {ours.get(test, 'not run')}" for test in sorted(lost - excepted)]
    stale = sorted((excepted - lost) & stock.keys())
    return [*found, *[f"{test}: passes, and is among the exceptions" for test in stale]]


def fetched(release: str, folder: Path) -> Path:
    """The unpacked sdist of that release of requests."""
    pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:"]
    subprocess.run([*pip, "-d", str(folder), f"requests=={release}"], check=True)
    (archive,) = folder.glob("requests-*.tar.gz")
    with tarfile.open(archive) as tar:
        if hasattr(tarfile, "data_filter"):  # Python 3.10.12 and later
            tar.extractall(folder, filter="data")
        else:
            tar.extractall(folder)
    return folder / archive.name.removesuffix(".tar.gz")


def furnished(folder: Path, release: str) -> Path:
    """The Python of an environment with what requests' tests and our package need."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    setup = configparser.ConfigParser(interpolation=None)
    setup.read(ROOT / "setup.cfg", "utf-8")
    ours = setup["options"]["install_requires"].split()
    pip = [str(python), "-m", "pip", "install", "-q"]
    subprocess.run([*pip, *NEEDS, *ours, f"requests=={release}"], check=True)
    return python


def packed(folder: Path) -> Path:
    """A folder with our package and the plugins as they are now, and nothing else of ours."""
    passing = shutil.ignore_patterns("__pycache__")  # others may be writing there
    shutil.copytree(ROOT / "browseros_api", folder / "browseros_api", ignore=passing)
    for plugin in (HERE / "plugs").glob("*.py"):
        shutil.copy(plugin, folder)
    return folder


def secluded() -> list[str]:
    """What goes before a command to run it without a network; nothing where that is forbidden."""
    if not sys.platform.startswith("linux") or shutil.which("unshare") is None:
        return []
    for how in (["unshare", "--net"], ["unshare", "--map-root-user", "--net"]):
        command = [*how, "--", sys.executable, str(HERE / "tarpit.py")]
        if subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0:
            return command
    return []


def run(name: str, python: Path, tests: Path, library: Path, *, rest: list[str]) -> dict[str, str]:
    """The outcome of each test; ``name`` is that of a run.  What pytest says is told at its end."""
    outcomes = library / f"{name}.json"
    plugins = ["-p", "fence", *([] if name == "stock" else ["-p", name])]
    environment = {key: value for key, value in os.environ.items() if key not in _SPEAKING}
    environment["PYTHONPATH"] = str(library)
    options = ["-q", "--timeout=120", "--tb=line", "--disable-warnings", "-p", "no:cacheprovider"]
    options += [f"--outcomes={outcomes}", f"--basetemp={library / name}", *plugins]
    command = [*secluded(), str(python), "-m", "pytest", "tests", *options, *rest]
    began = time.monotonic()
    told = subprocess.run(
        command, cwd=tests, env=environment, check=False, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ).stdout  # fmt: skip
    if not outcomes.exists():
        raise RuntimeError(f"{name}: pytest did not come to its end\n{told}")
    found: dict[str, str] = json.loads(outcomes.read_text("utf-8"))
    counted = ", ".join(f"{count} {what}" for what, count in Counter(found.values()).most_common())
    seconds = time.monotonic() - began
    print(f"-- {name}\n{told}{name}: {counted} in {seconds:.0f} s", flush=True)
    return found


def run_all(names: Iterable[str], *places: Path, rest: list[str]) -> dict[str, dict[str, str]]:
    """The outcomes of each run."""
    with ThreadPoolExecutor() as threads:
        runs = {name: threads.submit(run, name, *places, rest=rest) for name in names}
        return {name: begun.result() for name, begun in runs.items()}


def main(arguments: list[str] | None = None) -> int:
    """Run, compare, tell; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.compat.requests_suite")
    parser.add_argument("--requests", metavar="VERSION", default=version("requests"))
    parser.add_argument("--venv", metavar="DIR", type=Path, help="made there, or used if it is")
    parser.add_argument("--runs", nargs="+", choices=RUNS, default=RUNS[:2], metavar="NAME")
    parser.add_argument("rest", nargs="*", help="for pytest, after --")
    given = parser.parse_args(arguments)
    release = given.requests
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        tests = fetched(release, folder)
        python = furnished((given.venv or folder / "venv").absolute(), release)
        library = packed(folder / "library")
        outcomes = run_all(given.runs, python, tests, library, rest=given.rest)
    stock = outcomes.pop("stock", None)
    if stock is None or not outcomes:
        return 0  # there is nothing to compare
    found = [
        f"{name}: {line}" for name, ours in outcomes.items() for line in differences(stock, ours)
    ]
    print(*found, sep="\n", end="\n" if found else "")
    print(f"requests {release}: {len(found)} differences that are not among the exceptions")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
