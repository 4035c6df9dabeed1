"""requests' functions of the same names: for ``import browseros_api as requests``."""

from __future__ import annotations

import threading
from typing import Any

from requests import Response

from .forks import look, reset_in_child
from .session import Session

__all__ = [
    "Borrowed",
    "delete",
    "get",
    "head",
    "options",
    "patch",
    "post",
    "put",
    "request",
    "session",
]


class Borrowed(Session):
    """A session of one call: cookies and settings of its own, engine and connections of another."""

    def __init__(self, owner: Session) -> None:
        self._owner = owner
        super().__init__()

    def _made_engine(self, options: dict[str, Any], breaker: Any) -> Any:
        return self._owner.engine

    def close(self) -> None:
        """The connections are not its own."""


_lock = threading.Lock()
_owner: Session | None = None


def _shared() -> Session:
    global _owner  # noqa: PLW0603  (one engine for the functions, made when first needed)
    look()
    if _owner is None:
        with _lock:
            _owner = _owner or Session()
    return _owner


@reset_in_child
def _reset() -> None:
    global _lock  # noqa: PLW0603  (in a child process; the parent may have held it)
    _lock = threading.Lock()


def request(method: str, url: str, **kwargs: Any) -> Response:
    """``requests.request``: every call has a cookie jar of its own, all share one engine."""
    with Borrowed(_shared()) as session:
        return session.request(method=method, url=url, **kwargs)


def get(url: str, params: Any = None, **kwargs: Any) -> Response:
    """``requests.get``, resilient."""
    return request("get", url, params=params, **kwargs)


def options(url: str, **kwargs: Any) -> Response:
    """``requests.options``, resilient."""
    return request("options", url, **kwargs)


def head(url: str, **kwargs: Any) -> Response:
    """``requests.head``, resilient."""
    kwargs.setdefault("allow_redirects", False)
    return request("head", url, **kwargs)


def post(url: str, data: Any = None, json: Any = None, **kwargs: Any) -> Response:
    """``requests.post``, resilient."""
    return request("post", url, data=data, json=json, **kwargs)


def put(url: str, data: Any = None, **kwargs: Any) -> Response:
    """``requests.put``, resilient."""
    return request("put", url, data=data, **kwargs)


def patch(url: str, data: Any = None, **kwargs: Any) -> Response:
    """``requests.patch``, resilient."""
    return request("patch", url, data=data, **kwargs)


def delete(url: str, **kwargs: Any) -> Response:
    """``requests.delete``, resilient."""
    return request("delete", url, **kwargs)


def session() -> Session:
    """``requests.session``: a new session."""
    return Session()
