"""Spans and metrics for OpenTelemetry, of one session or client (extra ``otel``).

from browseros_api.otel import Telemetry

Telemetry(client, name="users")
"""

from __future__ import annotations

try:
    import opentelemetry.trace  # noqa: F401  (a package of this name may be there without it)
except ImportError as error:  # pragma: no cover  (said where it is missing)
    raise ImportError(
        "browseros_api.otel needs opentelemetry-api: pip install 'browseros-api[otel]'"
    ) from error

from .telemetry import Telemetry

__all__ = ["Telemetry"]
