"""Whom a request goes to, as far as limits are concerned: scheme, host and port."""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import urlsplit

__all__ = ["origin"]

_PORTS = {"http": 80, "https": 443}


def origin(url: str) -> str:
    """``scheme://host:port`` of ``url``, whatever user, case or default port it has."""
    return _named(*url.split("/", 3)[:3:2])


@lru_cache(maxsize=1024)
def _named(scheme: str, netloc: str = "") -> str:
    try:
        parts = urlsplit(f"{scheme}//{netloc}")
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return f"{scheme}//{netloc}"  # requests will complain
    return f"{parts.scheme}://{parts.hostname}:{port}"
