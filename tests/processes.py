"""What the kernel tells of processes."""

from __future__ import annotations

import ipaddress
import os
import re
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

LISTENS = "0A"
"""A socket's state, as Linux' include/net/tcp_states.h numbers them."""


def children(pid: int) -> list[int]:
    """Returns the children of all threads of a process; a thread that has just ended has none.

    Raises:
        FileNotFoundError: There is no such process.
    """
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):
            found += map(int, (task / "children").read_text().split())
    return found


SAMPLE_S = 0.05
"""A child that swells lives for longer; what it had at the most is told until it ends."""


def peak_kib(pid: int) -> int:
    """Returns the most memory that a process ever had."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next((line.split()[1] for line in status.splitlines() if "VmHWM" in line), 0))


@contextmanager
def child_peaks(pid: int) -> Iterator[Mapping[str, int]]:
    """Watches the children that a process has meanwhile; yields the most KiB that one had, by what it runs."""
    peaks: dict[str, int] = defaultdict(int)
    stopping = threading.Event()

    def sample() -> None:
        while not stopping.wait(SAMPLE_S):
            with suppress(OSError):
                for child in children(pid):
                    _note_peak(child, peaks)

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield peaks
    finally:
        stopping.set()
        thread.join()


def _note_peak(pid: int, peaks: dict[str, int]) -> None:
    with suppress(OSError):
        name = _program(pid)
        peaks[name] = max(peaks[name], peak_kib(pid))


def _program(pid: int) -> str:
    """Returns the module that a process runs, or its program; until that is begun it is as its parent is."""
    words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    return words[words.index("-m") + 1] if "-m" in words else Path(words[0]).name


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


def listens_at(pid: int) -> set[str]:
    """Returns every address, as `host:port`, at which a process waits for TCP connections."""
    own = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            own |= set(re.findall(r"^socket:\[(\d+)\]$", str(descriptor.readlink())))
    rows = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]
    ]
    return {_address(row[1]) for row in rows if row[3] == LISTENS and row[9] in own}


def _address(text: str) -> str:
    host, _, port = text.partition(":")
    # Each word of 32 bits is written as this machine's own number.
    words = [bytes.fromhex(host[at : at + 8])[::-1] for at in range(0, len(host), 8)]
    return f"{ipaddress.ip_address(b''.join(words))}:{int(port, 16)}"


def in_session(session: int) -> list[str]:
    """Returns the command lines of whatever lives in a session."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            state, _, _, its, *_ = (process / "stat").read_text().rpartition(")")[2].split()
            if int(its) == session and state != "Z":
                found.append((process / "cmdline").read_text())
    return found
