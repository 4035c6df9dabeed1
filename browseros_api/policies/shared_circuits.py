"""Circuits that are open in one process are open in all that share a server.

    closed       each process counts for itself; twice a second it looks at the board
    open         the first that opens one writes that there, and the others follow
    half-open    the board gives the trials out, and counts them: over all processes together

While the server is down, each process goes on by itself.
"""

from __future__ import annotations

import math
import secrets
import threading
import weakref
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

from ..deadlines import is_hurried, left
from ..errors import CircuitOpenError
from ..journal import LOGGER, masked_url
from ..keys import digest
from ..settings import Settings
from ..stores.beyond import board_beyond
from ..stores.redis_board import Notice, RedisBoard
from .breaker_states import CLOSED, HALF_OPEN, OPEN, Permit
from .circuit_breaker import CircuitBreaker

__all__ = ["Peers", "peers_of"]

T = TypeVar("T")

_INTERVAL = 0.5  # seconds: how old what is known of the others may be
_PAUSES = (0.5, 30.0)  # seconds without the board after a failure: at first, and at most


class Peers:
    """What the other processes say of circuits, and are told of them."""

    def __init__(
        self, board: RedisBoard, *, base_url: str | None, clock: Callable[[], float]
    ) -> None:
        self._board, self._clock = board, clock
        self._base = masked_url(base_url or "").rstrip("/")
        self._start_afresh()

    def _start_afresh(self) -> None:
        self._looking = threading.Lock()  # one looks; the others go by what is known
        self._lock = threading.Lock()
        self._known: dict[str, Notice] = {}
        self._changes = 0  # made by this process: what was read meanwhile may be older
        self._looked_at = self._away_until = -math.inf
        self._pause = 0.0

    def reset_after_fork(self) -> None:
        """In a child: with a connection of its own."""
        self._start_afresh()
        self._board.reset_after_fork()

    def close(self) -> None:
        """Give back connections; used again, it opens others."""
        self._board.close()

    def joined(self, breaker: CircuitBreaker) -> CircuitBreaker:
        """A breaker like this one, whose copies are shared."""
        kind = type(breaker)
        shared: Any = kind.__new__(type(kind.__name__, (_Shared, kind), {}))
        shared.peers = self
        shared.__setstate__(breaker.__getstate__())
        return shared  # type: ignore[no-any-return]

    def said_of(self, endpoint: str) -> Notice | None:
        """What the board said of this endpoint's circuit a moment ago; None: it is closed."""
        if self._clock() - self._looked_at >= _INTERVAL and self._looking.acquire(blocking=False):
            try:
                self._look()
            finally:
                self._looking.release()
        return self._known.get(_name(self._base, endpoint)) if self._known else None

    def _look(self) -> None:
        changes = self._changes
        self._looked_at = self._clock()
        read = self._asked(self._board.read)
        with self._lock:
            if read is not None and changes == self._changes:
                self._known = read

    def tell(self, endpoint: str, event: str, who: str, **details: Any) -> Notice | None:
        """Write down what has happened; what the board says then, None if it is not there."""
        name = _name(self._base, endpoint)
        notice = self._asked(lambda: self._board.tell(name, event, who, **details))
        if notice is not None:
            with self._lock:
                self._changes += 1
                self._known = {one: said for one, said in self._known.items() if one != name}
                if notice.opening:
                    self._known[name] = notice
        return notice

    def _asked(self, work: Callable[[], T]) -> T | None:
        now = self._clock()
        if now < self._away_until or left() == 0:
            return None
        is_unfair = is_hurried()
        try:
            result = work()
        except Exception as error:  # whatever a server does wrong is not the caller's fault
            if is_unfair:
                return None
            if not self._pause:  # the store, which is on the same server, warns
                what = f"{type(error).__name__}: {error}"
                LOGGER.info("circuits are not shared: %s fails (%s)", self._board.place, what)
            least, most = _PAUSES
            self._pause = min(max(2 * self._pause, least), most)
            self._away_until = now + self._pause
            return None
        self._pause = 0.0
        return result


