"""Of all processes that share a store, one asks; the others wait for what it keeps.

    LEAD   look once more, ask, and give the turn back
    WAIT   look into the store from time to time, until the answer is there or the turn is free
    GO     ask: the store is down, or the last answer was not kept

A turn is a lease, renewed as long as its holder lives: one that was killed delays the others by at
most a lease.  No lock is held while anybody asks, waits, or speaks with the store.
"""

from __future__ import annotations

import math
import secrets
import threading
from collections.abc import Callable

from requests import Response

from ..deadlines import late
from ..errors import MAYBE_PROCESSED, ClientClosed, DeadlineExceeded, PoolTimeout
from ..journal import Journal, masked_url
from ..pipeline import Call, Proceed
from ..stores.entry import Store
from ..stores.shelf import Turn
from .demands import PARTICULAR
from .renewals import Renewals
from .variants import chosen

__all__ = ["Turns"]

_LEASE = 5.0  # seconds
_PAUSES = (0.002, 0.1)  # seconds between two looks: a part of what was waited, within these
_PART = 0.25
_OWN = (ClientClosed, DeadlineExceeded, PoolTimeout)  # others may fare better


class _Here(threading.local):
    leads = False  # by whichever session: another one may wait for this thread as well


_here = _Here()


class Turns:
    """Whose turn it is to ask, where answers are kept for other processes, too.

    Attributes:
        shared: counts answers that another process had asked for while this one waited.
    """

    def __init__(
        self,
        store: Store,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], object],
        journal: Journal,
        lease: float = _LEASE,
    ) -> None:
        self._store, self._lease = store, lease
        self._clock, self._sleep, self._journal = clock, sleep, journal
        self.shared = 0
        self._renewals = Renewals(store, seconds=lease)
        self.reset_after_fork()

    def reset_after_fork(self) -> None:
        """Whoever leads is a thread of the parent."""
        self._lock = threading.Lock()
        self._renewals.reset_after_fork()

    def take(self, call: Call, proceed: Proceed[Call]) -> Response:
        """Is another process asking right now?"""
        # Asked while this thread leads, by a callback say: to wait could be to wait for oneself.
        if not _is_for_all(call) or _here.leads:
            return proceed(call)
        holder = secrets.token_hex(8)
        known = self._waited(call, holder)
        if isinstance(known, Response):
            return known
        return self._led(call, holder, proceed) if known is Turn.LEAD else proceed(call)

    # -- waiting ---------------------------------------------------------------------------------

    def _waited(self, call: Call, holder: str) -> Response | Turn:
        """The answer, or that this call is to LEAD, or to GO on by itself."""
        assert call.key is not None
        began = math.nan
        while (turn := self._store.lease(call.key, holder, seconds=self._lease)) is Turn.WAIT:
            if math.isnan(began):
                began = self._clock()
                self._say(call, "waits for another process")
                if call.spent is not None:
                    call.spent.turn("following")
            if not self._paused(call, self._clock() - began):
                return Turn.GO
            if (known := self._arrived(call)) is not None:
                return known
        if not math.isnan(began):
            self._left(call)  # or nobody has asked the store, since it was too late
        return turn

    def _paused(self, call: Call, waited: float) -> bool:
        """Sleep a little; False: the caller has waited for as long as it would for the origin."""
        left = self._left(call)
        patience = math.inf if call.patience is None else call.patience - waited
        if patience <= 0:
            return False
        least, most = _PAUSES
        self._sleep(min(max(_PART * waited, least), most, left, patience))
        return True

    def _left(self, call: Call) -> float:
        left = math.inf if call.deadline is None else call.deadline - self._clock()
        if left <= 0:
            raise late(call, ", waiting for another process", MAYBE_PROCESSED)
        return left

    def _arrived(self, call: Call) -> Response | None:
        """The answer, if it is in the store by now."""
        assert call.cache_key is not None
        entry, now = chosen(self._store.peek(call.cache_key), call), self._clock()
        if entry is None or now >= entry.fresh_until:
            return None
        call.from_cache = True
        with self._lock:
            self.shared += 1
        self._say(call, "another process had asked")
        return entry.snapshot.replica(from_cache=True, age=now - entry.born)

    def _say(self, call: Call, what: str) -> None:
        if self._journal.enabled:
            self._journal.say("%s %s: %s", call.method, masked_url(call.url), what)

    # -- leading ---------------------------------------------------------------------------------

    def _led(self, call: Call, holder: str, proceed: Proceed[Call]) -> Response:
        assert call.key is not None
        is_in_vain = False
        try:
            _here.leads = True
            with self._renewals.of(call.key, holder):
                # It may have come between our look and our turn.
                response = self._arrived(call) or proceed(call)
            is_in_vain = not (call.is_kept or call.from_cache)
            return response
        except Exception as error:
            is_in_vain = not isinstance(error, _OWN)
            raise
        finally:
            _here.leads = False
            is_late = call.deadline is not None and self._clock() >= call.deadline
            release = self._renewals.give_back if is_late else self._store.release
            release(call.key, holder, is_kept=not is_in_vain)


def _is_for_all(call: Call) -> bool:
    """Whether whoever asks the same may have the answer to this call."""
    if call.cache_key is None or not call.use_cache or call.method != "GET":
        return False
    return call.refreshes or PARTICULAR.isdisjoint(call.headers)
