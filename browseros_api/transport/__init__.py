"""Connections: the pooling adapter, its DNS cache, and the watch that bounds a call."""

from __future__ import annotations

from .adapter import PoolingAdapter
from .dns import DnsCache
from .limiter import Lease, Limiter
from .sent import never_sent, state_of
from .watch import Watch

__all__ = ["DnsCache", "Lease", "Limiter", "PoolingAdapter", "Watch", "never_sent", "state_of"]
