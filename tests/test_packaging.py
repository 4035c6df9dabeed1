"""What is shipped: both packages with their types, and in the sdist all that tests them."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

import browseros_api
from tests.missing import EXTRAS, said_without

ROOT = Path(__file__).resolve().parent.parent

# Where version, dependencies and tools are told.
SETUP = configparser.ConfigParser(interpolation=None)
SETUP.read(ROOT / "setup.cfg", "utf-8")
VERSION = SETUP["metadata"]["version"]

# What pip calls, but without the network; in a process of its own, as setuptools patches things.
BUILD = """
from setuptools import build_meta
print(build_meta.build_wheel({out!r}))
print(build_meta.build_sdist({out!r}))
"""


@dataclass(frozen=True)
class Shipped:
    """File names in the wheel and in the sdist (there without its topmost folder), and metadata."""

    wheel: frozenset[str]
    again: frozenset[str]  # names in a wheel that is built from the sdist alone
    sdist: frozenset[str]
    metadata: str
    entry_points: str


def python(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter."""
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=50, check=False)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Shipped:
    """What a build of this checkout gives, made from a copy so that no older build is mixed in."""
    out = tmp_path_factory.mktemp("dist")
    copy = tmp_path_factory.mktemp("source") / "copy"
    leave_out = shutil.ignore_patterns(".git", ".*_cache", ".venv", "venv", "build", "*.egg-info")
    shutil.copytree(ROOT, copy, ignore=leave_out)
    built = python("-c", BUILD.format(out=str(out)), cwd=copy)
    assert built.returncode == 0, built.stdout + built.stderr
    with zipfile.ZipFile(next(out.glob("*.whl"))) as wheel:
        names = frozenset(wheel.namelist())
        info = f"browseros_api-{VERSION}.dist-info"
        metadata = wheel.read(f"{info}/METADATA").decode()
        entry_points = wheel.read(f"{info}/entry_points.txt").decode()
    with tarfile.open(next(out.glob("*.tar.gz"))) as sdist:
        unpacked = frozenset(name.partition("/")[2] for name in sdist.getnames())
        sdist.extractall(copy.parent / "unpacked", filter="data")
    (source,) = (copy.parent / "unpacked").iterdir()
    built = python("-c", BUILD.format(out=str(copy.parent)), cwd=source)
    assert built.returncode == 0, built.stdout + built.stderr
    with zipfile.ZipFile(next(copy.parent.glob("*.whl"))) as wheel:
        again = frozenset(wheel.namelist())
    return Shipped(names, again, unpacked, metadata, entry_points)


def sources(*folders: str) -> set[str]:
    """Every file below ``folders`` that is no by-product."""
    files = (path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file())
    names = {path.relative_to(ROOT).as_posix() for path in files}
    return {name for name in names if not name.endswith((".pyc", ".pyo"))}


@pytest.mark.slow
def test_the_wheel_holds_both_packages_and_nothing_else(shipped: Shipped) -> None:
    code = {name for name in shipped.wheel if ".dist-info/" not in name}
    assert code == sources("browseros", "browseros_api")
    assert {"browseros_api/py.typed", "browseros/py.typed", "browseros/api.py"} <= code


@pytest.mark.slow
def test_the_sdist_holds_what_is_needed_to_test_it(shipped: Shipped) -> None:
    assert sources("browseros", "browseros_api", "tests", ".ci") <= shipped.sdist
    assert {"setup.cfg", "setup.py", "pyproject.toml", "LICENSE", "README.md"} <= shipped.sdist


@pytest.mark.slow
def test_the_sdist_builds_the_same_wheel(shipped: Shipped) -> None:
    assert shipped.again == shipped.wheel


@pytest.mark.slow
def test_the_metadata_say_what_setup_cfg_says(shipped: Shipped) -> None:
    head = shipped.metadata.partition("\n\n")[0].splitlines()
    assert "Name: browseros-api" in head
    assert f"Version: {VERSION}" in head
    assert "Requires-Python: >=3.10" in head
    assert {"License: MIT", "License-Expression: MIT"} & {*head}
    assert f"browseros_api-{VERSION}.dist-info/licenses/LICENSE" in shipped.wheel
    always = [line for line in head if line.startswith("Requires-Dist") and ";" not in line]
    names = {re.split(r"[ <>=]", line)[1] for line in always}
    assert names == {"requests", "urllib3", "cachetools", "tenacity", "pybreaker"}


@pytest.mark.slow
def test_command_and_fixtures_are_announced(shipped: Shipped) -> None:
    parser = configparser.ConfigParser()
    parser.read_string(shipped.entry_points)
    plugin = "browseros_api.testing.plugin"
    assert dict(parser["console_scripts"]) == {"browseros-api": "browseros_api.cli:main"}
    assert dict(parser["pytest11"]) == {plugin: plugin}


@pytest.mark.parametrize("extra", EXTRAS)
def test_where_an_extra_is_missing_its_name_is_said(extra: str) -> None:
    assert f"pip install 'browseros-api[{extra}]'" in said_without(extra).splitlines()[-1]


def test_the_package_knows_its_version() -> None:
    assert browseros_api.__version__ == VERSION


def test_the_second_name_is_a_namespace_that_others_may_share() -> None:
    assert not (ROOT / "browseros" / "__init__.py").exists()


@pytest.mark.parametrize("module", ["browseros_api", "browseros.api"])
def test_importing_is_silent_with_warnings_as_errors(module: str) -> None:
    done = python("-W", "error", "-c", f"import {module}")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_importing_loads_nothing_that_only_some_need() -> None:
    rare = {"aiohttp", "cryptography", "importlib.metadata", "pytest", "redis", "sqlite3"}
    rare |= {"limits", "tenacity", "tqdm"}
    done = python(
        "-c",
        "import sys, requests, pybreaker; before = {*sys.modules}; "  # which loads redis by itself
        "import browseros_api; browseros_api.Session(); print(*({*sys.modules} - before))",
    )
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert "browseros_api.errors" in loaded
    assert rare & loaded == set()


def test_importing_the_package_loads_little_more_than_requests() -> None:
    done = python(
        "-c",
        "import sys, requests; before = {*sys.modules}; "
        "import browseros_api; print(*({*sys.modules} - before))",
    )
    assert set(done.stdout.split()) == {"browseros_api", "browseros_api.forks"}, done.stderr


@pytest.mark.parametrize("name", sorted(browseros_api.__all__))
def test_each_name_comes_when_it_is_asked_for(name: str) -> None:
    done = python(
        "-W", "error", "-c", f"import browseros_api as b; {name!r} in dir(b) or 1 / 0; b.{name}"
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_no_other_name_comes() -> None:
    with pytest.raises(AttributeError, match="'browseros_api' has no attribute 'Sesion'"):
        browseros_api.Sesion  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(ImportError):
        from browseros_api import Sesion  # type: ignore[attr-defined]  # noqa: F401, PLC0415


def test_session_is_the_function_although_there_is_a_module_of_that_name() -> None:
    done = python(
        "-c",
        "import browseros_api.session, browseros_api as b; assert callable(b.session); "
        "from browseros_api import *; assert session is b.session; "
        "b.session = 5; assert b.session == 5",
    )
    assert (done.returncode, done.stderr) == (0, "")
