"""Where a client's endpoints are: below its base URL, and nowhere else."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from requests import PreparedRequest

from .journal import masked_url

__all__ = ["Base"]

_PORTS = {"http": 80, "https": 443}
_ABSOLUTE = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_UNFIT = re.compile(r"[?#\\\s\x00-\x1f\x7f]")


class Base:
    """A checked base URL; its path is kept in front of every endpoint."""

    def __init__(self, url: str) -> None:
        if not isinstance(url, str):
            raise TypeError(f"base_url must be a str, not {type(url).__name__}")
        self.url = url.strip().rstrip("/")
        if not self.url:
            raise ValueError("base_url must not be empty; such as 'https://api.example.com'")
        if _UNFIT.search(self.url):
            raise ValueError(
                "base_url must have no query, fragment, backslash, white space or control "
                f"character, not {masked_url(url)!r}"
            )
        try:
            self._origin = _origin(self.url)
        except ValueError as error:
            raise ValueError(
                "base_url must be http:// or https:// and a host, such as "
                f"'https://api.example.com', not {masked_url(url)!r}"
            ) from error

    def join(self, endpoint: str) -> str:
        """The URL of ``endpoint``: a path, or a whole URL if it is of the same origin."""
        if not isinstance(endpoint, str):
            raise TypeError(f"endpoint must be a str, not {type(endpoint).__name__}")
        if _ABSOLUTE.match(endpoint):
            return self._own(endpoint)
        if not endpoint or endpoint[0] in "/?#":
            return self.url + endpoint
        return f"{self.url}/{endpoint}"

    def _own(self, url: str) -> str:
        # What a client sends carries its keys: they must not leave for another origin.
        try:
            is_own, reason = _origin(url) == self._origin, None
        except ValueError as error:
            is_own, reason = False, error
        if not is_own:
            raise ValueError(
                "endpoint must be a path, or a URL of the origin of base_url "
                f"{masked_url(self.url)!r}, not {masked_url(url)!r}"
            ) from reason
        return url


def _origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port as requests reads them: its parser and Python's differ on tricks."""
    request = PreparedRequest()
    request.prepare_url(url, None)  # what it raises are ValueErrors, all of them
    parts = urlsplit(str(request.url))
    if parts.scheme not in _PORTS:
        raise ValueError(f"the scheme {parts.scheme!r} is neither http nor https")
    host = parts.hostname or ""
    host.encode("idna")  # urllib3 would find out only when it connects
    return parts.scheme, host, parts.port or _PORTS[parts.scheme]
