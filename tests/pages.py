"""What a page of the documentation is made of: code that runs, links, headings, tables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Block", "anchors", "blocks", "links", "prose", "rows"]


@dataclass(frozen=True)
class Block:
    """Code between two fences: where it begins, and why it is not run, if it is not."""

    page: Path
    line: int
    source: str
    not_run: str | None


def blocks(page: Path) -> Iterator[Block]:
    """The Python blocks of a page.  A comment just before one may say why it is not run."""
    before, opened, language = "", 0, ""
    code: list[str] = []
    for number, line in enumerate(page.read_text("utf-8").splitlines(), 1):
        if opened and line.startswith("```"):
            if language == "python":
                reason = re.fullmatch(r"<!-- not run: (.+) -->", before)
                yield Block(page, opened, "\n".join(code), reason and reason[1])
            before, opened = "", 0
        elif opened:
            code.append(line)
        elif line.startswith("```"):
            opened, language, code = number, line[3:].strip(), []
        elif line.strip():
            before = line.strip()
    assert not opened, f"{page.name}:{opened}: a fence that is never closed"


def prose(page: Path) -> str:
    """The page without its blocks of code."""
    return re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """What GitHub makes of the headings."""
    titles = re.findall(r"^#+ (.+)$", prose(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def rows(page: Path, columns: int) -> list[list[str]]:
    """The rows of its tables that have so many columns and begin with a name in code."""
    lines = page.read_text("utf-8").splitlines()
    cells = [line[1:-1].split("|") for line in lines if line.startswith("| `")]
    return [[cell.strip(" `") for cell in row] for row in cells if len(row) == columns]


def links(page: Path) -> list[str]:
    """Where its links lead, but for those into the world."""
    found: list[str] = re.findall(r"\]\(([^)\s]+)\)", prose(page))
    return [target for target in found if not re.match(r"https?://", target)]
