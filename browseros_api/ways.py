"""Which way a call goes: an adapter may make the caller somebody, too."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Iterator
from typing import Any, ClassVar

from requests import Session
from requests.adapters import BaseAdapter, HTTPAdapter

from .keys import Unnamable

__all__ = ["Ways"]

_CHANGING = ("send", "add_headers")  # where an adapter can change what is sent


class Ways:
    """Tells adapters apart: those that change nothing are 0, each other has a number for good."""

    _numbers: ClassVar[weakref.WeakKeyDictionary[BaseAdapter, int]] = weakref.WeakKeyDictionary()
    _next: ClassVar[Iterator[int]] = itertools.count(1)

    def __init__(self, own: type[BaseAdapter] = HTTPAdapter) -> None:
        self._plain = (HTTPAdapter, own)

    def number(self, session: Session, url: Any) -> int:
        """The number of the adapter that ``session`` finds for ``url``.

        An ``HTTPAdapter`` that changes requests on their way may speak for anybody: ``Unnamable``.
        Any other adapter, such as a mock, is what it is for all callers.
        """
        for adapter in session.adapters.values():
            if type(adapter) not in self._plain:
                break
        else:
            return 0
        adapter = getattr(session, "find_adapter", session.get_adapter)(url)
        if type(adapter) in self._plain:
            return 0
        if isinstance(adapter, HTTPAdapter) and self._is_changing(adapter):
            raise Unnamable(f"an adapter of type {type(adapter).__name__}")
        number = Ways._numbers.get(adapter)
        return Ways._numbers.setdefault(adapter, next(Ways._next)) if number is None else number

    def _is_changing(self, adapter: BaseAdapter) -> bool:
        owners = [
            next(owner for owner in type(adapter).__mro__ if name in owner.__dict__)
            for name in _CHANGING
        ]
        return any(owner not in self._plain for owner in owners)
