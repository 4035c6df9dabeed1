"""The command ``python -m tests.soak``."""

from __future__ import annotations

import argparse
import gc
import sys
import threading
import time
import warnings
from collections.abc import Sequence

from browseros_api.testing import wait_until
from tests.soak.accounts import belongings, check_figures, check_nothing_is_held, memory
from tests.soak.actors import Asker, Leader, Leaper
from tests.soak.world import World, world

__all__ = ["main"]

_ASKERS = 12
_MOST_GROWTH = 24.0  # megabytes, from a third of the time to its end


def main(arguments: Sequence[str] | None = None) -> int:
    """Soak a session for a while; 0 if everything was as it must be."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=main.__doc__)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--store", default="memory://", help="where answers are kept")
    options = parser.parse_args(arguments)
    warnings.filterwarnings("ignore", category=DeprecationWarning, message=".*fork")
    with world(
        options.seed, options.store
    ) as rehearsal:  # what is started once for all is there from now on
        _play(rehearsal, options.seed, seconds=0.5)
    before = belongings()
    with world(options.seed, options.store) as stage:
        growth = _play(stage, options.seed, seconds=60 * options.minutes)
        print(dict(stage.outcomes), stage.session.get_stats(), sep="\n")
        assert not stage.wrong, stage.wrong[:5]
        check_figures(stage)
        check_nothing_is_held(stage)
    del stage
    gc.collect()
    try:
        wait_until(lambda: not _is_more(belongings(), before), timeout=30.0)
    except AssertionError:
        raise AssertionError(
            f"{before} before, {belongings()} after: {threading.enumerate()}"
        ) from None
    print(f"memory grew by {growth:.1f} MB; {before} before, {belongings()} after")
    assert growth <= _MOST_GROWTH
    return 0


def _play(stage: World, seed: int, *, seconds: float) -> float:
    """Let everybody act; the megabytes that came in the last two thirds of the time."""
    leader = Leader(stage, seed)
    threads = [Asker(stage, 1000 * seed + number) for number in range(_ASKERS)]
    others = [*threads, Leaper(stage, seed)]
    for thread in others:
        thread.start()
    begin, settled = time.monotonic(), 0.0
    try:
        while time.monotonic() < begin + seconds:
            leader.act()
            if not settled and time.monotonic() > begin + seconds / 3:
                settled = memory()
    finally:
        stage.is_over.set()
        for thread in others:
            thread.join(60)
    assert not [thread for thread in others if thread.is_alive()], "a thread hangs"
    return memory() - settled if settled else 0.0


def _is_more(now: tuple[int, ...], before: tuple[int, ...]) -> bool:
    return any(one > other for one, other in zip(now, before, strict=True))


if __name__ == "__main__":
    sys.exit(main())
