"""Whether functions that a short way passes by are still those of their library."""

from __future__ import annotations

import sys
from itertools import repeat
from operator import is_
from types import FunctionType
from typing import Any

__all__ = ["Genuine"]

_NOTHING = repeat(None)


class Genuine:
    """Functions, each as ``(owner, name)``; true while none of them has been replaced.

    Tracers and mocks put theirs in the place of a library's: whoever takes a short way past it
    asks first, and takes the ordinary way if anybody waits there.
    """

    __slots__ = ("_functions", "_named", "_names", "_owners")

    def __init__(self, *places: tuple[Any, str]) -> None:
        self._owners, self._names = zip(*places, strict=True)
        self._named = frozenset(self._names)
        self._functions: tuple[Any, ...] | None = None

    def __bool__(self) -> bool:
        functions = self._functions or self._find()
        # By identity: a wrapper may say that it equals what it wraps.
        return functions is not None and all(
            map(is_, map(getattr, self._owners, self._names, _NOTHING), functions)
        )

    def are_those_of(self, thing: Any) -> bool:
        """Whether ``thing`` has the same by these names: its class overrides none of them."""
        functions = self._functions or self._find()
        return (
            functions is not None
            and self._named.isdisjoint(vars(thing))
            and all(map(is_, map(getattr, repeat(type(thing)), self._names, _NOTHING), functions))
        )

    def _find(self) -> tuple[Any, ...] | None:
        found = tuple(map(getattr, self._owners, self._names, _NOTHING))
        if all(map(_is_made_by, self._owners, found)):
            self._functions = found
        return self._functions


def _is_made_by(owner: Any, function: Any) -> bool:
    """Whether it was written in the module of ``owner``, or in that of one of its bases.

    Wrappers copy the name of a module, but not its variables.
    """
    modules = {kind.__module__ for kind in owner.__mro__} if isinstance(owner, type) else None
    names = {owner.__name__} if modules is None else modules
    return type(function) is FunctionType and any(
        function.__globals__ is getattr(sys.modules.get(name), "__dict__", None) for name in names
    )
