"""What the kernel tells of processes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def children(pid: int) -> list[int]:
    """Returns the children of all threads of a process."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def processor_s(pid: int) -> float:
    """Returns the processor seconds of a process and all below it, of those that live and that have ended."""
    return sum(_ticks(pid)) / os.sysconf("SC_CLK_TCK")


def _ticks(pid: int) -> Iterator[int]:
    """Yields a process's own ticks, its ended children's, and its living ones'; none of one that is gone."""
    with suppress(OSError):
        below = children(pid)
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        yield from map(int, fields[11:15])
        for child in below:
            yield from _ticks(child)


def in_session(session: int) -> list[str]:
    """Returns the command lines of whatever lives in a session."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            state, _, _, its, *_ = (process / "stat").read_text().rpartition(")")[2].split()
            if int(its) == session and state != "Z":
                found.append((process / "cmdline").read_text())
    return found
