"""What a run has saved, for people and for machines."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import sys
from collections.abc import Iterator
from typing import Any

from ..witness import Witness

__all__ = ["drawn", "tell_at_exit"]


def tell_at_exit(witness: Witness, *, as_json: bool) -> None:
    """Print what ``witness`` has seen to stderr, after everything that is registered later.

    That is also after all threads but daemons have ended.  A forked child prints nothing.
    """
    atexit.register(_tell, witness, as_json, os.getpid())


def _tell(witness: Witness, as_json: bool, process: int) -> None:
    if os.getpid() != process:
        return
    figures = witness.read()
    text = json.dumps(figures) if as_json else drawn(figures)
    # Whatever has become of the streams: the status of the script is not to change for this.
    with contextlib.suppress(Exception):
        sys.stdout.flush()
    with contextlib.suppress(Exception):
        print(f"\n{text}", file=sys.stderr, flush=True)


def drawn(figures: dict[str, Any]) -> str:
    """The figures of ``Witness.read`` as lines of text."""
    if not figures["total_requests"]:
        return "browseros-api: no request was made"
    return "\n".join(["browseros-api: what was asked for, and what it took", *_lines(figures)])


def _lines(figures: dict[str, Any]) -> Iterator[str]:
    yield _line("requests made", figures["total_requests"])
    yield _line("went over the wire", figures["sent_requests"])
    yield _line("coalesced duplicates", figures["deduplicated_requests"])
    yield _line("cache hits", figures["cached_responses"])
    rescued = f"rescued {figures['rescued_requests']:,}" if figures["retries"] else ""
    yield _line("retries", figures["retries"], rescued)
    elsewhere = figures["sent_elsewhere"]
    beside = f"and those of the {elsewhere:,} sent by other adapters" if elsewhere else ""
    yield _line("connections opened", figures["connections_opened"], beside)
    slow = figures["slow_endpoints"]
    for index, endpoint in enumerate(slow):
        name = "".join(sign if sign.isprintable() else "?" for sign in endpoint["endpoint"])
        calls = f"{endpoint['calls']:,} call{'s' if endpoint['calls'] > 1 else ''}"
        took = f"{endpoint['average_ms']:,.0f} ms"
        yield f"  {'' if index else 'slowest on average':<22}{took:>10}  {name} ({calls})"


def _line(name: str, value: int, remark: str = "") -> str:
    return f"  {name:<22}{value:>10,}{f'  ({remark})' if remark else ''}"
