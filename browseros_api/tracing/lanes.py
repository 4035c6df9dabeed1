"""The lines of a timeline: one for each connection, and for what needed none."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from .rows import told_hedge, told_time

__all__ = ["Axis", "Bar", "Plan", "said", "spread"]

_MOST = 40  # connections that have a lane of their own
_FOLDS = 6
_EASE = 1e-4  # seconds: what was not measured overlaps by so much


class Bar(NamedTuple):
    """Something from ``at`` for ``seconds``; ``number`` is that of an attempt, 0 without one.

    ``kind`` is ``good``, ``poor`` (4xx), ``bad``, ``hit``, ``stale``, ``follower`` or ``unsent``.
    """

    lane: str
    at: float
    seconds: float
    kind: str
    number: int
    note: str


class Plan(NamedTuple):
    """Which bar is on which lane; ``links`` lead from an attempt to the one that repeats it."""

    lanes: list[str]
    bars: list[Bar]
    links: list[tuple[Bar, Bar]]


def spread(calls: Sequence[dict[str, Any]]) -> Plan:
    """The bars of ``Timeline.calls``."""
    names = _Names(calls)
    bars: list[Bar] = []
    links: list[tuple[Bar, Bar]] = []
    for call in calls:
        made = [_attempt(names, call, attempt) for attempt in call["attempts"]]
        links += [(a, b) for a, b in pairwise(made) if b.number > a.number]
        bars += made or [_single(call)]
    used = {bar.lane for bar in bars}
    return Plan([lane for lane in names.in_order() if lane in used], bars, links)


class _Names:
    """Names of lanes; whoever's connection nobody knows gets the first lane that is free."""

    def __init__(self, calls: Sequence[dict[str, Any]]) -> None:
        numbers = {one["connection"] for call in calls for one in call["attempts"]} - {None}
        self._own, self._more = sorted(numbers)[:_MOST], max(0, len(numbers) - _MOST)
        self._free: list[float] = []

    def of(self, attempt: dict[str, Any]) -> str:
        number = attempt["connection"]
        if number is not None:
            return f"connection {number}" if number in self._own else self._rest
        if attempt["state"] == "never-sent":
            return "not sent"
        began, ended = attempt["at"], attempt["at"] + attempt["seconds"]
        for index, free in enumerate(self._free):
            if free <= began + _EASE:
                self._free[index] = ended
                return self._elsewhere(index)
        self._free.append(ended)
        return self._elsewhere(len(self._free) - 1)

    @property
    def _rest(self) -> str:
        return f"{self._more} more"

    def _elsewhere(self, index: int) -> str:
        return f"elsewhere {index + 1}" if index < _MOST else "elsewhere"

    def in_order(self) -> list[str]:
        own = [f"connection {number}" for number in self._own]
        others = dict.fromkeys(self._elsewhere(index) for index in range(len(self._free)))
        return ["cache", "followers", *own, self._rest, *others, "not sent"]


def _attempt(names: _Names, call: dict[str, Any], attempt: dict[str, Any]) -> Bar:
    outcome = str(attempt["status"] or attempt["error"] or "no answer")
    notes = [f"attempt {attempt['number']}: {outcome}", told_time(attempt["seconds"])]
    if attempt["waited"] >= 0.001:
        notes.append(f"waited {told_time(attempt['waited'])} before")
    if attempt["hedged"] is not None:
        notes.append(told_hedge(attempt))
    if attempt["decision"]:
        notes.append(attempt["decision"])
    lane = names.of(attempt)
    kind = "unsent" if lane == "not sent" else _kind(attempt["status"])
    note = f"{call['method']} {call['url']}\n{', '.join(notes)}"
    return Bar(lane, attempt["at"], attempt["seconds"], kind, attempt["number"], note)


def _kind(status: int | None) -> str:
    return "bad" if status is None or status >= 500 else "poor" if status >= 400 else "good"


def _single(call: dict[str, Any]) -> Bar:
    """A call that has sent nothing itself."""
    if call["dedup"] == "follower":
        lane, kind, word = "followers", "follower", "follower of an identical call"
    elif call["cache"] in ("hit", "stale"):
        lane, kind, word = "cache", call["cache"], "from the cache"
    else:
        lane, kind, word = "not sent", "unsent", call["error"] or "not sent"
    note = f"{call['method']} {call['url']}\n{word}, {told_time(call['seconds'])}"
    return Bar(lane, call["at"], call["seconds"], kind, 0, note)


class Axis:
    """Where on a line of ``width`` an instant is; long stretches without any call are folded.

    Attributes:
        folds: those stretches, each as its beginning and its end.
    """

    def __init__(self, bars: Sequence[Bar], whole: float, *, width: float, fold: float) -> None:
        gaps = _gaps(bars)
        busy = whole - sum(end - begin for begin, end in gaps)
        long = sorted((b - e for e, b in gaps if b - e > max(busy / 2, _EASE)), reverse=True)
        least = long[:_FOLDS][-1] if long else float("inf")
        self.folds = [(begin, end) for begin, end in gaps if end - begin >= least]
        shown = whole - sum(end - begin for begin, end in self.folds)
        self._fold = fold
        self._scale = max(0.0, width - fold * len(self.folds)) / (shown or 1.0)

    def place(self, at: float) -> float:
        """How far from the beginning of the line."""
        skipped = passed = 0.0
        for begin, end in self.folds:
            if at <= begin:
                break
            inside = min(1.0, (at - begin) / (end - begin))
            skipped += min(at, end) - begin
            passed += self._fold * inside
        return (at - skipped) * self._scale + passed


def _gaps(bars: Sequence[Bar]) -> list[tuple[float, float]]:
    """When nothing was on its way."""
    found, until = [], 0.0
    for bar in sorted(bars, key=lambda bar: bar.at):
        if bar.at > until:
            found.append((until, bar.at))
        until = max(until, bar.at + bar.seconds)
    return found


def said(calls: Sequence[dict[str, Any]], seconds: float) -> str:
    """What there is to see, in one sentence."""
    if not calls:
        return "no call has ended yet"
    failed = sum(bool(one["error"]) or (one["status"] or 0) >= 400 for one in calls)
    hits = sum(one["cache"] in ("hit", "stale") for one in calls)
    retries = sum(try_["number"] > 1 for one in calls for try_ in one["attempts"])
    parts = [(failed, "failed"), (hits, "from the cache"), (retries, "asked again")]
    words = [f"{count} {word}" for count, word in parts if count]
    head = f"{len(calls)} call{'' if len(calls) == 1 else 's'} in {told_time(seconds)}"
    return f"{head}: {', '.join(words)}" if words else head
