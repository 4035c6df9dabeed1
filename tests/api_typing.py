"""The public names, used as a program would: this file is type-checked and never run."""

from __future__ import annotations

import asyncio

import pybreaker
import requests

from browseros_api.errors import CircuitOpenError, ConnectTimeout, DeadlineExceeded, PoolTimeout
from browseros_api.settings import Settings

__all__: list[str] = []

settings = Settings(timeout=(3.05, 27.0), max_connections=20, jitter="full", debug=True)
seconds: float = settings.cache_ttl
at_most: int | None = settings.max_connections_per_host


def told_apart(error: BaseException) -> float:
    """Errors are caught under the names that requests, pybreaker and asyncio have for them."""
    try:
        raise error
    except CircuitOpenError as rejected:
        as_network: requests.ConnectionError = rejected
        as_breaker: pybreaker.CircuitBreakerError = rejected
        return len(as_network.args) + len(as_breaker.args) + rejected.retry_after
    except PoolTimeout as waited:
        connecting: ConnectTimeout = waited
        as_builtin: TimeoutError = connecting
        return len(as_builtin.args)
    except DeadlineExceeded as late:
        as_timeout: requests.Timeout = late
        return len(as_timeout.args)
    except asyncio.TimeoutError:
        return 0.0
