"""The lines of a drawing of a call: the same in a terminal and in a notebook."""

from __future__ import annotations

from collections.abc import Iterator
from http.client import responses
from typing import Any, NamedTuple

__all__ = ["Row", "caption", "facts", "rows", "told_bytes", "told_hedge", "told_time"]

_LEAST = 0.001  # part of the whole that is worth a line

# Under these names people know them from elsewhere.
_WORDS = {
    "cache": "cache look-up", "following": "following", "queue": "waiting for a connection",
    "lookup": "name look-up", "connect": "connect", "tls": "TLS handshake", "send": "send",
    "server": "first byte", "body": "body", "sleep": "delay", "rest": "other",
}  # fmt: skip


class Row(NamedTuple):
    """A bar from ``at`` for ``seconds``; ``kind`` is a phase, or ``attempt``."""

    label: str
    kind: str
    at: float
    seconds: float
    note: str = ""


def rows(told: dict[str, Any]) -> Iterator[Row]:
    """Of what ``Trace.to_dict`` gives: attempts with their phases, and what is between them."""
    attempts, least = told["attempts"], _LEAST * told["seconds"]
    between = _worth_a_line(told["phases"], least)
    for attempt in attempts:
        began, ended = attempt["at"], attempt["at"] + attempt["seconds"]
        yield from _phases([one for one in between if one["at"] < began], until=began)
        label = f"attempt {attempt['number']}"
        note = str(attempt["status"] or "") or attempt["error"] or ""
        yield Row(label, "attempt", began, attempt["seconds"], _noted(attempt, note))
        for row in _phases(_worth_a_line(attempt["phases"], least)):
            yield row._replace(label=f"  {row.label}")
        if (hedged := attempt["hedged"]) is not None:
            yield Row("  hedge", "hedge", began + hedged, max(0.0, attempt["seconds"] - hedged))
        between = [_cut(one, ended) for one in between if one["at"] + one["seconds"] > ended]
    yield from _phases(between)


def _worth_a_line(phases: list[dict[str, Any]], least: float) -> list[dict[str, Any]]:
    """Those that took long enough; what is one but for such a trifle is drawn as one."""
    found: list[dict[str, Any]] = []
    for one in phases:
        if one["seconds"] < least:
            continue
        end = one["at"] + one["seconds"]
        if found and found[-1]["phase"] == one["phase"] and _end(found[-1]) + least >= one["at"]:
            found[-1] = {**found[-1], "seconds": end - found[-1]["at"]}
        else:
            found.append(one)
    return found


def _end(one: dict[str, Any]) -> float:
    return float(one["at"] + one["seconds"])


def _cut(one: dict[str, Any], since: float) -> dict[str, Any]:
    at = max(one["at"], since)
    return {**one, "at": at, "seconds": one["at"] + one["seconds"] - at}


def _phases(phases: list[dict[str, Any]], until: float = float("inf")) -> Iterator[Row]:
    for one in phases:
        seconds = min(one["seconds"], until - one["at"])
        if one["phase"] != "rest":
            yield Row(_WORDS[one["phase"]], one["phase"], one["at"], seconds)


def _noted(attempt: dict[str, Any], outcome: str) -> str:
    notes = [outcome]
    if attempt["connection"] == "reused":
        notes.append("connection reused")
    if attempt["breaker"] not in ("", "closed"):
        notes.append(f"circuit {attempt['breaker'].replace('_', '-')}")
    if attempt["opened"]:
        notes.append("opens the circuit")
    if attempt["hedged"] is not None:
        notes.append(told_hedge(attempt))
    if attempt["decision"]:
        notes.append(attempt["decision"])
    return ", ".join(notes)


def told_hedge(attempt: dict[str, Any]) -> str:
    """That a second request went beside it."""
    won = ", which won" if attempt["hedge_won"] else ""
    return f"hedged after {told_time(attempt['hedged'])}{won}"


def caption(told: dict[str, Any]) -> str:
    """The call, and what came of it."""
    return f"{told['method']} {told['url']}"


def facts(told: dict[str, Any]) -> list[tuple[str, str]]:
    """What there is to say that takes no time."""
    tries = len(told["attempts"])
    status = told["status"]
    outcome = f"{status} {responses.get(status, '')}".rstrip() if status else told["error"]
    parts = [outcome or "not over yet"]
    if told["seconds"]:
        parts.append(told_time(told["seconds"]))
    if tries:
        parts.append(f"{tries} attempt{'' if tries == 1 else 's'}")
    if told["bytes_received"] is not None and told["cache"] not in ("hit", "stale"):
        parts.append(f"{told_bytes(told['bytes_received'])} received")
    if told["bytes_sent"]:
        parts.append(f"{told_bytes(told['bytes_sent'])} sent")
    found = [("outcome", ", ".join(parts)), ("cache", told["cache_reason"])]
    if told["dedup"] == "leader":
        found.append(("in the air", f"leader of {told['followers']} that got the same answer"))
    elif told["dedup"] == "follower":
        found.append(("in the air", "follower: an identical call was on its way already"))
    if told["breaker"]:
        found.append(("circuit", told["breaker"].replace("_", "-")))
    return found


def told_time(seconds: float) -> str:
    """In the unit that suits."""
    if seconds >= 0.9995:
        return f"{seconds:.2f} s"
    return f"{1e3 * seconds:.3g} ms" if seconds >= 0.001 else f"{1e6 * seconds:.0f} µs"


def told_bytes(count: int) -> str:
    """In the unit that suits."""
    if count < 1000:
        return f"{count} B"
    return f"{count / 1e3:.3g} kB" if count < 999.5e3 else f"{count / 1e6:.3g} MB"
