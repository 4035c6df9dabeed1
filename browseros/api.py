"""The import path of BrowserOS: the awaited client and the circuit breaker."""

from __future__ import annotations

from browseros_api.aio import CircuitBreaker, EnhancedAPIClient

__all__ = ["CircuitBreaker", "EnhancedAPIClient"]
