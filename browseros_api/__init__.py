"""Resilient HTTP for everyone who uses requests.

One engine (connection pooling, single-flight, retries with backoff and jitter, caching, circuit
breaking) behind a drop-in ``requests.Session``, a JSON client, and its awaited twin in
``browseros_api.aio``.  ``import browseros_api as requests`` works as well.
"""

from __future__ import annotations

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

from .api import delete, get, head, options, patch, post, put, request, session
from .client import EnhancedAPIClient
from .errors import (
    BodyTimeout,
    CircuitOpenError,
    ClientClosed,
    ConnectTimeout,
    DeadlineExceeded,
    PoolTimeout,
    ReadTimeout,
    ResponseTooLarge,
)
from .installing import install, uninstall
from .policies.breakers import CircuitBreaker
from .session import ResilienceMixin, Session
from .settings import Settings
from .terms import RetryBudget

__version__ = "1.0.0"

__all__ = [
    "BodyTimeout",
    "CircuitBreaker",
    "CircuitOpenError",
    "ClientClosed",
    "ConnectTimeout",
    "ConnectionError",
    "DeadlineExceeded",
    "EnhancedAPIClient",
    "FileModeWarning",
    "HTTPError",
    "JSONDecodeError",
    "PoolTimeout",
    "PreparedRequest",
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
