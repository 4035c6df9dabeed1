"""Copies that their owners may change, made faster than by what is copied."""

from __future__ import annotations

from typing import Any

from requests import PreparedRequest
from requests.structures import CaseInsensitiveDict

__all__ = ["copied", "copied_headers"]


def copied(request: PreparedRequest | None) -> PreparedRequest | None:
    """A request that can be changed without changing this one."""
    if not isinstance(request, PreparedRequest):
        return request  # None, or what some mock thinks is one
    copy = request.copy()
    copy.hooks = {event: list(hooks) for event, hooks in request.hooks.items()}  # it shares them
    return copy


def copied_headers(headers: Any) -> Any:
    """The same for headers."""
    if type(headers) is not CaseInsensitiveDict:
        return headers.copy()
    copy: CaseInsensitiveDict[Any] = CaseInsensitiveDict.__new__(CaseInsensitiveDict)
    copy._store = headers._store.copy()  # its own copy() puts in one after the other
    return copy
