"""What a card tells: the same in a notebook and in a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ..tracing.rows import told_bytes, told_time

__all__ = [
    "STATES",
    "Fact",
    "facts",
    "latencies",
    "lines",
    "told_age",
    "told_circuit",
    "worst_first",
]

# The state of a circuit, and how it is said.
STATES = {"closed": "closed", "half_open": "half-open", "open": "open"}

_WORST = {"open": 0, "half_open": 1, "closed": 2}


class Fact(NamedTuple):
    """A figure; ``more`` stands below it, ``why`` says what it means."""

    name: str
    value: str
    more: str = ""
    why: str = ""
    is_bad: bool = False


def facts(figures: Mapping[str, Any]) -> list[Fact]:
    """The most important of what ``get_stats`` gives."""
    ended = figures["successful_requests"] + figures["failed_requests"]
    failed, hits = figures["failed_requests"], figures["cached_responses"]
    followed, waiting = figures["deduplicated_requests"], figures["connections"]["waiting"]
    saved = hits * figures["average_latency_ms"] / 1000
    return [
        Fact("calls", f"{figures['total_requests']:,}", f"{figures['attempts']:,} attempts"),
        Fact(
            "success", f"{figures['success_rate']:.1%}" if ended else "–", f"{failed:,} failed",
            "of the calls that have ended", is_bad=figures["success_rate"] < 0.95,
        ),
        Fact(
            "hit rate", f"{figures['cache_hit_rate']:.1%}" if ended else "–",
            f"{hits:,} hits, {followed:,} followed", "answered without asking the server",
        ),
        Fact(
            "time saved", f"≈ {told_time(saved)}" if saved else "–", "by the cache",
            "hits, times what a call to the network took on average",
        ),
        Fact(
            "rescued", f"{figures['rescued_requests']:,}", f"{figures['retries']:,} retries",
            "failed at first, and succeeded in the end",
        ),
        Fact("in flight", f"{figures['in_flight_requests']:,}", f"{waiting:,} waiting",
             "calls that have not ended, and those of them that wait for a connection"),
    ]  # fmt: skip


def latencies(figures: Mapping[str, Any]) -> list[tuple[str, float]]:
    """Name and seconds of calls that went to the network; none before the first."""
    found = [(f"p{part}", figures[f"p{part}_latency_ms"] / 1000) for part in (50, 95, 99)]
    return found if found[-1][1] else []


def lines(figures: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What else there is to say."""
    pool, store = figures["connections"], figures["store"]
    kept = f"{figures['cache_size']:,} kept, {told_bytes(figures['cache_bytes'])}"
    place = f" ({store['store_kind']}: {store['store_state']})"
    found = [
        ("connections", f"{pool['connections_open']:,} open, {pool['connections_in_use']:,} in use;"
                        f" {pool['connections_opened']:,} opened so far"),
        ("answers", kept + ("" if store["store_kind"] == "memory" else place)),
    ]  # fmt: skip
    special = [
        ("rejected_requests", "refused by open circuits"),
        ("stale_responses", "stale answers in need"),
        ("fallback_responses", "fallbacks"),
        ("hedged_requests", "asked twice at once"),
        ("refused_retries", "retries refused by the budget"),
    ]
    told = [f"{figures[name]:,} {word}" for name, word in special if figures[name]]
    return [*found, ("besides", ", ".join(told))] if told else found


def told_circuit(state: Mapping[str, Any], *, now: float) -> str:
    """How one of ``get_circuit_breaker_status`` is, in words; ``now``: seconds since the epoch."""
    words = [STATES.get(state["state"], str(state["state"]))]
    if count := state["failure_count"]:
        words.append(f"{count} failure{'' if count == 1 else 's'}")
        if (last := state["last_failure_time"]) is not None:
            words.append(f"the last {told_age(now - last)} ago")
    return ", ".join(words)


def worst_first(circuits: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Names and states of circuits, those first that let nothing through."""
    return sorted(circuits.items(), key=lambda one: _WORST.get(one[1]["state"], 0))


def told_age(seconds: float) -> str:
    """In the unit that suits somebody who looks at it."""
    seconds = max(0.0, seconds)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
