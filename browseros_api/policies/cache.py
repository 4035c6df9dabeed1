"""Answers that are known already.

Two steps: ``lookup`` stands above the flight, ``store`` inside it.  Otherwise a call could slip
between "in the air" and "in the cache" and be sent again, and each of those who wait for a stale
answer would ask by itself whether it has changed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace

import requests
from requests import Response

from ..errors import let_go
from ..journal import Journal, masked_url
from ..naps import wall
from ..pipeline import Call, Proceed, changed_by
from ..refusals import LimitExceeded
from ..replicas import Snapshot
from ..settings import Settings
from ..stores.entry import Entry, Store
from .demands import PARTICULAR, PLAIN, Demands
from .freshness import is_strict
from .keeper import Keeper
from .offcuts import offcut, unanswerable
from .refresher import Refresher
from .validation import conditions, window
from .variants import chosen

__all__ = ["Cache"]

_IN_NEED = (
    *(requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError),
    LimitExceeded,
)
_REFRESH_TIME = 60.0  # seconds that asking in the background may take


class Cache:
    """What may be answered without asking, and until when."""

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Callable[[], float],
        journal: Journal,
        wall: Callable[[], float] = wall,
    ) -> None:
        self._by_rfc = settings.cache_mode == "rfc"
        self._spare = settings.stale_if_error
        self.clock, self._journal = clock, journal
        self.keeper = Keeper(settings, clock=clock, journal=journal, wall=wall)
        self.refresher = Refresher()
        self.lent = 0  # counts answers that were used in need
        self._lock = threading.Lock()

    @property
    def answers(self) -> Store:
        """The store they are kept in."""
        return self.keeper.answers

    def reset_after_fork(self) -> None:
        """With new locks: the parent may have been in the middle of a change."""
        self._lock = threading.Lock()
        self.keeper.reset_after_fork()
        self.refresher.reset_after_fork()

    # -- the two steps ---------------------------------------------------------------------------

    def lookup(self, call: Call, proceed: Proceed[Call]) -> Response:
        """Do we know the answer?"""
        call.kept_before = self.keeper.kept
        if call.again is None:
            call.again = proceed
        known = self.known(call)
        return self.lend(call, proceed) if known is None else known

    def store(self, call: Call, proceed: Proceed[Call]) -> Response:
        """Keep a good answer, and forget what an unsafe call has changed."""
        keeper = self.keeper
        if call.kept_before != keeper.kept and (known := self.known(call)) is not None:
            return known  # it landed between our look and our own taking off
        call.epoch, call.took_off = keeper.changes.epoch, self.clock()
        if call.cache_key is not None and call.use_cache:
            return self._asked(call, proceed)
        response = proceed(call)
        if not call.is_safe and (response.status_code or 0) < 400:
            for resource in changed_by(call, response):
                keeper.forget(resource)
        return response

    # -- without asking --------------------------------------------------------------------------

    def known(self, call: Call, *, only_looks: bool = False) -> Response | None:
        """The answer to this call, if it need not be sent; who ``only_looks`` causes nothing."""
        if call.cache_key is None or not call.use_cache:
            return None
        demands = None if PARTICULAR.isdisjoint(call.headers) else self.demands(call)
        variants = self.answers.get(call.cache_key)
        entry = call.entry = chosen(variants, call)
        if entry is None:
            call.variants = variants
        known = None if entry is None else self._taken(call, entry, demands, only_looks)
        if known is None and demands is not None and demands.only_if_cached and not only_looks:
            return unanswerable(call)
        return known

    def demands(self, call: Call) -> Demands:
        """What the request says about answers that are kept."""
        return Demands.of(call.headers, by_rfc=self._by_rfc)

    def _taken(
        self, call: Call, entry: Entry, demands: Demands | None, only_looks: bool
    ) -> Response | None:
        now = self.clock()
        if now < entry.fresh_until and demands is None and call.method == "GET":
            call.from_cache = True
            self._say(call, "")
            hit = (call.method, call.asked, entry.fresh_until - entry.born)
            return entry.snapshot.replica(from_cache=True, age=now - entry.born, hit=hit)
        if not self.will_do(entry, demands or PLAIN, now=now):
            return None
        snapshot = offcut(call, demands, entry.snapshot)
        if snapshot is None:
            return None
        if not only_looks and 0 <= now - entry.fresh_until <= self._while_asking(entry):
            self._refresh(call, now)
        call.from_cache = True
        self._say(call, "")
        return _used(entry, snapshot, call, now=now)

    def will_do(self, entry: Entry, demands: Demands, *, now: float) -> bool:
        """Whether this answer meets the demands of a request."""
        is_fresh = now < entry.fresh_until
        return demands.accept(entry, now=now, window=-1 if is_fresh else self._while_asking(entry))

    def _while_asking(self, entry: Entry) -> float:
        headers = entry.snapshot.headers
        return window(headers, "stale-while-revalidate") if self._by_rfc else -1.0

    def _refresh(self, call: Call, now: float) -> None:
        """Ask in the background, once for all who have this stale answer meanwhile."""
        again = call.again
        if again is None:
            return
        asked = replace(
            call,
            headers={**call.headers, "cache-control": "no-cache"},  # for our own eyes: not sent
            arguments=dict(call.arguments),
            deadline=now + _REFRESH_TIME,
            refreshes=True,
            spent=None,
            trace=None,
        )
        self.refresher.begin(f"{call.cache_key} {call.entry.chosen_by}", lambda: again(asked))

    def _say(self, call: Call, more: str) -> None:
        if self._journal.enabled:
            url = masked_url(call.url)
            self._journal.say("%s %s: answered from the cache%s", call.method, url, more)

    # -- in need ---------------------------------------------------------------------------------

    def lend(self, call: Call, proceed: Proceed[Call]) -> Response:
        """Ask; in need, what is stale will do where server, settings or caller allow it."""
        try:
            response = proceed(call)
        except _IN_NEED as error:
            is_of_trust = isinstance(error, requests.exceptions.SSLError)
            lent = None if is_of_trust else self._lent(call)
            if lent is None:
                raise
            let_go(error)
            return lent
        return self._lent(call) or response if (response.status_code or 0) >= 500 else response

    def _lent(self, call: Call) -> Response | None:
        entry: Entry | None = call.entry
        if entry is None or entry.snapshot.status_code >= 500:
            return None
        demands, now = self.demands(call), self.clock()
        if demands.no_cache or not self._serves_in_need(entry, demands, now):
            return None
        snapshot = offcut(call, demands, entry.snapshot)
        if snapshot is None:
            return None
        with self._lock:
            self.lent += now >= entry.fresh_until
        self._say(call, ", in need")
        lent = _used(entry, snapshot, call, now=now)
        return lent if call.trace is None else call.trace.lend(lent)

    def _serves_in_need(self, entry: Entry, demands: Demands, now: float) -> bool:
        stale_for, headers = now - entry.fresh_until, entry.snapshot.headers
        if stale_for < 0:
            return True
        said = window(headers, "stale-if-error") if self._by_rfc else 0.0
        allowed = max(self._spare, said, demands.stale_if_error)
        return stale_for <= allowed and not is_strict(headers)

    def kept(self, key: str) -> Response | None:
        """What is kept under this key, be it stale, as long as it may serve in need."""
        now = self.clock()
        for entry in self.answers.get(key):
            if self._serves_in_need(entry, PLAIN, now):
                return _used(entry, entry.snapshot, now=now)
        return None

    # -- asking ----------------------------------------------------------------------------------

    def _asked(self, call: Call, proceed: Proceed[Call]) -> Response:
        entry: Entry | None = call.entry
        asked = {} if entry is None or not self.may_ask(call) else conditions(entry)
        response = _with_headers(call, asked, proceed) if asked else proceed(call)
        if asked and response.status_code == 304:
            if entry is not None and not response.history:
                return self.keeper.confirm(call, entry, response)
            response = proceed(call)  # it was of another URL: once more for all of it
        if call.method == "HEAD":
            self.keeper.compare(call, response)
        else:
            self.keeper.keep(call, response)
        return response

    def may_ask(self, call: Call) -> bool:
        """Whether conditions of ours would not be in the way of the caller's own."""
        if not self._by_rfc or call.method != "GET":
            return False
        return PARTICULAR.isdisjoint(call.headers) or not self.demands(call).is_own


def _used(entry: Entry, snapshot: Snapshot, call: Call | None = None, *, now: float) -> Response:
    hit = None if call is None else (call.method, call.asked, entry.fresh_until - entry.born)
    stale, age = now >= entry.fresh_until, now - entry.born
    return snapshot.replica(from_cache=True, stale=stale, age=age, hit=hit)


def _with_headers(call: Call, headers: Mapping[str, str], proceed: Proceed[Call]) -> Response:
    """Go on with more headers than the caller has given."""
    before, question = call.arguments, call.question
    call.arguments = {**before, "headers": {**(before.get("headers") or {}), **headers}}
    call.question = None  # other words: what was prepared for those before does not serve
    try:
        return proceed(call)
    finally:
        call.arguments, call.question = before, question
