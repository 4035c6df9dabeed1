"""What may stand in for an answer."""

from __future__ import annotations

import json
from inspect import signature
from typing import Any

from requests import Response

__all__ = ["UNSET", "check_fallback"]


class _Unset:
    """Nothing was said; ``None`` says something: no timeout, say."""

    def __repr__(self) -> str:
        return "UNSET"

    def __reduce__(self) -> str:
        return "UNSET"  # there is one, also where settings were pickled


UNSET: Any = _Unset()


def check_fallback(value: Any) -> None:
    """Raise unless it can be used instead of an answer, or is a function that makes such."""
    if value is UNSET or isinstance(value, (Response, str, bytes)):
        return
    if not callable(value):
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise TypeError(
                "fallback must be a function, a Response, str, bytes or JSON, "
                f"not {type(value).__name__}: {error}"
            ) from None
        return
    try:
        expected = signature(value)
    except (TypeError, ValueError):  # one of those that do not tell
        return
    try:
        expected.bind(None, None)
    except TypeError:
        raise TypeError(
            f"fallback must be a function of (error, asked), not of {expected}"
        ) from None
