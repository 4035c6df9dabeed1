"""Why a call would be answered from the cache, or would not: one sentence."""

from __future__ import annotations

from collections.abc import Callable

from ..pipeline import Call
from ..stores.entry import Entry
from ..tracing.trace import told_freshness
from .cache import Cache
from .demands import Demands
from .offcuts import offcut
from .validation import conditions
from .variants import chosen

__all__ = ["explained", "missed", "unasked"]

_ANSWERED = "GET", "HEAD"
_UNKNOWN = "miss", "a miss: nothing is kept for it"


def explained(cache: Cache, call: Call, *, clock: Callable[[], float]) -> str:
    """What would become of ``call`` now; nothing is asked, and nothing changes."""
    reason = _bypassing(call)
    if reason is not None or call.cache_key is None:
        return str(reason)
    variants = cache.answers.peek(call.cache_key)
    entry = chosen(variants, call)
    if entry is None:
        return _unchosen(cache, call, variants)
    return _judged(cache, call, entry, clock())


def missed(cache: Cache, call: Call) -> tuple[str, str]:
    """Why ``call`` is being made, now that the cache was looked into: in a word, and a sentence."""
    reason = _bypassing(call)
    if reason is not None:
        return "bypass", reason
    if call.entry is not None:
        return "miss", _judged(cache, call, call.entry, cache.clock())
    return ("miss", _other(call.variants)) if call.variants else _UNKNOWN


def unasked(call: Call) -> tuple[str, str]:
    """Why any call is being made if there is no cache."""
    return "off", "the cache is switched off (enable_cache=False)"


def _bypassing(call: Call) -> str | None:
    if call.cache_key is not None and call.use_cache and call.method in _ANSWERED:
        return None
    if call.method not in _ANSWERED:
        return f"a miss: {call.method} is never answered from the cache"
    if not call.use_cache:
        return "a miss: the call says use_cache=False"
    if call.key is None:
        return (
            "a miss: it is shared with nobody, since it has a body, files, a stream, hooks of its "
            "own, or something that cannot be named"
        )
    return f"a miss: in TTL mode {call.method} is not answered from the cache"


def _other(variants: tuple[Entry, ...]) -> str:
    names = sorted({name for entry in variants for name, _ in entry.chosen_by})
    return f"a miss: what is kept varies on {', '.join(names)}, and is for other values"


def _unchosen(cache: Cache, call: Call, variants: tuple[Entry, ...]) -> str:
    if variants:
        return _other(variants)
    others = sum(
        any(entry.resource == call.resource for entry in cache.answers.peek(key))
        for key in cache.answers
    )
    if others:
        return (
            f"a miss: what is kept of this URL ({others}) is for another query, caller, or header "
            "that tells callers apart"
        )
    return "a miss: nothing is kept of this URL"


def _judged(cache: Cache, call: Call, entry: Entry, now: float) -> str:
    demands = cache.demands(call)
    left = entry.fresh_until - now
    how = told_freshness(left)
    if cache.will_do(entry, demands, now=now):
        if offcut(call, demands, entry.snapshot) is None:
            return "a miss: only the origin can tell what the request asks for"
        if left > 0:
            return f"a hit: it is {how}"
        if -left <= demands.max_stale:
            return f"a hit: it is {how}, and the request takes that (max-stale)"
        return f"a hit: it is {how}, and asked for in the background (stale-while-revalidate)"
    if demands.no_cache:
        return f"a miss: it is {how}, but the request wants the origin's word"
    if left > 0:
        return f"a miss: it is {how}, and {now - entry.born:.0f} s old: {_wish(demands)}"
    asked = " and ".join(conditions(entry)) if cache.may_ask(call) else ""
    what = f"the origin is asked whether it has changed ({asked})" if asked else "it is asked for"
    return f"a miss: it is {how}, and {what}"


def _wish(demands: Demands) -> str:
    if demands.min_fresh:
        return f"the request wants it fresh for {demands.min_fresh:.0f} s"
    return f"the request wants it no older than {demands.max_age or 0:.0f} s"
