"""Looking into the cache: what is kept, why a call would hit or miss, and forgetting by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any

import requests

from .bodies import decoded
from .engine import Engine
from .forks import importing
from .journal import masked_url
from .pipeline import Call
from .plans import OURS
from .policies.explaining import explained
from .stores.entry import Entry

__all__ = ["KeptAnswer", "KeptAnswers", "Remembers", "as_requested"]


@dataclass(frozen=True)
class KeptAnswer:
    """What there is to tell of an answer that is kept.  Seconds and bytes.

    Attributes:
        key: what it is kept under.
        url: where it is from, with secrets masked; a store outside of memory knows no query.
        status: its status.
        size: what it takes in memory, about.
        age: how old it is.
        fresh_for: for how long it is used without asking; negative: since when not.
        kept_for: for how long it is kept at all.
        varies_on: names of the request headers that chose it.
    """

    key: str
    url: str
    status: int
    size: int
    age: float
    fresh_for: float
    kept_for: float
    varies_on: tuple[str, ...]

    @classmethod
    def of(cls, key: str, entry: Entry, *, now: float) -> KeptAnswer:
        """Of an entry at the instant ``now``."""
        return cls(
            key=key,
            url=masked_url(entry.snapshot.url or entry.resource),
            status=entry.snapshot.status_code,
            size=entry.snapshot.size,
            age=now - entry.born,
            fresh_for=entry.fresh_until - now,
            kept_for=entry.expires - now,
            varies_on=tuple(name for name, _ in entry.chosen_by if not name.startswith(":")),
        )


class KeptAnswers:
    """The answers that a session keeps: ``session.cache``, and ``client.cache``.

    ::

        for answer in client.cache:
            print(answer.url, answer.fresh_for)
        client.cache.explain("GET", "/users", params={"page": 2})
        client.cache.delete(prefix="/users")
    """

    def __init__(
        self, engine: Engine, plan: Callable[..., Call], join: Callable[[str], str] = str
    ) -> None:
        self._engine, self._plan, self._join = engine, plan, join
        self._keeper = engine.cache.keeper

    def __iter__(self) -> Iterator[KeptAnswer]:
        """Each, as it was when it had its turn; those that go meanwhile are left out."""
        for key in self._keeper.answers:
            for entry in self._keeper.answers.peek(key):
                yield KeptAnswer.of(key, entry, now=self._engine.clock())

    def __len__(self) -> int:
        return len(self._keeper.answers)

    @property
    def bytes(self) -> int:
        """What they take all together, about."""
        return self._keeper.answers.bytes

    def keys(self, url: str | None = None) -> list[str]:
        """What they are kept under; those of one URL, whatever its query."""
        answers = self._keeper.answers
        if url is None:
            return list(answers)
        place = self._place(url)
        return [key for key in answers if any(e.resource == place for e in answers.peek(key))]

    def delete(
        self, *, url: str | None = None, prefix: str | None = None, key: str | None = None
    ) -> int:
        """Forget what is kept of one URL, whatever its query, of all that begin alike, or one key.

        What is on its way to a URL is not kept either.  How many keys there were.
        """
        if sum(one is not None for one in (url, prefix, key)) != 1:
            raise TypeError("give one of url, prefix and key")
        answers = self._keeper.answers
        if key is not None:
            return int(answers.delete(key))
        if url is not None:
            return self._keeper.forget(self._place(url))
        begin = self._join(str(prefix))
        kept = {entry.resource for key in answers for entry in answers.peek(key)}
        return sum(self._keeper.forget(one) for one in kept if one.startswith(begin))

    def clear(self) -> None:
        """Forget everything, also what is on its way."""
        self._keeper.clear()

    def prune(self) -> int:
        """Let go of what is of no use any more, which happens by itself as well; how many."""
        return self._keeper.answers.expire()

    def explain(self, method: str, endpoint: str, **arguments: Any) -> str:
        """One sentence: would this call be answered from the cache now, and why."""
        if not self._engine.settings.enable_cache:
            return "a miss: the cache is switched off (enable_cache=False)"
        call = self._plan(method, endpoint, **arguments)
        return explained(self._engine.cache, call, clock=self._engine.clock)

    def _place(self, url: str) -> str:
        """A URL as it is kept: normalised by requests, without its query."""
        prepared = requests.PreparedRequest()
        prepared.prepare_url(self._join(url), None)
        return str(prepared.url).partition("#")[0].partition("?")[0]

    def _repr_html_(self) -> str:
        with importing:
            from .cards.shown import MOST, answers_card  # noqa: PLC0415
        figures, shown = self._engine.meter.read(), [*islice(self, MOST)]
        rate = figures["cache_hit_rate"] if figures["total_requests"] else None
        return answers_card(shown, count=len(self), size=self.bytes, hit_rate=rate)

    def __repr__(self) -> str:
        return f"<KeptAnswers [{len(self)} keys, {self.bytes} bytes]>"


def as_requested(plan: Callable[..., Call]) -> Callable[..., Call]:
    """A session's ``plan`` that takes what its ``request`` takes."""

    def planned(method: str, url: str, **arguments: Any) -> Call:
        ours = {name: arguments.pop(name) for name in OURS if name in arguments}
        return plan({"method": method, "url": url, **arguments}, **ours)

    return planned


class Remembers:
    """What can be asked and told of the answers that a client keeps."""

    _session: Any
    _base: Any
    if TYPE_CHECKING:
        _planned: Callable[..., Call]

    @cached_property
    def cache(self) -> KeptAnswers:
        """The answers that are kept: to look through, to forget, and to have explained."""
        return KeptAnswers(self._session.engine, self._planned, self._base.join)

    def clear_cache(self) -> None:
        """Forget every kept answer."""
        self._session.clear_cache()

    def cache_key(self, endpoint: str, **arguments: Any) -> str | None:
        """The key under which ``get(endpoint, **arguments)`` is kept; None if it is not shared."""
        return self._planned("GET", endpoint, **arguments).cache_key

    def get_cached(self, endpoint: str, **arguments: Any) -> Any:
        """What ``get(endpoint, **arguments)`` would be answered from the cache; None if nothing."""
        call = self._planned("GET", endpoint, **arguments)
        known = self._session.engine.cache.known(call, only_looks=True)
        return None if known is None else decoded(known)

    def _get_cached(self, key: str | None) -> Any:
        known = None if key is None else self._session.engine.cache.kept(key)
        return None if known is None else decoded(known)
