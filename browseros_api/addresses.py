"""Where a client's endpoints are: below its base URL, and nowhere else."""

from __future__ import annotations

from urllib.parse import urlsplit

__all__ = ["Base"]

_PORTS = {"http": 80, "https": 443}


class Base:
    """A checked base URL; its path is kept in front of every endpoint."""

    def __init__(self, url: str) -> None:
        if not isinstance(url, str):
            raise TypeError(f"base_url must be a str, not {type(url).__name__}")
        stripped = url.strip()
        if not stripped:
            raise ValueError("base_url must not be empty; such as 'https://api.example.com'")
        parts = urlsplit(stripped)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise ValueError(f"base_url must be http:// or https:// and a host, not {url!r}")
        if parts.query or parts.fragment or any(c.isspace() or c < " " for c in stripped):
            raise ValueError(f"base_url must have no query, fragment or white space, not {url!r}")
        self.url = stripped.rstrip("/")
        self._origin = _origin(stripped)

    def join(self, endpoint: str) -> str:
        """The URL of ``endpoint``: a path, or a whole URL if it is of the same origin."""
        if not isinstance(endpoint, str):
            raise TypeError(f"endpoint must be a str, not {type(endpoint).__name__}")
        if endpoint.startswith("/"):
            return self.url + endpoint
        if not endpoint or endpoint[0] in "?#":
            return self.url + endpoint
        if "://" in endpoint.partition("?")[0].partition("#")[0]:
            return self._own(endpoint)
        return f"{self.url}/{endpoint}"

    def _own(self, url: str) -> str:
        # What a client sends carries its keys: they must not leave for another origin.
        if _origin(url) != self._origin:
            raise ValueError(
                f"endpoint must be a path, or a URL of the origin of base_url {self.url!r}, "
                f"not {url!r}"
            )
        return url


def _origin(url: str) -> tuple[str, str | None, int | None]:
    try:
        parts = urlsplit(url)
        return parts.scheme.lower(), parts.hostname, parts.port or _PORTS.get(parts.scheme.lower())
    except ValueError as error:
        raise ValueError(f"endpoint or base_url {url!r} is not a URL: {error}") from None
