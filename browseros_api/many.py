"""Many calls of one client: submitted one by one, or by the batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from functools import partial
from typing import Any, Literal

from .batches import fetch
from .checks import whole
from .crew import Crew
from .pipeline import Call

__all__ = ["ManyCalls"]


class ManyCalls:
    """The part of a client that has its calls made on threads."""

    _crew: Crew
    _check_open: Callable[[], None]
    _planned: Callable[..., Call]
    _made: Callable[[Call], Any]
    get: Callable[..., Any]
    session: Any

    def submit(self, method: str, endpoint: str, **arguments: Any) -> Future[Any]:
        """``request`` on a thread of the client's own; the result comes through the Future.

        What is wrong with the arguments is raised here.  A ``deadline`` counts from here.
        """
        self._check_open()
        call = self._planned(method, endpoint, **arguments)
        make = partial(self._made, call)
        if call.deadline is None or call.spent is None:
            return self._crew.submit(make)
        call.spent.turn("queue")
        left = call.deadline - self.session.engine.clock()
        return self._crew.submit_within(max(0.0, left), make)

    def get_many(
        self, endpoints: Iterable[Any], *, max_workers: int = 32, ordered: bool = True,
        on_error: Literal["raise", "return", "skip"] = "raise", progress: bool = False,
        **arguments: Any,
    ) -> Iterator[Any]:  # fmt: skip
        """GET many endpoints at once, lazily: only a window of them is in memory at any time.

        Args:
            endpoints: any iterable of endpoints; an item may also be a dict of ``get`` arguments,
                such as ``{"endpoint": "/users", "params": {"page": 2}}``.
            max_workers: calls on their way at once; never more than ``max_connections``.
            ordered: results in the order of ``endpoints``; otherwise as they come in.
            on_error: ``"raise"`` ends the batch, ``"return"`` puts the exception in the result's
                place, ``"skip"`` leaves it out.  A closed client ends it in any case.
            progress: show a tqdm bar (extra ``progress``).
            arguments: for every ``get``.

        Returns:
            An iterator of decoded answers.  Closing it, or an error, cancels what has not begun.
        """
        self._check_open()
        self._planned("GET", "", **arguments)  # what is wrong with them is raised here
        workers = min(whole("max_workers", max_workers, least=1), self._crew.most)
        return fetch(
            self.get, endpoints, arguments, max_workers=workers, ordered=ordered,
            on_error=on_error, progress=progress,
        )  # fmt: skip
