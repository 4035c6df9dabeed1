"""Where is counted how often something was done in the time that has just passed.

In memory, by the session's clock; and on the Redis server that is the session's store, where all
processes count together, by the ``limits`` package's moving window.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from ..deadlines import is_hurried
from ..forks import importing
from ..journal import LOGGER, masked_url
from ..settings import Settings
from .redis import connected

__all__ = ["MemoryWindows", "Rate", "SharedWindows", "Windows", "open_windows", "rates_of"]

_MOST_KEYS = 1024
_PAUSES = (0.5, 30.0)  # seconds without the server after a failure: at first, and at most
_RELAPSE = 60.0  # seconds: failing again so soon, it was never well
_MOST = 1_000_000_000  # in a window: it is no limit, and each of them is remembered
_LONGEST = 100  # characters of a rate that are told
_MARGIN = 0.001  # seconds: the server lets through what is later, and not what is as late


class Rate(NamedTuple):
    """So many within any period of so many seconds."""

    amount: int
    seconds: float


class Windows(Protocol):
    """Counts by key, against one or several rates."""

    def take(self, key: str, rates: Sequence[Rate]) -> float:
        """Count once more, and 0; or the seconds until that may be possible."""

    def foresee(self, key: str, rates: Sequence[Rate], before: int) -> float:
        """The seconds at least, for somebody who has to wait until ``before`` others have gone."""

    def reset_after_fork(self) -> None:
        """In a child: locks and connections of its own."""


def open_windows(settings: Settings, *, clock: Callable[[], float]) -> Windows:
    """On the server that is the session's store, or else in memory; nothing connects yet."""
    if settings.store.startswith(("memory:", "sqlite:")):
        return MemoryWindows(clock=clock)
    from .beyond import located  # noqa: PLC0415  (what few need is not loaded for all)

    url, namespace, _ = located(settings.store)
    return SharedWindows(url, namespace=namespace, timeout=settings.store_timeout, clock=clock)


def rates_of(text: str) -> tuple[Rate, ...]:
    """Such as ``"10/second;100 per 15 minutes"``; else ``ValueError``."""
    try:
        from limits import parse_many  # noqa: PLC0415  (an extra)
    except ImportError:
        raise ImportError("rate_limit needs limits: pip install 'browseros-api[limits]'") from None
    told = "rate_limit must be like '10/second' or '5/second;100 per 15 minutes'"
    said = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
    try:
        rates = tuple(Rate(item.amount, float(item.get_expiry())) for item in parse_many(text))
    except (ValueError, OverflowError):
        raise ValueError(f"{told}, not {said!r}") from None
    if not rates or not all(1 <= rate.amount <= _MOST and rate.seconds >= 1 for rate in rates):
        raise ValueError(f"{told}, with numbers from 1 to {_MOST}, not {said!r}")
    return rates


class MemoryWindows:
    """The keys that were used last, each with the instants that its rates need.

    Not the memory of ``limits``: that goes by the wall clock, which jumps, and has a thread.
    """

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._taken: OrderedDict[str, deque[float]] = OrderedDict()  # latest used last
        self.reset_after_fork()

    def reset_after_fork(self) -> None:
        """Nobody holds the lock."""
        self._lock = threading.Lock()

    def take(self, key: str, rates: Sequence[Rate]) -> float:
        """See ``Windows``."""
        with self._lock:
            taken, now = self._of(key, rates), self._clock()
            seconds = max(_until(taken, rate, now) for rate in rates)
            if seconds <= 0:
                taken.append(now)
            return seconds

    def note(self, key: str, rates: Sequence[Rate]) -> None:
        """Count what somebody else has let through."""
        with self._lock:
            self._of(key, rates).append(self._clock())

    def foresee(self, key: str, rates: Sequence[Rate], before: int) -> float:
        """See ``Windows``."""
        with self._lock:
            taken, now = self._of(key, rates), self._clock()
            return max(_until(taken, rate, now, before) for rate in rates)

    def _of(self, key: str, rates: Sequence[Rate]) -> deque[float]:
        taken = self._taken.get(key)
        if taken is None:
            most = max(rate.amount for rate in rates)
            taken = self._taken[key] = deque(maxlen=most)
            if len(self._taken) > _MOST_KEYS:
                self._taken.popitem(last=False)
        else:
            self._taken.move_to_end(key)
        return taken


