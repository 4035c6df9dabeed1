"""The page on compatibility names whatever is tried, and whatever it names is tried."""

from __future__ import annotations

import configparser
import re

from tests.compat.requests_suite import HERE, ROOT

NOT_ALONE = {"browseros-api", "opentelemetry-sdk"}  # ours; what an instrumentation stands on


def extra() -> set[str]:
    setup = configparser.ConfigParser(interpolation=None)
    setup.read(ROOT / "setup.cfg", "utf-8")
    lines = setup["options.extras_require"]["compat"].split()
    return {re.split(r"[\[<>=]", line)[0] for line in lines} - NOT_ALONE


def rows() -> set[str]:
    page = (ROOT / "docs" / "compatibility.md").read_text("utf-8")
    return {*re.findall(r"^\| ([\w-]+) \| [\d.b]+ \|", page, re.MULTILINE)}


def test_every_library_of_the_extra_has_its_row() -> None:
    assert rows() - {"responses"} == extra() | {"niquests"}


def test_every_library_of_the_extra_has_its_tests() -> None:
    sources = [path.read_text("utf-8").lower() for path in HERE.rglob("test_*.py")]
    titles = "\n".join(source.split("\n", 1)[0] for source in sources)
    assert [name for name in sorted(extra()) if name.lower() not in titles] == []