def peers_of(settings: Settings, *, clock: Callable[[], float]) -> Peers:
    """The other processes that have their answers on the same server."""
    return Peers(board_beyond(settings), base_url=settings.base_url, clock=clock)


@lru_cache(4096)
def _name(base: str, endpoint: str) -> str:
    """What the board calls a circuit; it need not know which URLs there are."""
    return digest(f"{base}{endpoint}" if endpoint.startswith("/") else endpoint)[:32]


class _Shared(CircuitBreaker):
    """Stands before the class of a breaker."""

    peers: Peers

    def _start_afresh(self) -> None:
        super()._start_afresh()
        self._opening = ""  # which of those on the board this one follows
        # Trials that the board has given out.
        self._tries: weakref.WeakKeyDictionary[Permit, str] = weakref.WeakKeyDictionary()
        self._has_tripped = self._is_permitting = False

    def admit(self) -> Permit:
        """Leave to make one call, if the other processes do not know better."""
        if self._has_tripped:  # by hand: there was no call
            self._publish()
        self._follow(self.peers.said_of(self.name or ""))
        permit = super().admit()
        state = permit.state
        if state is None or state.name != HALF_OPEN or not self._opening:
            return permit
        who = secrets.token_hex(8)
        said = self._write("try", who, self._probe_lease)
        if said is None or not said.opening:
            return permit
        if said.may_begin:
            self._tries[permit] = who
            return permit
        super().forgive(permit)
        with self._lock:
            declined = self._declined(said.seconds)
        if isinstance(declined, CircuitOpenError):
            raise declined from declined.last_error
        return declined

    def settle(self, permit: Permit, failure: BaseException | None) -> float:
        """Report how the call ended.  For how long calls are refused now."""
        refused_for = super().settle(permit, failure)
        who = self._tries.pop(permit, None)
        if self._has_tripped:
            self._publish(trial=who)
        elif who is not None and failure is None:
            self._write("good", who)
        return refused_for

    def forgive(self, permit: Permit) -> None:
        """Give the permit back as if it had never been used."""
        super().forgive(permit)
        who = self._tries.pop(permit, None)
        with self._lock:
            is_overdue = self._is_permitting  # then by the board's clock as well
        if who is not None and not is_overdue:
            self._write("forgive", who)

    def _permit(self, now: float) -> Permit:
        self._is_permitting = True  # and the lock is held: the board cannot be told
        try:
            return super()._permit(now)
        finally:
            self._is_permitting = False

    def _publish(self, trial: str | None = None) -> None:
        """Let the others know that this one has opened, if it is not for ever."""
        self._has_tripped = False
        now = self.clock()
        with self._lock:
            seconds = self._left(now)
        if trial is not None and math.isfinite(seconds):
            self._write("bad", trial, seconds)
        elif 0 < seconds < math.inf:
            self._write("open", secrets.token_hex(8), seconds)

    def _write(self, event: str, who: str = "", seconds: float = 0.0) -> Notice | None:
        most = self.success_threshold
        said = self.peers.tell(self.name or "", event, who, seconds=seconds, most=most)
        if said is not None and said.opening == who:
            self._opening = who  # our own: it is open here already
        elif said is not None:
            self._follow(said)
        return said

    def _follow(self, said: Notice | None) -> None:
        opening = said.opening if said is not None else ""
        if opening == self._opening or self.isolated:  # what was done by hand holds
            return
        with self._lock:
            self._opening = opening
            if not opening:
                if self._state.name != CLOSED:
                    self._turn(CLOSED)
            elif said is not None:
                self._opened_at, self._open_for = self.clock(), max(0.0, said.seconds)
                self._why = "open: another process has found it down"
                self._turn(OPEN)
        self._tell_changes()

    def _trip(self, *arguments: Any) -> None:
        super()._trip(*arguments)
        self._has_tripped = True

    def _switch(self, name: str) -> None:
        super()._switch(name)
        if name == CLOSED:  # by hand: for all
            self._write("close")
