"""A clone in which nothing was made yet, and the first command that the README gives for it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
import threading
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from tests.system.apt import require

ROOT = Path(__file__).resolve().parents[1]

LIMIT_S = 600.0
"""Two minutes are promised of a machine with nothing else to do."""

END_S = 40.0
"""A stop waits for work under way."""

READY = re.compile(r"ready: repo=(\S+) page=(http://127\.0\.0\.1:\d+)$")


@dataclass(frozen=True, slots=True)
class Demo:
    """What `make demo` did.

    Attributes:
        code: How it ended, once it was told to.
        ready_s: Seconds from before the clone to its `ready`.
        said: All that it printed.
    """

    code: int
    ready_s: float
    said: tuple[str, ...]


def make_demo(clone: Path) -> Demo:
    """Clones what is committed, runs `make demo` there, and ends it as Ctrl-C does once it is ready.

    Args:
        clone: The new clone; it is not there yet.

    Raises:
        AssertionError: It ended, or took too long, before it was ready.
    """
    began_s = time.monotonic()
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], timeout=60, check=True)
    with subprocess.Popen(
        [require("make", "make"), "demo"],
        cwd=clone,
        # Whoever runs these tests by make has set what a make inside of it goes by.
        env={name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        ender = threading.Timer(LIMIT_S, os.killpg, (process.pid, signal.SIGKILL))
        ender.start()
        try:
            said, ready_s = _until_ready(process, began_s)
            os.killpg(process.pid, signal.SIGINT)
            rest, _ = process.communicate(timeout=END_S)
        finally:
            ender.cancel()
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    return Demo(process.returncode, ready_s, (*said, *rest.splitlines()))


def _until_ready(process: subprocess.Popen[str], began_s: float) -> tuple[list[str], float]:
    assert process.stdout is not None
    said: list[str] = []
    for line in process.stdout:
        said.append(line.rstrip())
        ready = READY.search(said[-1])
        if ready is not None:
            _see(*ready.groups())
            return said, time.monotonic() - began_s
    raise AssertionError("\n".join(said[-40:]))


def _see(repo: str, page: str) -> None:
    """Sees for itself that the revert is on the remote's branch, and that the board answers."""
    with tempfile.TemporaryDirectory() as folder:
        clone = ["git", "clone", "--quiet", "--bare", repo, folder]
        subprocess.run(clone, timeout=60, check=True)
        log = ["git", "-C", folder, "log", "-1", "--format=%B", "main"]
        told = subprocess.run(log, capture_output=True, text=True, timeout=60, check=True).stdout
    assert "\nReconciler-Action: revert\n" in told, told
    with urllib.request.urlopen(page, timeout=10) as answer:
        assert answer.status == 200
