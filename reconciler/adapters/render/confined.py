"""Runs one program without home or PATH, and without network where it can; ends it at its limits."""

from __future__ import annotations

import contextlib
import functools
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from reconciler.errors import TransientError

PROBE_TIMEOUT_S = 10
"""`true` in a new network namespace takes milliseconds; this only keeps a broken kernel from hanging us."""

STDERR_BYTES_MAX = 64 * 1024

WHY_CHARACTERS_MAX = 300

SHARED = "renderers-share-network"
"""The event of a machine that lets us make no network namespace."""

_log = structlog.get_logger(__name__)

_probing = threading.Lock()
"""Renders run side by side, and the kernel is asked once."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one run may use.

    Attributes:
        timeout_s: Seconds by the wall, after which the whole process group is killed.
        memory_bytes_max: Writable private memory. The address space is not limited: Go reserves
            far more of it than it ever uses.
        output_bytes_max: On stdout.
    """

    timeout_s: float
    memory_bytes_max: int
    output_bytes_max: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended.

    Attributes:
        returncode: 0 when all went well.
        stderr: At most STDERR_BYTES_MAX of it.
    """

    returncode: int
    stdout: bytes
    stderr: str
    is_output_cut: bool


def run_confined(
    command: Sequence[str], *, folder: Path, home: Path, limits: Limits, subject: str
) -> Outcome:
    """Runs a program to its end, or ends it.

    Args:
        command: The program by its absolute path, and its arguments.
        folder: Where it runs.
        home: An empty folder of ours, outside `folder`: its HOME, and where its output is kept.
        limits: What it may use.
        subject: Names the run in errors.

    Raises:
        TransientError: It ran into its time limit, or something else killed it.
    """
    out, err = home / "stdout", home / "stderr"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        child = subprocess.Popen(
            [*_prefix(), *command],
            cwd=folder,
            env=_environment(home, limits),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )
        try:
            _limit(child.pid, limits)
            child.wait(limits.timeout_s)
        except subprocess.TimeoutExpired:
            raise TransientError(
                subject,
                "the render was ended",
                f"it took longer than {limits.timeout_s:g} s",
                "make the service smaller, or raise the limit",
            ) from None
        finally:
            if child.poll() is None:
                # The group: also what it may have started itself.
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
    is_output_cut = out.stat().st_size >= limits.output_bytes_max
    if child.returncode < 0 and not is_output_cut:
        why = f"by signal {-child.returncode}"
        raise TransientError(subject, "the render was ended", why)
    return Outcome(
        returncode=child.returncode,
        stdout=_read(out, limits.output_bytes_max),
        stderr=_read(err, STDERR_BYTES_MAX).decode(errors="replace"),
        is_output_cut=is_output_cut,
    )


def _limit(pid: int, limits: Limits) -> None:
    """Sets the kernel's limits from outside: code run between fork and exec is not safe with threads."""
    if sys.platform != "linux":
        return
    seconds = (int(limits.timeout_s) + 1) * (os.cpu_count() or 1)
    with contextlib.suppress(ProcessLookupError):
        for kind, most in (
            (resource.RLIMIT_DATA, limits.memory_bytes_max),
            (resource.RLIMIT_FSIZE, limits.output_bytes_max),
            # Ends it even when we are killed first and cannot.
            (resource.RLIMIT_CPU, seconds),
            (resource.RLIMIT_CORE, 0),
        ):
            _, allowed = resource.prlimit(pid, kind)
            if allowed != resource.RLIM_INFINITY:
                # Whoever started us may have set less already, which nobody may raise.
                resource.prlimit(pid, kind, (min(most, allowed),) * 2)
            else:
                resource.prlimit(pid, kind, (most, most))


def _environment(home: Path, limits: Limits) -> dict[str, str]:
    nowhere = "http://127.0.0.1:9"
    return {
        "HOME": str(home),
        "TMPDIR": str(home),
        # Empty, so that no git, helm or plugin is found.
        "PATH": "",
        "GOMEMLIMIT": str(limits.memory_bytes_max * 3 // 4),
        # For a machine that lets us make no network namespace.
        "HTTP_PROXY": nowhere,
        "HTTPS_PROXY": nowhere,
        "ALL_PROXY": nowhere,
    }


def _prefix() -> tuple[str, ...]:
    """Returns the prefix of a command that runs in a network namespace of its own, or nothing."""
    with _probing:
        return without_network()


@functools.cache
def without_network() -> tuple[str, ...]:
    """Returns the same, asking the kernel; remembered, so that a refusal is told once."""
    unshare, true = shutil.which("unshare"), shutil.which("true")
    if unshare is None or true is None:
        _log.warning(SHARED, error="unshare is not installed", fix="install util-linux")
        return ()
    why = ""
    for prefix in ((unshare, "--net"), (unshare, "--user", "--net")):
        try:
            done = subprocess.run(
                [*prefix, "--", true], capture_output=True, check=False, timeout=PROBE_TIMEOUT_S
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            why = type(error).__name__
            continue
        if done.returncode == 0:
            return (*prefix, "--")
        why = " ".join(done.stderr.decode(errors="replace").split())[:WHY_CHARACTERS_MAX]
    _log.warning(SHARED, error=why, fix="allow user namespaces, or limit where the daemon connects")
    return ()


def _read(path: Path, bytes_max: int) -> bytes:
    with path.open("rb") as file:
        return file.read(bytes_max)
