"""A program that a test starts, watches and ends."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

STOP_S = 20.0


class Process:
    """A program of ours, its output in a file; ended politely, then at once.

    Args:
        arguments: The program and its arguments.
        log: Where its output goes.
    """

    def __init__(self, arguments: list[str], log: Path) -> None:
        self._log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                arguments, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )

    @property
    def has_ended(self) -> bool:
        """Whether it is gone."""
        return self._process.poll() is not None

    @property
    def last_words(self) -> str:
        """The end of its output."""
        return self._log.read_text(errors="replace")[-3000:]

    def signal(self, number: signal.Signals) -> None:
        """Sends it a signal."""
        os.kill(self._process.pid, number)

    def end(self) -> None:
        """Ends it and waits: its port is free afterwards."""
        if self.has_ended:
            return
        self._process.send_signal(signal.SIGCONT)
        self._process.kill()
        self._process.wait(STOP_S)
