"""What a process costs is all that it has begun, too."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.processes import processor_s

BURNS_S = 0.3
WORK = f"""
import time
while time.process_time() < {BURNS_S}: pass
print("done", flush=True)
input()
"""


def test_processor_time_counts_children_that_live_and_that_have_ended() -> None:
    before_s = processor_s(os.getpid())
    arguments = [sys.executable, "-c", WORK]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(arguments, text=True, **pipes) as child:  # type: ignore[call-overload]
        assert child.stdout is not None and child.stdin is not None
        child.stdout.readline()
        alive_s = processor_s(os.getpid())
        child.stdin.write("\n")
    # A tick is a hundredth of a second.
    assert alive_s - before_s >= BURNS_S - 0.02
    assert processor_s(os.getpid()) >= alive_s
