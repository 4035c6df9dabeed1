"""The machine that was measured on."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

__all__ = ["described", "load"]


def described() -> dict[str, str]:
    """What decides how fast it is, and what it had to do besides."""
    return {
        "processor": _model(),
        "cores": str(_cores()),
        "memory": _memory(),
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        # requests looks through all of them for proxies, at each request.
        "environment variables": str(len(os.environ)),
    }


def load() -> float:
    """How many programs wanted a processor, on average, in the last minute."""
    return round(os.getloadavg()[0], 1)


def _model() -> str:
    try:
        told = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return platform.processor() or "unknown"
    found = re.search(r"^model name\s*: (.+)$", told, re.MULTILINE)
    return found[1] if found else platform.processor() or "unknown"


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory() -> str:
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return f"{pages * size / 2**30:.0f} GiB"
