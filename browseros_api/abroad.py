"""What stays at home when a redirect leads to another origin: whatever tells who the caller is."""

from __future__ import annotations

from typing import Any

from requests import PreparedRequest
from requests.auth import AuthBase
from requests.cookies import RequestsCookieJar

from .journal import is_secret

__all__ = ["leave_secrets"]


def leave_secrets(request: PreparedRequest, *, is_downgrade: bool) -> None:
    """Take from ``request``, the next of a chain, what is not meant for where it leads.

    Every header that looks like a secret, but for ``Authorization``, of which requests takes care
    and which may come from netrc for the new host; the cookies that are of no domain; and auth
    that answers challenges, or whoever is there could ask for it.  On a way from https to http
    (``is_downgrade``) no cookie goes along at all.
    """
    for name in [name for name in request.headers if _stays(name.lower())]:
        del request.headers[name]
    own: Any = getattr(request, "_cookies", None)
    jar = _TravellingJar(getattr(own, "_policy", None))
    jar.is_closed = is_downgrade
    jar.update(own)
    request.prepare_cookies(jar)
    heard = [hook for hook in request.hooks.get("response", ()) if not _answers_for_us(hook)]
    request.hooks = {
        **request.hooks,
        "response": heard,
    }  # not changed: it is that of the one before


def _stays(name: str) -> bool:
    return name != "authorization" and (name.startswith("proxy-") or is_secret(name))


def _answers_for_us(hook: Any) -> bool:
    return isinstance(getattr(hook, "__self__", None), AuthBase)


class _TravellingJar(RequestsCookieJar):
    """The cookies of a chain of redirects that has left home.

    requests adds the session's cookies to it on each hop, and sends those without a domain, which
    are set by hand, to every host.  ``is_closed``: only what is set on the way is let in.
    """

    is_closed = False

    def set_cookie(self, cookie: Any, *args: Any, **kwargs: Any) -> Any:
        """Keep ``cookie``, if it says where it belongs."""
        return super().set_cookie(cookie, *args, **kwargs) if cookie.domain else None

    def update(self, other: Any) -> None:  # type: ignore[override]
        """Take in what the session has."""
        if other is not None and not self.is_closed:
            super().update(other)

    def copy(self) -> _TravellingJar:
        """Another of the same kind: each hop has its own."""
        twin = type(self)(self.get_policy())
        twin.update(self)
        twin.is_closed = self.is_closed
        return twin
