"""From page to page, some of them before they are wanted."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

from requests import PreparedRequest, Response

from .jobs import Job
from .journal import masked_url
from .pages import Next, Place, unfit

__all__ = ["walk"]

Ask = Callable[[Place], "tuple[Any, Response]"]
Submit = Callable[[Callable[[], None]], object]


def walk(
    first: Place, *, ask: Ask, find: Next, join: Callable[[str], str], submit: Submit,
    prefetch: int, max_pages: int,
) -> Iterator[Any]:  # fmt: skip
    """Page after page, ``prefetch`` of which are asked for before they are wanted.

    Only what is wanted and has not begun is asked for by the caller's thread, so that threads of
    which all wait for pages cannot wait for each other.
    """
    way = _Way(_Steps(ask, find, join, max_pages), first, submit, prefetch)
    try:
        while (job := way.next()) is not None:
            if job.error is not None:
                raise job.error
            yield job.result.page
    finally:
        way.close()


class _Landed(NamedTuple):
    """A page, and where the next one is: nowhere, or that could not be found."""

    page: Any
    next: Place | Exception | None


class _Steps:
    """One page at a time; what is wrong with the way to it is its own error."""

    def __init__(self, ask: Ask, find: Next, join: Callable[[str], str], max_pages: int) -> None:
        self._ask, self._find, self._join, self._most = ask, find, join, max_pages
        self._seen: set[str] = set()

    def go(self, place: Place | Exception) -> _Landed:
        if isinstance(place, Exception):
            raise place
        self._note(place)
        page, response = self._ask(place)
        following: Place | Exception | None
        try:
            # Now: the caller may change the page.
            following = self._find(place, page, response)
        except Exception as error:
            following = error
        return _Landed(page, following)

    def _note(self, place: Place) -> None:
        prepared = PreparedRequest()
        try:
            prepared.prepare_url(self._join(place.endpoint), place.params)
        except ValueError as error:  # what leads to another origin would take the keys there
            raise unfit(f"the next page is none of this client's: {error}") from error
        url = str(prepared.url)
        if url in self._seen:
            raise unfit(f"pages lead in a circle: {masked_url(url)} was there before")
        if len(self._seen) == self._most:
            raise unfit(f"there are more than max_pages={self._most} pages")
        self._seen.add(url)


class _Turn(NamedTuple):
    job: Job
    landed: threading.Event


class _Way:
    """Pages that were asked for and not yet taken, in their order; the last one may be flying."""

    def __init__(self, steps: _Steps, first: Place, submit: Submit, prefetch: int) -> None:
        self._steps, self._submit, self._prefetch = steps, submit, prefetch
        self._lock = threading.Lock()
        self._turns: deque[_Turn] = deque()
        self._then: Place | Exception | None = first  # what the latest page leads to
        self._is_flying = self._is_closed = False

    def next(self) -> Job | None:
        """The next page, once it is over; None if there is none."""
        with self._lock:
            turn = self._turns[0] if self._turns else self._laid()
        if turn is None:
            return None
        turn.job.do()  # unless a thread is at it
        turn.landed.wait()
        with self._lock:
            self._turns.popleft()
        self._hurry()
        return turn.job

    def _laid(self) -> _Turn | None:
        """One more page to be asked for, if there is one and the one before it is known."""
        if self._then is None or self._is_flying or self._is_closed:
            return None
        landed = threading.Event()
        job = Job(partial(self._steps.go, self._then), partial(self._land, landed))
        turn = _Turn(job, landed)
        self._turns.append(turn)
        self._is_flying = True
        return turn

    def _land(self, landed: threading.Event, job: Job) -> None:
        with self._lock:
            self._is_flying = False
            self._then = None if job.error is not None or job.is_cancelled else job.result.next
        landed.set()
        self._hurry()

    def _hurry(self) -> None:
        """Ask for one more page on a thread, unless enough are there."""
        with self._lock:
            turn = self._laid() if len(self._turns) < self._prefetch else None
        if turn is not None:
            with suppress(RuntimeError):  # the client is closed: whoever takes this turn will hear
                self._submit(turn.job.do)

    def close(self) -> None:
        """What has not begun is cancelled; what is in the air lands unseen."""
        with self._lock:
            self._is_closed = True
        for turn in [*self._turns]:
            turn.job.cancel()
