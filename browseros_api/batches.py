"""Many GETs at once, lazily: a window of them in the air, whatever the number of all."""

from __future__ import annotations

import queue
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

from .settings import one_of, whole

__all__ = ["fetch"]

_AHEAD = 2  # calls per worker that are begun or waiting before their results are taken


def fetch(
    get: Callable[..., Any], endpoints: Iterable[Any], arguments: Mapping[str, Any], *,
    max_workers: int, ordered: bool, on_error: str, progress: bool,
) -> Iterator[Any]:  # fmt: skip
    """``get`` each of ``endpoints``; see ``EnhancedAPIClient.get_many``."""
    whole("max_workers", max_workers, least=1)
    one_of("on_error", on_error, ("raise", "return", "skip"))
    if isinstance(endpoints, (str, bytes)) or not isinstance(endpoints, Iterable):
        raise TypeError(f"endpoints must be an iterable of endpoints, not {endpoints!r}")
    for name, value in (("ordered", ordered), ("progress", progress)):
        if not isinstance(value, bool):
            raise TypeError(f"{name} must be True or False, not {value!r}")
    bar = _bar(endpoints) if progress else None
    batch = _Batch(get, endpoints, arguments, max_workers)
    return _results(batch, batch.in_order() if ordered else batch.as_completed(), on_error, bar)


def _results(batch: _Batch, done: Iterator[Future[Any]], on_error: str, bar: Any) -> Iterator[Any]:
    # A generator of its own, so that wrong arguments raise at the call and not at the first item.
    try:
        for future in done:
            if bar is not None:
                bar.update()
            error = future.exception()
            if error is None:
                yield future.result()
            elif on_error == "raise" or not isinstance(error, Exception):
                raise error
            elif on_error == "return":
                yield error
    finally:
        batch.stop()
        if bar is not None:
            bar.close()


class _Batch:
    """The window: what is in the air, and threads for it.  Used by one thread only."""

    def __init__(
        self,
        get: Callable[..., Any],
        endpoints: Iterable[Any],
        arguments: Mapping[str, Any],
        workers: int,
    ) -> None:
        self._get, self._arguments = get, arguments
        self._endpoints = iter(endpoints)
        self._width = workers * _AHEAD
        self._workers = workers
        self._executor: ThreadPoolExecutor | None = None
        self._open: set[Future[Any]] = set()

    def in_order(self) -> Iterator[Future[Any]]:
        window: deque[Future[Any]] = deque()
        while True:
            while len(window) < self._width and (future := self._next()) is not None:
                window.append(future)
            if not window:
                return
            first = window.popleft()
            first.exception()  # waits
            self._open.discard(first)
            yield first

    def as_completed(self) -> Iterator[Future[Any]]:
        done: queue.SimpleQueue[Future[Any]] = queue.SimpleQueue()
        while True:
            while len(self._open) < self._width and (future := self._next()) is not None:
                future.add_done_callback(done.put)
            if not self._open:
                return
            first = done.get()
            self._open.discard(first)
            yield first

    def _next(self) -> Future[Any] | None:
        for item in self._endpoints:
            given = dict(item) if isinstance(item, Mapping) else {"endpoint": item}
            if self._executor is None:
                self._executor = ThreadPoolExecutor(self._workers, "browseros_api-batch")
            future = self._executor.submit(
                copy_context().run, self._one, {**self._arguments, **given}
            )
            self._open.add(future)
            return future
        return None

    def _one(self, arguments: dict[str, Any]) -> Any:
        return self._get(**arguments)

    def stop(self) -> None:
        """Nothing new begins; what is in the air lands unseen."""
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)


def _bar(endpoints: Iterable[Any]) -> Any:
    try:
        from tqdm.auto import tqdm  # noqa: PLC0415  (an extra)
    except ImportError:
        raise ImportError(
            "progress=True needs tqdm: pip install browseros-api[progress]"
        ) from None
    total = len(endpoints) if isinstance(endpoints, Sized) else None
    return tqdm(total=total, unit="call")
