"""Ctrl-C, pressed by another thread or process."""

from __future__ import annotations

import signal
import threading
import time
from subprocess import Popen

__all__ = ["MOMENT", "interrupt", "interrupt_main"]

# Seconds.  A signal that comes when Python has looked for one the last time, and the main thread
# does not sleep in the kernel yet, wakes nobody: it is heard when the wait is over.  So who is
# about to wait is given a moment.
MOMENT = 0.1


def interrupt(process: Popen[str], number: signal.Signals = signal.SIGINT) -> None:
    """Interrupt that Python, which waits already or is about to."""
    time.sleep(MOMENT)
    process.send_signal(number)


def interrupt_main() -> None:
    """Interrupt the main thread, which waits already or is about to."""
    time.sleep(MOMENT)
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
