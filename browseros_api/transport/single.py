"""Adapters that would ask again by themselves, below somebody who does so already."""

from __future__ import annotations

import weakref
from types import new_class
from typing import Any

from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3.util import Retry

__all__ = ["asks_again", "single"]

_ONCE = Retry(0, read=False)  # what requests gives to an adapter of which nothing was said
_COUNTS = ("connect", "read", "status", "other")  # redirects are none of urllib3's business here


def asks_again(adapter: BaseAdapter | None) -> bool:
    """Whether ``adapter`` has retries of urllib3."""
    if not isinstance(adapter, HTTPAdapter):
        return False
    retries = adapter.max_retries
    if retries.total is None:
        return any(getattr(retries, count) for count in _COUNTS)
    return retries.total > 0


def single(adapter: HTTPAdapter) -> HTTPAdapter:
    """``adapter``, asking once: what it has and does is the same, and what is set on either."""
    found = _singles.get(adapter)
    return found or _singles.setdefault(adapter, _made_single(adapter))


def _made_single(adapter: HTTPAdapter) -> HTTPAdapter:
    # On the class, where it goes before what the instance has under that name; the adapter itself
    # is left as it is, since its owner may have mounted it on another session, too.
    kind = new_class(type(adapter).__name__, (type(adapter),), exec_body=_without_retries)
    same: HTTPAdapter = object.__new__(kind)
    same.__dict__ = adapter.__dict__
    return same


def _without_retries(namespace: dict[str, Any]) -> None:
    def keep(adapter: HTTPAdapter, retries: Any) -> None:
        adapter.__dict__["max_retries"] = retries

    namespace["max_retries"] = property(lambda _: _ONCE, keep)


_singles: weakref.WeakKeyDictionary[HTTPAdapter, HTTPAdapter] = weakref.WeakKeyDictionary()
