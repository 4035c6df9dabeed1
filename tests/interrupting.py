"""Ctrl-C, pressed by another thread."""

from __future__ import annotations

import signal
import threading
import time

__all__ = ["interrupt_main"]

_MOMENT = 0.1  # seconds


def interrupt_main() -> None:
    """Interrupt the main thread, which waits already or is about to.

    A signal that comes when Python has looked for one the last time, and the thread does not sleep
    in the kernel yet, wakes nobody: it is heard when the wait is over.  So it is given a moment.
    """
    time.sleep(_MOMENT)
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
