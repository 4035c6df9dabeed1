"""A card that is looked at while calls go on."""

from __future__ import annotations

from asyncio import to_thread
from contextlib import suppress
from threading import Event

from .checks import duration
from .forks import importing
from .naps import nap
from .seeing import Seen

__all__ = ["Watched", "watched"]


class Watched(Seen):
    """The part of a session or client that can be watched."""

    def watch(self, seconds: float | None = None, *, every: float = 0.5) -> None:
        """Show the card, and draw it anew in its place; calls go on in other threads meanwhile.

        In a notebook, or in a terminal (extra ``terminal``).

        Args:
            seconds: how long; None: until it is interrupted, or the client is closed.
            every: seconds between two drawings.
        """
        self._watch(seconds, every, over=self._engine.closing)

    def _watch(self, seconds: float | None, every: float, *, over: Event) -> None:
        bound, pause = duration("seconds", seconds), duration("every", every, optional=False)
        assert pause is not None
        with importing:
            from .cards.live import live  # noqa: PLC0415
        engine = self._engine
        until = None if bound is None else engine.clock() + bound
        with suppress(KeyboardInterrupt), live(self._repr_html_, self._card) as draw:
            try:
                while True:
                    left = pause if until is None else min(pause, until - engine.clock())
                    if left <= 0 or over.is_set() or engine.closing.is_set():
                        break
                    if engine.settings.sleep is None:
                        nap(left, over)
                    else:
                        engine.settings.sleep(left)
                    draw()
            finally:
                draw()  # as it is in the end


async def watched(one: Watched, seconds: float | None, every: float) -> None:
    """Watch it from a thread, until that is over or nobody awaits it any more."""
    over = Event()
    try:
        await to_thread(one._watch, seconds, every, over=over)
    finally:
        over.set()
