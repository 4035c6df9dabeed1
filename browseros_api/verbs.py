"""The HTTP verbs, written once, whatever a request returns."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

__all__ = ["Verbs", "checked_method"]

R = TypeVar("R")

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2


def checked_method(method: Any) -> str:
    """``method`` if it is one that a request may have."""
    if not isinstance(method, str):
        raise TypeError(f"method must be a str such as 'GET', not {type(method).__name__}")
    if not _TOKEN.fullmatch(method):
        raise ValueError(f"method must be a word such as 'GET', not {method!r}")
    return method


class Verbs(Generic[R]):
    """``get``, ``post`` and so on, in terms of ``request``."""

    def request(self, method: str, endpoint: str, **arguments: Any) -> R:
        """Make one call."""
        raise NotImplementedError

    def get(
        self, endpoint: str, params: Any = None, headers: Mapping[str, str] | None = None,
        use_cache: bool = True, cache_ttl: float | None = None, **arguments: Any,
    ) -> R:  # fmt: skip
        """GET ``endpoint``.

        Args:
            endpoint: path below ``base_url``, such as ``"/users"``.
            params: query parameters.
            headers: on top of the client's own.
            use_cache: False neither looks into the cache nor keeps the answer.
            cache_ttl: seconds to keep the answer, instead of the client's ``cache_ttl``.
            arguments: what else ``request`` takes.
        """
        return self.request(
            "GET", endpoint, params=params, headers=headers,
            use_cache=use_cache, cache_ttl=cache_ttl, **arguments,
        )  # fmt: skip

    def post(
        self, endpoint: str, data: Any = None, headers: Mapping[str, str] | None = None,
        **arguments: Any,
    ) -> R:  # fmt: skip
        """POST ``data`` (a dict or list goes as JSON) to ``endpoint``."""
        return self.request("POST", endpoint, data=data, headers=headers, **arguments)

    def put(
        self, endpoint: str, data: Any = None, headers: Mapping[str, str] | None = None,
        **arguments: Any,
    ) -> R:  # fmt: skip
        """PUT ``data`` to ``endpoint``."""
        return self.request("PUT", endpoint, data=data, headers=headers, **arguments)

    def patch(
        self, endpoint: str, data: Any = None, headers: Mapping[str, str] | None = None,
        **arguments: Any,
    ) -> R:  # fmt: skip
        """PATCH ``endpoint`` with ``data``."""
        return self.request("PATCH", endpoint, data=data, headers=headers, **arguments)

    def delete(
        self, endpoint: str, headers: Mapping[str, str] | None = None, **arguments: Any
    ) -> R:
        """DELETE ``endpoint``."""
        return self.request("DELETE", endpoint, headers=headers, **arguments)

    def head(
        self, endpoint: str, params: Any = None, headers: Mapping[str, str] | None = None,
        **arguments: Any,
    ) -> R:  # fmt: skip
        """HEAD ``endpoint``: ``None``, or an error for a status from 400 on."""
        return self.request("HEAD", endpoint, params=params, headers=headers, **arguments)

    def options(
        self, endpoint: str, headers: Mapping[str, str] | None = None, **arguments: Any
    ) -> R:
        """OPTIONS of ``endpoint``."""
        return self.request("OPTIONS", endpoint, headers=headers, **arguments)
