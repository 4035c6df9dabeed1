"""Many calls of one client: submitted one by one, or by the batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import closing
from functools import partial
from os import PathLike
from typing import Any, Literal

from requests import Response

from .addresses import Base
from .batches import fetch
from .checkpoints import Checkpoint
from .checks import whole
from .crew import Crew
from .pages import Place, checked_items, checked_next
from .paging import walk
from .pipeline import Call

__all__ = ["ManyCalls"]


class ManyCalls:
    """The part of a client that has its calls made on threads."""

    _crew: Crew
    _check_open: Callable[[], None]
    _planned: Callable[..., Call]
    _made: Callable[..., Any]
    _useful: Callable[[Response, Call], Any]
    _base: Base
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
        checkpoint: str | PathLike[str] | None = None, **arguments: Any,
    ) -> Iterator[Any]:  # fmt: skip
        """GET many endpoints at once, lazily: only a window of them is in memory at any time.

        Args:
            endpoints: any iterable of endpoints; an item may also be a dict of ``get`` arguments,
                such as ``{"endpoint": "/users", "params": {"page": 2}}``.
            max_workers: calls on their way at once; never more than ``max_connections``.
            ordered: results in the order of ``endpoints``; otherwise as they come in.
            on_error: ``"raise"`` ends the batch, ``"return"`` puts the exception in the result's
                place, ``"skip"`` leaves it out.  A closed client ends it in any case.
            progress: show a tqdm bar with rate, retries and failures (extra ``progress``).
            checkpoint: a file for the answers, a line of JSON each; the same batch asks only for
                what is not in it, as after it was interrupted or killed.  Failures are not in it.
            arguments: for every ``get``.

        Returns:
            An iterator of decoded answers.  Closing it, or an error, cancels what has not begun.
            ``KeyboardInterrupt`` says how far it has come.
        """
        self._check_open()
        self._planned("GET", "", **arguments)  # what is wrong with them is raised here
        workers = min(whole("max_workers", max_workers, least=1), self._crew.most)
        get, path = self.get, None
        if checkpoint is not None:
            kept = Checkpoint(checkpoint, self.session.cookies)
            get, path = partial(self._kept, kept), kept.path
        return fetch(
            get, endpoints, arguments, max_workers=workers, ordered=ordered,
            on_error=on_error, progress=progress, checkpoint=path,
            retried=lambda: self.session.engine.retry.retries,
        )  # fmt: skip

    def _kept(self, kept: Checkpoint, endpoint: str, **arguments: Any) -> Any:
        call = self._planned("GET", endpoint, **arguments)

        def ask() -> Any:
            return self._useful(self.session.perform(call), call)

        return self._made(call, partial(kept.answer, call, ask))  # a fallback is no answer

    def paginate(
        self, endpoint: str, *, next: str | Callable[[Any], Any] = "link",
        items: str | Callable[[Any], Iterable[Any]] | None = None, prefetch: int = 1,
        max_pages: int = 10_000, params: Any = None, **arguments: Any,
    ) -> Iterator[Any]:  # fmt: skip
        """GET page after page, lazily, from ``endpoint`` on.

        Args:
            endpoint: of the first page.
            next: where the next page is: ``"link"`` (the Link header, RFC 8288), ``"url:PATH"``
                (a URL in the page), ``"cursor:PATH->PARAMETER"`` (a value in the page, to be sent
                as that query parameter), or a callable that is given the page and returns an
                endpoint, a dict of query parameters to change, or None at the end.  It is called
                on the thread that has fetched the page.  A path is dotted: ``"meta.next"``.
            items: the path of the list in each page whose items are wanted, or a callable that
                returns them; None: the pages themselves.
            prefetch: how many pages are asked for ahead, on threads of the client.
            max_pages: more are a ``PaginationError``.
            params: of the first page, and of the next ones that have no URL of their own.
            arguments: for every ``get``.

        Returns:
            An iterator.  An error is raised where the page that it belongs to would have come.

        Raises:
            PaginationError: pages lead in a circle or to another origin, or are not as said.
        """
        self._check_open()
        self._planned("GET", endpoint, params=params, **arguments)  # what is wrong is raised here
        find, listed = checked_next(next), checked_items(items)
        pages = walk(
            Place(endpoint, params), ask=partial(self._page, arguments), find=find,
            join=self._base.join, submit=self._crew.submit,
            prefetch=whole("prefetch", prefetch, least=0),
            max_pages=whole("max_pages", max_pages, least=1),
        )  # fmt: skip
        return _each(pages, listed)

    def _page(self, arguments: Any, place: Place) -> tuple[Any, Response]:
        self._check_open()
        call = self._planned("GET", place.endpoint, params=place.params, **arguments)
        response = self.session.perform(call)
        return self._useful(response, call), response


def _each(pages: Any, listed: Callable[[Any], Iterable[Any]]) -> Iterator[Any]:
    with closing(pages):
        for page in pages:
            yield from listed(page)
