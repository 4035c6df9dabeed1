"""Names of endpoints: what fails and recovers as one, however many resources are behind it.

    https://api.example.com/users/123?full=1      /users/{id}      if that is the base_url
    https://other.example.com/users/123           https://other.example.com/users/{id}

What looks like one thing among many is folded to ``{id}``: numbers, UUIDs, hashes, dates, mail
addresses, and tokens that mix digits into their letters.  Words stay, and so do words with a number
at their end (``v1``, ``oauth2``).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache, partial
from urllib.parse import urlsplit

from requests import PreparedRequest

from ..journal import masked_url

__all__ = ["endpoint_namer", "folded", "host_of"]

Namer = Callable[[str, str], str]

_REMEMBERED = 4096  # URLs; most differ in an id only, so these are many more than endpoints
_STANDARD_PORTS = {"http": ":80", "https": ":443"}

_ID = re.compile(
    r"""\d+
      | \d+ ([-_:,]\d+)+                                      # 2024-01-31; 1,2,3
      | \d+ (\.\d+){3}                                        # 10.0.0.1, but not 1.1
      | \d{4}-\d\d-\d\d .*                                    # 2024-01-31T10:00Z
      | \{? [0-9a-f]{8} (-[0-9a-f]{4}){3} -[0-9a-f]{12} \}?   # a UUID
      | (?=.*\d) [0-9a-f]{8,}                                 # a hash, but not "facade"
      | .* \d{5} .*                                           # order-12345
      | .+ (@|%40) .+                                         # john@example.com, but not @john
      | .{65,}
    """,
    re.IGNORECASE | re.VERBOSE,
)
_SEPARATORS = re.compile(r"[-_.~:]")
_INSIDE = re.compile(r"\d[a-z]", re.IGNORECASE)  # a digit that does not end a word


def endpoint_namer(base_url: str | None, endpoint_key: Callable[[str, str], str] | None) -> Namer:
    """The function that names the endpoint of a ``(method, url)``.

    A name has the origin in front unless it is that of ``base_url``, whose own path is left out
    then.  ``endpoint_key`` is asked instead, each time, if there is one; whatever it raises, and
    any answer that is no string, becomes a ``TypeError``.
    """
    if endpoint_key is not None:
        return partial(_asked, endpoint_key)
    home, prefix = _split(_prepared(base_url)) if base_url else ("", "")
    named = lru_cache(maxsize=_REMEMBERED)(partial(_named, home, prefix.rstrip("/")))
    return lambda method, url: named(url.partition("?")[0])


def host_of(url: str) -> str:
    """The name of everything on the host of ``url``: ``https://api.example.com/*``."""
    return _origin("/".join(url.split("/", 3)[:3]))


@lru_cache(maxsize=_REMEMBERED)
def _origin(url: str) -> str:
    return f"{_split(url)[0]}/*"


def _asked(endpoint_key: Callable[[str, str], str], method: str, url: str) -> str:
    try:
        name: object = endpoint_key(method, url)
    except Exception as error:
        what = f"endpoint_key failed for {method} {masked_url(url)}"
        raise TypeError(f"{what}: {type(error).__name__}: {error}") from error
    if not isinstance(name, str):
        raise TypeError(f"endpoint_key must return a string, not {name!r}")
    return name


def _named(home: str, prefix: str, url: str) -> str:
    origin, path = _split(url)
    if origin != home:
        return origin + folded(path)
    if path == prefix or path.startswith(f"{prefix}/"):
        path = path[len(prefix) :] or "/"
    return folded(path)


def _split(url: str) -> tuple[str, str]:
    try:
        parts = urlsplit(url)
    except ValueError:  # whoever sends it will say so
        return "", "(invalid URL)"
    host = parts.netloc.rpartition("@")[2].lower()
    host = host.removesuffix(_STANDARD_PORTS.get(parts.scheme, " "))
    return f"{parts.scheme}://{host}" if parts.scheme else host, parts.path or "/"


def _prepared(base_url: str) -> str:
    # Host and path are then spelt as in the requests that will be compared with them.
    request = PreparedRequest()
    try:
        request.prepare_url(base_url, None)
    except (OSError, ValueError):  # of the latter are UnicodeError and requests' own InvalidURL
        return base_url
    return str(request.url)


def folded(path: str) -> str:
    """``path`` with ``{id}`` for each segment that looks like one."""
    return "/".join("{id}" if _is_id(segment) else segment for segment in path.split("/"))


def _is_id(segment: str) -> bool:
    if _ID.fullmatch(segment):
        return True
    inside = len(_INSIDE.findall(segment))
    return (len(segment) >= 16 and inside >= 3) or any(
        (len(word) >= 8 and len(_INSIDE.findall(word)) >= 2)
        or (len(word) >= 20 and re.search(r"\d.*[a-z]", word, re.IGNORECASE))
        for word in _SEPARATORS.split(segment)
    )
