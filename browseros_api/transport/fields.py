"""Header fields of a request, written in one piece if there is nothing odd about them."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from requests.structures import CaseInsensitiveDict
from urllib3.util import SKIP_HEADER

__all__ = ["IN_ONE_PIECE", "Fields", "plain_fields"]

IN_ONE_PIECE = "all-of-them"  # the name of a header that stands for all; told by its identity

_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110, section 5.1: a token
_ODD = re.compile(r"[^\t -~\x80-\xff]")  # section 5.5: control characters, and what is not Latin-1


class Fields(dict[str, Any]):
    """Headers by their names in lower case, whose only item is the bytes of all of them."""

    __slots__ = ("_bytes",)

    def __init__(self, headers: Any, written: bytes) -> None:
        super().__init__(headers)
        self._bytes = written

    def items(self) -> Any:
        """What ``putheader`` is to put."""
        return ((IN_ONE_PIECE, self._bytes),)


def plain_fields(headers: Any) -> Fields | None:
    """``headers`` in one piece; ``None`` if they have to be looked at one by one.

    Whatever the standard library or urllib3 might refuse, or treat in a way of its own, has to.
    """
    if type(headers) is not CaseInsensitiveDict:
        return None
    store = headers._store
    values = [value for _, value in store.values()]
    if not values or SKIP_HEADER in values or {*map(type, values)} != {str}:
        return None
    if _ODD.search("".join(values)):
        return None
    names = [_before(name) for name, _ in store.values()]
    if "" in names:
        return None
    written = "\r\n".join([name + value for name, value in zip(names, values, strict=True)])
    return Fields(store, written.encode("latin-1"))


@lru_cache(maxsize=1024)
def _before(name: Any) -> str:
    """What comes before the value; empty if the name is an odd one."""
    return f"{name}: " if isinstance(name, str) and _NAME.fullmatch(name) else ""
