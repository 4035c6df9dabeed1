"""What was found, in words: for the terminal and for the documentation."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import median
from string import Template

from tests.benchmarks.figures import Figure, Finding, Readings
from tests.benchmarks.records import Record
from tests.benchmarks.rows import ROWS, Row

__all__ = ["explanations", "page", "printed"]

_HERE = Path(__file__).resolve().parent


# -- for the terminal ----------------------------------------------------------------------------


def printed(name: str, row: Row, readings: Readings) -> str:
    """A row: each contender's medians, then the figures."""
    return "\n".join(_lines(name, row, readings))


def _lines(name: str, row: Row, readings: Readings) -> Iterator[str]:
    yield f"\n{name}: {row.title.replace('`', '')}"
    for who in row.contenders:
        time, cpu = _medians(readings, who)
        yield f"    {who:<30}{time:>12} µs    CPU {cpu:>12} µs"
    for figure in row.figures:
        found, processor = figure.found(readings), figure.by_processor(readings)
        more = f"; CPU {_short(processor.value)}" if processor else ""
        bounds = f"{_bound(figure, figure.target)}, then {_bound(figure, figure.aim)}"
        verdict = figure.verdict(found.value)
        yield f"  {figure.name:<32}{_spread(found)}{more}   [{bounds}] {verdict}"


# -- for the documentation -----------------------------------------------------------------------


def page(records: Mapping[str, Record], why: Mapping[str, str]) -> str:
    """docs/benchmarks.md; ``why`` explains rows that were missed."""
    ordered = {name: records[name] for name in ROWS if name in records}
    latest = max(ordered.values(), key=lambda record: record.day)
    usual = [len(one.readings) for name, one in ordered.items() if ROWS[name].rounds is None]
    return Template((_HERE / "page.md").read_text("utf-8")).substitute(
        table="\n".join(_table(ordered)),
        missed="\n\n".join(_missed(ordered, why)) or "Nothing.",
        times="\n".join(_times(ordered)),
        server=" or ".join(sorted({record.server for record in ordered.values()})),
        rounds=min(usual, default=0),
        rows="\n".join(f"- {ROWS[name].title}: {ROWS[name].how}" for name in ordered),
        machine="\n".join(_machine(ordered, latest)),
    )


def _table(records: Mapping[str, Record]) -> Iterator[str]:
    yield "| what | figure | target | aim | measured | CPU | |"
    yield "|---|---|---|---|---|---|---|"
    for name, record in records.items():
        title = ROWS[name].title
        for figure in ROWS[name].figures:
            found, cpu = figure.found(record.readings), figure.by_processor(record.readings)
            verdict = figure.verdict(found.value).replace("missed", "**missed**")
            cells = [
                *(title, figure.name, _bound(figure, figure.target), _bound(figure, figure.aim)),
                *(_spread(found), _short(cpu.value) if cpu else "", verdict),
            ]
            yield f"| {' | '.join(cells)} |"
            title = ""


def _missed(records: Mapping[str, Record], why: Mapping[str, str]) -> Iterator[str]:
    for name, record in records.items():
        row = ROWS[name]
        found = [(figure, figure.found(record.readings).value) for figure in row.figures]
        missed = [
            f"{figure.name} is {_short(value)}, not {_bound(figure, figure.target)}"
            for figure, value in found
            if not figure.meets(value, figure.target)
        ]
        if missed:
            reason = why.get(name, f"Why has not been looked into yet (`profile {name}` shows it).")
            yield f"**{row.title}**: {'; '.join(missed)}. {reason}"


def _times(records: Mapping[str, Record]) -> Iterator[str]:
    yield "| what | who | µs | CPU, µs |"
    yield "|---|---|---:|---:|"
    for name, record in records.items():
        title = ROWS[name].title
        for who in ROWS[name].contenders:
            time, cpu = _medians(record.readings, who)
            yield f"| {title} | {who} | {time} | {cpu} |"
            title = ""


def _machine(records: Mapping[str, Record], latest: Record) -> Iterator[str]:
    loads = sorted(record.load for record in records.values())
    for what, value in latest.machine.items():
        yield f"- {what}: {value}"
    busy = "; it had other things to do, so read the CPU columns" if _is_busy(latest, loads) else ""
    yield f"- load average when a row began: {loads[0]} to {loads[-1]}{busy}"
    yield f"- measured on {' and '.join(sorted({record.day for record in records.values()}))}"
    versions = {
        name: number for record in records.values() for name, number in record.versions.items()
    }
    yield f"- versions: {', '.join(f'{name} {versions[name]}' for name in sorted(versions))}"


def _is_busy(latest: Record, loads: list[float]) -> bool:
    return loads[-1] > int(latest.machine.get("cores", "1")) + 1  # a row itself is about one


def explanations(text: str) -> dict[str, str]:
    """The sections of misses.md, by the name of their row."""
    found = re.findall(r"^## (\w+)\n+(.*?)(?=^## |\Z)", text, flags=re.DOTALL | re.MULTILINE)
    return {name: reason.strip() for name, reason in found}


# -- numbers -------------------------------------------------------------------------------------


def _medians(readings: Readings, who: str) -> list[str]:
    return [f"{median(one[who][of] for one in readings) * 1e6:,.1f}" for of in ("time", "cpu")]


def _spread(found: Finding) -> str:
    return f"{_short(found.value)} ({_short(found.low)} – {_short(found.high)})"


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _bound(figure: Figure, bound: float | None) -> str:
    return "" if bound is None else f"{'≥' if figure.at_least else '≤'} {bound:g}"
