"""How requests and answers are called: the stable semantic conventions for HTTP, version 1.37.

Of those that are still in development ``url.template`` is used.  What is our own begins with
``browseros_api``.
"""

from __future__ import annotations

import os
from urllib.parse import urlsplit

__all__ = ["SCHEMA", "Words", "method_of", "outcome_of", "place_of", "server_of", "template_of"]

Words = dict[str, str | int | float | bool]

SCHEMA = "https://opentelemetry.io/schemas/1.37.0"

_METHODS = "CONNECT,DELETE,GET,HEAD,OPTIONS,PATCH,POST,PUT,TRACE"
_KNOWN = frozenset(os.environ.get("OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS", _METHODS).split(","))
_PORTS = {"http": 80, "https": 443}


def method_of(method: str) -> Words:
    """The method, if it is known; any other would be a label that a caller makes up."""
    if method in _KNOWN:
        return {"http.request.method": method}
    return {"http.request.method": "_OTHER", "http.request.method_original": method}


def server_of(url: str) -> Words:
    """Host and port that ``url`` names."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:  # whoever sends it will say so
        return {}
    words: Words = {"server.address": parts.hostname or ""}
    if port is not None:
        words["server.port"] = port
    return words


def template_of(endpoint: str) -> str:
    """The path in the name of an endpoint, which may have an origin in front."""
    _, mark, rest = endpoint.partition("://")
    return f"/{rest.partition('/')[2]}" if mark else endpoint


def place_of(endpoint: str) -> Words:
    """All that the name of an endpoint says: of the client's own server that is the path only."""
    server = server_of(endpoint) if "://" in endpoint else {}
    return {"url.template": template_of(endpoint), **server}


def outcome_of(status: int | None, error: str | None) -> Words:
    """What came of it; an error is named by its class, as everywhere else in the package."""
    words: Words = {} if status is None else {"http.response.status_code": status}
    if error is None and status is not None and status >= 400:
        error = str(status)
    return words if error is None else {**words, "error.type": error}
