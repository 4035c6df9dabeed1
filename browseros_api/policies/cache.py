"""Answers that are known already.

Two steps: ``lookup`` stands above the flight, ``store`` inside it.  Otherwise a call could slip
between "in the air" and "in the cache" and be sent again.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable

from requests import Response

from ..journal import Journal, masked_url
from ..pipeline import Call, Proceed, resource_of
from ..replicas import Snapshot
from ..settings import Settings
from ..stores.entry import Entry, Store
from ..stores.memory import MemoryStore
from ..timer import TIMER
from .freshness import allowed_ttl, directives, is_keepable

__all__ = ["Cache"]

_SWEEP = (0.5, 60.0)  # seconds: how soon, how late expired answers are let go of
_FORGOTTEN = 1024  # resources whose changes are remembered


class Cache:
    """What may be answered without asking, and until when."""

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Callable[[], float],
        journal: Journal,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._mode = settings.cache_mode
        self._ttl = settings.cache_ttl
        self._max_entry = settings.cache_max_entry_bytes
        self._clock, self._wall, self._journal = clock, wall, journal
        self.answers: Store = MemoryStore(
            max_entries=settings.cache_max_entries,
            max_bytes=settings.cache_max_bytes,
            clock=clock,
        )
        self._start_afresh()

    def _start_afresh(self) -> None:
        self._lock = threading.Lock()
        self._epoch = 0  # counts changes of resources
        self._kept = 0  # counts answers kept
        self._changes: OrderedDict[str, int] = OrderedDict()  # resource -> epoch of its last change
        self._oldest = 0  # changes up to this epoch are remembered no more
        self._sweep_due: float | None = None

    def reset_after_fork(self) -> None:
        """Empty, with new locks: the parent may have been in the middle of a change."""
        self._start_afresh()
        self.answers.reset_after_fork()

    # -- the two steps ---------------------------------------------------------------------------

    def lookup(self, call: Call, proceed: Proceed[Call]) -> Response:
        """Do we know the answer?"""
        call.kept_before = self._kept
        snapshot = self.known(call)
        return proceed(call) if snapshot is None else _hit(call, snapshot)

    def store(self, call: Call, proceed: Proceed[Call]) -> Response:
        """Keep a good answer, and forget what an unsafe call has changed."""
        if call.kept_before != self._kept and (snapshot := self.known(call)) is not None:
            return _hit(call, snapshot)  # it landed between our look and our own taking off
        call.epoch = self._epoch
        response = proceed(call)
        if not call.is_safe:
            if (response.status_code or 0) < 400:
                self.forget(resource_of(call, response))
        elif call.key is not None and call.use_cache and call.method == "GET":
            self._keep(call.key, call, response)
        return response

    # -- questions -------------------------------------------------------------------------------

    def known(self, call: Call) -> Snapshot | None:
        """The fresh answer to this call, if there is one and the caller would accept it."""
        if call.key is None or not call.use_cache or call.method != "GET":
            return None
        entry = _chosen(self.answers.get(call.key), call)
        if entry is None:
            return None
        if ("cache-control" in call.headers or "pragma" in call.headers) and _is_bypass(call):
            return None
        if self._journal.enabled:
            self._journal.say("%s %s: answered from the cache", call.method, masked_url(call.url))
        return entry.snapshot

    def _keep(self, key: str, call: Call, response: Response) -> None:
        if _forbids_keeping(call) or not is_keepable(response):
            return
        default = self._ttl if self._mode == "ttl" else None
        ttl = allowed_ttl(response, own=call.cache_ttl, default=default, now=self._wall())
        if ttl <= 0:
            return
        snapshot = call.snapshot = call.snapshot or Snapshot(response)
        if snapshot.size > self._max_entry:
            return
        chosen_by = snapshot.chosen_by(call.headers)
        now = self._clock()
        entry = Entry(snapshot, now + ttl, now + ttl, now, call.resource, chosen_by)
        # The store asks in one go with keeping it, or a change could come between.
        if self.answers.put(key, entry, is_current=lambda: self._is_unchanged(call)):
            with self._lock:
                self._kept += 1
            self._arrange_sweep(ttl)
            if self._journal.enabled:
                url = masked_url(call.url)
                self._journal.say("%s %s: kept for %g s", call.method, url, ttl)

    # -- forgetting ------------------------------------------------------------------------------

    def forget(self, resource: str) -> None:
        """Something has changed there: what is kept, or on its way to be kept, is out of date."""
        with self._lock:
            self._epoch += 1
            self._changes[resource] = self._epoch
            self._changes.move_to_end(resource)
            if len(self._changes) > _FORGOTTEN:
                self._oldest = self._changes.popitem(last=False)[1]
        self.answers.forget(resource)

    def _is_unchanged(self, call: Call) -> bool:
        """Whether nothing was changed there since the call took off."""
        with self._lock:
            return self._changes.get(call.resource, self._oldest) <= call.epoch

    def clear(self) -> None:
        """Forget everything, also what is on its way to be kept."""
        with self._lock:
            self._epoch += 1
            self._oldest = self._epoch
            self._changes.clear()
        self.answers.clear()

    def _arrange_sweep(self, ttl: float) -> None:
        seconds = min(max(ttl, _SWEEP[0]), _SWEEP[1])
        due = time.monotonic() + seconds
        with self._lock:
            if self._sweep_due is not None and self._sweep_due <= due:
                return
            self._sweep_due = due
        cache = weakref.ref(self)  # a dropped session is not kept for its own sweeping
        TIMER.at(due, lambda: _sweep(cache, due))

    def _swept(self, due: float) -> None:
        with self._lock:
            if self._sweep_due != due:  # an earlier one was arranged since, or a fork came between
                return
            self._sweep_due = None
        self.answers.expire()
        soonest = self.answers.soonest()
        if soonest is not None:
            self._arrange_sweep(soonest - self._clock())


def _sweep(cache: weakref.ref[Cache], due: float) -> None:
    alive = cache()
    if alive is not None:
        alive._swept(due)


def _chosen(variants: tuple[Entry, ...], call: Call) -> Entry | None:
    for entry in variants:
        if entry.chosen_by == entry.snapshot.chosen_by(call.headers):
            return entry
    return None


def _hit(call: Call, snapshot: Snapshot) -> Response:
    call.from_cache = True
    return snapshot.replica(from_cache=True)


def _is_bypass(call: Call) -> bool:
    """Whether the request's own headers ask for an answer from the origin (RFC 9111, 5.2.1)."""
    asked = directives(call.headers.get("cache-control"))
    if not asked:
        return "no-cache" in call.headers.get("pragma", "").lower()
    return bool(asked.keys() & {"no-cache", "no-store", "max-age", "min-fresh"})


def _forbids_keeping(call: Call) -> bool:
    return "no-store" in directives(call.headers.get("cache-control"))
