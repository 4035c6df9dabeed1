"""What is written down for people: one readable line per decision, with secrets masked."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from urllib.parse import urlsplit, urlunsplit

__all__ = ["LOGGER", "Journal", "is_secret", "masked_headers", "masked_url"]

LOGGER = logging.getLogger("browseros_api")
LOGGER.addHandler(logging.NullHandler())

MASK = "***"

# Names of headers and query parameters whose values make the caller somebody.
_SECRET = re.compile(
    r"authorization|cookie|token|secret|passw|api[-_.]?key|access[-_.]?key|apikey|"
    r"(^|[-_.])(auth|key|sig|signature|credentials?|session|jwt|pwd|code)($|[-_.])",
    re.IGNORECASE,
)


def is_secret(name: str) -> bool:
    """Whether a header or parameter of this name carries a secret, as far as its name tells."""
    return _SECRET.search(name) is not None and name.lower() != "idempotency-key"


def masked_url(url: str) -> str:
    """``url`` without its password and without the values of secret parameters."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url.split("?", maxsplit=1)[0]
    host = parts.netloc.rpartition("@")
    netloc = f"{MASK}@{host[2]}" if host[1] else parts.netloc
    query = "&".join(_masked_pair(pair) for pair in parts.query.split("&")) if parts.query else ""
    return urlunsplit((parts.scheme, netloc, parts.path, query, ""))


def _masked_pair(pair: str) -> str:
    name, equals, _ = pair.partition("=")
    return f"{name}={MASK}" if equals and is_secret(name) else pair


def masked_headers(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """A copy of ``headers`` that may be shown."""
    return {name: MASK if is_secret(name) else value for name, value in headers}


class Journal:
    """Writes lines to the logger ``browseros_api``, if its session was made with ``debug=True``."""

    def __init__(self, *, enabled: bool) -> None:
        self.enabled = enabled
        if enabled:
            _make_visible()

    def say(self, message: str, *values: object) -> None:
        """One line; ``values`` are formatted only if somebody reads it."""
        if self.enabled:
            LOGGER.debug(message, *values)


def _make_visible() -> None:
    # debug=True in a plain script is to show something: without any handler logging stays silent.
    if LOGGER.level == logging.NOTSET:
        LOGGER.setLevel(logging.DEBUG)
    own = [handler for handler in LOGGER.handlers if not isinstance(handler, logging.NullHandler)]
    if not own and not logging.getLogger().handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(message)s"))
        LOGGER.addHandler(handler)
