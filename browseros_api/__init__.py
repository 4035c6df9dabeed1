"""Resilient HTTP for everyone who uses requests.

One engine (connection pooling, single-flight, retries with backoff and jitter, caching, circuit
breaking) behind a drop-in ``requests.Session``, a JSON client, and its awaited twin in
``browseros_api.aio``.  ``import browseros_api as requests`` works as well.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from requests import (
    ConnectionError,
    HTTPError,
    JSONDecodeError,
    PreparedRequest,
    Request,
    RequestException,
    Response,
    Timeout,
    TooManyRedirects,
    URLRequired,
    adapters,
    auth,
    certs,
    codes,
    compat,
    cookies,
    exceptions,
    hooks,
    models,
    packages,
    sessions,
    status_codes,
    structures,
    utils,
)
from requests.exceptions import FileModeWarning

from .forks import importing

if TYPE_CHECKING:
    from .api import delete, get, head, options, patch, post, put, request, session
    from .client import EnhancedAPIClient
    from .errors import (
        BodyTimeout,
        CircuitOpenError,
        ClientClosed,
        ConnectTimeout,
        DeadlineExceeded,
        PaginationError,
        PoolTimeout,
        ReadTimeout,
        ResponseTooLarge,
    )
    from .fallbacks import Asked
    from .installing import install, uninstall
    from .policies.breakers import CircuitBreaker
    from .refusals import BulkheadFull, LimitExceeded, RateLimited
    from .session import ResilienceMixin, Session
    from .settings import Settings
    from .terms import (
        AdaptiveLimit,
        Bulkhead,
        CircuitTerms,
        Hedge,
        Heed,
        RateLimit,
        RetryBudget,
    )

__version__ = "1.0.0"

__all__ = [
    "AdaptiveLimit",
    "Asked",
    "BodyTimeout",
    "Bulkhead",
    "BulkheadFull",
    "CircuitBreaker",
    "CircuitOpenError",
    "CircuitTerms",
    "ClientClosed",
    "ConnectTimeout",
    "ConnectionError",
    "DeadlineExceeded",
    "EnhancedAPIClient",
    "FileModeWarning",
    "HTTPError",
    "Hedge",
    "Heed",
    "JSONDecodeError",
    "LimitExceeded",
    "PaginationError",
    "PoolTimeout",
    "PreparedRequest",
    "RateLimit",
    "RateLimited",
    "ReadTimeout",
    "Request",
    "RequestException",
    "ResilienceMixin",
    "Response",
    "ResponseTooLarge",
    "RetryBudget",
    "Session",
    "Settings",
    "Timeout",
    "TooManyRedirects",
    "URLRequired",
    "adapters",
    "auth",
    "certs",
    "codes",
    "compat",
    "cookies",
    "delete",
    "exceptions",
    "get",
    "head",
    "hooks",
    "install",
    "models",
    "options",
    "packages",
    "patch",
    "post",
    "put",
    "request",
    "session",
    "sessions",
    "status_codes",
    "structures",
    "uninstall",
    "utils",
]

# Where to find what is imported on first use: whoever imports requests' names only, or one of ours,
# does not wait for the rest.
_HOMES = {
    name: home
    for home, names in {
        "api": "delete get head options patch post put request session",
        "client": "EnhancedAPIClient",
        "errors": "BodyTimeout CircuitOpenError ClientClosed ConnectTimeout DeadlineExceeded"
        " PaginationError PoolTimeout ReadTimeout ResponseTooLarge",
        "fallbacks": "Asked",
        "installing": "install uninstall",
        "policies.breakers": "CircuitBreaker",
        "refusals": "BulkheadFull LimitExceeded RateLimited",
        "session": "ResilienceMixin Session",
        "settings": "Settings",
        "terms": "AdaptiveLimit Bulkhead CircuitTerms Hedge Heed RateLimit RetryBudget",
    }.items()
    for name in names.split()
}


class _Package(ModuleType):
    """This package, whose names come when they are asked for."""

    def __getattr__(self, name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        with importing:
            found = getattr(import_module(f".{_HOMES[name]}", __name__), name)
        if name != "session":
            setattr(self, name, found)
        return found

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *__all__})

    @property
    def session(self) -> Any:
        """requests' function of this name; once imported, the module of this name would hide it."""
        return self.__dict__.get("_session") or self.__getattr__("session")

    @session.setter
    def session(self, value: Any) -> None:
        if not isinstance(value, ModuleType):
            self.__dict__["_session"] = value


sys.modules[__name__].__class__ = _Package
