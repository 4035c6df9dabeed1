"""Many GETs at once, by the window.

Of a batch, whatever its length, only a window is in the air at any time.
"""

from __future__ import annotations

import queue
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Any

from .checks import one_of
from .errors import ClientClosed

__all__ = ["fetch"]

_AHEAD = 2  # calls per worker that are begun or waiting before their results are taken


def fetch(
    get: Callable[..., Any], endpoints: Iterable[Any], arguments: Mapping[str, Any], *,
    max_workers: int, ordered: bool, on_error: str, progress: bool,
) -> Iterator[Any]:  # fmt: skip
    """``get`` each of ``endpoints``; see ``EnhancedAPIClient.get_many``."""
    one_of("on_error", on_error, ("raise", "return", "skip"))
    for name, value in (("ordered", ordered), ("progress", progress)):
        if not isinstance(value, bool):
            raise TypeError(f"{name} must be True or False, not {value!r}")
    if isinstance(endpoints, (str, bytes, Mapping)) or not isinstance(endpoints, Iterable):
        what = "an iterable of endpoints, such as a list or a generator"
        raise TypeError(f"endpoints must be {what}, not {type(endpoints).__name__}")
    make_bar = _bar_maker(endpoints) if progress else None
    return _results(_Batch(get, endpoints, arguments, max_workers), ordered, on_error, make_bar)


def _results(
    batch: _Batch, ordered: bool, on_error: str, make_bar: Callable[[], Any] | None
) -> Iterator[Any]:
    # A generator of its own, so that wrong arguments raise at the call and not at the first item.
    bar = make_bar() if make_bar is not None else None
    try:
        for future in batch.in_order() if ordered else batch.as_completed():
            if bar is not None:
                bar.update()
            error = future.exception()
            if error is None:
                yield future.result()
            elif on_error == "raise" or not _is_of_one_call(error):
                raise error
            elif on_error == "return":
                yield error
        if batch.failure is not None:
            raise batch.failure
    finally:
        batch.stop()
        if bar is not None:
            bar.close()


def _is_of_one_call(error: BaseException) -> bool:
    # The next call of a closed client, or after Ctrl-C, would go no better: skipping has no end.
    return isinstance(error, Exception) and not isinstance(error, ClientClosed)


class _Batch:
    """The window: what is in the air, and threads for it.  Used by one thread only.

    ``failure`` is what ``endpoints`` raised: it is told after the answers to those before it.
    """

    def __init__(
        self,
        get: Callable[..., Any],
        endpoints: Iterable[Any],
        arguments: Mapping[str, Any],
        workers: int,
    ) -> None:
        self.failure: Exception | None = None
        self._get, self._arguments = get, arguments
        self._endpoints = iter(endpoints)
        self._width = workers * _AHEAD
        self._workers = workers
        self._executor: ThreadPoolExecutor | None = None

    def in_order(self) -> Iterator[Future[Any]]:
        window: deque[Future[Any]] = deque()
        while True:
            while len(window) < self._width and (future := self._next()) is not None:
                window.append(future)
                if window[0].done():  # hand it out before asking for more, which may take its time
                    break
            if not window:
                return
            first = window.popleft()
            first.exception()  # waits
            yield first

    def as_completed(self) -> Iterator[Future[Any]]:
        done: queue.SimpleQueue[Future[Any]] = queue.SimpleQueue()
        flying = 0
        while True:
            while flying < self._width and (future := self._next()) is not None:
                flying += 1
                future.add_done_callback(done.put)
                if not done.empty():
                    break
            if not flying:
                return
            first = done.get()
            flying -= 1
            yield first

    def _next(self) -> Future[Any] | None:
        """The next call, begun; None if there is none."""
        try:
            for item in self._endpoints:
                return self._begin(item)
        except Exception as failure:
            self.failure = failure
        self._endpoints = iter(())  # for good: it may not end well a second time
        return None

    def _begin(self, item: Any) -> Future[Any]:
        given = item if isinstance(item, Mapping) else {"endpoint": item}
        if self._executor is None:
            self._executor = ThreadPoolExecutor(self._workers, "browseros_api-batch")
        call = {**self._arguments, **given}
        return self._executor.submit(copy_context().run, _got, self._get, call)

    def stop(self) -> None:
        """Nothing new begins; what is in the air lands unseen."""
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)


def _got(get: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    return get(**arguments)


def _bar_maker(endpoints: Iterable[Any]) -> Callable[[], Any]:
    try:
        from tqdm.auto import tqdm  # noqa: PLC0415  (an extra)
    except ImportError:
        raise ImportError("progress=True needs tqdm: pip install browseros-api[progress]") from None
    total = len(endpoints) if isinstance(endpoints, Sized) else None
    return partial(tqdm, total=total, unit="call")