def _until(taken: deque[float], rate: Rate, now: float, before: int = 0) -> float:
    """Seconds until one more is within the rate, after so many others that wait."""
    rounds, place = divmod(before, rate.amount)
    latest = len(taken) - rate.amount + place  # its instant has to be a period ago
    least = rounds * rate.seconds
    return least if latest < 0 else max(0.0, least + taken[latest] + rate.seconds - now)


class SharedWindows:
    """Counts on a Redis server, for all processes whose store it is.

    A server that is down or slow stops no call: the process then counts alone, and asks again
    after a while.  Keys are hashed, and stand under the namespace.
    """

    def __init__(
        self, url: str, *, namespace: str, timeout: float, clock: Callable[[], float]
    ) -> None:
        self._url, self._namespace, self._timeout = url, namespace, timeout
        self._clock = clock
        self._alone = MemoryWindows(clock=clock)
        self.reset_after_fork()

    def reset_after_fork(self) -> None:
        """With connections of its own."""
        self._lock = threading.Lock()
        self._pause, self._failed_at = 0.0, float("-inf")
        self._down_until: float | None = None
        self._limiter: Any = None
        self._alone.reset_after_fork()

    def take(self, key: str, rates: Sequence[Rate]) -> float:
        """See ``Windows``."""
        if self._is_down():
            return self._alone.take(key, rates)
        is_unfair = is_hurried()
        try:
            seconds = self._take(key, rates)
        except Exception as error:  # whatever a server does wrong is not the caller's fault
            if not is_unfair:
                self._failed(error)
            return self._alone.take(key, rates)
        self._down_until = None
        if seconds <= 0:
            self._alone.note(key, rates)
        return seconds

    def foresee(self, key: str, rates: Sequence[Rate], before: int) -> float:
        """See ``Windows``: as far as this process knows."""
        return self._alone.foresee(key, rates, before)

    def _take(self, key: str, rates: Sequence[Rate]) -> float:
        limiter, items = self._limiter or self._opened(), [_item(rate) for rate in rates]
        name = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
        if len(items) > 1:  # what one of them refuses is not to count for the others
            seconds = max(_waits(limiter, item, name) for item in items)
            if seconds > 0:
                return seconds
        for item in items:
            if not limiter.hit(item, name):
                return max(_MARGIN, _waits(limiter, item, name))
        return 0.0

    def _opened(self) -> Any:
        with importing:
            from limits.storage import RedisStorage  # noqa: PLC0415
            from limits.strategies import MovingWindowRateLimiter  # noqa: PLC0415
        client = connected(self._url, timeout=self._timeout)
        storage = RedisStorage(
            "redis://",  # what it would connect to, had it no connections
            connection_pool=client.connection_pool,
            key_prefix=f"{self._namespace}-rate",  # clearing the cache lets them be
        )
        self._limiter = MovingWindowRateLimiter(storage)
        return self._limiter

    def _is_down(self) -> bool:
        if self._down_until is None:
            return False
        with self._lock:
            now = self._clock()
            if self._down_until is None or now < self._down_until:
                return self._down_until is not None
            self._down_until = now + self._pause  # this thread tries; the others count alone
        return False

    def _failed(self, error: Exception) -> None:
        least, most = _PAUSES
        with self._lock:
            now = self._clock()
            is_new = now - self._failed_at > _RELAPSE
            self._pause = least if is_new else min(2 * self._pause, most)
            self._failed_at, self._down_until = now, now + self._pause
        if is_new:
            LOGGER.warning(
                "the store %s fails; rates are counted by each process alone (%s)",
                masked_url(self._url),
                type(error).__name__,
            )


def _item(rate: Rate) -> Any:
    from limits import RateLimitItemPerSecond  # noqa: PLC0415  (loaded, or there were no rates)

    return RateLimitItemPerSecond(rate.amount, int(rate.seconds))


def _waits(limiter: Any, item: Any, name: str) -> float:
    if limiter.test(item, name):
        return 0.0
    until: float = limiter.get_window_stats(item, name).reset_time
    return max(0.0, until - time.time()) + _MARGIN
