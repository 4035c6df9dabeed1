"""Environments for the peers: one for each set that can live together, built once and kept."""

from __future__ import annotations

import configparser
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

__all__ = ["SETS", "Environments", "Here", "requirements"]

# niquests puts its own urllib3 in place of the real one.  What is measured against requests and
# urllib3 shares one environment with them, so that all three stand on the same files.
SETS: dict[str, tuple[str, ...]] = {
    "plain": ("requests", "urllib3"),
    "peers": (
        *("requests", "requests-cache", "CacheControl", "httpx", "hishel[httpx]>=2"),
        *("aiohttp", "aiohttp-client-cache"),
    ),
    "niquests": ("niquests",),
}
_VERSIONS = """
import importlib.metadata as metadata, json
print(json.dumps({one.metadata["Name"].lower(): one.version for one in metadata.distributions()}))
"""


class Environments:
    """Virtual environments in the folder ``home``; ``ours`` is what browseros_api requires."""

    def __init__(self, home: Path, ours: Sequence[str]) -> None:
        self._home = home
        self._ours = ours
        self._known: dict[str, Path] = {}

    def python(self, name: str) -> Path:
        """The interpreter of the environment, which is built if it is not there."""
        if name not in self._known:
            self._known[name] = self._built(name)
        return self._known[name]

    def versions(self) -> dict[str, str]:
        """Of the peers in the environments that were asked for, and of what ours stands on."""
        found: dict[str, str] = {}
        for name, python in self._known.items():
            told = subprocess.run(
                [python, "-c", _VERSIONS], capture_output=True, text=True, check=True
            )
            installed = json.loads(told.stdout)
            for wanted in self._wanted(name):
                bare = _bare(wanted)
                if bare in installed:
                    found[bare] = installed[bare]
        return dict(sorted(found.items()))

    def _wanted(self, name: str) -> list[str]:
        return [*SETS[name], *(self._ours if name == "plain" else ())]

    def _built(self, name: str) -> Path:
        wanted = self._wanted(name)
        told = json.dumps([sys.version, sorted(wanted)]).encode()
        folder = self._home / f"{name}-{hashlib.sha256(told).hexdigest()[:12]}"
        python = folder / "bin" / "python"
        if (folder / "complete").exists():
            return python
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self._install(folder, wanted)
        (folder / "complete").touch()
        return python

    def _install(self, folder: Path, wanted: list[str]) -> None:
        print(f"building an environment with {', '.join(wanted)}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        install = ["-m", "pip", "install", "-qq", "--disable-pip-version-check"]
        subprocess.run([folder / "bin" / "python", *install, *wanted], check=True)


class Here:
    """This interpreter for everybody: what is measured must be installed in it."""

    def python(self, name: str) -> Path:
        """The one that runs."""
        return Path(sys.executable)

    def versions(self) -> dict[str, str]:
        """Nothing is said of them."""
        return {}


def requirements(checkout: Path) -> list[str]:
    """What the browseros_api in that folder requires."""
    setup = configparser.ConfigParser(interpolation=None)
    setup.read(checkout / "setup.cfg", "utf-8")
    return setup["options"]["install_requires"].split()


def _bare(requirement: str) -> str:
    name = requirement
    for sign in "[<>=!~; ":
        name = name.partition(sign)[0]
    return name.lower()
