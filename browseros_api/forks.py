"""What a forked child has to begin anew, also where whoever forked it has not told Python."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

__all__ = ["importing", "look", "reset_in_child"]

# Whatever is imported on first use is imported inside this, so that no thread is at it while the
# process forks: the child would wait for ever for a module that is half imported.
importing = threading.RLock()  # what is imported may import in its turn

_resets: list[Callable[[], object]] = []
_pid = os.getpid()
_lock = threading.Lock()


def reset_in_child(reset: Callable[[], object]) -> Callable[[], object]:
    """Have ``reset`` called in each child, before anything else is done there; for functions.

    It must take no lock that anybody else may hold: no thread of the parent is in the child.
    """
    _resets.append(reset)
    return reset


def look() -> None:
    """Begin anew, should this be a child that has not done so yet: uWSGI, say, forks in C."""
    if os.getpid() == _pid:  # 60 ns
        return
    with _lock:  # of several threads one does it, and the others wait
        if os.getpid() != _pid:
            _begin_anew()


def _begin_anew() -> None:
    global _pid  # noqa: PLW0603  (there is one process)
    for reset in _resets:
        reset()
    _pid = os.getpid()


def _after_fork() -> None:
    global _lock  # noqa: PLW0603  (the parent may have held it)
    _lock = threading.Lock()
    importing.release()
    _begin_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=importing.acquire,
        after_in_parent=importing.release,
        after_in_child=_after_fork,
    )
