"""Which request headers say who asks, and which say what for: the part of a key in any mode.

Servers seldom say in Vary what they take for granted: that one user's answer is not another's.  So
the names decide, and in case of doubt a header is taken for somebody: that costs a request more,
and no answer ever goes to a stranger.
"""

from __future__ import annotations

import re
from functools import lru_cache

from .journal import is_secret
from .keys import NEVER_SELECTS

__all__ = ["makes_somebody", "says_what"]

_WORDS = re.compile(r"[-_.]+")

# Beside all that looks like a secret: of Authorization, Cookie, X-API-Key, X-Auth-Token and so on.
_WHO = frozenset(
    {
        *("account", "acl", "actor", "admin", "audience", "behalf", "certificate", "cert"),
        *("client", "company", "customer", "department", "device", "email", "employee"),
        *("forwarded", "from", "group", "identity", "ip", "key", "login", "member", "merchant"),
        *("org", "owner", "partner", "person", "principal", "profile", "project", "realm"),
        *("role", "roles", "scope", "seller", "shop", "site", "space", "store", "subject"),
        *("subscription", "team", "tenant", "uid", "user", "userid", "username", "vendor"),
        *("viewer", "workspace"),
    }
)
_ID = re.compile(r"x[-_.].*[-_.]?(id|uuid|guid)")  # of something that somebody made up
_WHO_BEGINS = ("delegat", "impersonat", "organi", "tenant")
# What the request is addressed to, as a part of its line would be; and Accept, since many servers
# that obey it forget to say that they vary on it.
_WHAT = frozenset({"host", "method", "path", "uri", "url", "version"})


@lru_cache(4096)
def makes_somebody(name: str) -> bool:
    """Whether a header of this name, in lower case, makes the caller somebody."""
    if name in NEVER_SELECTS:
        return False
    if is_secret(name) or _ID.fullmatch(name):
        return True
    return any(word in _WHO or word.startswith(_WHO_BEGINS) for word in _WORDS.split(name))


@lru_cache(4096)
def says_what(name: str) -> bool:
    """Whether a header of this name, in lower case, says what is asked for."""
    if name in NEVER_SELECTS:
        return False
    return name == "accept" or not _WHAT.isdisjoint(_WORDS.split(name))
