"""What was measured, kept, so that the report can be written again without measuring again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from tests.benchmarks.figures import Readings

__all__ = ["Record", "Records"]


@dataclass(frozen=True, kw_only=True)
class Record:
    """The readings of one row, and under what circumstances they were taken."""

    readings: Readings
    day: str
    server: str
    load: float
    machine: Mapping[str, str]
    versions: Mapping[str, str]


class Records:
    """A JSON file with the latest record of each row."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def read(self) -> dict[str, Record]:
        """All that there are; those in an older form are left out."""
        try:
            found = json.loads(self._file.read_text("utf-8"))
        except OSError:
            return {}
        names = {field.name for field in fields(Record)}
        return {row: Record(**told) for row, told in found.items() if told.keys() == names}

    def add(self, row: str, record: Record) -> None:
        """Keep ``record`` in the place of the one before."""
        records = {**self.read(), row: record}
        told = {name: asdict(one) for name, one in records.items()}
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_text(json.dumps(told, indent=1), "utf-8")
