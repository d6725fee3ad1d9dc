"""Being asked to stop: only noted where it comes, and looked at between two steps."""

from __future__ import annotations

import signal
import threading

LOOK_S = 1.0
"""A signal may be given to another thread: then nothing wakes the one that must answer it."""


def note_signals(asked: threading.Event) -> None:
    """Has Ctrl-C and a service manager's SIGTERM noted, however often they come and however we were started."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked.set())


def wait_until(asked: threading.Event) -> None:
    """Waits until it was asked for, or noted."""
    while not asked.wait(LOOK_S):
        pass
