"""What becomes of an answer that has come: it is kept, or renews or ends one that is kept."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

from requests import Response

from ..journal import Journal, masked_url
from ..naps import wall
from ..pipeline import Call
from ..replicas import Snapshot
from ..settings import Settings
from ..stores.entry import Entry
from ..stores.opening import open_store
from .changes import Changes
from .demands import PARTICULAR, Demands
from .freshness import Life, lived_by_rfc, lived_by_ttl
from .keeping import is_keepable, is_whole, unkept
from .sweeper import Sweeper
from .validation import is_comparable, is_unchanged, renewed

__all__ = ["Keeper"]


class Keeper:
    """Keeps answers, and knows since when which of them are out of date.

    Attributes:
        answers: the store they are kept in.
        kept: counts answers kept.
        confirmed: counts those of which the origin said that they have not changed.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Callable[[], float],
        journal: Journal,
        wall: Callable[[], float] = wall,
    ) -> None:
        self._by_rfc = settings.cache_mode == "rfc"
        self._ttl, self._spare = settings.cache_ttl, settings.stale_if_error
        self._max_entry = settings.cache_max_entry_bytes
        self._clock, self._wall, self._journal = clock, wall, journal
        self.answers = open_store(settings, clock=clock, wall=wall)
        self.kept = self.confirmed = 0
        self._start_afresh()

    def _start_afresh(self) -> None:
        self._lock = threading.Lock()
        self.changes = Changes()
        self._sweeper = Sweeper(self.answers, clock=self._clock)

    def reset_after_fork(self) -> None:
        """With new locks: the parent may have been in the middle of a change."""
        self._start_afresh()
        self.answers.reset_after_fork()

    # -- keeping ---------------------------------------------------------------------------------

    def keep(self, call: Call, response: Response) -> None:
        """Keep the answer to ``call``, if it may be kept at all."""
        if not is_keepable(response, by_rfc=self._by_rfc) or not is_whole(response):
            return
        if not PARTICULAR.isdisjoint(call.headers) and self._must_not(call):
            return
        if call.question is not None and call.question.asker.has_changed():
            return  # whose answer it is, nobody knows
        life = self._life(call, response)
        if life.kept > 0:
            self._put(call, call.frozen(response), life)

    def _must_not(self, call: Call) -> bool:
        return Demands.of(call.headers, by_rfc=self._by_rfc).no_store

    def _life(self, call: Call, response: Response) -> Life:
        own, now = call.cache_ttl, self._wall()
        if self._by_rfc:
            return lived_by_rfc(response, own=own, spare=self._spare, now=now)
        return lived_by_ttl(response, own=own, default=self._ttl, spare=self._spare, now=now)

    def _put(self, call: Call, snapshot: Snapshot, life: Life) -> None:
        assert call.cache_key is not None
        unwanted = unkept(snapshot.headers)
        if unwanted:
            headers = {n: v for n, v in snapshot.headers.items() if n.lower() not in unwanted}
            snapshot = snapshot.altered(headers=headers)
        if snapshot.size > self._max_entry:
            return
        now, chosen_by = self._clock(), snapshot.chosen_by(call.headers)
        entry = Entry(
            snapshot, now + life.fresh, now + life.kept, now - life.age, call.resource, chosen_by
        )
        if self._is_put(call, entry):
            if self.answers.is_near:  # others see to that themselves
                self._sweeper.arrange(life.kept)
            if self._journal.enabled:
                url, fresh = masked_url(call.url), max(0.0, life.fresh)
                self._journal.say("%s %s: kept, fresh for %g s", call.method, url, fresh)

    def _is_put(self, call: Call, entry: Entry) -> bool:
        assert call.cache_key is not None
        # The store asks in one go with keeping it, or a change could come between.
        is_kept = call.is_kept = self.answers.put(
            call.cache_key,
            entry,
            since=call.took_off,
            is_current=lambda: self.changes.has_none(call.resource, since=call.epoch),
        )
        if is_kept:
            with self._lock:
                self.kept += 1
        return is_kept

    # -- renewing --------------------------------------------------------------------------------

    def confirm(self, call: Call, entry: Entry, response: Response) -> Response:
        """``entry`` has not changed, as ``response``, a 304, says: the answer for the caller."""
        call.snapshot = renewed(entry.snapshot, response)
        answer = call.snapshot.replica(from_cache=True)
        answer.elapsed = response.elapsed
        life = self._life(call, answer)
        answer.age = life.age
        with self._lock:
            self.confirmed += 1
        if self._journal.enabled:
            self._journal.say("%s %s: has not changed", call.method, masked_url(call.url))
        if is_keepable(answer, by_rfc=True) and life.kept > 0:
            self._put(call, call.snapshot, life)
        return answer

    def compare(self, call: Call, response: Response) -> None:
        """An answer to HEAD renews the one to GET that is kept, or shows that it has changed."""
        entry: Entry | None = call.entry
        if entry is None or not is_comparable(response):
            return
        if not is_unchanged(entry.snapshot, response):
            self._is_put(call, replace(entry, fresh_until=min(entry.fresh_until, self._clock())))
        elif is_keepable(response, by_rfc=True):
            self._put(call, renewed(entry.snapshot, response), self._life(call, response))

    # -- forgetting ------------------------------------------------------------------------------

    def forget(self, resource: str) -> int:
        """Something has changed there: what is kept, or on its way to be kept, is out of date.

        How many keys there were.
        """
        self.changes.note(resource)
        return self.answers.forget(resource)

    def clear(self) -> None:
        """Forget everything, also what is on its way to be kept."""
        self.changes.note_all()
        self.answers.clear()
