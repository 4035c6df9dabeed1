"""Whom a request goes to, as far as limits are concerned: scheme, host and port."""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import urlsplit

__all__ = ["origin"]

_PORTS = {"http": 80, "https": 443}


def origin(url: str) -> str:
    """``scheme://host:port`` of ``url``, whatever user, case or default port it has."""
    end = url.find("/", 8)  # behind the two slashes, and at least one letter of a host
    return _named(url if end < 0 else url[:end])


@lru_cache(maxsize=1024)
def _named(url: str) -> str:
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return url  # requests will complain
    return f"{parts.scheme}://{parts.hostname}:{port}"
